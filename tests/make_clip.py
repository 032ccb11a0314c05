"""Tiny CLIP models in the real file format, so that the real loader reads them in tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TINY_SIZE = 32
TINY_WIDTH = 16


def tiny_model_config(*, quick_gelu: bool = False) -> dict[str, Any]:
    """open_clip's `model_cfg` of a two-layer CLIP with OpenAI's vocabulary, for 32 pixel pictures."""
    return {
        "embed_dim": TINY_WIDTH,
        "vision_cfg": {"image_size": TINY_SIZE, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
        **({"quick_gelu": True} if quick_gelu else {}),
    }


def make_tiny_clip(folder: Path, *, seed: int = 0, quick_gelu: bool = False) -> str:
    """The encoder spelling of a random CLIP written into `folder` as open_clip exports them (7 MB, under a second)."""
    import torch
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    config = tiny_model_config(quick_gelu=quick_gelu)
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = CLIP(**config).state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    return f"clip:{folder}"
