"""The text side of an archive's encoder, kept in the archive so that a query needs no torch. Importing this is light.

A folder `text_FINGERPRINT` beside the tables holds an ONNX graph, its weights, the token embedding, and `text.json`,
which says how texts become token numbers and how far the vectors are from torch's. An encoder whose text side cannot
be put into such files has only the `text.json`, which says why; it is queried through torch.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from savecli.archive.disk import writing_errors
from savecli.archive.manifest import EncoderRecord
from savecli.core.errors import SaveError

if TYPE_CHECKING:
    import torch

    from savecli.features.tokens import ClipTokenizer
    from savecli.model.export import ExportedText
    from savecli.model.text_graph import Precision

log = logging.getLogger(__name__)

FILE_NAME = "text.json"
# Raise it when the files change, so that the next index run writes them anew.
FORMAT = 1
# Furthest that a vector of the files may be from torch's, as 1 - cosine.
MAX_COSINE_DISTANCE = 1e-4

# What tells one tokenizer from another, and one graph from another: cases, contractions, entities, broken and composed
# Unicode, scripts without spaces, more words than any context holds, and next to nothing. Spelled-out marks are left
# out: open_clip spells them in another way than OpenAI, and nobody looks for them.
PROBES = (
    "a dog catches a frisbee",
    "The GOALKEEPER's save, in 1998!",
    "they're (we'd) don't — it's 50% off: $3,000.00",
    "caf\u00e9 \u00c0 LA CR\u00c8ME \u00b7 na\u00efve \u00fcber stra\u00dfe",
    "\u00d0\u0161\u00d0\u00be\u00d1\u02c6\u00d0\u00ba\u00d0\u00b0 caf\u00c3\u00a9",
    "fish &amp; chips &lt;b&gt; &NTILDE;",
    "\u043a\u043e\u0448\u043a\u0430 \u043d\u0430 \u043a\u0440\u044b\u0448\u0435",
    "\u732b\u304c\u5c4b\u6839\u306e\u4e0a\u306b\u3044\u308b",
    "\u0e41\u0e21\u0e27 \u0642\u0637\u0629 \u05d7\u05ea\u05d5\u05dc \U0001f431\u200d\U0001f464\U0001f3fd",
    "tabs\tand\r\nlines \u2028 \x1b[31mred\x1b[0m",
    " ".join(["several extraordinarily incomprehensible words"] * 30),
    "123 4567 89th",
    "a",
    ".",
    " ",
    "",
)


class TextBranch(Protocol):
    """A text side in torch, fp32 on the CPU: `savecli.model.text.TextBranch`, and whatever is like it."""

    model: Any

    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        """`(N, L)` token numbers, L being the most that a text may have."""

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """`(N, D)` unit float32 of `(N, L)` token numbers."""


@dataclass(frozen=True, kw_only=True)
class TextFiles:
    """What `text.json` says.

    Args:
        fingerprint: of the encoder.
        obstacle: why there are no files; "" when there are.
        vocabulary_size, max_tokens, end_id: of the tokenizer; a text's tokens include both marks.
        cosine_distance: largest distance to torch's vectors, over `PROBES`, as run by onnxruntime.
        graph, token_embedding: names of files in the folder.
        size_bytes: of every file by its name, which tells a torn one.
    """

    fingerprint: str
    format: int = FORMAT
    obstacle: str = ""
    vocabulary_size: int = 0
    max_tokens: int = 0
    end_id: int = 0
    cosine_distance: float = 0.0
    graph: str = ""
    token_embedding: str = ""
    size_bytes: dict[str, int] = field(default_factory=dict)


def text_folder(archive_folder: Path, record: EncoderRecord) -> Path:
    """Where the text side of an encoder lies in an archive."""
    return archive_folder / f"text_{record.fingerprint[:12]}"


def read_text_files(archive_folder: Path, record: EncoderRecord) -> TextFiles | None:
    """What is kept of an encoder's text side, which may be only the reason why it cannot be; None when it is missing.

    Files of another version of save or of another encoder, and files that a power cut left torn, count as missing:
    torch answers then, and the next index run writes them anew.
    """
    folder = text_folder(archive_folder, record)
    try:
        files = TextFiles(**json.loads((folder / FILE_NAME).read_text(encoding="utf-8")))
        sizes = {name: (folder / name).stat().st_size for name in files.size_bytes}
    except (OSError, ValueError, TypeError):
        return None
    is_whole = files.format == FORMAT and files.fingerprint == record.fingerprint and sizes == files.size_bytes
    return files if is_whole else None


def build_tokenizer(vocabulary_size: int) -> ClipTokenizer:
    """CLIP's tokenizer for queries."""
    from savecli.features.tokens import ClipTokenizer, clip_merges

    return ClipTokenizer(clip_merges(), repair=repaired, vocabulary_size=vocabulary_size)


def repaired(text: str) -> str:
    """The text as `ftfy.fix_text` mends it.

    Plain ASCII without control characters or entities has nothing to mend, and need not load ftfy.
    """
    if text.isascii() and text.isprintable() and "&" not in text:
        return text
    import ftfy

    return ftfy.fix_text(text)


def keep_text_side(archive_folder: Path, record: EncoderRecord, load: Callable[[], TextBranch]) -> None:
    """Write the text side of an encoder into the archive, unless it is there. Needs the write lock.

    It appears whole or not at all. What cannot be exported leaves the reason, and is not tried again.

    Args:
        load: called only when there is something to write.

    Raises:
        SaveError: the disk is full or cannot be written, or the weights cannot be had.
    """
    if record.dimension == 0 or read_text_files(archive_folder, record) is not None:
        return
    branch = load()
    with writing_errors(archive_folder):
        for left in archive_folder.glob("text_*.tmp"):  # of a run that was killed
            shutil.rmtree(left)
        place = text_folder(archive_folder, record)
        draft = place.with_name(f"{place.name}.tmp")
        draft.mkdir()
        try:
            files = _exported(branch, draft, record)
        except (SaveError, RuntimeError, AttributeError, ImportError) as error:
            # The exporter's own errors, and towers that have no such parts: torch runs what onnxruntime cannot.
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            log.info("queries of this archive go through torch: %s", why)
            shutil.rmtree(draft)
            draft.mkdir()
            files = TextFiles(fingerprint=record.fingerprint, obstacle=why)
        (draft / FILE_NAME).write_text(json.dumps(asdict(files), indent=2) + "\n", encoding="utf-8")
        if place.exists():
            shutil.rmtree(place)
        draft.replace(place)


def _exported(branch: TextBranch, folder: Path, record: EncoderRecord) -> TextFiles:
    """The files written and run.

    The graph is float32: onnxruntime widens fewer bits when it opens a file, which takes longer than mapping all of
    them (ViT-B/32: 0.02 s against 0.3 s). Rows of the token embedding are widened one by one and lie as float16 where
    the vectors stay within the bound.

    Raises:
        SaveError: the tokenizer is another one than CLIP's, or the vectors are too far from torch's.
    """
    tokenizer = _checked_tokenizer(branch)
    tables: tuple[Precision, ...] = ("fp16", "fp32")
    for precision in tables:
        try:
            written, distance = _written(branch, folder, tokenizer, precision)
            break
        except SaveError:
            if precision == tables[-1]:
                raise
            for path in folder.iterdir():
                path.unlink()
    assert written.token_embedding is not None
    return TextFiles(
        fingerprint=record.fingerprint,
        vocabulary_size=tokenizer.vocabulary_size,
        max_tokens=branch.tokens([""]).shape[1],
        end_id=tokenizer.end_id,
        cosine_distance=distance,
        graph=written.graph.name,
        token_embedding=written.token_embedding.name,
        size_bytes={path.name: path.stat().st_size for path in sorted(folder.iterdir())},
    )


def _written(
    branch: TextBranch, folder: Path, tokenizer: ClipTokenizer, precision: Precision
) -> tuple[ExportedText, float]:
    """The files with a token embedding of `precision`, and how far their vectors are from torch's."""
    from savecli.model.export import export_text

    exported = export_text(branch, folder, embedding="outside", weights="outside", table_precision=precision)
    distance = _cosine_distance(branch, tokenizer, exported)
    if not distance <= MAX_COSINE_DISTANCE:
        raise SaveError(
            "the exported text side differs from the model",
            why=f"1 - cosine is {distance:.2g}; allowed: {MAX_COSINE_DISTANCE:g}",
            fix="query through torch",
        )
    return exported, distance


def _checked_tokenizer(branch: TextBranch) -> ClipTokenizer:
    """CLIP's tokenizer of the branch's vocabulary, which gives the branch's own numbers for every probe."""
    from savecli.features.tokens import VOCABULARY_SIZE

    size = int(branch.model.token_embedding.weight.shape[0])
    obstacle = SaveError(
        "the text side has a tokenizer of its own", why="its token numbers are not CLIP's", fix="query through torch"
    )
    if size > VOCABULARY_SIZE:
        raise obstacle
    tokenizer = build_tokenizer(size)
    own = branch.tokens(PROBES).tolist()
    for text, row in zip(PROBES, own, strict=True):
        ids = tokenizer.ids(text, max_tokens=len(row))
        if ids != row[: len(ids)] or any(row[len(ids) :]):
            raise obstacle
    return tokenizer


def _cosine_distance(branch: TextBranch, tokenizer: ClipTokenizer, exported: ExportedText) -> float:
    """Largest distance of the files' vectors of the probes, run as a query runs them, to torch's."""
    import torch

    from savecli.model.exported_text import ExportedTower

    with torch.inference_mode():
        tokens = branch.tokens(PROBES)
        expected = branch(tokens).numpy()
    ids = [tokenizer.ids(text, max_tokens=tokens.shape[1]) for text in PROBES]
    assert exported.token_embedding is not None
    vectors = ExportedTower(exported.graph, exported.token_embedding).encode(ids)
    return float((1 - (vectors * expected).sum(axis=1)).max())


def drop_text_sides_of_others(archive_folder: Path, record: EncoderRecord) -> None:
    """Delete the text sides of every encoder but this one."""
    for path in archive_folder.glob("text_*"):
        if path != text_folder(archive_folder, record):
            shutil.rmtree(path)
