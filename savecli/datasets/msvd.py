"""MSVD: about forty captions a clip, pickled or as JSON."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from savecli.datasets.base import Dataset
from savecli.datasets.captions import read_caption_file
from savecli.datasets.files import find_file, kind_of, need_file, read_split_file, wrong_content
from savecli.datasets.splits import Listing, build_dataset, unknown_captions

_CAPTIONS = ("captions_msvd.json", "raw-captions.pkl")
# A pickle that names any other class or function could run anything.
_PLAIN_TYPES = frozenset({"OrderedDict", "defaultdict", "dict", "list", "tuple", "set", "str"})
_EXPECTED = "a pickled {id: [[word]]} of nothing but plain texts, lists and mappings"


def read_msvd(root: Path) -> Dataset:
    """The three splits with every caption of each clip."""
    path = need_file(root, *_CAPTIONS)
    captions = read_caption_file(path).captions if path.suffix == ".json" else _read_pickle(path)
    found = {split: find_file(root, f"{split}_list.txt") for split in ("train", "val", "test")}
    ids = {split: read_split_file(path).ids for split, path in found.items() if path is not None}
    listings = {split: Listing(f"{split} MSVD", ids[split], captions, is_grouped=True) for split in ids}
    known = {clip_id for listed in ids.values() for clip_id in listed}
    return build_dataset(
        "msvd",
        root,
        train=listings.get("train"),
        val=listings.get("val"),
        test=listings.get("test"),
        video_folders=("YouTubeClips", "MSVD_Videos"),
        unknown=unknown_captions(captions, known),
    )


class _PlainUnpickler(pickle.Unpickler):
    """Reads texts, numbers and plain containers only."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("builtins", "__builtin__", "collections") and name in _PLAIN_TYPES:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _read_pickle(path: Path) -> Mapping[str, Sequence[str]]:
    try:
        # Written by Python 2, whose texts are bytes.
        value = _PlainUnpickler(io.BytesIO(path.read_bytes()), encoding="utf-8").load()
    except OSError as error:
        raise wrong_content(
            path, line=None, expected=_EXPECTED, found=f"a file that cannot be opened: {error}"
        ) from error
    except Exception as error:  # damaged pickles fail in many ways: EOFError, KeyError, ValueError, MemoryError…
        raise wrong_content(path, line=None, expected=_EXPECTED, found=f"something else: {error}") from error
    if not isinstance(value, dict):
        raise wrong_content(path, line=None, expected=_EXPECTED, found=kind_of(value))
    return {str(key): [_sentence(path, key, words) for words in _list(path, key, value[key])] for key in value}


def _sentence(path: Path, key: object, words: object) -> str:
    if isinstance(words, str):
        return words
    texts = _list(path, key, words)
    if not all(isinstance(word, str) for word in texts):
        raise wrong_content(path, line=None, expected=_EXPECTED, found=f"words of {key!r} that are not texts")
    return " ".join(texts)


def _list(path: Path, key: object, value: object) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise wrong_content(path, line=None, expected=_EXPECTED, found=f"{kind_of(value)} for {key!r}")
    return list(value)
