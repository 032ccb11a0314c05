"""The resampler alone, the fusion alone, the optimiser alone, and the lists of parameters (sections 2, 3, 6)."""

from __future__ import annotations

import math
from typing import Any

import torch

from tests.golden_cases.draws import Draws, Folder, State, draw_weights, mask_of
from tests.obvious.blocks import fusion, resampler
from tests.obvious.names import (
    Sizes,
    first_value,
    fusion_shapes,
    is_trained,
    parameter_shapes,
    rate_factor,
    resampler_shapes,
    storage,
    weight_decay,
)
from tests.obvious.updates import LOGIT_SCALE, Schedule, Trajectory, updated


def write_resampler(folder: Folder, draws: Draws) -> None:
    heads, batch, queries = draws.pick(2, 5, but=4), draws.pick(1, 5, but=3), draws.pick(3, 15, but=12)
    width, layers, tokens = heads * draws.pick(5, 9, but=8), draws.pick(1, 4, but=2), draws.pick(5, 30, but=17)
    weights = draw_weights(resampler_shapes(width, layers), draws)
    io = {
        "query_tokens": draws.normal(width, queries),
        "query_position_embeddings": draws.normal(queries, width, scale=0.3),
        "audio_tokens": draws.normal(batch, tokens, width),
    }
    named = {"query_tokens": io["query_tokens"], "query_position_embeddings.weight": io["query_position_embeddings"]}
    after = resampler(weights | named, "Audio_Resampler.resblocks", io["audio_tokens"], heads)
    folder.keep("resampler_weights", weights)
    folder.keep("resampler_io", io | {f"after_layer_{n}": x for n, x in enumerate(after)} | {"output": after[-1]})
    sizes = {"width": width, "heads": heads, "layers": layers, "batch": batch}
    folder.say("resampler", sizes | {"audio_tokens": tokens, "query_tokens": queries})


def write_fusion(folder: Folder, draws: Draws) -> None:
    heads, batch, frames = draws.pick(2, 5, but=4), draws.pick(3, 6, but=4), draws.pick(5, 15, but=12)
    width, layers = 2 * heads * draws.pick(2, 5, but=4), draws.pick(1, 4, but=2)
    weights, valid = draw_weights(fusion_shapes(width, layers), draws), draws.lengths(batch, frames)
    io: State = {"video_mask": mask_of(valid, frames)}
    cases: dict[str, Any] = {}
    for case, tokens in (("a", draws.pick(3, 11, but=12)), ("b", draws.pick(13, 30, but=21))):
        visual, memory = draws.normal(batch, frames, width), draws.normal(batch, tokens, width)
        after, looked, fed = fusion(weights, "transformerClip.resblocks", visual, memory, heads)
        # In float32, as there the constant changes the padded frames.
        single = {name: value.float() for name, value in weights.items()}
        masked, *_ = fusion(
            single, "transformerClip.resblocks", visual.float(), memory.float(), heads, mask=io["video_mask"]
        )
        kept = {"visual": visual, "memory": memory, "attn_gates": looked, "ff_gates": fed, "output": masked[-1]}
        kept |= {f"after_layer_{n}": x for n, x in enumerate(masked)} | {"output_without_mask": after[-1]}
        io |= {f"{case}.{name}": value for name, value in kept.items()}
        cases[case] = {"memory_tokens": tokens, "attn_gates": looked, "ff_gates": fed}
    folder.keep("fusion_weights", weights)
    folder.keep("fusion_io", io)
    sizes = {"width": width, "heads": heads, "layers": layers, "batch": batch, "frames": frames}
    folder.say("fusion", sizes | {"valid_frames": valid, "cases": cases})


PARAMETERS: tuple[tuple[str, list[int], float, float], ...] = (
    ("clip.w", [2, 5], 2e-3, 0.2),
    ("head.w", [4, 3, 2], 2e-2, 0.1),
    ("query_tokens", [7, 3], 0.5, 0.2),
    ("head.bias", [9], 2e-2, 0.0),
    (LOGIT_SCALE, [], 0.05, 0.2),
    ("late.w", [3, 2], 1e-2, 0.2),
    ("rare.w", [5], 1e-2, 0.3),
)
ABSENT = {"late.w": [0, 1, 2, 3, 4], "rare.w": [0, 2, 3, 7]}


def write_optimizer(folder: Folder, draws: Draws) -> None:
    """The gradients grow and shrink, so that some steps are clipped and some not."""
    steps = draws.pick(9, 18, but=12)
    schedule = Schedule(steps + draws.pick(1, 9, but=0), 0.25)
    sizes = 10 ** draws.rng.uniform(-2, 1, steps)
    grads = {name: torch.stack([draws.normal(*shape, scale=size) for size in sizes]) for name, shape, *_ in PARAMETERS}
    begin = {name: draws.normal(*shape) for name, shape, *_ in PARAMETERS}
    begin[LOGIT_SCALE] = torch.tensor(4.59, dtype=torch.float32).double()  # soon at its bound
    held = {f"grads.{name}": value for name, value in grads.items()}
    said: dict[str, Any] = {"t_total": schedule.t_total, "warmup": schedule.warmup, "b1": 0.9, "b2": 0.98, "eps": 1e-6}
    said |= {"max_grad_norm": 1.0, "global_max_grad_norm": 1.0, "logit_scale_max": math.log(100)}
    for kind in ("optimizer_only", "full_loop"):
        values, rates, norms = trajectories(begin, grads, schedule, loop=kind == "full_loop")
        held |= {f"{kind}.{name}": own for name, own in values.items()}
        said |= {"lr_used": rates, "global_norm_before_clip": norms}
    keys = ("name", "shape", "lr", "weight_decay")
    said |= {"params": [dict(zip(keys, row, strict=True)) for row in PARAMETERS], "no_grad_steps": ABSENT}
    folder.keep("optimizer", held)
    folder.say("optimizer", said)


def trajectories(
    begin: State, grads: State, schedule: Schedule, *, loop: bool
) -> tuple[State, list[list[float | None]], list[float]]:
    """Values before the first step and after each, rates used (none without a gradient), and norms of all gradients."""
    parameters = {name: Trajectory(begin[name], lr, decay) for name, _, lr, decay in PARAMETERS}
    values = {name: [value] for name, value in begin.items()}
    rates: list[list[float | None]] = []
    norms = []
    for step in range(len(grads["clip.w"])):
        given = {name: own[step] for name, own in grads.items() if step not in ABSENT.get(name, ())}
        used, norm = updated(parameters, given, schedule, loop=loop)
        rates.append([used.get(name) for name in parameters])
        norms.append(norm)
        for name, parameter in parameters.items():
            values[name].append(parameter.value)
    return {name: torch.stack(own) for name, own in values.items()}, rates, norms


# ViT-B/16 where the shipped list has ViT-B/32: the name of the file stays.
FULL_SIZE = Sizes(
    hidden=512,
    text_layers=12,
    text_heads=8,
    vision_width=768,
    vision_layers=12,
    vision_heads=12,
    patch=16,
    image_resolution=224,
    vocab=49408,
    context_length=77,
    embed_dim=512,
    ast_width=768,
    ast_heads=12,
    ast_layers=12,
    fusion_layers=4,
    resampler_layers=4,
    num_query_tokens=12,
    max_frames=12,
    max_words=32,
    temperature=1.0,
    beta=0.2,
    margin=0.1,
)


def write_lists(folder: Folder, sizes: Sizes) -> None:
    """Parameter groups with one audio block frozen and other rates, first values, and the full-size list."""
    frozen, coef_lr = 1, 2e-3
    groups: dict[str, Any] = {
        "args": {"lr": 2e-4, "coef_lr": coef_lr, "freeze_layer_num": frozen},
        "columns": ["name", "lr / base_lr", "weight_decay", "trainable"],
    }
    for system in ("save", "avigate"):
        groups[system] = [
            [name, rate_factor(name, coef_lr), weight_decay(name), is_trained(name, frozen)]
            for name in parameter_shapes(sizes, system)
        ]
    folder.say("optimizer_groups", groups)
    rows = [[name, first_value(name), storage(name, shape)] for name, shape in parameter_shapes(sizes).items()]
    columns = ["parameter", "initial value of a fresh model", "storage dtype in the reference"]
    folder.say("initialisation", {"columns": columns, "rows": rows})
    full = [
        [name, shape, storage(name, shape), rate_factor(name, 1e-3), weight_decay(name), is_trained(name, 12)]
        for name, shape in parameter_shapes(FULL_SIZE).items()
    ]
    columns = ["name", "shape", "storage dtype", "lr / base_lr", "weight_decay"]
    columns.append("trainable with freeze_layer_num = 12")
    note = "full-size SAVE (CLIP ViT-B/16, AST base, 4 resampler and 4 fusion layers), coef_lr = 1e-3"
    folder.say("vitb32_parameters", {"columns": columns, "note": note, "rows": full})
