"""A Whisper of random weights, small enough for a test, in the format that faster-whisper loads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

_WIDTH, _INNER_WIDTH, _NUM_MELS, _NUM_POSITIONS, _MAX_TOKENS = 16, 32, 80, 1500, 448
_TASKS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
_NUM_TIMESTAMPS = 1501
# CTranslate2 tells a multilingual model by the size of the vocabulary, or by the empty token that ends its text tokens.
_NUM_TEXT_TOKENS = 50257


def write_tiny_whisper(folder: Path) -> Path:
    """Writes a multilingual model of one layer into `folder` (4 MB) and returns it."""
    from ctranslate2.specs import WhisperSpec

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _write_tokenizer(folder)
    vocabulary += [f"<|{0.02 * i:.2f}|>" for i in range(_NUM_TIMESTAMPS)]
    spec = WhisperSpec(1, 2, 1, 2)
    _fill(spec, len(vocabulary), np.random.default_rng(0))
    spec.register_vocabulary(vocabulary)
    ids = {token: i for i, token in enumerate(vocabulary)}
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [ids["<|endoftext|>"]]
    spec.config.alignment_heads = [[0, 0]]
    spec.config.lang_ids = [ids[f"<|{language}|>"] for language in _languages()]
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": _NUM_MELS, "sampling_rate": 16000}))
    return folder


def _fill(spec, num_tokens: int, rng: np.random.Generator) -> None:
    def weights(*shape: int) -> np.ndarray:
        return rng.normal(scale=0.5, size=shape).astype(np.float32)

    def linear(layer, num_in: int, num_out: int) -> None:
        layer.weight, layer.bias = weights(num_out, num_in), weights(num_out)

    def norm(layer) -> None:
        layer.gamma, layer.beta = np.ones(_WIDTH, np.float32), np.zeros(_WIDTH, np.float32)

    def attention(layer, widths: tuple[int, ...]) -> None:
        norm(layer.layer_norm)
        for part, width in zip(layer.linear, widths, strict=True):
            linear(part, _WIDTH, width)

    for side in (spec.encoder, spec.decoder):
        norm(side.layer_norm)
        (layer,) = side.layer
        attention(layer.self_attention, (3 * _WIDTH, _WIDTH))
        norm(layer.ffn.layer_norm)
        linear(layer.ffn.linear_0, _WIDTH, _INNER_WIDTH)
        linear(layer.ffn.linear_1, _INNER_WIDTH, _WIDTH)
    attention(spec.decoder.layer[0].attention, (_WIDTH, 2 * _WIDTH, _WIDTH))
    spec.encoder.conv1.weight, spec.encoder.conv1.bias = weights(_WIDTH, _NUM_MELS, 3), weights(_WIDTH)
    spec.encoder.conv2.weight, spec.encoder.conv2.bias = weights(_WIDTH, _WIDTH, 3), weights(_WIDTH)
    spec.encoder.position_encodings.encodings = weights(_NUM_POSITIONS, _WIDTH)
    spec.decoder.position_encodings.encodings = weights(_MAX_TOKENS, _WIDTH)
    spec.decoder.embeddings.weight = weights(num_tokens, _WIDTH)
    spec.decoder.projection.weight = spec.decoder.embeddings.weight


def _languages() -> tuple[str, ...]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    return tuple(_LANGUAGE_CODES)


def _write_tokenizer(folder: Path) -> list[str]:
    """Bytes and made-up words, then special tokens in Whisper's order; returns the tokens in order of their ids."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokens = sorted(pre_tokenizers.ByteLevel.alphabet())
    # "Ġ" is how byte-level vocabularies write the space before a word.
    tokens += [f"Ġword{i}" for i in range(_NUM_TEXT_TOKENS - len(tokens) - 1)] + [""]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    names = ["endoftext", "startoftranscript", *_languages(), *_TASKS]
    tokenizer.add_special_tokens([f"<|{name}|>" for name in names])
    tokenizer.save(str(folder / "tokenizer.json"))
    ids: dict[str, int] = tokenizer.get_vocab()
    return sorted(ids, key=ids.__getitem__)
