"""`archive.json`: the schema version, the encoder, the language and the roots of an archive."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from savecli.archive.schema import MIGRATIONS, SCHEMA_VERSION
from savecli.core.errors import SaveError

FILE_NAME = "archive.json"

Sense = Literal["seen", "heard", "said"]


@dataclass(frozen=True, kw_only=True)
class ScoringRecord:
    """What a model's own similarity takes besides the vectors; see `savecli.search.exact`.

    Args:
        kind: by the pooled embedding alone, or by its mean with the per-frame log-sum-exp.
        temperature: the paper's tau.
        logit_scale: by how much similarities are multiplied.
    """

    kind: Literal["pooled", "joint"]
    temperature: float
    logit_scale: float


@dataclass(frozen=True, kw_only=True)
class EncoderRecord:
    """Which encoder made the vectors of an archive, and how to open it again.

    Args:
        name: the spelling that `--encoder` takes.
        label: how it is shown.
        fingerprint: equal fingerprints give equal vectors.
        dimension: width of the vectors; 0 for none.
        senses: what of a clip is in its vectors, if there are any.
        scoring: how exactly a query is compared with candidates; None is by the cosine of the pooled vector.
    """

    name: str
    label: str
    fingerprint: str
    dimension: int
    senses: tuple[Sense, ...] = ("seen",)
    scoring: ScoringRecord | None = None

    @property
    def is_fused(self) -> bool:
        """Whether a match of the vectors may come from more than what is seen."""
        return len(self.senses) > 1


@dataclass(frozen=True, kw_only=True)
class Root:
    """A folder or file that was given to `save index`."""

    path: str
    is_offline: bool = False


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an archive knows of itself.

    Args:
        encoder: whose vectors are searched; None until the first index run chose one.
        next_encoder: whose vectors an unfinished re-encoding is filling in.
        language: of the full-text index, as LanceDB names it.
    """

    schema_version: int = SCHEMA_VERSION
    encoder: EncoderRecord | None = None
    next_encoder: EncoderRecord | None = None
    language: str = "English"
    roots: tuple[Root, ...] = ()

    def with_root(self, path: Path, *, is_offline: bool) -> Manifest:
        """This manifest with `path` listed once, in the given state."""
        others = [root for root in self.roots if root.path != str(path)]
        roots = sorted([*others, Root(path=str(path), is_offline=is_offline)], key=lambda root: root.path)
        return replace(self, roots=tuple(roots))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the archive in `folder`, migrated to the present schema.

    Raises:
        SaveError: the file is damaged, or a newer version of save wrote it.
    """
    path = folder / FILE_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        manifest = Manifest(
            schema_version=data["schema_version"],
            encoder=_encoder_record(data["encoder"]),
            next_encoder=_encoder_record(data["next_encoder"]),
            language=data["language"],
            roots=tuple(Root(**root) for root in data["roots"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SaveError(
            f"{path} cannot be read",
            why=str(error),
            fix="put the file back from a backup, or index again into a new folder with `--archive`",
        ) from error
    return _migrated(folder, manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace `archive.json` in one step, so that a kill leaves the old or the new one."""
    text = json.dumps(asdict(manifest), indent=2, ensure_ascii=True) + "\n"
    path = folder / f"{FILE_NAME}.{os.getpid()}.tmp"
    with path.open("w", encoding="utf-8") as draft:
        draft.write(text)
        draft.flush()
        os.fsync(draft.fileno())
    path.replace(folder / FILE_NAME)


def _encoder_record(data: dict[str, Any] | None) -> EncoderRecord | None:
    """The record; a file of schema 1 knows neither senses nor scoring, and has what stands for them by default."""
    if not data:
        return None
    held = dict(data)
    scoring = held.pop("scoring", None)
    if "senses" in held:
        held["senses"] = tuple(held["senses"])
    return EncoderRecord(**held, scoring=ScoringRecord(**scoring) if scoring else None)


def _migrated(folder: Path, manifest: Manifest) -> Manifest:
    if manifest.schema_version > SCHEMA_VERSION:
        raise SaveError(
            f"{folder} was written by a newer version of save",
            why=f"its schema is {manifest.schema_version}; this version reads up to {SCHEMA_VERSION}",
            fix="upgrade: `pip install --upgrade savecli`",
        )
    while manifest.schema_version < SCHEMA_VERSION:
        migrate = MIGRATIONS[manifest.schema_version - 1]
        manifest = replace(manifest, schema_version=manifest.schema_version + 1)
        if migrate is not None:
            migrate(folder)
            write_manifest(folder, manifest)
    return manifest
