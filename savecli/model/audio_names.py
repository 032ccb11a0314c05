"""Weights of AST and of Whisper's encoder under the names others give them, and under ours.

Ours are those of an `AudioBranch` without its projection: `encoder.…` and `norm.…`. AST comes as the original `.pth`,
and under the names of older and newer transformers; Whisper under OpenAI's and transformers'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from savecli.model.convert import refuse_differences
from savecli.model.reference_names import ast_name

State = dict[str, torch.Tensor]

# Beginnings of names that are wrapped around the encoder, and parts that are no encoder.
_WRAPPERS = ("module.", "audio_spectrogram_transformer.", "model.", "encoder.")
_NOT_ENCODER = ("mlp_head.", "classifier.", "v.head.", "v.head_dist.", "decoder.", "proj_out.")

# Theirs -> ours. AST of transformers up to 4, then from 5 on; `{q,k,v}` are joined afterwards.
_AST_RULES = (
    (r"^embeddings\.cls_token$", "encoder.class_token"),
    (r"^embeddings\.distillation_token$", "encoder.distillation_token"),
    (r"^embeddings\.position_embeddings$", "encoder.positions"),
    (r"^embeddings\.patch_embeddings\.projection\.", "encoder.patches."),
    (r"^layers?\.(\d+)\.attention\.attention\.(query|key|value)\.", r"encoder.layers.\1.\2."),
    (r"^layers?\.(\d+)\.attention\.(q|k|v)_proj\.", r"encoder.layers.\1.\2."),
    (
        r"^layers?\.(\d+)\.attention\.(?:output\.dense|o_proj)\.",
        r"encoder.layers.\1.self_attention.out_proj.",
    ),
    (r"^layers?\.(\d+)\.layernorm_before\.", r"encoder.layers.\1.self_norm."),
    (r"^layers?\.(\d+)\.layernorm_after\.", r"encoder.layers.\1.mlp_norm."),
    (r"^layers?\.(\d+)\.(?:intermediate\.dense|mlp\.fc1)\.", r"encoder.layers.\1.mlp.fc."),
    (r"^layers?\.(\d+)\.(?:output\.dense|mlp\.fc2)\.", r"encoder.layers.\1.mlp.proj."),
    (r"^layernorm\.", "norm."),
)
_WHISPER_RULES = (
    (r"^(conv[12])\.", r"encoder.\1."),
    (r"^(?:embed_positions\.weight|positional_embedding)$", "encoder.positions"),
    (r"^(?:layers|blocks)\.(\d+)\.self_attn\.(q|k|v)_proj\.", r"encoder.layers.\1.\2."),
    (r"^(?:layers|blocks)\.(\d+)\.attn\.(query|key|value)\.", r"encoder.layers.\1.\2."),
    (r"^(?:layers|blocks)\.(\d+)\.(?:self_attn\.out_proj|attn\.out)\.", r"encoder.layers.\1.self_attention.out_proj."),
    (r"^(?:layers|blocks)\.(\d+)\.(?:self_attn_layer_norm|attn_ln)\.", r"encoder.layers.\1.self_norm."),
    (r"^(?:layers|blocks)\.(\d+)\.(?:final_layer_norm|mlp_ln)\.", r"encoder.layers.\1.mlp_norm."),
    (r"^(?:layers|blocks)\.(\d+)\.(?:fc1|mlp\.0)\.", r"encoder.layers.\1.mlp.fc."),
    (r"^(?:layers|blocks)\.(\d+)\.(?:fc2|mlp\.2)\.", r"encoder.layers.\1.mlp.proj."),
    (r"^(?:layer_norm|ln_post)\.", "norm."),
)


def is_ast(state: Mapping[str, torch.Tensor]) -> bool:
    """Whether these are weights of an AST, in any of the forms."""
    return any(name.endswith(("v.dist_token", "embeddings.distillation_token")) for name in state)


def is_whisper(state: Mapping[str, torch.Tensor]) -> bool:
    """Whether these are weights of a Whisper, whole or its encoder alone."""
    return any(_bare(name) in ("embed_positions.weight", "positional_embedding") for name in state) and any(
        _bare(name) == "conv2.weight" for name in state
    )


def audio_state(state: Mapping[str, torch.Tensor]) -> State:
    """Weights of an AST or a Whisper encoder under our names, in float32; they may be under ours already.

    Raises:
        WeightsError: a name is neither known nor of a part that is not the encoder.
    """
    if "encoder.positions" in state:
        return {name: value.float() for name, value in state.items()}
    held, unknown = {}, []
    originals = _original_names(state)
    rules = _AST_RULES if is_ast(state) else _WHISPER_RULES
    for theirs, value in state.items():
        name = _bare(theirs)
        ours = originals.get(name) or _ruled(name, rules)
        if ours is not None:
            held[ours] = value.float()
        elif not name.startswith(_NOT_ENCODER):
            unknown.append(theirs)
    refuse_differences([], unknown, "the audio encoder's checkpoint")
    return _joined(held)


def original_ast(state: Mapping[str, torch.Tensor]) -> State:
    """Our weights of an AST under the original's names, as its `.pth` has them (`module.v.…`)."""
    return {f"module.{_original_name(name)}": value for name, value in state.items()}


def transformers_ast(state: Mapping[str, torch.Tensor]) -> State:
    """Our weights of an AST under the names of transformers' `ASTModel` from version 5 on."""
    held: State = {}
    for name, value in state.items():
        if found := re.fullmatch(r"encoder\.layers\.(\d+)\.self_attention\.in_proj_(weight|bias)", name):
            for letter, part in zip("qkv", value.chunk(3), strict=True):
                held[f"layers.{found[1]}.attention.{letter}_proj.{found[2]}"] = part
        else:
            held[_transformers_name(name)] = value
    return held


_TO_TRANSFORMERS = (
    ("encoder.class_token", "embeddings.cls_token"),
    ("encoder.distillation_token", "embeddings.distillation_token"),
    ("encoder.positions", "embeddings.position_embeddings"),
    ("encoder.patches.", "embeddings.patch_embeddings.projection."),
    ("encoder.layers.", "layers."),
    ("norm.", "layernorm."),
)
_TO_TRANSFORMERS_LAYER = (
    ("self_attention.out_proj", "attention.o_proj"),
    ("self_norm", "layernorm_before"),
    ("mlp_norm", "layernorm_after"),
    ("mlp.fc.", "mlp.fc1."),
    ("mlp.proj.", "mlp.fc2."),
)


def _transformers_name(name: str) -> str:
    for ours, theirs in _TO_TRANSFORMERS:
        if name.startswith(ours):
            name = theirs + name.removeprefix(ours)
            break
    for ours, theirs in _TO_TRANSFORMERS_LAYER:
        name = name.replace(ours, theirs)
    return name


def _original_name(name: str) -> str:
    return "v." + name if name.startswith("norm.") else ast_name(name.removeprefix("encoder."))


def _original_names(state: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """The original AST's names -> ours, of as many layers as it has."""
    depth = len({name for name in map(_bare, state) if re.fullmatch(r"v\.blocks\.\d+\.norm1\.weight", name)})
    layer = ("self_norm", "self_attention.out_proj", "mlp_norm", "mlp.fc", "mlp.proj")
    parts = [f"{part}.{kind}" for part in layer for kind in ("weight", "bias")]
    parts += ["self_attention.in_proj_weight", "self_attention.in_proj_bias"]
    names = ["encoder.class_token", "encoder.distillation_token", "encoder.positions"]
    names += [f"{part}.{kind}" for part in ("encoder.patches", "norm") for kind in ("weight", "bias")]
    names += [f"encoder.layers.{index}.{part}" for index in range(depth) for part in parts]
    return {_original_name(name): name for name in names}


def _bare(name: str) -> str:
    """The name without what is wrapped around the encoder."""
    while found := next((wrapper for wrapper in _WRAPPERS if name.startswith(wrapper)), None):
        name = name.removeprefix(found)
    return name


def _ruled(name: str, rules: tuple[tuple[str, str], ...]) -> str | None:
    for pattern, ours in rules:
        renamed, count = re.subn(pattern, ours, name)
        if count:
            return renamed
    return None


def _joined(held: State) -> State:
    """Queries, keys and values in one tensor; Whisper's keys have no bias, which is a bias of 0."""
    joined = {name: value for name, value in held.items() if not re.search(r"\.(q|k|v|query|key|value)\.", name)}
    for name, query in held.items():
        found = re.fullmatch(r"(.*)\.(q|query)\.(weight|bias)", name)
        if found:
            key, value = ("k", "v") if found[2] == "q" else ("key", "value")
            keys = held.get(f"{found[1]}.{key}.{found[3]}", torch.zeros_like(query))
            parts = [query, keys, held[f"{found[1]}.{value}.{found[3]}"]]
            joined[f"{found[1]}.self_attention.in_proj_{found[3]}"] = torch.cat(parts)
    return joined
