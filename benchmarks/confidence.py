"""How often a query is believed wrongly or missed, and whether all evidence together beats each kind alone.

python -m benchmarks.confidence --seeds 101 102 103      those that the defaults were chosen on
python -m benchmarks.confidence --seeds 201 202 203      those that they are reported on
python -m benchmarks.confidence --out FOLDER             again with the same folder: archives that are there are kept

On archives of drawn worlds, none of them in any training. A query with an answer is a caption of a clip in the archive
(seen, heard, said), or three to five words of its transcript (quoted). One without is a caption of another clip of the
same world whose facts no clip of the archive has, one fact off or further, or an everyday query. A false alarm is such
a query that is answered with medium confidence or more; a miss is one whose right video comes first but is of low
confidence.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from savecli.archive.calibration import read_calibration
from savecli.archive.store import Archive, open_archive
from savecli.cli.world import WorldSize, make_drawn_world
from savecli.core.progress import NoProgress
from savecli.datasets.world import build_world
from savecli.datasets.world_captions import told_facts, worded
from savecli.datasets.world_scene import WorldClip
from savecli.model.hub import Hub
from savecli.search import rank
from savecli.search.candidates import Signal, nearest_clips
from savecli.search.confidence import HIGH_SPREADS, MEDIUM_SPREADS, Level, spreads_above
from savecli.search.filters import Filters, eligible_videos
from savecli.search.query import EncodeText, Request, search_videos
from savecli.search.text_encoder import load_query_encoder

WORLD_CLIPS = 396  # the most that a world has in its test split
GROUPS = {"vision": "seen", "sound": "heard", "speech": "said"}
ANSWERED = (*GROUPS.values(), "quoted")
ABSENT = ("one fact off", "further off", "everyday")
# 100 queries that no drawn clip answers, in the ways people ask: topics, sentences, questions. None is in the bank.
EVERYDAY = [
    f"{topic}{ending}"
    for topic in (
        "stiff person syndrome", "a goalkeeper's save", "the finance minister", "changing a bicycle tyre",
        "grandmother opening presents", "a wedding speech", "surgery of the knee", "the Eiffel Tower at sunrise",
        "a lion hunting a zebra", "birthday candles", "a violin solo", "the second law of thermodynamics",
        "a protest march with banners", "a chef slicing tomatoes", "a flooded street", "a baby's first steps",
        "unboxing a new phone", "ballet dancers on stage", "stock prices", "an astronaut repairing the telescope",
    )
    for ending in ("", " explained by an expert", " in my home town", " last summer", ", what happened next")
]  # fmt: skip
# Constants of `savecli.search.rank` to compare: K, and the weight of words of low confidence.
VARIANTS = ((60, 0.2), (10, 0.2), (10, 0.05))
EVERYTHING: frozenset[Signal] = frozenset({"seen", "said", "named"})
BY_VECTORS: frozenset[Signal] = frozenset({"seen"})
# Queries with an answer, of a group and an archive; more would take long and tell little more.
MOST_QUERIES = 60


@dataclass(frozen=True)
class Query:
    """A query of a group, and the clips of the world that are right for it; none for one without an answer."""

    text: str
    group: str
    right: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Found:
    """Rank of the first right video among ten, infinite if there is none, and whether the first hit is believed."""

    rank: float
    is_believed: bool


@dataclass(frozen=True)
class Bench:
    """An archive of a drawn world with its queries; `names` are clips of the world by video id."""

    archive: Archive
    encode_text: EncodeText | None
    names: Mapping[str, str]
    queries: tuple[Query, ...]
    known: dict[tuple[object, ...], Found] = field(default_factory=dict)

    def found(self, query: Query, signals: frozenset[Signal]) -> Found:
        """What comes back for a query with an answer; searched once for the same constants of fusion."""
        key = (query.text, signals, rank.RRF_K, rank.WORDS_WEIGHT[Level.LOW])
        if key not in self.known:
            request = Request(text=query.text, signals=signals, show_all=True)
            hits = search_videos(self.archive, request, encode_text=self.encode_text).videos
            places = (hit.rank for hit in hits if self.names[hit.video_id] in query.right)
            is_believed = bool(hits) and hits[0].moments[0].confidence != "low"
            self.known[key] = Found(float(next(places, np.inf)), is_believed)
        return self.known[key]


def open_bench(out: Path, seed: int, num_clips: int, encoder: str) -> Bench:
    """The bench of a seed, its world and archive made if they are not there."""
    world = out / f"world-{seed}-{num_clips}"
    make_drawn_world(world, NoProgress(), size=WorldSize(seed=seed, num_train=0, num_val=0, num_test=num_clips))
    folder = out / f"{encoder}-{seed}-{num_clips}.save"
    command: list[str | Path] = [
        "index",
        world / "videos",
        "--encoder",
        encoder,
        "--speech",
        "subtitles",
        "--archive",
        folder,
    ]
    subprocess.run([Path(sys.executable).parent / "save", *command], check=True, stderr=subprocess.DEVNULL)
    archive = open_archive(folder)
    names = {row.video_id: Path(row.path).stem for row in archive.video_rows(columns=("path", "video_id"))}
    texts = {names[clip.video_id]: clip.text for clip in archive.clip_rows("true")}
    encode_text = None if encoder == "words" else _remembered(load_query_encoder(archive, hub=Hub(), for_many=True))
    return Bench(archive, encode_text, names, tuple(_queries(seed, num_clips, texts)))


def _remembered(encode_text: EncodeText) -> EncodeText:
    known: dict[str, npt.NDArray[np.float32]] = {}

    def encode(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        known.update((text, encode_text([text])[0]) for text in texts if text not in known)
        return np.stack([known[text] for text in texts])

    return encode


def _queries(seed: int, num_clips: int, texts: Mapping[str, str]) -> Iterator[Query]:
    clips = build_world(seed=seed, num_train=0, num_val=0, num_test=num_clips).clips
    rng = np.random.default_rng(seed)
    answered = [
        Query(caption.text, GROUPS[caption.group], frozenset({clip.clip_id}))
        for clip in clips
        for caption in clip.captions
    ]
    answered += _quotes(rng, texts)
    for group in ANSWERED:
        members = [query for query in answered if query.group == group]
        yield from (members[place] for place in rng.permutation(len(members))[:MOST_QUERIES])
    yield from _absent(rng, clips, build_world(seed=seed, num_train=0, num_val=0, num_test=WORLD_CLIPS).clips)
    yield from (Query(text, "everyday") for text in EVERYDAY)


def _quotes(rng: np.random.Generator, texts: Mapping[str, str]) -> Iterator[Query]:
    """Some words of each transcript, as far as few others hold them."""
    for text in texts.values():
        words = text.split()
        count = int(rng.integers(3, 6))
        if len(words) >= count:
            start = int(rng.integers(0, len(words) - count + 1))
            quote = " ".join(words[start : start + count])
            right = frozenset(name for name, other in texts.items() if quote in other)
            if len(right) <= 3:
                yield Query(quote, "quoted", right)


def _absent(rng: np.random.Generator, clips: Sequence[WorldClip], whole: Sequence[WorldClip]) -> Iterator[Query]:
    """Captions of clips that are not in the archive, where no clip of the archive fits them."""
    gallery = [clip.facts for clip in clips]
    for clip in whole[len(clips) :]:
        told = told_facts(rng, clip, gallery)
        most = max(sum(facts.get(name) == value for name, value in told.items()) for facts in gallery)
        if most < len(told):
            yield Query(worded(rng, told), "one fact off" if len(told) - most == 1 else "further off")


def errors(benches: Sequence[Bench]) -> list[str]:
    """Cells of a table: percent of misses by group, percent of false alarms by group and of it of high confidence."""
    cells = []
    for group in ANSWERED:
        queries = [(bench, query) for bench in benches for query in bench.queries if query.group == group]
        found = [bench.found(query, EVERYTHING) for bench, query in queries]
        believed = [one.is_believed for one in found if one.rank == 1]
        cells.append(f"{100 * (1 - np.mean(believed)):.0f} of {len(believed)}" if believed else "–")
    for group in ABSENT:
        queries = [(bench, query) for bench in benches for query in bench.queries if query.group == group]
        answers = [
            search_videos(bench.archive, Request(text=query.text, limit=1), encode_text=bench.encode_text).videos
            for bench, query in queries
        ]
        high = [bool(videos) and videos[0].moments[0].confidence == "high" for videos in answers]
        shown = [bool(videos) for videos in answers]
        cells.append(f"{100 * np.mean(shown):.0f} ({100 * np.mean(high):.0f}) of {len(shown)}" if shown else "–")
    return cells


def curve(benches: Sequence[Bench]) -> Iterator[list[str]]:
    """Rows of a table, by the vectors alone: for each bound the misses by group, and the false alarms by group."""
    stands: dict[str, list[float]] = {group: [] for group in (*GROUPS.values(), *ABSENT)}
    for bench in benches:
        for query in bench.queries:
            if query.group in stands and (not query.right or bench.found(query, BY_VECTORS).rank == 1):
                stands[query.group].append(_spreads(bench, query))
    for bound in (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0):
        missed = [100 * np.mean(np.array(stands[group]) < bound) for group in GROUPS.values()]
        let_through = [100 * np.mean(np.array(stands[group]) >= bound) for group in ABSENT if stands[group]]
        yield [f"{bound:g}", *(f"{share:.0f}" for share in (*missed, *let_through))]


def _spreads(bench: Bench, query: Query) -> float:
    """By how many spreads of the background the best clip stands out."""
    archive, encoder = bench.archive, bench.archive.manifest.encoder
    table = archive.vector_table(encoder)
    assert encoder is not None
    assert table is not None
    assert bench.encode_text is not None
    calibration = read_calibration(archive, encoder)
    assert calibration is not None
    vector = bench.encode_text([query.text])[0]
    nearest = nearest_clips(table, "seen", vector, eligible_videos(archive, Filters()), count=1)
    return float(spreads_above(nearest.vectors @ vector, calibration.best_seen)[0])


@contextmanager
def fusion_of(k: int, low_words: float) -> Iterator[None]:
    """With other constants of fusion than the defaults, for as long as inside."""
    own = rank.RRF_K, rank.WORDS_WEIGHT
    rank.RRF_K, rank.WORDS_WEIGHT = k, {**rank.WORDS_WEIGHT, Level.LOW: low_words}
    try:
        yield
    finally:
        rank.RRF_K, rank.WORDS_WEIGHT = own


def fusion(benches: Sequence[Bench], signals: frozenset[Signal]) -> list[str]:
    """Cells of a table: R@1 and mean reciprocal rank by group, and the mean of the groups."""
    scores = []
    for group in ANSWERED:
        queries = [(bench, query) for bench in benches for query in bench.queries if query.group == group]
        places = np.array([bench.found(query, signals).rank for bench, query in queries])
        scores.append((100 * np.mean(places == 1), np.mean(1 / places)))
    scores.append((np.mean([score[0] for score in scores]), np.mean([score[1] for score in scores])))
    return [f"{recall:.1f} / {reciprocal:.3f}" for recall, reciprocal in scores]


def _show(header: Sequence[str], rows: Iterator[list[str]]) -> None:
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header), flush=True)
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print()


def report(out: Path, seeds: Sequence[int], sizes: Sequence[int]) -> None:
    """Print all tables."""
    benches = {size: [open_bench(out, seed, size, "tiny-world") for seed in seeds] for size in sizes}
    largest = max(sizes)
    print(f"R@1 / mean reciprocal rank among ten, {largest} clips, seeds {' '.join(map(str, seeds))}\n")
    kinds: dict[str, frozenset[Signal]] = {"matched": BY_VECTORS, "said": frozenset({"said"})}

    def fused() -> Iterator[list[str]]:
        yield from ([kind, *fusion(benches[largest], signals)] for kind, signals in kinds.items())
        for k, low_words in VARIANTS:
            with fusion_of(k, low_words):
                yield [f"all, K {k}, words of low confidence {low_words}", *fusion(benches[largest], EVERYTHING)]

    _show(("", *ANSWERED, "mean"), fused())
    for size in sizes:
        print(f"vectors alone, {size} clips: percent missed, then percent of false alarms\n")
        _show(("spreads", *GROUPS.values(), *ABSENT), curve(benches[size]))
    print(f"all evidence, medium from {MEDIUM_SPREADS}, high from {HIGH_SPREADS} spreads; false alarms (of it high)\n")
    words = [open_bench(out, seed, largest, "words") for seed in seeds]
    rows = [*((f"tiny-world, {size} clips", benches[size]) for size in sizes), (f"words, {largest} clips", words)]
    _show(("", *ANSWERED, *ABSENT), ([name, *errors(of)] for name, of in rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[201, 202, 203], help="default: 201 202 203")
    parser.add_argument("--clips", type=int, nargs="+", default=[27, 198], help="sizes of archives; default: 27 198")
    parser.add_argument("--out", type=Path, help="folder of worlds and archives; default: a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary)
        out.mkdir(parents=True, exist_ok=True)
        report(out, arguments.seeds, arguments.clips)


if __name__ == "__main__":
    main()
