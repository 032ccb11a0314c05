"""The authors' SAVE and AVIGATE checkpoints to ours and back.

Their `pytorch_model.bin.N` is a state dict under the names of `reference_names.py`, partly in half precision. What no
output depends on (`UNUSED` there) is left behind; anything else that is unknown or missing is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch

from savecli.core.errors import WeightsError
from savecli.model.clip_config import ClipConfig, PixelFormat
from savecli.model.config import AstConfig, ModelConfig
from savecli.model.presets import avigate, save
from savecli.model.reference_names import AVIGATE_RESAMPLER, SAVE_RESAMPLER, TRANSPOSED, UNUSED, reference_table

State = dict[str, torch.Tensor]
_SHOWN = 8


def is_reference(state: Mapping[str, torch.Tensor]) -> bool:
    """Whether the names are those of the authors' SAVE or AVIGATE."""
    return "clip.visual.conv1.weight" in state and "query_tokens" in state


def from_reference(state: Mapping[str, torch.Tensor], names: Iterable[str]) -> State:
    """Their numbers under our `names`, in float32.

    Raises:
        WeightsError: names are missing, or there are some that are neither known nor `UNUSED`.
    """
    state = {name.removeprefix("module."): value for name, value in state.items()}
    table = reference_table(names, resampler=_resampler_of(state))
    missing = [name for name in table if name not in state]
    unknown = [name for name in state if name not in table and not name.startswith(UNUSED)]
    refuse_differences(missing, unknown, "the authors' checkpoint")
    return {ours: _turned(theirs, state[theirs]).float() for theirs, ours in table.items()}


def to_reference(state: Mapping[str, torch.Tensor], *, resampler: str = SAVE_RESAMPLER) -> State:
    """Our numbers under their names, but for what is `UNUSED`. `resampler` is `AVIGATE_RESAMPLER` for AVIGATE."""
    table = reference_table(state, resampler=resampler)
    return {theirs: _turned(theirs, state[ours]) for theirs, ours in table.items()}


def reference_config(state: Mapping[str, torch.Tensor]) -> ModelConfig:
    """The config of an authors' checkpoint: its preset, with the sizes of what it holds.

    Heads cannot be seen in weights: one per 64 of width, as all published models have.

    Raises:
        WeightsError: sizes that no AST over 128 mel bins and 1,024 rows has.
    """
    state = {name.removeprefix("module."): value for name, value in state.items()}
    clip = {name.removeprefix("clip."): value for name, value in state.items() if name.startswith("clip.")}
    resampler = _resampler_of(state)
    preset = (avigate if resampler == AVIGATE_RESAMPLER else save)(clip_of_weights(clip))
    positions, stride = state["clip.audio.v.pos_embed"], AstConfig().stride
    audio = AstConfig(
        width=positions.shape[2],
        layers=_depth(state, "clip.audio.v.blocks"),
        heads=max(1, positions.shape[2] // 64),
        patch=state["clip.audio.v.patch_embed.proj.weight"].shape[-1],
        stride=stride,
    )
    grid = [(side - audio.patch) // stride + 1 for side in (audio.num_mel_bins, audio.num_rows)]
    if grid[0] * grid[1] + 2 != positions.shape[1]:
        raise WeightsError(
            "cannot tell the audio encoder of this checkpoint",
            why=f"it has {positions.shape[1]} positions; {audio.num_rows} rows of {audio.num_mel_bins} bins have "
            f"{grid[0] * grid[1] + 2}",
            fix="only checkpoints trained on such filter banks can be read",
        )
    return replace(
        preset,
        audio=audio,
        resampler_layers=_depth(state, f"{resampler}.resblocks"),
        num_queries=state["query_tokens"].shape[1],
        fusion_layers=_depth(state, "transformerClip.resblocks"),
    )


def clip_of_weights(state: Mapping[str, torch.Tensor]) -> ClipConfig:
    """The config of an OpenAI CLIP with a vision transformer, from the shapes of its weights.

    Raises:
        WeightsError: these are not the weights of such a model.
    """
    try:
        conv, positions = state["visual.conv1.weight"], state["visual.positional_embedding"]
        text_width, embed_dim = state["text_projection"].shape
        grid = round((positions.shape[0] - 1) ** 0.5)
        vision = {
            "image_size": grid * conv.shape[-1],
            "layers": _depth(state, "visual.transformer.resblocks"),
            "width": conv.shape[0],
            "patch_size": conv.shape[-1],
        }
        text = {
            "context_length": state["positional_embedding"].shape[0],
            "vocab_size": state["token_embedding.weight"].shape[0],
            "width": text_width,
            "heads": max(1, text_width // 64),
            "layers": _depth(state, "transformer.resblocks"),
        }
    except (KeyError, ValueError) as error:
        raise WeightsError(
            "these are not the weights of a CLIP with a vision transformer",
            why=f"bad or missing: {error}",
            fix="name another file",
        ) from error
    model = {"embed_dim": embed_dim, "vision_cfg": vision, "text_cfg": text, "quick_gelu": True}
    return ClipConfig(model, PixelFormat(image_size=grid * conv.shape[-1]))


def refuse_differences(missing: list[str], unknown: list[str], what: str) -> None:
    """Nothing when both lists are empty.

    Raises:
        WeightsError: they are not; both are told.
    """
    if not missing and not unknown:
        return
    told = [f"{kind} {_listed(names)}" for kind, names in (("missing:", missing), ("unknown:", unknown)) if names]
    raise WeightsError(
        f"{what} does not fit", why="; ".join(told), fix="check that the file is whole and of the right model"
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _turned(their_name: str, value: torch.Tensor) -> torch.Tensor:
    return value.T.contiguous() if their_name in TRANSPOSED else value


def _resampler_of(state: Mapping[str, torch.Tensor]) -> str:
    return AVIGATE_RESAMPLER if any(name.startswith(f"{AVIGATE_RESAMPLER}.") for name in state) else SAVE_RESAMPLER


def _depth(state: Mapping[str, torch.Tensor], prefix: str) -> int:
    """How many layers `prefix.0`, `prefix.1`, … there are."""
    return len({name[len(prefix) + 1 :].partition(".")[0] for name in state if name.startswith(f"{prefix}.")})
