"""An archive that stays open for many queries and follows what other processes do to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from savecli.archive.manifest import FILE_NAME
from savecli.archive.store import Archive, open_archive
from savecli.search.query import EncodeText, Request, needs_text_encoder, search_videos
from savecli.search.results import Answer


class Session:
    """Answers requests with the archive and its text side as they are now.

    Videos that another process commits are found by the next query. An archive that was given another encoder, or made
    anew, is opened again; its text side is loaded again only where the encoder is another one.

    Args:
        folder: of the archive.
        load_text_side: of an archive with vectors; slow, so it is called as rarely as can be.

    Raises:
        SaveError: as `open_archive`.
    """

    def __init__(self, folder: Path, load_text_side: Callable[[Archive], EncodeText]) -> None:
        self.folder = folder
        self._load = load_text_side
        self._version = _version(folder)
        self.archive = open_archive(folder)
        self._encode_text: EncodeText | None = None

    def search(self, request: Request) -> Answer:
        """As `search_videos`."""
        self.follow()
        try:
            answer = self._answer(request)
            if not self.follow():
                return answer
        except Exception:
            if not self.follow():
                raise
        # Its tables were replaced while the text side was loaded, or while they were searched.
        return self._answer(request)

    def explain(self, request: Request, answer: Answer) -> Answer:
        """As `explain_answer`, of an answer of this session."""
        from savecli.search.explain import explain_answer  # few queries ask for it

        return explain_answer(self.archive, request, answer, self.text_side(request))

    def text_side(self, request: Request) -> EncodeText | None:
        """What turns texts into the archive's vectors; None where the request does without."""
        if not needs_text_encoder(self.archive, request):
            return None
        if self._encode_text is None:
            self._encode_text = self._load(self.archive)
        return self._encode_text

    def _answer(self, request: Request) -> Answer:
        return search_videos(self.archive, request, encode_text=self.text_side(request))

    def follow(self) -> bool:
        """Open the archive again if it is not what it was; whether that was so."""
        version = _version(self.folder)
        if version == self._version:
            return False
        before = self.archive.manifest.encoder
        self.archive, self._version = open_archive(self.folder), version
        if self.archive.manifest.encoder != before:
            self._encode_text = None
        return True


def _version(folder: Path) -> tuple[int, int] | None:
    """Changes with every new manifest, also one that says the same of an archive made anew."""
    try:
        found = (folder / FILE_NAME).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
