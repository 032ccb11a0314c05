"""Make a folder of golden data of other sizes: `python -m tests.make_golden FOLDER [--seed N]`.

The format is that of `tests/data/golden`, whose README.md describes every file; the numbers come from `tests/obvious`,
which is that README written out in plain torch and numpy, mostly in float64, and which is itself held against the
shipped numbers of the authors' code by `tests/obvious/test_authors.py`. Nothing here imports `savecli`, and no number
comes from our model. Pictures are resized by Pillow, and the byte-pair vocabulary is the file in open_clip's folder.

Every size that the format leaves free is drawn from the seed, unlike the shipped one. What stays: the vocabulary of
`tokens.json`, the 1,024 rows of 128 mel bins with a stride of 10, heads of 64 in the network's own transformers, the
weights of the mixtures, and the full-size list, which is that of ViT-B/16 here. What the shipped files say of rounding
noise (`fp64_vs_fp32_max_abs_diff`, `losses_noise`, …) is left out, as the numbers here are rounded once, when written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tests.golden_cases.blocks import write_fusion, write_lists, write_optimizer, write_resampler
from tests.golden_cases.draws import Draws, Folder, draw_sizes, draw_weights
from tests.golden_cases.end_to_end import write_end_to_end
from tests.golden_cases.inputs import write_fbank, write_frames, write_images, write_metrics, write_tokens
from tests.golden_cases.system import write_evaluation, write_objectives, write_tiny_model
from tests.obvious.names import parameter_shapes

README = """# Golden data of other sizes

Made by `python -m tests.make_golden FOLDER --seed {seed}`; `tests/data/golden/README.md` says what each file pins.
"""


def make_golden(path: Path, *, seed: int = 0) -> Path:
    """The folder, with every file of the format (8 MB, some seconds).

    Raises:
        FileExistsError: it is there and holds something, perhaps the shipped data.
    """
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise FileExistsError(f"{path} is not empty")
    folder, draws = Folder(path), Draws(np.random.default_rng(seed))
    sizes = draw_sizes(draws)
    state = draw_weights(parameter_shapes(sizes), draws, half=True)
    write_tiny_model(folder, sizes, state)
    write_resampler(folder, draws)
    write_fusion(folder, draws)
    write_evaluation(folder, draws, sizes, state)
    write_objectives(folder, draws, sizes, state)
    write_end_to_end(folder, draws, sizes, state)
    write_optimizer(folder, draws)
    write_lists(folder, sizes)
    write_metrics(folder, draws)
    write_fbank(folder, draws)
    write_tokens(folder)
    write_frames(folder, draws)
    write_images(folder, draws)
    (path / "README.md").write_text(README.format(seed=seed), encoding="utf-8")
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.make_golden", description=str(__doc__).partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the files go")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other sizes (default: 0)")
    asked = parser.parse_args()
    print(make_golden(asked.folder, seed=asked.seed))
