"""What the authors' checkpoints call each parameter, and what we call it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# Ours -> theirs within a layer of the resampler or of a fusion transformer.
_LAYER = {
    "self_norm": "ln_1",
    "self_attention": "attn",
    "mlp_norm": "ln_2",
    "mlp.fc": "mlp.c_fc",
    "mlp.proj": "mlp.c_proj",
    "cross_norm": "ln_3",
    "cross_attention": "cross_attn",
    "cross_mlp_norm": "ln_4",
    "cross_mlp.fc": "cross_ff.cross_fc",
    "cross_mlp.proj": "cross_ff.cross_proj",
    "attention_gate.fc": "attn_gate.ag_fc",
    "attention_gate.proj": "attn_gate.ag_proj",
    "feed_forward_gate.fc": "ff_gate.fg_fc",
    "feed_forward_gate.proj": "ff_gate.fg_proj",
}
# The same within a block of the original AST, which transformers' older and newer releases call otherwise still.
_AST_BLOCK = {
    "self_norm": "norm1",
    "self_attention.in_proj_": "attn.qkv.",
    "self_attention.out_proj": "attn.proj",
    "mlp_norm": "norm2",
    "mlp.fc": "mlp.fc1",
    "mlp.proj": "mlp.fc2",
}
_AST = {
    "class_token": "cls_token",
    "distillation_token": "dist_token",
    "positions": "pos_embed",
    "patches": "patch_embed.proj",
}
# Whole names, or beginnings of names that go on as they are; the first that fits counts.
_MODEL = {
    "head.resampler.queries": "query_tokens",
    "head.resampler.positions": "query_position_embeddings.weight",
    "head.temporal.positions": "frame_position_embeddings.weight",
    "logit_scale": "clip.logit_scale",
    "audio.projection": "clip.audio_projection",
    "audio.norm": "clip.audio.v.norm",
    "vision.tower": "clip.visual",
    "text.model": "clip",
}
_STACKS = {
    "head.audio_fusion.layers": "transformerClip.resblocks",
    "head.speech_fusion.layers": "transformerClip_ASR.resblocks",
}
SAVE_RESAMPLER, AVIGATE_RESAMPLER = "Audio_Resampler", "transformer_Fusion"

# Their parameters that no output depends on: left behind on import, whatever their shape.
UNUSED = ("asr_query_tokens", "clip.audio.v.head.", "clip.audio.v.head_dist.")
# Stored as columns there, as rows here.
TRANSPOSED = frozenset({"query_tokens"})


def reference_name(name: str, *, resampler: str = SAVE_RESAMPLER) -> str:
    """Their name of our parameter `name`; `resampler` is what they call that module, which differs by system."""
    stacks = {**_STACKS, "head.resampler.layers": f"{resampler}.resblocks"}
    for ours, theirs in stacks.items():
        if name.startswith(f"{ours}."):
            _, _, rest = name.removeprefix(f"{ours}.").partition(".")
            index = name.removeprefix(f"{ours}.").partition(".")[0]
            return f"{theirs}.{index}.{_replaced(rest, _LAYER)}"
    if name.startswith("audio.encoder."):
        return "clip.audio." + ast_name(name.removeprefix("audio.encoder."))
    return _replaced(name, _MODEL)


def ast_name(name: str) -> str:
    """The original AST's name (`v.blocks.0.norm1.weight`) of our encoder's parameter (`layers.0.self_norm.weight`)."""
    if name.startswith("layers."):
        _, index, rest = name.split(".", 2)
        return f"v.blocks.{index}.{_replaced(rest, _AST_BLOCK)}"
    return "v." + _replaced(name, _AST)


def reference_table(names: Iterable[str], *, resampler: str = SAVE_RESAMPLER) -> Mapping[str, str]:
    """Their name -> ours, of all our names."""
    return {reference_name(name, resampler=resampler): name for name in names}


def _replaced(name: str, table: Mapping[str, str]) -> str:
    for ours, theirs in table.items():
        if name == ours or name.startswith(ours if ours.endswith("_") else f"{ours}."):
            return theirs + name.removeprefix(ours)
    raise KeyError(f"the reference has no name for `{name}`")
