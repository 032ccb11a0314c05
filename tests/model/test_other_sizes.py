"""The tests that read golden data also pass on data of other sizes, made by `tests/make_golden.py`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import GOLDEN
from tests.make_golden import make_golden

ROOT = Path(__file__).resolve().parents[2]
# All but the command's own, which take the data only as a file to import, and those of what this data is made with.
ROOMS = ("features", "media", "metrics", "model", "training")
# Three layers of text, vision and fusion, and few of what takes time: sound.
SEED = 34


def test_golden_data_of_other_sizes_is_met(tmp_path: Path) -> None:
    folder = make_golden(tmp_path / "golden", seed=SEED)
    assert {path.name for path in folder.iterdir()} == {path.name for path in GOLDEN.iterdir()}
    every = (path for room in ROOMS for path in sorted((ROOT / "tests" / room).rglob("test_*.py")))
    files = [str(path) for path in every if re.search(r"\bgolden: Path\b", path.read_text(encoding="utf-8"))]
    assert len(files) >= 8  # fewer: they are no longer found
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-p", "tests.golden_only"]
    outcome = subprocess.run(
        [*command, "--golden", str(folder), *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
