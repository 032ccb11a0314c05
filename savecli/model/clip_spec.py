"""How a CLIP model is named, and the pairs worth naming. Loads no library.

Spellings:
    clip                           the default pair
    clip:MODEL                     MODEL with OpenAI's weights
    clip:MODEL/PRETRAINED          any model and pretrained tag open_clip knows
    clip:MODEL=FILE                architecture MODEL, weights from a local file
    clip:MODEL/PRETRAINED=FILE     the same, with that tag's activation and preprocessing
    clip:FOLDER                    a folder with open_clip_config.json and weights; begins with `/`, `./`, `../` or `~`
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from savecli.core.errors import UsageError

SPELLINGS = "`clip`, `clip:MODEL/PRETRAINED`, `clip:MODEL=FILE`, `clip:MODEL/PRETRAINED=FILE`, `clip:FOLDER`"


@dataclass(frozen=True)
class ClipSpec:
    """Which CLIP an encoder name asks for.

    Args:
        architecture: open_clip's name of the model, or "" when the folder at `path` says it.
        pretrained: open_clip's tag of the weights, or "".
        path: local weights file, or a folder with its own config; None means the hub.
    """

    architecture: str
    pretrained: str = ""
    path: Path | None = None

    @property
    def name(self) -> str:
        """The spelling that means exactly this, with an absolute path."""
        pair = "/".join(part for part in (self.architecture, self.pretrained) if part)
        if self.path is None:
            return f"clip:{pair}"
        return f"clip:{pair}={self.path}" if pair else f"clip:{self.path}"

    @property
    def label(self) -> str:
        """For people: `clip ViT-B-32 (openai)`."""
        if self.path is None:
            return f"clip {self.architecture} ({self.pretrained})"
        return f"clip {self.architecture} ({self.path.name})" if self.architecture else f"clip {self.path.name}"


@dataclass(frozen=True)
class KnownClip:
    """A pair whose weights can be looked up without loading open_clip.

    Args:
        repo: the hub repository; its weights file is `open_clip_model.safetensors`.
        size_bytes: four bytes per parameter, which is what the download comes to.
        quick_gelu: trained with the sigmoid approximation of GELU.
    """

    architecture: str
    pretrained: str
    repo: str
    size_bytes: int
    purpose: str
    quick_gelu: bool = False


# Repositories and activations as in open_clip's registry; a test compares them.
KNOWN_CLIPS = (
    KnownClip(
        "ViT-B-32",
        "openai",
        "timm/vit_base_patch32_clip_224.openai",
        605_000_000,
        "pictures: fastest",
        quick_gelu=True,
    ),
    KnownClip(
        "ViT-B-16",
        "openai",
        "timm/vit_base_patch16_clip_224.openai",
        598_000_000,
        "pictures: finer detail, 4 times slower",
        quick_gelu=True,
    ),
    KnownClip(
        "ViT-L-14",
        "openai",
        "timm/vit_large_patch14_clip_224.openai",
        1_710_000_000,
        "pictures: better, for a GPU",
        quick_gelu=True,
    ),
    KnownClip(
        "ViT-B-32",
        "laion2b_s34b_b79k",
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        605_000_000,
        "pictures: fastest, trained on open data",
    ),
    KnownClip(
        "ViT-B-16",
        "datacomp_xl_s13b_b90k",
        "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K",
        598_000_000,
        "pictures: better, 4 times slower",
    ),
    KnownClip(
        "ViT-L-14",
        "datacomp_xl_s13b_b90k",
        "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K",
        1_710_000_000,
        "pictures: best, for a GPU",
    ),
)

DEFAULT_CLIP = ClipSpec(KNOWN_CLIPS[0].architecture, KNOWN_CLIPS[0].pretrained)


def known_clip(spec: ClipSpec) -> KnownClip | None:
    """The table's row for a pair, or None."""
    for known in KNOWN_CLIPS:
        if (known.architecture, known.pretrained) == (spec.architecture, spec.pretrained):
            return known
    return None


def parse_clip_spec(text: str) -> ClipSpec:
    """What `text` (`clip` or `clip:…`, see the top of this file) asks for; looks at no disk.

    Raises:
        UsageError: a spelling that means nothing.
    """
    kind, _, rest = text.partition(":")
    if kind != "clip" or (":" in text and not rest):
        raise UsageError(f"unknown CLIP model `{text}`", why="it must start with `clip`", fix=f"write {SPELLINGS}")
    if not rest:
        return DEFAULT_CLIP
    if _is_path(rest):
        return ClipSpec("", path=_absolute(rest))
    pair, equals, file = rest.partition("=")
    architecture, _, pretrained = pair.partition("/")
    if not architecture or (equals and not file) or "/" in pretrained:
        raise UsageError(
            f"cannot read the CLIP model `{text}`", why="a part is empty or extra", fix=f"write {SPELLINGS}"
        )
    if equals:
        return ClipSpec(architecture, pretrained, _absolute(file))
    return ClipSpec(architecture, pretrained or "openai")


def _is_path(text: str) -> bool:
    """Whether the text is spelled as a path; never by what happens to lie in the working directory."""
    return text.startswith(("/", "~", "./", "../", ".\\", "..\\")) or text in (".", "..") or text[1:3] in (":\\", ":/")


def _absolute(text: str) -> Path:
    return Path(text).expanduser().absolute()
