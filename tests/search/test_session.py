"""Queries while the archive changes under them."""

from __future__ import annotations

from pathlib import Path

import pytest

from savecli.archive.reencoding import switch_encoder
from savecli.archive.store import Archive, open_archive
from savecli.core.errors import SaveError
from savecli.core.records import ClipEmbedding
from savecli.search.example import like_moment
from savecli.search.query import EncodeText, Request
from savecli.search.session import Session
from tests.search.hand_made import EAST, encode_text, make_archive, record


def reencode(folder: Path) -> None:
    """What `save index` with another encoder comes to."""
    archive, encoder = open_archive(folder), record("new")
    clips = archive.clip_rows("true")
    archive.add_vectors(
        clips, [ClipEmbedding(EAST, EAST[None], EAST) for _ in clips], archive.make_vector_table(encoder)
    )
    switch_encoder(archive, encoder)


def load(_: Archive) -> EncodeText:
    return encode_text


def test_an_encoder_that_changes_while_its_text_side_is_loaded_is_followed(tmp_path: Path) -> None:
    folder = make_archive(tmp_path / "test.save", record("old"), [("a dog", EAST)]).folder

    def load_slowly(archive: Archive) -> EncodeText:
        if archive.manifest.encoder == record("old"):
            reencode(folder)
        return encode_text

    answer = Session(folder, load_slowly).search(Request(text="a dog", show_all=True))
    assert answer.encoder == "new"
    assert answer.videos[0].moments[0].ranks.seen == 1
    assert answer.notes == ()


def test_an_example_of_another_encoder_is_refused(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "test.save", record("old"), [("a dog", EAST), ("a cat", EAST)])
    request = Request(text="", examples=(like_moment(archive, "0000", 0.0, 4.0),))
    session = Session(archive.folder, load)
    assert session.search(request).videos
    reencode(archive.folder)
    with pytest.raises(SaveError, match="cannot be compared with this archive any more") as refused:
        session.search(request)
    assert refused.value.fix == "run the query again"
