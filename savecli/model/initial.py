"""What a fresh model starts from: CLIP's text transformer begins the layers that are trained from scratch.

As golden data §6, `initialisation.json`. The rest of the fresh values are set where each module is made: query tokens
orthonormal, their positions normal with deviation 0.02, cross-attention xavier uniform, gates and the layers beside
them normal with deviation 0.02, norms 1 and 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from savecli.model.audio_names import audio_state
from savecli.model.clip_checkpoint import NOT_WEIGHTS
from savecli.model.convert import refuse_differences
from savecli.model.save_model import SaveModel

# Ours <- CLIP's, within a layer.
_FROM_CLIP = {
    "self_attention.in_proj_weight": "attn.in_proj_weight",
    "self_attention.in_proj_bias": "attn.in_proj_bias",
    "self_attention.out_proj.weight": "attn.out_proj.weight",
    "self_attention.out_proj.bias": "attn.out_proj.bias",
    "self_norm.weight": "ln_1.weight",
    "self_norm.bias": "ln_1.bias",
    "mlp.fc.weight": "mlp.c_fc.weight",
    "mlp.fc.bias": "mlp.c_fc.bias",
    "mlp.proj.weight": "mlp.c_proj.weight",
    "mlp.proj.bias": "mlp.c_proj.bias",
    "mlp_norm.weight": "ln_2.weight",
    "mlp_norm.bias": "ln_2.bias",
}


def fill_towers(
    model: SaveModel, *, clip: Mapping[str, torch.Tensor], audio: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Put pretrained weights into a fresh model's towers, and start the rest from them.

    Args:
        clip: a CLIP's state dict, by OpenAI or open_clip.
        audio: of the audio encoder, under any of the names of `audio_names.py`; None keeps it as it is.

    Raises:
        WeightsError: names are missing or unknown.
    """
    towers = {_clip_name(name): name for name in model.state_dict() if not name.startswith(("head.", "audio."))}
    _refuse(towers, clip, "the CLIP checkpoint")
    state = {ours: clip[theirs] for theirs, ours in towers.items()}
    if audio is not None:
        held = {f"audio.{name}": value for name, value in audio_state(audio).items()}
        wanted = [name for name in model.state_dict() if name.startswith(("audio.encoder.", "audio.norm."))]
        _refuse(wanted, held, "the audio encoder's checkpoint")
        state |= held
    model.load_state_dict(state, strict=False)
    start_from_clip(model)


@torch.no_grad()
def start_from_clip(model: SaveModel) -> None:
    """Copy CLIP's first text layers into layers of the same place, and its text positions into those of the frames.

    Layers beyond CLIP's, and all of them where CLIP's text tower is not as wide as the shared space, stay random.
    """
    text: Any = model.text.model
    source = text.positional_embedding
    positions = model.head.temporal.positions
    if positions is not None and positions.shape == source.shape:
        positions.copy_(source)
    for layers in _stacks(model):
        for layer, clip_layer in zip(layers, text.transformer.resblocks, strict=False):
            ours, theirs = dict(layer.named_parameters()), dict(clip_layer.named_parameters())
            if ours["self_norm.weight"].shape == theirs["ln_1.weight"].shape:
                for name, clip_name in _FROM_CLIP.items():
                    ours[name].copy_(theirs[clip_name])


def _stacks(model: SaveModel) -> Iterator[nn.ModuleList]:
    head = model.head
    yield head.temporal.layers
    for module in (head.resampler, head.audio_fusion, head.speech_fusion):
        if module is not None:
            yield module.layers


def _clip_name(name: str) -> str:
    """CLIP's name of a parameter of our towers."""
    return name.replace("vision.tower.", "visual.", 1).removeprefix("text.model.")


def _refuse(wanted: Iterable[str], held: Mapping[str, torch.Tensor], what: str) -> None:
    names = set(wanted)
    unknown = [name for name in held if name not in names and name not in NOT_WEIGHTS]
    refuse_differences([name for name in sorted(names) if name not in held], unknown, what)
