"""How much the two stages of a search lose against scoring every clip exactly: recall@10, at 1,000,000 clips.

    python -m benchmarks.search_recall [--clips 1000000] [--queries 100] [--keep FOLDER]

Exact is the model's own similarity (joint: pooled and per frame) of a query with every clip, computed from the same
stored vectors. Vectors and queries are those of `benchmarks/made_archive.py`.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("LANCEDB_LOG", "error")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command sets it, before numpy is imported

import numpy as np
import numpy.typing as npt

from benchmarks.made_archive import SCORING, MadeWorld, fused, kept_archive, kept_folder
from savecli.archive.manifest import EncoderRecord
from savecli.archive.packing import num_packed, packed_products, split_clip, unpack_vectors
from savecli.archive.store import Archive
from savecli.search.candidates import nearest_clips, num_candidates
from savecli.search.exact import proposal_by_logits
from savecli.search.filters import Eligible, Filters

Floats = npt.NDArray[np.float32]
TOP = 10


def best_of_all(archive: Archive, queries: Floats) -> list[set[str]]:
    """The ids of the `TOP` best clips of each query, by looking at every clip."""
    best: list[list[tuple[float, str]]] = [[] for _ in queries]
    for batch in _table(archive).search().select(["clip_id", "seen", "packed"]).to_batches():
        clip_ids = batch.column("clip_id").to_pylist()
        packed = [split_clip(data, queries.shape[1]).frames for data in batch.column("packed").to_pylist()]
        vectors = np.asarray(batch.column("seen").flatten(), np.float32).reshape(len(batch), -1)
        logits = _joint_logits(packed, vectors @ queries.T, queries)
        for idx, column in enumerate(logits.T):
            top = np.argpartition(-column, min(TOP, len(column) - 1))[:TOP]
            found = best[idx] + [(float(column[place]), clip_ids[place]) for place in top]
            best[idx] = sorted(found, reverse=True)[:TOP]
    return [{clip_id for _, clip_id in found} for found in best]


def _table(archive: Archive) -> Any:
    table = archive.vector_table(archive.manifest.encoder)
    assert table is not None
    return table


def _joint_logits(packed: list[bytes], pooled: Floats, queries: Floats) -> Floats:
    """`(N, Q)`, as `savecli.search.exact.exact_logits`, for clips of one number of frames."""
    data, nothing = b"".join(packed), np.zeros(queries.shape[1], np.float32)
    num_frames = num_packed(packed[0], len(nothing))
    remainders = unpack_vectors(data, nothing) @ queries.T
    shares = packed_products(data, np.ones(len(remainders), np.float32), nothing)
    cosines = shares[:, None] * np.repeat(pooled, num_frames, axis=0) + remainders
    exponents = SCORING.temperature * SCORING.logit_scale * cosines.reshape(len(packed), num_frames, -1)
    largest = exponents.max(axis=1)
    frames = (largest + np.log(np.exp(exponents - largest[:, None]).sum(axis=1))) / SCORING.temperature
    return np.asarray((frames + SCORING.logit_scale * pooled) / 2, np.float32)


def two_stages(archive: Archive, query: Floats, count: int) -> list[str]:
    """The `TOP` best of `count` candidates by pooled vectors, each looked at frame by frame."""
    everything = Eligible(Filters(), None)
    nearest = nearest_clips(_table(archive), "seen", query, everything, count=count, with_frames=True)
    return list(proposal_by_logits(nearest, query, SCORING, None).clip_ids[:TOP])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    with kept_folder(options.keep) as folder:
        record = EncoderRecord(name="made", label="made", fingerprint="0" * 64, dimension=512)
        archive = kept_archive(folder, options.clips, fused(record))
        queries = MadeWorld(options.clips).queries(options.queries)
        started = time.perf_counter()
        best = best_of_all(archive, queries)
        exact_s = (time.perf_counter() - started) / len(queries)
        print(
            f"{archive.clips.count_rows():,} clips, {len(queries)} queries; all of them scored: {exact_s:.2f} s a query"
        )
        print("candidates   recall@10   worst query   median")
        for count in (60, 100, num_candidates(10), 200, 400, 1000):
            shares, times = [], []
            for query, right in zip(queries, best, strict=True):
                started = time.perf_counter()
                found = two_stages(archive, query, count)
                times.append(1000 * (time.perf_counter() - started))
                shares.append(len(right.intersection(found)) / TOP)
            line = f"{count:>10}   {np.mean(shares):9.4f}   {min(shares):11.1f}"
            print(f"{line}   {np.median(times):6.1f} ms" + " (the default)" * (count == num_candidates(10)))


if __name__ == "__main__":
    main()
