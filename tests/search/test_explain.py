"""What a match is made of, on vectors whose parts are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from savecli.search.candidates import Signal
from savecli.search.contributions import Contributions, SenseContribution
from savecli.search.example import Example
from savecli.search.explain import explain_answer, sense_shares
from savecli.search.query import Request, search_videos
from savecli.search.senses import SenseShare, named_senses
from tests.search.hand_made import EAST, encode_text, make_archive, record


def test_shares_are_of_what_adds_and_cosines_sum_up() -> None:
    rng = np.random.default_rng(0)
    query, seen, heard, said = rng.normal(size=(4, 16)).astype(np.float32)
    gates = np.array([[0.25, -0.5], [0.0, 1.0]], np.float32)
    held = Contributions(
        pooled=seen + heard + said,
        frames=np.zeros((0, 16), np.float32),
        frame_s=np.zeros(0, np.float32),
        audio=SenseContribution(heard, gates),
        speech=SenseContribution(said, gates),
    )
    shares = {share.sense: share for share in sense_shares(held, query)}
    assert sum(share.cosine for share in shares.values()) == pytest.approx(float(held.pooled @ query), abs=1e-4)
    added = {sense: max(share.cosine, 0.0) for sense, share in shares.items()}
    for sense, share in shares.items():
        assert share.share == pytest.approx(added[sense] / sum(added.values()))
    assert shares["heard"].gates == ((0.25, -0.5), (0.0, 1.0))
    assert shares["seen"].gates == ()


def test_a_clip_without_sound_and_words_is_only_seen() -> None:
    pooled = np.eye(4, dtype=np.float32)[0]
    held = Contributions(pooled, pooled[None], np.zeros(1, np.float32), None, None)
    assert sense_shares(held, pooled) == (SenseShare("seen", 1.0, 1.0),)
    assert sense_shares(held, -pooled) == (SenseShare("seen", -1.0, 0.0),)
    assert named_senses(sense_shares(held, -pooled)) == ()


def test_only_senses_that_tell_are_named_strongest_first() -> None:
    shares = (SenseShare("seen", 0.3, 0.3), SenseShare("heard", 0.1, 0.1), SenseShare("said", 0.6, 0.6))
    assert named_senses(shares) == ("said", "seen")


def test_only_words_that_were_looked_for_can_be_missing(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "test.save", record("own"), [("a dog", EAST)])

    def missing(*signals: Signal, examples: tuple[Example, ...] = ()) -> tuple[str, ...]:
        request = Request(text="dog sleeps", signals=frozenset(signals), examples=examples, show_all=True)
        answer = search_videos(archive, request, encode_text=encode_text)
        explanation = explain_answer(archive, request, answer, encode_text).videos[0].moments[0].explanation
        assert explanation is not None
        return explanation.words["neither"]

    assert missing("seen", "said", "named") == missing("said") == ("sleeps",)
    assert missing("seen") == ()
    picture = Example("image", "a.jpg", EAST, record("own").fingerprint)
    assert missing("seen", "said", "named", examples=(picture,)) == ()
