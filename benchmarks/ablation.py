"""Whether the parts of the model do what the paper says they do: presets trained from scratch on the drawn world.

python -m benchmarks.ablation                                   an hour on two cores
python -m benchmarks.ablation --seeds 1 --presets save avigate
python -m benchmarks.ablation --out FOLDER                      again with the same folder: runs that are done are kept
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Small presets leave out what is missing; this is `save` with zeros in its place, as published.
ZEROS = "save+zeros"
PRESETS = (
    "clip4clip-meanp",
    "avigate",
    "save",
    "save-hard-alignment",
    "save-no-alignment",
    "save-h",
    "save-plus",
    ZEROS,
)
GROUPS = ("vision", "sound", "speech")
RESULT = "ablation.json"


@dataclass(frozen=True)
class Job:
    """One run."""

    preset: str
    seed: int
    root: Path
    cache: Path
    out: Path


def run_job(job: Job) -> dict[str, Any]:
    """Train and score one preset with one seed on one core, or read what was found before."""
    path = job.out / RESULT
    if path.exists():
        return dict(json.loads(path.read_text()))
    import torch

    from savecli.cli.train_view import SilentWatch
    from savecli.model.hub import Hub
    from savecli.training.launch import SCRATCH, RunRequest, Surroundings, resume_run, start_run
    from savecli.training.report import report_of
    from savecli.training.run_dir import RunDir
    from savecli.training.training_run import Machine
    from savecli.training.workers import Workers

    torch.set_num_threads(1)
    start_s = time.monotonic()
    around = Surroundings(Machine(torch.device("cpu"), Workers(), num_readers=1), Hub(offline=True), SilentWatch())
    request = RunRequest(
        dataset="synthetic",
        root=job.root,
        out=job.out,
        preset=job.preset.partition("+")[0],
        start=SCRATCH,
        seed=job.seed,
        cache=job.cache,
        settings=("precision=fp32", *(("model.parity.missing_as_zeros=true",) if job.preset == ZEROS else ())),
    )
    outcome = resume_run(job.out, around) if RunDir(job.out).has_state else start_run(request, around)
    assert outcome.test is not None
    report = report_of(outcome.test, intervals=False, by_group=True)
    rows = report.sections[0].rows
    found = {
        "preset": job.preset,
        "seed": job.seed,
        "took_s": time.monotonic() - start_s,
        "best_epoch": outcome.best_epoch,
        "num_clips": len(outcome.test.clip_ids),
        "recall_at_1": rows["t2v"].recall[1],
        "sum_recall": rows["t2v"].sum_recall,
        "v2t_sum_recall": rows["v2t"].sum_recall,
        "groups": {group: rows[f"t2v {group}"].sum_recall for group in GROUPS},
        "groups_at_1": {group: rows[f"t2v {group}"].recall[1] for group in GROUPS},
    }
    path.write_text(json.dumps(found, indent=2) + "\n")
    return found


def prepare(out: Path, seed: int) -> tuple[Path, Path]:
    """The drawn world of this seed and a cache of it, which serves all presets."""
    from savecli.cli.progress_bar import LineReport
    from savecli.cli.world import WorldSize, make_drawn_world, prepare_world

    root = out / "world"
    make_drawn_world(root, LineReport(), size=WorldSize(seed=seed))
    return root, prepare_world(root, "save", LineReport(), num_workers=2)


def table(found: Iterable[dict[str, Any]], presets: Sequence[str]) -> str:
    """A Markdown table, mean ± deviation over the seeds."""
    by_preset: dict[str, list[dict[str, Any]]] = {preset: [] for preset in presets}
    for item in found:
        by_preset[item["preset"]].append(item)
    lines = [
        "| preset | SumR t2v | " + " | ".join(GROUPS) + " | R@1 t2v | SumR v2t | minutes a run |",
        "|---" * (len(GROUPS) + 5) + "|",
    ]
    for preset, items in by_preset.items():
        if not items:
            continue
        columns = [
            [item["sum_recall"] for item in items],
            *([item["groups"][group] for item in items] for group in GROUPS),
            [item["recall_at_1"] for item in items],
            [item["v2t_sum_recall"] for item in items],
            [item["took_s"] / 60 for item in items],
        ]
        lines.append(f"| `{preset}` | " + " | ".join(map(_mean, columns)) + " |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.1f} ± {deviation:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    # The world, the sizes and the rates were tried out on the world of seed 0, its test split in sight.
    parser.add_argument("--world-seed", type=int, default=7)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    start_s = time.monotonic()
    root, cache = prepare(arguments.out, arguments.world_seed)
    jobs = [
        Job(preset, seed, root, cache, arguments.out / f"{preset}-{seed}")
        for seed in range(arguments.seeds)
        for preset in arguments.presets
    ]
    found = []
    with ProcessPoolExecutor(arguments.processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run_job, job) for job in jobs]):
            item = future.result()
            found.append(item)
            print(
                f"{item['preset']:<20} seed {item['seed']}  SumR {item['sum_recall']:.1f}  {item['took_s']:.0f} s",
                flush=True,
            )
    print(f"\ngallery of {found[0]['num_clips']} clips\n")
    print(table(found, arguments.presets))
    together_min, here_min = sum(item["took_s"] for item in found) / 60, (time.monotonic() - start_s) / 60
    print(
        f"\n{len(found)} runs, {together_min:.0f} minutes of one core together; wall time of this call {here_min:.0f} "
        f"minutes with {arguments.processes} processes (runs that were done before take none)"
    )


if __name__ == "__main__":
    main()
