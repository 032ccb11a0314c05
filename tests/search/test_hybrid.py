"""Kinds of evidence together, in an archive whose vectors and words are known."""

from __future__ import annotations

from pathlib import Path

from savecli.search.query import Request, search_videos
from tests.search.hand_made import EAST, NORTH, encode_text, make_archive, record


def test_a_clip_found_by_the_meaning_of_its_words_is_also_judged_by_them(tmp_path: Path) -> None:
    """More clips say "dog" than the full text search gives, and the one that is meant says it among much else."""
    rambling = "a dog and " + " ".join(f"thing{number}" for number in range(60))
    archive = make_archive(tmp_path / "test.save", record("own"), [("dog dog", NORTH)] * 210 + [(rambling, EAST)])
    request = Request(text="dog", signals=frozenset({"said"}), limit=20)
    answer = search_videos(archive, request, encode_text=encode_text)
    (hit,) = [video for video in answer.videos if video.path == "/v/210.mp4"]
    (moment,) = hit.moments
    assert moment.confidence == "high"
    assert moment.snippet is not None
    assert [moment.snippet.text[start:end] for start, end in moment.snippet.matches] == ["dog"]
