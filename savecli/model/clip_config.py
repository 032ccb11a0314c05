"""What a CLIP model is made of, read from open_clip's data files without loading open_clip."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from savecli.core.errors import UsageError, WeightsError
from savecli.model.clip_spec import SPELLINGS, ClipSpec, known_clip

CONFIG_FILE = "open_clip_config.json"
# Raise it when the way from frames or words to vectors changes, so that archives notice.
PREPROCESSING_VERSION = 1


@dataclass(frozen=True)
class PixelFormat:
    """How the vision tower wants its pictures; the defaults are OpenAI CLIP's."""

    image_size: int = 224
    mean: tuple[float, ...] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, ...] = (0.26862954, 0.26130258, 0.27577711)
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    resize_mode: Literal["shortest", "squash"] = "shortest"


@dataclass(frozen=True)
class ClipConfig:
    """A model's architecture in open_clip's own terms, and its preprocessing.

    Args:
        model: open_clip's `model_cfg`; `quick_gelu` is present only when true.
    """

    model: Mapping[str, Any]
    pixels: PixelFormat

    @property
    def dimension(self) -> int:
        """Width `D` of the embeddings."""
        return int(self.model["embed_dim"])

    @property
    def quick_gelu(self) -> bool:
        return bool(self.model.get("quick_gelu", False))

    @property
    def needs_hub_tokenizer(self) -> bool:
        """Whether the words are cut up by a tokenizer that lies on the hub and not in open_clip."""
        return bool(self.model["text_cfg"].get("hf_tokenizer_name"))

    @property
    def needs_hub_settings(self) -> bool:
        """Whether the shape of the text tower lies on the hub: a tower from transformers."""
        return bool(self.model["text_cfg"].get("hf_model_name"))

    def folder_config(self) -> dict[str, Any]:
        """What `open_clip_config.json` holds in a folder of this model."""
        pixels = asdict(self.pixels)
        return {"model_cfg": dict(self.model), "preprocess_cfg": {"size": pixels.pop("image_size"), **pixels}}


def clip_config(spec: ClipSpec) -> ClipConfig:
    """The config of a model, from its folder, or from open_clip's data files and the pretrained tag.

    Raises:
        UsageError: open_clip has no such architecture or tag.
        WeightsError: the folder has no readable config.
    """
    if not spec.architecture:
        return _folder_config(cast(Path, spec.path))
    config = _checked_config(_architecture(spec.architecture), PixelFormat(), spec.architecture)
    if not spec.pretrained:
        return config
    known = known_clip(spec)
    tag = {"quick_gelu": known.quick_gelu} if known else _registry_tag(spec)
    # The tag decides the activation: plain GELU under OpenAI's weights gives wrong vectors and no error.
    return _checked_config(
        {**config.model, "quick_gelu": bool(tag.get("quick_gelu", False)) or config.quick_gelu},
        config.pixels,
        spec.name,
        preprocess=tag,
    )


def clip_fingerprint(config: ClipConfig, weights: Path) -> str:
    """Hex digest of architecture, preprocessing and the bytes of the weights; where they lie does not matter.

    Reads the whole file (half a gigabyte takes under half a second) and loads no library.
    """
    digest = hashlib.sha256()
    settings = {"version": PREPROCESSING_VERSION, **config.folder_config()}
    digest.update(json.dumps(settings, sort_keys=True).encode())
    with weights.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _architecture(name: str) -> dict[str, Any]:
    package = importlib.util.find_spec("open_clip")  # finds the folder, runs nothing
    if package is None or not package.submodule_search_locations:
        raise WeightsError("CLIP cannot be used", why="open_clip is not installed", fix="pip install open_clip_torch")
    folder = Path(package.submodule_search_locations[0]) / "model_configs"
    path = folder / f"{name}.json"
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in folder.glob("ViT-?-??.json")))
        raise UsageError(
            f"open_clip has no model `{name}`",
            why=f"some it has: {names}",
            fix=f"write {SPELLINGS}; a folder as `./{name}`",
        )
    return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))


def _registry_tag(spec: ClipSpec) -> dict[str, Any]:
    """What open_clip knows of a pretrained tag outside our table; loads open_clip."""
    import open_clip

    tag = cast(dict[str, Any], open_clip.get_pretrained_cfg(spec.architecture, spec.pretrained))
    if not tag:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(spec.architecture)) or "none"
        raise UsageError(
            f"open_clip has no weights `{spec.pretrained}` for `{spec.architecture}`",
            why=f"it has: {tags}",
            fix=f"write {SPELLINGS}",
        )
    return tag


def _folder_config(folder: Path) -> ClipConfig:
    if folder.is_file():
        raise UsageError(
            f"`clip:{folder}` names a weights file without its architecture",
            why="a file holds numbers, not the shape of the network",
            fix=f"write `clip:MODEL={folder}`, for OpenAI's weights `clip:ViT-B-32/openai={folder}`",
        )
    path = folder / CONFIG_FILE
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        model, preprocess = held["model_cfg"], held.get("preprocess_cfg") or {}
        if not {"embed_dim", "vision_cfg", "text_cfg"} <= set(model):
            raise KeyError("embed_dim, vision_cfg or text_cfg")
    except FileNotFoundError:
        raise WeightsError(
            f"no CLIP model in {folder}",
            why=f"there is no {CONFIG_FILE}",
            fix="`save models pull clip --dir FOLDER` makes such a folder; a single file is `clip:MODEL=FILE`",
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"cannot read {path}", why=f"bad or missing: {error}", fix="copy the folder again"
        ) from error
    return _checked_config(model, PixelFormat(), str(path), preprocess=preprocess)


def _checked_config(
    model: Mapping[str, Any], pixels: PixelFormat, where: str, *, preprocess: Mapping[str, Any] | None = None
) -> ClipConfig:
    """The config in canonical form: what an absent key means and what its default spells are one thing."""
    model = {key: value for key, value in model.items() if key != "quick_gelu" or value}
    asked = {key: value for key, value in (preprocess or {}).items() if value is not None}
    image_size = model["vision_cfg"].get("image_size", 224)
    if isinstance(image_size, (list, tuple)):
        image_size = image_size[0] if len(set(image_size)) == 1 else image_size
    pixels = replace(
        pixels,
        image_size=image_size,
        mean=tuple(asked.get("mean", pixels.mean)),
        std=tuple(asked.get("std", pixels.std)),
        interpolation=asked.get("interpolation", pixels.interpolation),
        resize_mode=asked.get("resize_mode", pixels.resize_mode),
    )
    if not isinstance(image_size, int) or pixels.resize_mode not in ("shortest", "squash"):
        raise UsageError(
            f"{where} wants pictures this program does not make",
            why=f"size {image_size}, resize mode {pixels.resize_mode}; allowed: square, `shortest` or `squash`",
            fix="choose another CLIP model",
        )
    if pixels.interpolation not in ("bicubic", "bilinear"):
        # open_clip's `random` is for training; it evaluates with bicubic, as all of its models' papers do.
        pixels = replace(pixels, interpolation="bicubic")
    return ClipConfig(model, pixels)
