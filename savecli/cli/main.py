"""The `save` command: gathers the subcommands, and is the only place that prints errors and exits."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from savecli import __version__
from savecli.cli.archive import archive
from savecli.cli.data import data
from savecli.cli.doctor import doctor
from savecli.cli.errors import error_text, our_own_fault
from savecli.cli.eval import evaluate
from savecli.cli.finetune import finetune
from savecli.cli.index import index
from savecli.cli.models import models
from savecli.cli.open import open_hit
from savecli.cli.query import query
from savecli.cli.remove import remove
from savecli.cli.shell import shell
from savecli.cli.startup import put_off_cloud_client
from savecli.cli.status import status
from savecli.cli.train import train
from savecli.cli.why import why
from savecli.core.errors import SaveError

# What a shell reports for a program ended by Ctrl-C and by a closed pipe.
_EXIT_INTERRUPTED = 130
_EXIT_CLOSED_PIPE = 141


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog='Example: save index ~/videos && save query "a dog on a beach"',
)
@click.version_option(__version__, prog_name="save")
def save() -> None:
    """Search your own videos by what is seen, heard and said. Nothing leaves this machine."""


for command in (
    index,
    query,
    shell,
    open_hit,
    why,
    status,
    remove,
    archive,
    data,
    train,
    finetune,
    evaluate,
    models,
    doctor,
):
    save.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    code = run(arguments)
    # Daemon threads may still be inside a decoder: leave without waiting for them.
    sys.stderr.flush()
    os._exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """The code of one command: 0 done, 1 failed, 2 wrong usage, 3 done but something was skipped."""
    _prepare_process()
    try:
        code = save.main(arguments, prog_name="save", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        code = _closed_pipe()
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nStopped.", err=True)
        code = _EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except SaveError as error:
        code = _told(error)
    except Exception as error:
        code = _told(our_own_fault(error))
    return code if isinstance(code, int) else 0


def _prepare_process() -> None:
    """Settings of libraries that only the environment takes, a light start, output that can print any file name."""
    for name, value in (
        ("LANCEDB_LOG", "error"),
        ("HF_HUB_DISABLE_TELEMETRY", "1"),
        ("TOKENIZERS_PARALLELISM", "false"),
        # numpy's products are small here: a second thread would spin on a core that LanceDB or a decoder has work for.
        ("OPENBLAS_NUM_THREADS", "1"),
    ):
        os.environ.setdefault(name, value)
    put_off_cloud_client()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def _told(error: SaveError) -> int:
    click.echo(error_text(error), err=True)
    return error.exit_code


def _closed_pipe() -> int:
    """The reader went away, as in `| head -1`: say nothing, also not while Python shuts down."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _EXIT_CLOSED_PIPE
