"""Teachers: what a clip's sight and sound should be alike to, two vectors per clip in one space.

The alignment loss (`losses.alignment_loss`) learns from how alike a teacher finds the sights and sounds of a batch.
Here are the contract and the teacher that reads vectors from files; `teacher_models.py` has those that compute them.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import torch

from savecli.core.errors import WeightsError
from savecli.model.records import TeacherVectors, VideoEncoding


class MissingVectorError(WeightsError):
    """A teacher that reads vectors from files has none of a clip; what it has may be whole."""


class TeacherClip(NamedTuple):
    """A clip as a teacher gets it.

    Args:
        clip_id: its name in the data set.
        frames: `(F, 3, H, W)` uint8 RGB, evenly spread over the clip; None for teachers that read files.
        waveform: `(samples,)` float in [-1, 1], mono at the teacher's `rate_hz`, of the whole clip; None without sound.
    """

    clip_id: str
    frames: torch.Tensor | None = None
    waveform: torch.Tensor | None = None


class Taught(NamedTuple):
    """What a teacher says of a batch.

    Args:
        vectors: `(B, T)` float32 on the CPU, not normalised. Rows of clips without sound are zeros in `audio`, and
            mean nothing: a NaN there would reach the gradients of the others.
        has_audio: `(B,)` bool, True = the teacher knows this clip's sound.
    """

    vectors: TeacherVectors
    has_audio: torch.Tensor


class Teacher(Protocol):
    """Gives two vectors per clip in one space.

    `rate_hz` is the sample rate of the waveforms it listens to; None: it needs neither frames nor waveforms.
    """

    @property
    def rate_hz(self) -> int | None: ...

    def encode(self, clips: Sequence[TeacherClip]) -> Taught:
        """Vectors of the clips, in their order; a clip's vectors do not depend on the others in the batch."""
        ...


class FileTeacher:
    """A teacher whose vectors were computed before.

    Args:
        video, audio: a folder with one tensor `(T,)` per clip in `<clip_id>.pt`, as the authors of SAVE keep what
            ImageBind makes of a clip (T = 1024; the video's is the mean over 32 frames), or one `.safetensors` file
            with a tensor `(T,)` under each clip's id. Nothing in them is run.

    Raises:
        WeightsError: one of the two is missing, empty or damaged.
    """

    rate_hz: int | None = None

    def __init__(self, video: Path, audio: Path) -> None:
        self._video = _store(video)
        self._audio = _store(audio)
        self._width: int | None = None

    def knows(self, clip_id: str) -> bool:
        """Whether there is a vector of the clip's sight; reads none."""
        return self._video.holds(clip_id)

    def encode(self, clips: Sequence[TeacherClip]) -> Taught:
        """The stored vectors. A clip without a file for its sound is masked; one without a file for its sight fails.

        Raises:
            MissingVectorError: a sight is missing.
            WeightsError: a file is damaged, holds something else than one finite vector, or one of another width than
                the others.
        """
        videos = []
        for clip in clips:
            video = self._vector(self._video, clip.clip_id)
            if video is None:
                raise MissingVectorError(
                    f"the teacher has no video vector of clip {clip.clip_id}",
                    why=f"{self._video.place(clip.clip_id)} is not there",
                    fix="compute the missing vector, or train without this clip",
                )
            videos.append(video)
        return stack(
            [(video, self._vector(self._audio, clip.clip_id)) for video, clip in zip(videos, clips, strict=True)]
        )

    def _vector(self, store: _Folder | _Table, clip_id: str) -> torch.Tensor | None:
        found = store.read(clip_id)
        if found is None:
            return None
        place = store.place(clip_id)
        if not isinstance(found, torch.Tensor) or found.ndim != 1 or not len(found):
            seen = f"shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else f"a {type(found).__name__}"
            raise _unusable(place, f"it holds {seen}; allowed: one vector of shape (T,), 1024 for ImageBind")
        vector = found.detach().float()
        if not bool(vector.isfinite().all()):
            raise _unusable(place, "it holds NaN or infinite numbers")
        self._width = self._width or len(vector)
        if len(vector) != self._width:
            raise _unusable(place, f"it is {len(vector)} wide, the vectors before it {self._width}")
        return vector


def knows(teacher: Teacher, clip_id: str) -> bool:
    """Whether a teacher has vectors of a clip; those that compute them know any clip that can be read."""
    return not isinstance(teacher, FileTeacher) or teacher.knows(clip_id)


def file_teacher(folder: Path) -> FileTeacher:
    """The teacher in a folder: `video` and `audio` in it, each a folder of `.pt` or a `.safetensors` file.

    Raises:
        WeightsError: as `FileTeacher`.
    """
    places = {
        name: next((at for at in (folder / f"{name}.safetensors", folder / name) if at.exists()), folder / name)
        for name in ("video", "audio")
    }
    return FileTeacher(places["video"], places["audio"])


def write_teacher(folder: Path, clip_ids: Sequence[str], taught: Taught) -> None:
    """Write vectors into `folder` as `file_teacher` reads them: `video.safetensors` and `audio.safetensors`.

    Each file takes its place when it is whole, sounds first; clips whose sound the teacher does not know are left out
    of them.

    Args:
        clip_ids: the B clips of `taught`, all different.

    Raises:
        ValueError: the number of ids is not the number of vectors, or an id comes twice.
    """
    from safetensors.torch import save_file

    if len(clip_ids) != len(taught.has_audio) or len(set(clip_ids)) != len(clip_ids):
        raise ValueError(f"{len(clip_ids)} ids ({len(set(clip_ids))} different) for {len(taught.has_audio)} clips")
    folder.mkdir(parents=True, exist_ok=True)
    known = taught.has_audio.tolist()
    audio = {key: row.clone() for key, row, has in zip(clip_ids, taught.vectors.audio, known, strict=True) if has}
    video = {key: row.clone() for key, row in zip(clip_ids, taught.vectors.video, strict=True)}
    for name, tensors in (("audio", audio), ("video", video)):
        part = folder / f".{name}.safetensors.part"
        save_file(tensors, part)
        part.replace(folder / f"{name}.safetensors")


def aligned_where_taught(encoding: VideoEncoding, taught: Taught) -> VideoEncoding:
    """The encoding, whose alignment leaves out clips of which the teacher does not know the sound."""
    if encoding.alignment is None:
        return encoding
    has_audio = encoding.alignment.has_audio
    both = has_audio & taught.has_audio.to(has_audio.device)
    return encoding._replace(alignment=encoding.alignment._replace(has_audio=both))


def stack(vectors: Sequence[tuple[torch.Tensor, torch.Tensor | None]]) -> Taught:
    """A batch from each clip's sight `(T,)` and sound `(T,)`, or None for the sound it does not have."""
    if not vectors:
        raise ValueError("no clips to encode")
    video = torch.stack([sight for sight, _ in vectors])
    audio = torch.stack([torch.zeros_like(sight) if sound is None else sound for sight, sound in vectors])
    return Taught(TeacherVectors(audio=audio, video=video), torch.tensor([sound is not None for _, sound in vectors]))


class _Folder:
    """One `.pt` per clip, read when asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place(self, clip_id: str) -> str:
        return str(self._folder / f"{clip_id}.pt")  # ids hold dots: no `with_suffix`

    def holds(self, clip_id: str) -> bool:
        return Path(self.place(clip_id)).exists()

    def read(self, clip_id: str) -> object:
        path = Path(self.place(clip_id))
        if not path.exists():
            return None
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise _unusable(path, "the file asks to run code or is damaged; only plain tensors are read") from error
        except (OSError, EOFError, RuntimeError) as error:
            raise _unusable(path, (str(error) or type(error).__name__).splitlines()[0]) from error


class _Table:
    """All clips in one file."""

    def __init__(self, path: Path, vectors: Mapping[str, torch.Tensor]) -> None:
        self._path = path
        self._vectors = vectors

    def place(self, clip_id: str) -> str:
        return f"{clip_id} in {self._path}"

    def holds(self, clip_id: str) -> bool:
        return clip_id in self._vectors

    def read(self, clip_id: str) -> object:
        return self._vectors.get(clip_id)


def _store(path: Path) -> _Folder | _Table:
    if path.suffix == ".safetensors" and path.is_file():
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return _Table(path, load_file(path))
        except (OSError, SafetensorError) as error:
            raise _unusable(path, str(error).splitlines()[0]) from error
    if path.is_dir() and next(path.glob("*.pt"), None):
        return _Folder(path)
    why = "there is no `.pt` file in it" if path.is_dir() else "nothing is there, or it is neither of the two forms"
    raise WeightsError(
        f"no teacher vectors at {path}", why=why, fix="name a folder of `<clip id>.pt`, or a `.safetensors` file"
    )


def _unusable(place: str | Path, why: str) -> WeightsError:
    return WeightsError(f"cannot use the teacher's vector {place}", why=why, fix="compute or fetch it again")
