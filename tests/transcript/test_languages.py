"""Language tags to ISO 639-1."""

from __future__ import annotations

import pytest

from savecli.transcript.languages import iso_639_1


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en", "en"),
        ("EN", "en"),
        ("en-US", "en"),
        ("en_GB", "en"),
        ("en-orig", "en"),
        ("zh-Hans", "zh"),
        ("eng", "en"),
        ("ger", "de"),
        ("deu", "de"),
        ("English", "en"),
        ("iw", "he"),
        ("jw", "jv"),
        ("yue", "zh"),
        ("und", None),
        ("info", None),
        ("part2", None),
        ("mp4", None),
        ("", None),
        (None, None),
    ],
)
def test_tags(tag, code):
    assert iso_639_1(tag) == code
