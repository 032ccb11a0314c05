"""What keeps the house in order: who imports whom, what is declared, what is light, what is up to date."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import savecli

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "savecli"

# The table of docs: which room may import which, and which packages from outside besides numpy.
ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "core": (set(), set()),
    "media": ({"core"}, {"av"}),
    "transcript": ({"core", "media"}, {"faster_whisper", "pocketsphinx", "huggingface_hub", "ctranslate2", "tqdm"}),
    "features": ({"core"}, {"torch", "tokenizers"}),
    "model": (
        {"core"},
        {"torch", "open_clip", "transformers", "safetensors", "huggingface_hub", "tqdm", "onnxruntime"},
    ),
    "metrics": ({"core"}, set()),
    "datasets": ({"core"}, set()),
    "training": ({"core", "datasets", "transcript", "features", "model", "metrics"}, {"torch", "filelock", "ftfy"}),
    "archive": (
        {"core", "media", "transcript", "features", "model"},
        {"lancedb", "pyarrow", "filelock", "torch", "ftfy"},
    ),
    "search": ({"core", "archive"}, {"lancedb"}),
    "cli": (
        {"core", "media", "transcript", "features", "model", "metrics", "archive", "search", "datasets", "training"},
        {"click", "rich", "tqdm", "platformdirs", "av", "torch", "lancedb"},
    ),
}
# Where files become model inputs, a room reads more than its others may.
MORE_ROOMS = {"search/text_encoder.py": {"model"}, "features/inputs.py": {"media", "transcript"}}
# Name of the module where it differs from the name of the distribution.
MODULE_OF = {"open_clip_torch": "open_clip"}
# Declared without being imported by name: what other libraries load at run time.
LOADED_BY_OTHERS = {"onnxscript"}


def _imports(path: Path) -> Iterator[str]:
    """Every module a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module


def _files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_its_row_allows(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    if room not in ROOMS:
        return
    rooms, packages = ROOMS[room]
    rooms = rooms | MORE_ROOMS.get(path.relative_to(PACKAGE).as_posix(), set())
    for module in _imports(path):
        top, _, rest = module.partition(".")
        if top == "savecli":
            target = rest.partition(".")[0]
            assert target in rooms | {room, ""}, f"{room} may not import {target}"
        elif top not in sys.stdlib_module_names:
            assert top in packages | {"numpy"}, f"{room} may not import {top}"


def test_every_import_is_declared_and_every_declaration_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[<>=!~\[ ;]", text)[0] for text in project["dependencies"]}
    modules = {MODULE_OF.get(name, name.replace("-", "_")) for name in declared}
    used = {module.partition(".")[0] for path in _files() for module in _imports(path)}
    outside = {name for name in used if name not in sys.stdlib_module_names and name != "savecli"}
    assert outside - modules == set(), "imported but not declared"
    assert modules - outside - LOADED_BY_OTHERS == set(), "declared but not imported"


def test_help_is_light_and_says_how() -> None:
    script = (
        "import sys, time\n"
        "started = time.perf_counter()\n"
        "from savecli.cli.main import save\n"
        "save.main(['--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'lancedb', 'av', 'numpy', 'rich', 'open_clip', 'huggingface_hub'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Example: save index" in done.stdout


def test_every_command_has_an_example_and_every_option_a_help() -> None:
    from savecli.cli.main import save

    def check(command: click.Command, name: str) -> None:
        assert "save" in (command.epilog or ""), f"{name} has no example"
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.name} has no help"
        for child_name, child in getattr(command, "commands", {}).items():
            check(child, f"{name} {child_name}")

    check(save, "save")


def test_generated_files_are_fresh() -> None:
    spec = importlib.util.spec_from_file_location("make_cli_reference", ROOT / "docs/make_cli_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stale = [
        path.name for path, text in module.outputs().items() if not path.exists() or path.read_text("utf-8") != text
    ]
    assert stale == [], "run `python docs/make_cli_reference.py`"


def test_the_newest_changelog_heading_is_the_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0].strip("[]") == savecli.__version__


def test_rooms_do_not_print() -> None:
    for path in _files():
        if path.relative_to(PACKAGE).parts[0] == "cli":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_print = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            assert not is_print, f"{path} prints"
