"""From pixels, filter banks and token numbers to similarities, and some steps of training (section 7)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.golden_cases.draws import Draws, Folder, State, mask_of
from tests.golden_cases.system import TEACHER_WIDTH, gradients, named, state_of
from tests.obvious.names import BINS, ROWS, Sizes, is_trained, rate_factor, weight_decay
from tests.obvious.retrieval import grouped
from tests.obvious.system import Constants, System, objective, represented, similarity, unit
from tests.obvious.towers import image_vectors, sound_blocks, sound_tokens, text_tokens, text_vectors
from tests.obvious.updates import LOGIT_SCALE, Schedule, Trajectory, updated

PIXEL_SCALE, BANK_SCALE = 1 / 16, 1 / 64
SILENT, SPEECHLESS = 2, 0
HEAD, TAIL, STEP = 6, 3, 16
NUM_STEPS, BASE_LR, COEF_LR = 4, 1.5e-4, 2e-3
SCHEDULE = Schedule(7, 0.2)
FROZEN_LAYERS = 12
TRAIN_GRADIENTS = (
    "clip.audio.v.norm.weight",
    "clip.audio_projection",
    "clip.ln_final.weight",
    "clip.logit_scale",
    "clip.text_projection",
    "clip.visual.ln_post.bias",
)
TRAINED = (
    "asr_query_tokens",
    "clip.audio.v.norm.weight",
    "clip.audio_projection",
    "frame_position_embeddings.weight",
    "query_tokens",
    "transformerClip.resblocks.0.attn_gate.ag_proj.weight",
    "transformerClip_ASR.resblocks.0.ln_3.weight",
)


def draw_inputs(draws: Draws, sizes: Sizes) -> tuple[State, dict[str, Any]]:
    """A batch of clips with their captions: one without sound, one without speech, some with fewer frames."""
    rng, videos, frames = draws.rng, draws.pick(3, 6, but=4), sizes.max_frames
    counts = [int(count) for count in rng.integers(1, 4, videos)]
    valid = draws.lengths(videos, frames)[::-1]
    side, words = sizes.image_resolution, sizes.max_words
    mask, sound = mask_of(valid, frames), (torch.arange(videos) != SILENT).long()
    pixels = torch.from_numpy(rng.integers(-40, 41, (videos, frames, 3, side, side)).astype(np.int8))
    banks = torch.from_numpy(rng.integers(-80, 120, (videos, ROWS, BINS)).astype(np.int8))
    lengths = rng.integers(2, words + 1, videos)
    lengths[SPEECHLESS] = 0
    asr, caption = (
        ids(draws, sizes, lengths.tolist()),
        ids(draws, sizes, rng.integers(2, words + 1, sum(counts)).tolist()),
    )
    io = {
        "pixels_int8": pixels * mask[:, :, None, None, None].to(torch.int8),
        "fbank_int8": banks * sound[:, None, None].to(torch.int8),
        "video_mask": mask,
        "audio_mask": sound,
        "asr_ids": asr,
        "asr_mask": (asr > 0).long(),
        "caption_ids": caption,
        "caption_mask": (caption > 0).long(),
        "caption_video": torch.repeat_interleave(torch.arange(videos), torch.tensor(counts)),
        "teacher_audio": draws.normal(videos, TEACHER_WIDTH),
        "teacher_video": draws.normal(videos, TEACHER_WIDTH),
    }
    said = {"pixel_scale": PIXEL_SCALE, "fbank_scale": BANK_SCALE, "caption_video": io["caption_video"]}
    said |= {"captions_per_video": counts, "has_audio": sound, "valid_frames": valid}
    said |= {"sot": sizes.vocab - 2, "eot": sizes.vocab - 1, "empty_asr_video": SPEECHLESS}
    return io, said


def ids(draws: Draws, sizes: Sizes, lengths: list[int]) -> torch.Tensor:
    """`(N, W)`: start, words, end, zeros; all zeros where the length is 0."""
    rows = torch.zeros(len(lengths), sizes.max_words, dtype=torch.long)
    for row, length in zip(rows, lengths, strict=True):
        if length:
            row[:length] = torch.from_numpy(draws.rng.integers(1, sizes.vocab - 2, length))
            row[0], row[length - 1] = sizes.vocab - 2, sizes.vocab - 1
    return rows


def encoded(state: State, io: State, sizes: Sizes, blocks: torch.Tensor, captions: torch.Tensor) -> State:
    """What the towers give; `blocks` is what `sound_blocks` gave, which no training changes."""
    pixels = io["pixels_int8"].double() * PIXEL_SCALE
    seen = image_vectors(state, pixels.flatten(0, 1), sizes.vision_heads)
    return {
        "visual_output": seen.reshape(*pixels.shape[:2], -1),
        "audio_output": sound_tokens(state, blocks),
        "asr_output": text_tokens(state, io["asr_ids"], sizes.text_heads),
        "sequence_output": text_vectors(state, captions, sizes.text_heads)[:, None],
    }


def write_end_to_end(folder: Folder, draws: Draws, sizes: Sizes, state: State) -> None:
    """Both systems on the same clips."""
    io, said = draw_inputs(draws, sizes)
    with torch.no_grad():
        blocks = sound_blocks(state, io["fbank_int8"].double() * BANK_SCALE, sizes.ast_heads)
        features = encoded(state, io, sizes, blocks, io["caption_ids"])
    heard = features["audio_output"]
    io |= {name: value for name, value in features.items() if name != "audio_output"}
    io |= {"audio_output_head": heard[:, :HEAD], "audio_output_tail": heard[:, -TAIL:]}
    io |= {"audio_output_mean": heard.mean(dim=1), "audio_output_norms": heard[:, ::STEP].norm(dim=-1)}
    for system in ("save", "avigate"):
        own = state_of(state, system)
        with torch.no_grad():
            seen = represented(own, io | features, system)
            text, scale = unit(features["sequence_output"][:, 0]), own[LOGIT_SCALE].exp()
            scores = similarity(text, seen.frames, seen.pooled, io["video_mask"], scale, sizes.temperature)
        training, tensors = trained(own, io, sizes, blocks, system)
        kept = named(seen, system) | {"similarity": scores}
        if system == "save":
            gone = ("visual_plus_position", "visual_output_local", "av_fusion_output", "sv_fusion_output")
            kept = {name: value for name, value in kept.items() if name not in gone}
            folder.keep("e2e_save_io", io | kept | tensors)
            metrics = grouped(scores.float().numpy(), said["captions_per_video"])
            metrics = {direction: metrics[direction] for direction in ("t2v", "v2t")}
            folder.say("e2e_save", said | {"similarity": scores} | metrics | {"training": training})
        else:
            kept = {name: kept[name] for name in ("attn_gates", "ff_gates", "similarity")}
            folder.keep("e2e_avigate_io", kept)
            training = {name: value for name, value in training.items() if name in ("losses", *SETTINGS)}
            inputs = {"inputs_from": "e2e_save_io.safetensors", "similarity": scores}
            folder.say("e2e_avigate", inputs | {"training": training})


SETTINGS = {"t_total": SCHEDULE.t_total, "base_lr": BASE_LR, "coef_lr": COEF_LR, "warmup": SCHEDULE.warmup}


def trained(
    state: State, io: State, sizes: Sizes, blocks: torch.Tensor, system: System
) -> tuple[dict[str, Any], State]:
    """What the JSON file says of the training, and the tensors kept of it."""
    first = [io["caption_video"].tolist().index(video) for video in range(len(io["video_mask"]))]
    constants = Constants(tau=sizes.temperature, beta=sizes.beta, delta=sizes.margin)
    moving = {
        name: Trajectory(value, BASE_LR * rate_factor(name, COEF_LR), weight_decay(name))
        for name, value in state.items()
        if is_trained(name, FROZEN_LAYERS)
    }
    said: dict[str, Any] = {"losses": [], "logit_scale_after_step": []}
    kept: State = {}
    for step in range(NUM_STEPS):
        leaves = {name: own.value.detach().clone().requires_grad_() for name, own in moving.items()}
        features = encoded(state | leaves, io, sizes, blocks, io["caption_ids"][first])
        losses = objective(state | leaves, io | features, system, constants)
        found = gradients(losses["total_loss"], leaves)
        _, norm = updated(moving, found, SCHEDULE, loop=True)
        said["losses"].append(losses["total_loss"].detach())
        said["logit_scale_after_step"].append(moving[LOGIT_SCALE].value)
        if step == 0:
            said["grad_norms"] = {name: value.norm() for name, value in found.items()}
            said["no_grad"] = [name for name in state if name not in found]
            said["global_grad_norm"] = norm
            said |= {name: losses[name].detach() for name in ("sim_loss", "distill_loss") if name in losses}
            kept = {f"train_grad.{name}": found[name] for name in TRAIN_GRADIENTS}
    after = state | {name: own.value for name, own in moving.items()}
    said["delta_norms"] = {name: (value - state[name]).norm() for name, value in after.items()}
    kept |= {f"trained.{name}": after[name] for name in TRAINED if name in after}
    return said | SETTINGS, kept
