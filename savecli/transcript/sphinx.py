"""Speech recognition by PocketSphinx, whose English model comes with its package.

It makes many errors (on clear read speech about every third word), so it is the last resort where Whisper's weights
cannot be had. Its posteriors say little about noise, which is why only stretches in which the voice detector hears
somebody are given to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from queue import LifoQueue

import numpy as np

from savecli.core.errors import SaveError
from savecli.core.records import Transcript, Utterance, VideoInfo, Word
from savecli.media.audio import read_audio
from savecli.transcript.base import clean_utterances
from savecli.transcript.grouping import group_words
from savecli.transcript.sphinx_worker import LENGTH, RATE_HZ
from savecli.transcript.voice import Waveform, speech_windows

# The decoder searches from start to end before it answers, in time and memory that grow with the length.
_MAX_STRETCH_S = 15.0
_MIN_SILENCE_S = 0.3
# Mean posterior over the words. Clear speech lies at 0.3 to 0.9, and foreign speech no lower than 0.25, so only
# the worst can be told apart.
_MIN_POSTERIOR = 0.15
_FILLER = re.compile(r"^(<.*>|\[.*\]|\+\+.*\+\+)$")
_VARIANT = re.compile(r"\(\d+\)$")


Answer = list[tuple[float, float, str, float]]


class SphinxSource:
    """Recognises English speech; safe to use from several threads, each of which gets a process of its own."""

    name = "sphinx"

    def __init__(self, *, max_workers: int) -> None:
        # A place in the queue is a worker that runs, or None for one that may be started.
        self._workers: LifoQueue[_Worker | None] = LifoQueue()
        for _ in range(max(1, max_workers)):
            self._workers.put(None)

    def read(self, info: VideoInfo) -> Transcript | None:
        """What is said, as far as PocketSphinx understands it; None without sound.

        Raises:
            MediaError: the sound cannot be read.
            SaveError: PocketSphinx does not run.
        """
        if info.audio is None:
            return None
        sound = read_audio(info.path, rate_hz=RATE_HZ)
        utterances: list[Utterance] = []
        for window in speech_windows(sound, max_stretch_s=_MAX_STRETCH_S, min_silence_s=_MIN_SILENCE_S):
            for stretch in window.stretches:
                with self._worker() as worker:
                    answer = worker.ask(window.waveform[stretch.start : stretch.end])
                utterances += group_words(_believed_words(answer, window.start_s + stretch.start / RATE_HZ))
        return Transcript(clean_utterances(utterances), "sphinx:en-us", "en" if utterances else None)

    @contextlib.contextmanager
    def _worker(self) -> Iterator[_Worker]:
        worker = self._workers.get() or _Worker()
        try:
            yield worker
        except BaseException:
            # Half an answer may still be in the pipe.
            worker.stop()
            self._workers.put(None)
            raise
        self._workers.put(worker)


class _Worker:
    """A running `sphinx_worker`; stops with this object, and with this process."""

    def __init__(self) -> None:
        package_root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(part for part in (package_root, os.environ.get("PYTHONPATH", "")) if part)
        process = subprocess.Popen(
            [sys.executable, "-m", "savecli.transcript.sphinx_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._process = process
        self.stop = weakref.finalize(self, _end, process)

    def ask(self, waveform: Waveform) -> Answer:
        """The words in a piece of speech, with times from its start and their posteriors."""
        samples = (np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes()
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        try:
            pipe_in.write(LENGTH.pack(len(samples)) + samples)
            pipe_in.flush()
            answer: Answer = json.loads(pipe_out.readline())
        except (OSError, ValueError) as error:
            raise SaveError(
                "PocketSphinx does not run",
                why=f"its process ended with code {self._process.poll()}",
                fix="reinstall it with `pip install --force-reinstall pocketsphinx`, or use `--speech none`",
            ) from error
        return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _believed_words(answer: Answer, offset_s: float) -> list[Word]:
    """The answer's words with times in the video; none when PocketSphinx is unsure of them all together."""
    rows = [row for row in answer if not _FILLER.match(row[2])]
    if not rows or np.mean([posterior for *_, posterior in rows]) < _MIN_POSTERIOR:
        return []
    return [Word(offset_s + start_s, offset_s + end_s, _VARIANT.sub("", word)) for start_s, end_s, word, _ in rows]
