"""What a match is made of, on vectors whose parts are known."""

from __future__ import annotations

import numpy as np
import pytest

from savecli.search.contributions import Contributions, SenseContribution
from savecli.search.explain import sense_shares
from savecli.search.senses import SenseShare, named_senses


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
