"""PocketSphinx on a spoken sample, and on sounds in which nobody speaks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from savecli.core.errors import SaveError
from savecli.media.probe import probe_video
from savecli.transcript import sphinx
from savecli.transcript.sphinx import SphinxSource
from tests.transcript import sounds


@pytest.fixture(scope="module")
def source():
    return SphinxSource(max_workers=2)


def test_words_of_real_speech_with_their_times(source):
    transcript = source.read(sounds.sound_info(sounds.SPOKEN))
    assert transcript.source == "sphinx:en-us"
    assert transcript.language == "en"
    first, second = transcript.utterances[0], transcript.utterances[-1]
    assert "muscles" in first.text
    assert "how much" in second.text
    words = {word.text: word for utterance in transcript.utterances for word in utterance.words}
    # The sample says "today" at 0.5 s, "muscles" at 2.3 s and "how" at 6.6 s.
    assert words["today"].start_s == pytest.approx(0.5, abs=0.3)
    assert words["muscles"].start_s == pytest.approx(2.3, abs=0.3)
    assert words["how"].start_s == pytest.approx(6.6, abs=0.3)
    assert not any("(" in word or "<" in word for word in words)


@pytest.mark.parametrize("make", [sounds.silence, sounds.white_noise, sounds.pink_noise, sounds.music])
def test_no_words_where_nobody_speaks(tmp_path, make):
    info = sounds.write_sound(tmp_path / "sound.flac", make(60))
    # No worker is ever started, as none is needed.
    source = SphinxSource(max_workers=1)
    transcript = source.read(info)
    assert transcript.utterances == ()
    assert transcript.language is None


def test_no_sound_is_no_transcript(video, source):
    assert source.read(probe_video(video(audio=None))) is None


def test_fillers_go_and_unsure_answers_with_them():
    answer = [(0, 0.1, "<s>", 1.0), (0.1, 0.5, "hello(2)", 0.6), (0.5, 0.6, "[NOISE]", 1.0), (0.6, 1, "world", 0.4)]
    words = sphinx._believed_words(answer, 10.0)
    assert [(word.text, word.start_s) for word in words] == [("hello", 10.1), ("world", 10.6)]
    assert sphinx._believed_words([(0, 1, "babble", 0.1), (1, 2, "on", 0.1)], 0.0) == []
    assert sphinx._believed_words([(0, 1, "<s>", 1.0)], 0.0) == []


def test_other_threads_run_while_it_decodes(source, tmp_path):
    """Inside this process PocketSphinx would hold Python's lock for seconds at a time."""
    info = sounds.write_sound(tmp_path / "talk.flac", sounds.sentence())
    reading = threading.Thread(target=source.read, args=(info,))
    reading.start()
    longest_s, last_s = 0.0, time.monotonic()
    while reading.is_alive():
        time.sleep(0.005)
        now_s = time.monotonic()
        longest_s, last_s = max(longest_s, now_s - last_s), now_s
    # Generous for busy machines; with the lock held it would be the whole recognition.
    assert longest_s < 0.5


def test_a_worker_that_dies_is_an_error_and_the_next_one_works(tmp_path):
    source = SphinxSource(max_workers=1)
    info = sounds.write_sound(tmp_path / "talk.flac", sounds.sentence())
    with source._worker() as worker:
        worker.ask(sounds.silence(0.2))
    worker = source._workers.get()
    source._workers.put(worker)
    os.kill(worker._process.pid, signal.SIGKILL)
    worker._process.wait()
    with pytest.raises(SaveError, match="PocketSphinx does not run"):
        source.read(info)
    assert source.read(info).utterances


def test_the_worker_ends_with_the_process_that_started_it():
    program = (
        "import os, signal\n"
        "from savecli.transcript.sphinx import _Worker\n"
        "import numpy as np\n"
        "worker = _Worker()\n"
        "worker.ask(np.zeros(1600, np.float32))\n"
        "print(worker._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == -signal.SIGKILL
    deadline_s = time.monotonic() + 10
    while _runs(int(done.stdout)) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not _runs(int(done.stdout))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # An orphan that ended stays as a zombie where nothing collects it.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")
