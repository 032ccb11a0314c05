"""The tiny model, and SAVE and AVIGATE from features on (sections 4 and 5)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict

import torch

from tests.golden_cases.draws import Draws, Folder, State, mask_of
from tests.obvious.names import Sizes, parameter_shapes
from tests.obvious.system import (
    Constants,
    Represented,
    System,
    distilled,
    frame_similarity,
    objective,
    represented,
    similarity,
    unit,
)

TEACHER_WIDTH = 11
NOT_SAID = ("ast_patch", "ast_classes")


def write_tiny_model(folder: Folder, sizes: Sizes, state: State) -> None:
    """Written in float16, in which its numbers are exact."""
    folder.keep("tiny_model", {name: value.half() for name, value in state.items()})
    said = {name: value for name, value in asdict(sizes).items() if name not in NOT_SAID}
    folder.say("tiny_model", said | {"state_dict_keys": list(parameter_shapes(sizes).items())})


def state_of(state: State, system: System) -> State:
    """The tiny model's numbers as that system names them."""
    if system == "save":
        return state
    gone = ("transformerClip_ASR.", "asr_query_tokens")
    kept = {name: value for name, value in state.items() if not name.startswith(gone)}
    return {name.replace("Audio_Resampler", "transformer_Fusion"): value for name, value in kept.items()}


def named(seen: Represented, system: System) -> State:
    """Under the names of the golden data."""
    if system == "avigate":
        return {
            "qa_output": seen.resampled,
            "fusion_output": seen.heard,
            "attn_gates": seen.heard_gates[0],
            "ff_gates": seen.heard_gates[1],
            "mixed_normalised": seen.frames,
            "mixed_global": seen.pooled,
        }
    assert seen.said is not None
    assert seen.said_gates is not None
    return {
        "qa_output": seen.resampled,
        "visual_plus_position": seen.visual,
        "av_fusion_output": seen.heard,
        "av_attn_gates": seen.heard_gates[0],
        "av_ff_gates": seen.heard_gates[1],
        "sv_fusion_output": seen.said,
        "asr_attn_gates": seen.said_gates[0],
        "asr_ff_gates": seen.said_gates[1],
        "asv_fusion_output": seen.frames,
        "asv_fusion_output_global": seen.pooled,
        "visual_output_local": unit(seen.visual),
        "visual_output_global": seen.visual_pooled,
    }


def draw_features(draws: Draws, sizes: Sizes, *, videos: int, captions: int) -> State:
    """What the towers would give, with other numbers of tokens than they would."""
    frames, d = draws.pick(4, 20, but=12), sizes.hidden
    return {
        "sequence_output": draws.features(captions, 1, d),
        "visual_output": draws.features(videos, frames, d),
        "audio_output": draws.features(videos, draws.pick(9, 40, but=29), d),
        "asr_output": draws.features(videos, draws.pick(5, 30, but=10), d),
        "video_mask": mask_of(draws.lengths(videos, frames), frames),
    }


@torch.no_grad()
def write_evaluation(folder: Folder, draws: Draws, sizes: Sizes, state: State) -> None:
    """Both systems on the same features."""
    io = draw_features(draws, sizes, videos=draws.pick(3, 6, but=4), captions=draws.pick(5, 9, but=6))
    text, mask, tau = unit(io["sequence_output"][:, 0]), io["video_mask"], sizes.temperature
    scale = state["clip.logit_scale"].exp()
    seen = {system: represented(state_of(state, system), io, system) for system in ("save", "avigate")}
    common = {"temperature": tau, "logit_scale_param": state["clip.logit_scale"]}
    for system, own in seen.items():
        kept = named(own, system) | {
            "sim_local": frame_similarity(text, own.frames, mask, scale, tau),
            "sim_global": scale * text @ own.pooled.T,
            "logits": similarity(text, own.frames, own.pooled, mask, scale, tau),
        }
        if system == "save":
            variant = {"temperature": 4.0, "logit_scale_param": 2.0}
            sharp = torch.tensor(variant["logit_scale_param"], dtype=torch.float64).exp()
            sharper = similarity(text, own.frames, own.pooled, mask, sharp, variant["temperature"])
            overflow, infinite = overflowing(draws, own, mask)
            folder.keep("save_eval_io", io | kept | {"logits_temperature4_logitscale2": sharper} | overflow)
            said = common | {"variants": {"logits_temperature4_logitscale2": variant}, "overflow": infinite}
            folder.say("save_eval", said)
        else:
            folder.keep("avigate_eval_io", kept)
            said = {"inputs_from": "save_eval_io.safetensors", "mixing": {"fused": 0.05, "visual": 0.95}} | common
            said["state_dict_keys"] = list(parameter_shapes(sizes, "avigate").items())
            folder.say("avigate_eval", said)


def overflowing(draws: Draws, seen: Represented, mask: torch.Tensor) -> tuple[State, dict[str, object]]:
    """Captions of which one equals a frame of the first video, at a scale of 100: float32 cannot hold it."""
    text = torch.stack([seen.frames[0, 1], *unit(draws.features(2, seen.frames.shape[-1]))])
    text, frames, pooled = (x.float().double() for x in (text, seen.frames, seen.pooled))
    scale = torch.tensor(math.log(100), dtype=torch.float64).exp()
    stable = similarity(unit(text), frames, pooled, mask, scale, 1.0)
    single = similarity(unit(text).float(), frames.float(), pooled.float(), mask, scale.float(), 1.0)
    kept = {"sequence_output": text[:, None], "logits_stable": stable, "logits_reference_fp32": single}
    said: dict[str, object] = {"logit_scale_param": math.log(100), "reference_is_inf": single.isinf()}
    return {f"overflow.{name}": value for name, value in kept.items()}, said


SAVE_GRADIENTS = (
    "query_tokens",
    "clip.logit_scale",
    "frame_position_embeddings.weight",
    "query_position_embeddings.weight",
    "Audio_Resampler.resblocks.0.attn.in_proj_bias",
    "Audio_Resampler.resblocks.0.ln_3.weight",
    "Audio_Resampler.resblocks.0.ln_3.bias",
    "transformerClip.resblocks.0.attn_gate.ag_fc.weight",
    "transformerClip.resblocks.0.attn_gate.ag_proj.weight",
    "transformerClip.resblocks.0.cross_attn.in_proj_bias",
    "transformerClip.resblocks.0.ln_3.weight",
    "transformerClip_ASR.resblocks.0.cross_attn.out_proj.weight",
    "transformerClip_ASR.resblocks.0.ff_gate.fg_proj.weight",
    "transformerClip_ASR.resblocks.0.ln_4.weight",
)
AVIGATE_GRADIENTS = (
    "query_tokens",
    "clip.logit_scale",
    "frame_position_embeddings.weight",
    "transformerClip.resblocks.0.attn_gate.ag_proj.weight",
    "transformerClip.resblocks.0.ln_4.bias",
    "transformer_Fusion.resblocks.0.ln_3.weight",
)


def gradients(loss: torch.Tensor, leaves: State) -> State:
    """Of the leaves that the loss depends on."""
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return {name: value for name, value in zip(leaves, found, strict=True) if value is not None}


def leaves_of(state: State, names: Iterable[str]) -> State:
    return {name: state[name].detach().clone().requires_grad_() for name in names}


def write_objectives(folder: Folder, draws: Draws, sizes: Sizes, state: State) -> None:
    """Both systems on the same features; a third of the videos has no sound."""
    clips = draws.pick(5, 9, but=6)
    io = draw_features(draws, sizes, videos=clips, captions=clips)
    io["audio_mask"] = (torch.arange(clips) % 3 != 1).long()
    for name in ("teacher_audio", "teacher_video"):
        io[name] = draws.normal(clips, TEACHER_WIDTH)
    constants = Constants(tau=sizes.temperature, beta=sizes.beta, delta=sizes.margin, distill_scale=3.0)
    for system in ("save", "avigate"):
        own = state_of(state, system)
        leaves = leaves_of(own, own)
        inputs = leaves_of(io, ("sequence_output", "visual_output", "audio_output", "asr_output"))
        losses = objective(leaves, io | inputs, system, constants)
        found = gradients(losses["total_loss"], leaves | inputs)
        norms = {name: value.norm() for name, value in found.items() if name in leaves}
        kept = {f"grad.{name}": found[name] for name in (SAVE_GRADIENTS if system == "save" else AVIGATE_GRADIENTS)}
        kept |= {f"grad_input.{name}": found[name] for name in inputs if name in found}
        kept["logits_with_margin"] = losses["logits_with_margin"]
        said = {"beta": constants.beta, "margin_BD": constants.delta}
        said |= {name: losses[name] for name in ("loss_t2v", "loss_v2t", "total_loss")} | {"grad_norms": norms}
        if system == "avigate":
            folder.keep("avigate_train_io", kept)
            folder.say("avigate_train", {"inputs_from": "save_train_io.safetensors"} | said)
            continue
        kept |= {name: losses[name] for name in ("logits_without_margin", "margin", "v2a_sim")}
        folder.keep("save_train_io", io | kept)
        said |= {"temperature": constants.tau, "distill_scale": constants.distill_scale}
        said["logit_scale_param"] = state["clip.logit_scale"]
        said |= {name: losses[name] for name in ("sim_loss", "distill_loss", "distill_rows", "distill_cols")}
        said["params_without_grad"] = [name for name in leaves if name not in found]
        said["distill_loss_by_mask"] = by_mask(io, losses["v2a_sim"].detach(), constants.distill_scale)
        folder.say("save_train", said)


def by_mask(io: State, student: torch.Tensor, scale: float) -> list[tuple[list[int], torch.Tensor]]:
    """The distillation with all, three, two, one and none of the videos; NaN for the last two."""
    teacher = unit(io["teacher_video"]) @ unit(io["teacher_audio"]).T
    out = []
    for kept in (len(student), 3, 2, 1, 0):
        mask = torch.arange(len(student)) < kept
        rows, columns = distilled(student, teacher, mask, scale)
        out.append((mask.long().tolist(), rows.mean() + columns.mean()))
    return out
