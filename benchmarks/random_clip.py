"""Writes a CLIP of any architecture with random weights: as fast as a real one, and to be had without a hub.

python -m benchmarks.random_clip /tmp/clip
save index VIDEOS --encoder clip:/tmp/clip
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from savecli.model.clip_config import CONFIG_FILE, clip_config
from savecli.model.clip_model import build_clip
from savecli.model.clip_spec import parse_clip_spec
from savecli.model.clip_weights import WEIGHTS_FILE, ClipSource


def make_random_clip(folder: Path, *, like: str = "clip", seed: int = 0) -> str:
    """The encoder spelling of a folder with the architecture and preprocessing of `like`, its weights random."""
    spec = parse_clip_spec(like)
    source = ClipSource(spec, clip_config(spec), None)
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.contiguous() for name, value in build_clip(source).state_dict().items()}
    save_file(state, folder / WEIGHTS_FILE)
    (folder / CONFIG_FILE).write_text(json.dumps(source.config.folder_config(), indent=2) + "\n", encoding="utf-8")
    return f"clip:{folder.absolute()}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--like", default="clip", help="an encoder spelling, e.g. clip:ViT-B-16/openai")
    arguments = parser.parse_args()
    print(make_random_clip(arguments.folder, like=arguments.like))
