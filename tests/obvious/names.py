"""The authors' parameters: names, shapes, order, storage, first values, and how each is trained (section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.obvious.system import RESAMPLER, System
from tests.obvious.towers import STRIDE

Shapes = dict[str, list[int]]
BINS, ROWS = 128, 1024


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of a model; the fields are those of `tiny_model.json`, but for the last two, which only shapes tell."""

    hidden: int
    text_layers: int
    text_heads: int
    vision_width: int
    vision_layers: int
    vision_heads: int
    patch: int
    image_resolution: int
    vocab: int
    context_length: int
    embed_dim: int
    ast_width: int
    ast_heads: int
    ast_layers: int
    fusion_layers: int
    resampler_layers: int
    num_query_tokens: int
    max_frames: int
    max_words: int
    temperature: float
    beta: float
    margin: float
    ast_patch: int = 16
    ast_classes: int = 1000


def parameter_shapes(sizes: Sizes, system: System = "save") -> Shapes:
    """Of the whole model."""
    d, queries = sizes.hidden, [sizes.hidden, sizes.num_query_tokens]
    shapes: Shapes = {"query_tokens": queries}
    if system == "save":
        shapes["asr_query_tokens"] = queries
    shapes |= {
        "clip.positional_embedding": [sizes.context_length, d],
        "clip.text_projection": [d, sizes.embed_dim],
        "clip.audio_projection": [sizes.ast_width, sizes.embed_dim],
        "clip.logit_scale": [],
        **_vision(sizes),
    }
    for layer in range(sizes.text_layers):
        shapes |= _self_attending(f"clip.transformer.resblocks.{layer}", d)
    shapes |= _sound(sizes)
    shapes["clip.token_embedding.weight"] = [sizes.vocab, d]
    shapes |= _norm("clip.ln_final", d)
    shapes["frame_position_embeddings.weight"] = [sizes.context_length, d]
    shapes["query_position_embeddings.weight"] = queries[::-1]
    shapes |= resampler_shapes(d, sizes.resampler_layers, RESAMPLER[system])
    shapes |= fusion_shapes(d, sizes.fusion_layers)
    if system == "save":
        shapes |= fusion_shapes(d, sizes.fusion_layers, "transformerClip_ASR")
    return shapes


def resampler_shapes(d: int, layers: int, stack: str = "Audio_Resampler") -> Shapes:
    """Without the query tokens and their positions."""
    shapes: Shapes = {}
    for layer in range(layers):
        name = f"{stack}.resblocks.{layer}"
        shapes |= _attention(f"{name}.attn", d) | _attention(f"{name}.cross_attn", d) | _norm(f"{name}.ln_1", d)
        shapes |= _perceptron(name, d) | _norm(f"{name}.ln_2", d) | _norm(f"{name}.ln_3", d)
    return shapes


def fusion_shapes(d: int, layers: int, stack: str = "transformerClip") -> Shapes:
    shapes: Shapes = {}
    for layer in range(layers):
        name = f"{stack}.resblocks.{layer}"
        shapes |= _self_attending(name, d) | _attention(f"{name}.cross_attn", d)
        shapes |= {f"{name}.cross_ff.cross_fc.weight": [4 * d, d], f"{name}.cross_ff.cross_proj.weight": [d, 4 * d]}
        for gate, letter in (("attn_gate", "a"), ("ff_gate", "f")):
            shapes[f"{name}.{gate}.{letter}g_fc.weight"] = [d // 2, 2 * d]
            shapes[f"{name}.{gate}.{letter}g_proj.weight"] = [1, d // 2]
        shapes |= _norm(f"{name}.ln_3", d) | _norm(f"{name}.ln_4", d)
    return shapes


def _vision(sizes: Sizes) -> Shapes:
    width, patches = sizes.vision_width, (sizes.image_resolution // sizes.patch) ** 2
    shapes = {
        "clip.visual.class_embedding": [width],
        "clip.visual.positional_embedding": [patches + 1, width],
        "clip.visual.proj": [width, sizes.embed_dim],
        "clip.visual.conv1.weight": [width, 3, sizes.patch, sizes.patch],
        **_norm("clip.visual.ln_pre", width),
    }
    for layer in range(sizes.vision_layers):
        shapes |= _self_attending(f"clip.visual.transformer.resblocks.{layer}", width)
    return shapes | _norm("clip.visual.ln_post", width)


def _sound(sizes: Sizes) -> Shapes:
    width, patch = sizes.ast_width, sizes.ast_patch
    grid = ((BINS - patch) // STRIDE + 1) * ((ROWS - patch) // STRIDE + 1)
    shapes = {
        "cls_token": [1, 1, width],
        "pos_embed": [1, grid + 2, width],
        "dist_token": [1, 1, width],
        "patch_embed.proj.weight": [width, 1, patch, patch],
        "patch_embed.proj.bias": [width],
    }
    for layer in range(sizes.ast_layers):
        name = f"blocks.{layer}"
        shapes |= _norm(f"{name}.norm1", width) | _linear(f"{name}.attn.qkv", width, 3 * width)
        shapes |= _linear(f"{name}.attn.proj", width, width) | _norm(f"{name}.norm2", width)
        shapes |= _linear(f"{name}.mlp.fc1", width, 4 * width) | _linear(f"{name}.mlp.fc2", 4 * width, width)
    shapes |= _norm("norm", width)
    shapes |= _linear("head", width, sizes.ast_classes) | _linear("head_dist", width, sizes.ast_classes)
    return {f"clip.audio.v.{name}": shape for name, shape in shapes.items()}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": [width], f"{name}.bias": [width]}


def _linear(name: str, inner: int, outer: int) -> Shapes:
    return {f"{name}.weight": [outer, inner], f"{name}.bias": [outer]}


def _attention(name: str, d: int) -> Shapes:
    return {f"{name}.in_proj_weight": [3 * d, d], f"{name}.in_proj_bias": [3 * d], **_linear(f"{name}.out_proj", d, d)}


def _perceptron(name: str, d: int) -> Shapes:
    return _linear(f"{name}.mlp.c_fc", d, 4 * d) | _linear(f"{name}.mlp.c_proj", 4 * d, d)


def _self_attending(name: str, d: int) -> Shapes:
    return _attention(f"{name}.attn", d) | _norm(f"{name}.ln_1", d) | _perceptron(name, d) | _norm(f"{name}.ln_2", d)


def storage(name: str, shape: list[int]) -> Literal["float16", "float32"]:
    """Half precision for what is linear, convolution, attention or projection under `clip.`; section 6."""
    if not name.startswith("clip.") or not shape:
        return "float32"
    parts = name.split(".")
    normed = any(part.startswith(("ln_", "norm")) for part in parts)
    return (
        "float32"
        if normed or "embed" in parts[-1] or parts[-1].endswith("token") or "token_embedding" in name
        else "float16"
    )


def first_value(name: str) -> str:
    """Where a fresh model takes it from."""
    _, _, end = name.partition(".resblocks.")
    index, _, part = end.partition(".")
    if name.endswith("query_tokens"):
        return "orthonormal columns"
    if name == "clip.audio_projection":
        return "normal, std = ast_width^-0.5"
    if name.startswith("clip.audio."):
        return "ast:" + name.removeprefix("clip.audio.")
    if name.startswith("clip."):
        return "clip:" + name.removeprefix("clip.")
    if name == "frame_position_embeddings.weight":
        return "clip:positional_embedding"
    if part.startswith(("attn.", "ln_1.", "ln_2.", "mlp.")):
        return f"clip:transformer.resblocks.{index}.{part}"
    if part.startswith("ln_"):
        return "ones" if part.endswith("weight") else "zeros"
    if part.endswith("bias"):
        return "zeros"
    return "xavier uniform" if part.endswith("in_proj_weight") else "normal, std = 0.02"


_FROZEN = (
    "clip.token_embedding",
    "clip.positional_embedding",
    "clip.visual.class_embedding",
    "clip.visual.positional_embedding",
    "clip.visual.conv1",
    "clip.visual.ln_pre",
)


def rate_factor(name: str, coef_lr: float) -> float:
    """Its learning rate over the base rate."""
    if "query_tokens" in name:
        return 100.0
    if name.startswith("clip.") and not name.startswith("clip.audio_projection"):
        return coef_lr
    return 1.0


def weight_decay(name: str) -> float:
    return 0.0 if "bias" in name else 0.2


def is_trained(name: str, frozen_layers: int) -> bool:
    """Whether it is, with this `freeze_layer_num`."""
    if frozen_layers == -1:
        return True
    if name.startswith("clip.audio.v.blocks."):
        return int(name.split(".")[4]) >= frozen_layers
    return not name.startswith(_FROZEN) and (not name.startswith("clip.audio.v.") or ".v.norm." in name)
