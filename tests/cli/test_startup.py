"""What a command does without when it starts."""

from __future__ import annotations

import subprocess
import sys

from savecli.cli.startup import CLOUD_CLIENT


def told_by(code: str) -> str:
    """What this code prints in a process of its own."""
    begin = f"import sys; from savecli.cli.startup import put_off_cloud_client; client = {CLOUD_CLIENT!r}\n"
    done = subprocess.run([sys.executable, "-c", begin + code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_database_does_without_its_cloud_client_until_it_is_asked_for() -> None:
    told = told_by(
        "put_off_cloud_client()\n"
        "import lancedb\n"
        "print(f'{client}.api' in sys.modules)\n"
        "module = sys.modules[client]\n"
        "print(hasattr(module, 'no_such_name'), module.ApiClient.__name__, module.__version__ != '')\n"
        "print(f'{client}.api' in sys.modules)\n"
    )
    assert told.split() == ["False", "False", "ApiClient", "True", "True"]


def test_a_client_that_is_imported_already_stays() -> None:
    told = told_by(
        "import lancedb\nkept = sys.modules[client]\nput_off_cloud_client()\nprint(sys.modules[client] is kept)\n"
    )
    assert told == "True"
