"""PocketSphinx in a process of its own.

PocketSphinx holds Python's lock for as long as it decodes, a third of the sound's length, and would stop decoding of
pictures and the progress display with it. This process reads pieces of sound from its standard input and answers each
with one line. It ends when its input does, so it never outlives the process that started it, however that ends.
"""

from __future__ import annotations

import json
import signal
import struct
import sys
from typing import Any, BinaryIO

LENGTH = struct.Struct("<I")
RATE_HZ = 16000
_FRAMES_PER_S = 100


def main() -> None:
    """Answers pieces (length in bytes, then 16-bit samples) with `[[start_s, end_s, word, posterior], …]`."""
    # Ctrl-C reaches the whole group of processes; the parent decides when this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=RATE_HZ, loglevel="FATAL")
    while (samples := _piece(sys.stdin.buffer)) is not None:
        answer = json.dumps(_decoded(decoder, samples), ensure_ascii=True)
        sys.stdout.buffer.write(answer.encode() + b"\n")
        sys.stdout.buffer.flush()


def _piece(stream: BinaryIO) -> bytes | None:
    header = stream.read(LENGTH.size)
    return stream.read(*LENGTH.unpack(header)) if len(header) == LENGTH.size else None


def _decoded(decoder: Any, samples: bytes) -> list[tuple[float, float, str, float]]:
    """Words with times from the piece's start; the whole piece at once, so that it is normalised by its own level."""
    decoder.start_utt()
    decoder.process_raw(samples, False, True)
    decoder.end_utt()
    if decoder.hyp() is None:
        return []
    return [
        (segment.start_frame / _FRAMES_PER_S, (segment.end_frame + 1) / _FRAMES_PER_S, segment.word, segment.prob)
        for segment in decoder.seg()
    ]


if __name__ == "__main__":
    main()
