"""Videos that are left out before their rows are read could not have been shown."""

from __future__ import annotations

import numpy as np
import pytest

from savecli.archive.schema import ClipRow
from savecli.search.candidates import Candidates, Proposal, SpokenWords
from savecli.search.confidence import Level
from savecli.search.matching import query_terms
from savecli.search.rank import contenders, group_by_video, score_clips

QUERY = query_terms("red kite over harbour", language="English")
WORDS = ("red", "kite", "harbour", "boat", "over", "sheep")


@pytest.mark.parametrize("seed", range(40))
def test_the_best_videos_are_all_there(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [
        ClipRow(f"v{video}", idx, 10.0 * idx, 10.0 * idx + 10, " ".join(rng.choice(WORDS, 2)))
        for video in range(30)
        for idx in range(int(rng.integers(1, 6)))
    ]
    order = rng.permutation(len(rows))
    said = tuple(rows[idx] for idx in rng.permutation(len(rows))[:15])
    near = [rows[idx].clip_id for idx in order[:60]]
    levels = sorted(rng.choice(list(Level), len(near), p=[0.8, 0.1, 0.1]), reverse=True)
    candidates = Candidates(seen=Proposal(tuple(near), tuple(levels)), said=SpokenWords(said), named={"v3": "red"})
    scored = score_clips(candidates, [row for row in rows if row.clip_id in near or row in said], QUERY)
    kept = contenders(scored, limit=5)
    everything = group_by_video(scored, QUERY)
    few = group_by_video([clip for clip in scored if clip.clip.video_id in kept], QUERY)
    assert len(kept) < len(everything)
    assert few[:5] == everything[:5]
    assert [video for video in few if video.level > Level.LOW][:5] == [
        video for video in everything if video.level > Level.LOW
    ][:5]
