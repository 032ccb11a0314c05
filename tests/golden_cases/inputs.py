"""Metrics, and the way from media and text to what a model takes (sections 1, 8, 9, 10).

Pictures are resized by Pillow, which the README names.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import torch

from tests.golden_cases.draws import Draws, Folder, State
from tests.obvious.retrieval import best_captions, both_ways, grouped, padded_captions
from tests.obvious.sound import RATE_HZ, filter_bank, frame_shift, resampled
from tests.obvious.tokens import END, START, read_vocabulary, token_ids


def write_metrics(folder: Folder, draws: Draws) -> None:
    rng = draws.rng

    def scores(texts: int, videos: int, levels: int = 0) -> np.ndarray:
        """Few levels make ties."""
        if levels:
            return rng.integers(0, levels, (texts, videos)).astype(np.float32)
        return rng.standard_normal((texts, videos)).astype(np.float32)

    some, more, many = draws.pick(13, 25, but=20), draws.pick(26, 35, but=31), draws.pick(41, 60, but=50)
    squares = {"square_no_ties": scores(more, more), "square_ties": scores(some, some, 6)}
    squares["square_constant"] = np.zeros((draws.pick(2, 9, but=5),) * 2, np.float32)
    said: dict[str, Any] = {name: both_ways(own) for name, own in squares.items()}
    kept: State = {name: torch.from_numpy(own) for name, own in squares.items()}
    counts = {
        "multi_no_ties": rng.integers(1, 6, draws.pick(7, 19, but=12)).tolist(),
        "multi_ties": rng.integers(1, 5, draws.pick(7, 15, but=10)).tolist(),
        "one_caption_each": [1] * draws.pick(12, 30, but=22),
        "one_caption_each_wide_ties": [1] * many,
    }
    for name, own in counts.items():
        matrix = scores(sum(own), len(own), 7 if name.endswith("_ties") and "no" not in name else 0)
        said[name] = grouped(matrix, own)
        parts = {"": matrix, ".padded": padded_captions(matrix, own)}
        parts[".video_to_text_sim"] = best_captions(matrix, own)
        kept |= {name + part: torch.from_numpy(np.ascontiguousarray(value)) for part, value in parts.items()}
    folder.say("metrics", said)
    folder.keep("metrics", kept)


def sound(draws: Draws, samples: int, rate: int, channels: int) -> np.ndarray:
    """`(C, N)` int16: a gliding tone over noise that swells."""
    time = np.arange(samples) / rate
    tone = np.sin(2 * np.pi * (draws.rng.uniform(200, 900) * time + 300 * time**2))
    noise = draws.rng.standard_normal((channels, samples)) * (0.3 + 0.2 * np.sin(2 * np.pi * 3 * time))
    return (6000 * (tone + noise)).clip(-32768, 32767).astype(np.int16)


# Seconds, rate and channels: long cases are kept as a repeated second, silence as nothing.
SOUNDS = {
    "a_0p1s": (0.1, RATE_HZ, 1),
    "b_2s": (2.03, RATE_HZ, 1),
    "c_7s": (7.0, RATE_HZ, 1),
    "d_23s": (22.6, RATE_HZ, 1),
    "e_2s_22k05": (2.1, 22050, 1),
    "f_3s_48k": (2.7, 48000, 2),
    "g_three_channels_1p2s": (1.2, RATE_HZ, 3),
    "h_silence_2s": (2.0, RATE_HZ, 2),
}


def write_fbank(folder: Folder, draws: Draws) -> None:
    said: dict[str, Any] = {}
    kept: dict[str, np.ndarray] = {}
    for name, (seconds, rate, channels) in SOUNDS.items():
        samples, storage = round(seconds * rate) + int(draws.rng.integers(1, 100)), "int16, divide by 32768"
        if "silence" in name:
            wave, storage = np.zeros((channels, samples)), f"{samples} zeros"
        elif seconds > 5:
            storage = "block int16 / 32768, repeated; second s scaled by gain[s]; cut to `samples`"
            block = kept[f"{name}.block_int16"] = sound(draws, rate, rate, 1)[0]
            gains = kept[f"{name}.gain"] = draws.rng.uniform(0.2, 1.5, -(-samples // rate)).astype(np.float32)
            wave = np.concatenate([block / 32768 * gain for gain in gains])[None, :samples]
        else:
            wave = kept[f"{name}.waveform_int16"] = sound(draws, samples, rate, channels)
            wave = wave / 32768
        said[name] = {"sample_rate": rate, "channels": channels, "samples": samples, "storage": storage}
        numbers, tensors = bank_of(wave, rate)
        said[name] |= numbers
        kept |= {f"{name}.{part}": value for part, value in tensors.items()}
    said["missing_file"] = {"all_zero": True, "audio_mask": 0}
    shortest = {"1": "AssertionError", "640": "AssertionError", "1023": "AssertionError", "1024": "ok", "1111": "ok"}
    folder.say("fbank", said | {"shortest_supported_samples": shortest})
    folder.keep("fbank", {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in kept.items()})


def bank_of(wave: np.ndarray, rate: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What is said and what is kept of the filter bank, and of the resampling where there is any."""
    tensors = {}
    if rate != RATE_HZ:
        wave = resampled(wave, rate, RATE_HZ)
        first, last, some = wave[0, :400], wave[0, -400:], wave[0, ::29]
        tensors = {"resampled_first400": first, "resampled_last400": last, "resampled_every29": some}
    bank = filter_bank(wave)
    numbers = {"samples_at_16k": wave.shape[1], "frame_shift_samples": frame_shift(wave.shape[1]), "audio_mask": 1}
    numbers |= {"mean": bank.mean(), "std": bank.std(ddof=1), "min": bank.min(), "max": bank.max()}
    rows = np.unique(np.append(np.arange(0, len(bank), 31), [1, len(bank) - 1]))
    tensors |= {"rows": rows, "values": bank[rows], "row_mean": bank.mean(axis=1)}
    return numbers, tensors | {"bin_mean": bank.mean(axis=0), "bin_std": bank.std(axis=0, ddof=1)}


TEXTS = (
    "two women are baking bread in a kitchen",
    "THE Lecturer Explains Gradient Descent!",
    "she'd say 'we'll see'; they're sure it's fine",
    "bird",
    "birds",
    "",
    "    ",
    "      ",
    "中文字幕",
    "한국어 자막 테스트입니다",
    "crème brûlée à la façon de grand-mère",
    "Cats &amp; Dogs &amp;lt;3 &quot;forever&quot;",
    "“nested ‘quotes’” — en–dash … and\u2009thin\u202fspaces",
    "🚲🏔️ ride 👩🏽‍🚀 done",
    "on 2024-11-05 at 9:45, 3/4 of 1,234.5 kg (±2%)",
    "\ttabs\u3000wide   blanks\r\n\r\nand lines ",
    "ﬀ ligatures ⅷ and ｆｕｌｌ　ｗｉｄｔｈ ①②③",
    "snake_case @name #tag https://a.example/x?y=1&z=2#top",
    "<|startoftext|>a cut<|endoftext|> in the middle",
    "Ελληνικά και עברית và tiếng Việt",
    "e\u0301 o\u0308 combining",
    "pneumonoultramicroscopicsilicovolcanoconiosis incomprehensibilities",
    "x" * 150,
    "and then we add the flour and then we add the sugar " * 9,
    "\x00null\x08back\x7fdel",
    "don''t ''' --- ... !?!? ((( )))",
)


def write_tokens(folder: Folder) -> None:
    """For rows of 20 and 50 numbers."""
    vocabulary = read_vocabulary()
    cases = [
        {"text": text} | {f"ids_{most}": token_ids(text, vocabulary, most=most) for most in (20, 50)} for text in TEXTS
    ]
    said = {"vocab_size": len(vocabulary.numbers), "sot": vocabulary.numbers[START], "eot": vocabulary.numbers[END]}
    folder.say("tokens", said | {"pad_id": 0, "cases": cases})


def write_frames(folder: Folder, draws: Draws) -> None:
    cases = []
    for fps, seconds in product((1, 12.5, 23.976, 50, 59.94, 120), (0.4, 7.3, 61.7)):
        count = int(fps * seconds) + int(draws.rng.integers(0, 3))
        places = [place for place in range(count) if place % int(fps) == 0]
        case: dict[str, Any] = {"fps": fps, "frame_count": count, "one_fps": places}
        for most in (5, 20):
            few = len(places) <= most
            spread = places if few else [places[int(own)] for own in np.linspace(0, len(places) - 1, most)]
            case[f"max{most}_slice2"] = spread
            case[f"max{most}_slice0"] = places[:most]
            case[f"max{most}_slice1"] = places[-most:]
        cases.append(case)
    folder.say("frames", {"cases": cases, "fps_below_one": "ZeroDivisionError"})


def write_images(folder: Folder, draws: Draws) -> None:
    """A tall one that grows and a wide one that shrinks, both to squares smaller than the shipped."""
    from PIL import Image

    size, mean, std = 2 * draws.pick(40, 60, but=112), [0.5, 0.45, 0.4], [0.25, 0.3, 0.2]
    said: dict[str, Any] = {"size": size, "mean": mean, "std": std, "images": {}}
    kept: State = {}
    for name, (height, width) in {"up": (71, 53), "down": (190, 331), "same": (size + 7, size)}.items():
        picture = draws.rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        picture[height // 3 : height // 2, width // 4 :] = draws.rng.integers(0, 256, 3)
        short, long = min(height, width), max(height, width)
        longer = int(size * long / short)
        sides = (size, longer) if height >= width else (longer, size)
        resized = np.asarray(Image.fromarray(picture).resize(sides, Image.Resampling.BICUBIC))
        top, left = (round((side - size) / 2) for side in resized.shape[:2])
        square = resized[top : top + size, left : left + size].transpose(2, 0, 1)
        normalised = (square / 255 - np.array(mean)[:, None, None]) / np.array(std)[:, None, None]
        parts = {
            "image_rgb_uint8": picture,
            "resized_cropped_uint8_even_rows": square[:, ::2],
            "normalised_rows": normalised[:, ::9, ::3],
        }
        kept |= {f"{name}.{part}": torch.from_numpy(np.ascontiguousarray(value)) for part, value in parts.items()}
        said["images"][name] = {"height": height, "width": width, "mean": normalised.mean()}
        said["images"][name] |= {"std": normalised.std(ddof=1), "normalised_rows": "normalised[:, ::9, ::3]"}
    folder.say("image", said)
    folder.keep("image", kept)
