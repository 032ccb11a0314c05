"""The text, image and sound encoders (README, section 7)."""

from __future__ import annotations

import torch

from tests.obvious.blocks import State, attention, layers, linear, norm, perceptron

CLIP_EPSILON, AST_EPSILON = 1e-5, 1e-6
STRIDE = 10


def clip_stack(x: torch.Tensor, state: State, stack: str, heads: int, added: torch.Tensor | float) -> torch.Tensor:
    for layer in layers(state, stack):
        own = norm(x, state, f"{layer}.ln_1", epsilon=CLIP_EPSILON)
        x = x + attention(own, own, state, f"{layer}.attn", heads, added=added)
        own = norm(x, state, f"{layer}.ln_2", epsilon=CLIP_EPSILON)
        x = x + perceptron(own, state, f"{layer}.mlp.c_fc", f"{layer}.mlp.c_proj")
    return x


def text_tokens(state: State, ids: torch.Tensor, heads: int) -> torch.Tensor:
    """`(N, W, D)` of `(N, W)` token numbers, padding included."""
    length = ids.shape[1]
    positions = state["clip.positional_embedding"]
    future = torch.full((length, length), -torch.inf, dtype=positions.dtype).triu(1)
    x = state["clip.token_embedding.weight"][ids] + positions[:length]
    x = clip_stack(x, state, "clip.transformer.resblocks", heads, future)
    return norm(x, state, "clip.ln_final", epsilon=CLIP_EPSILON) @ state["clip.text_projection"]


def text_vectors(state: State, ids: torch.Tensor, heads: int) -> torch.Tensor:
    """`(N, D)`: at the largest number's first place."""
    return torch.stack([row[own.argmax()] for row, own in zip(text_tokens(state, ids, heads), ids, strict=True)])


def image_vectors(state: State, pixels: torch.Tensor, heads: int) -> torch.Tensor:
    """`(N, D)` of `(N, 3, R, R)` pixels."""
    kernel = state["clip.visual.conv1.weight"]
    patch = kernel.shape[-1]
    # (N, 3, rows, columns, patch, patch) -> (N, patches, 3 * patch * patch)
    cut = pixels.unfold(2, patch, patch).unfold(3, patch, patch).permute(0, 2, 3, 1, 4, 5)
    x = cut.reshape(len(pixels), -1, kernel[0].numel()) @ kernel.flatten(1).T
    first = state["clip.visual.class_embedding"].expand(len(x), 1, -1)
    x = torch.cat([first, x], dim=1) + state["clip.visual.positional_embedding"]
    x = norm(x, state, "clip.visual.ln_pre", epsilon=CLIP_EPSILON)
    x = clip_stack(x, state, "clip.visual.transformer.resblocks", heads, 0.0)
    return norm(x[:, 0], state, "clip.visual.ln_post", epsilon=CLIP_EPSILON) @ state["clip.visual.proj"]


def sound_blocks(state: State, banks: torch.Tensor, heads: int) -> torch.Tensor:
    """`(N, A, width)` of `(N, 1024, 128)` filter banks: before the last norm, which alone is trained."""
    kernel = state["clip.audio.v.patch_embed.proj.weight"]
    patch = kernel.shape[-1]
    cut = banks.transpose(1, 2).unfold(1, patch, STRIDE).unfold(2, patch, STRIDE)  # (N, mel, time, patch, patch)
    x = cut.reshape(len(banks), -1, patch * patch) @ kernel.flatten(1).T + state["clip.audio.v.patch_embed.proj.bias"]
    firsts = [state[f"clip.audio.v.{name}"].expand(len(x), 1, -1) for name in ("cls_token", "dist_token")]
    x = torch.cat([*firsts, x], dim=1) + state["clip.audio.v.pos_embed"]
    for layer in layers(state, "clip.audio.v.blocks"):
        own = norm(x, state, f"{layer}.norm1", epsilon=AST_EPSILON)
        x = x + attention(own, own, state, f"{layer}.attn", heads, parts=("qkv.weight", "qkv.bias", "proj"))
        hidden = linear(norm(x, state, f"{layer}.norm2", epsilon=AST_EPSILON), state, f"{layer}.mlp.fc1")
        x = x + linear(hidden * (1 + torch.erf(hidden / 2**0.5)) / 2, state, f"{layer}.mlp.fc2")
    return torch.cat([x[:, :2].mean(dim=1, keepdim=True), x[:, 2:]], dim=1)


def sound_tokens(state: State, blocks: torch.Tensor) -> torch.Tensor:
    """`(N, A, D)` of what `sound_blocks` gives."""
    return norm(blocks, state, "clip.audio.v.norm", epsilon=AST_EPSILON) @ state["clip.audio_projection"]
