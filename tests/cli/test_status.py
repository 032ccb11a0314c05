"""`save status`: what the archive holds."""

from __future__ import annotations

import os
from pathlib import Path

from tests.cli.conftest import Library, Save


def test_status_tells_what_there_is(save: Save, library: Library) -> None:
    library.add("a.mp4", "zebra")
    library.add("b.mp4")
    gone = library.add("gone.mp4")
    (library.folder / "broken.mp4").write_bytes(b"no video")
    save.index(library.folder, code=3)
    gone.unlink()
    save.index(library.folder, code=3)
    lines = dict(line.split(maxsplit=1) for line in save("status").out.splitlines())
    assert lines["holds"] == "3 videos, 1 of them missing (save remove --missing) · 6 s · 3 clips"
    assert lines["speech"] == "2 none, 1 sidecar"
    assert lines["failed"] == "1 (save status --failed)"
    assert lines["folder"] == str(library.folder)


def test_a_folder_with_an_odd_name_is_not_offline_after_an_import(save: Save, library: Library, tmp_path: Path) -> None:
    library.add("a.mp4", "zebra")
    save.index(library.folder)
    save("archive", "export", tmp_path / "parquet")
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    library.folder.rename(odd)
    second = tmp_path / "second.save"
    save("archive", "import", tmp_path / "parquet", "--archive", second, "--root", f"{library.folder}={odd}")
    (root,) = save("status", "--archive", second, "--json").json["roots"]
    assert root == {"path": str(odd), "offline": False}
