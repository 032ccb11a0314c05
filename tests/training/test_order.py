"""Batches follow from seed and epoch alone, and hold what they should."""

from __future__ import annotations

from savecli.datasets.base import Caption, DatasetClip
from savecli.training.order import Pair, all_pairs, epoch_batches, num_steps, pairs_digest


def some_pairs(num_clips: int, captions_each: int):
    captions = tuple(Caption(f"caption {number}") for number in range(captions_each))
    return all_pairs([DatasetClip(f"clip{number}", captions, "") for number in range(num_clips)])


def test_every_caption_is_a_sample() -> None:
    pairs = some_pairs(5, 4)
    assert len(pairs) == 20
    batches = epoch_batches(pairs, batch_size=5, seed=0, epoch=0)
    assert sorted(place for batch in batches for place in batch) == list(range(20))


def test_the_same_epoch_is_the_same_and_another_is_not() -> None:
    pairs = some_pairs(10, 2)
    first = epoch_batches(pairs, batch_size=4, seed=3, epoch=1)
    assert first == epoch_batches(pairs, batch_size=4, seed=3, epoch=1)
    assert first != epoch_batches(pairs, batch_size=4, seed=3, epoch=2)
    assert first != epoch_batches(pairs, batch_size=4, seed=4, epoch=1)


def test_what_fills_no_batch_is_left_out() -> None:
    batches = epoch_batches(some_pairs(11, 1), batch_size=4, seed=0, epoch=0)
    assert [len(batch) for batch in batches] == [4, 4]


def test_distinct_clips_never_meet_themselves() -> None:
    pairs = some_pairs(8, 5)
    for epoch in range(5):
        batches = epoch_batches(pairs, batch_size=4, seed=0, epoch=epoch, distinct_clips=True)
        places = [place for batch in batches for place in batch]
        assert len(places) == len(set(places))
        assert len(batches) >= 8
        for batch in batches:
            assert len({pairs[place].clip.clip_id for place in batch}) == len(batch) == 4


def test_steps_of_all_epochs() -> None:
    pairs = some_pairs(8, 5)
    for distinct in (False, True):
        counted = sum(
            len(epoch_batches(pairs, batch_size=4, seed=1, epoch=epoch, distinct_clips=distinct)) for epoch in range(3)
        )
        assert num_steps(pairs, batch_size=4, seed=1, num_epochs=3, distinct_clips=distinct) == counted


def test_half_a_character_is_a_caption_like_others() -> None:
    clip = DatasetClip("a", (), "")
    digests = {pairs_digest([Pair(clip, text)]) for text in ("half \ud83d", "half \ud83e", "name \udcff")}
    assert len(digests) == 3
    known = "e9979b5a5887ddba"
    assert pairs_digest([Pair(clip, "a café")]).startswith(known)
