"""The command line: one thin command a stage. Parse, call, print; errors become sentences here."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from edgecnn import __version__
from edgecnn.cli import (
    bench,
    bundle,
    compare,
    completion,
    cpu,
    doctor,
    export,
    features,
    fit,
    import_model,
    inspect,
    parity,
    predict,
    report,
    run,
    train,
    verify,
)
from edgecnn.cli.options import Resumable
from edgecnn.cli.program import as_called
from edgecnn.console import log
from edgecnn.environment import missing_package
from edgecnn.errors import EXIT_INTERRUPTED, EXIT_PIPE_CLOSED, EdgecnnError, from_os_error

if TYPE_CHECKING:
    from collections.abc import Sequence

EPILOG = (
    "Exit codes: 0 done; 1 a gate failed; 2 wrong usage; 3 this machine cannot (missing package, lock held, disk "
    "full, not writable, no network); 4 bad input (no such file, broken image, model, data or run); 130 interrupted; "
    "141 the output pipe was closed."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(__version__, prog_name="edgecnn")
def cli() -> None:
    """Export a Keras image classifier to devices, and prove that what arrives is what was trained."""


for _module in (
    run,
    train,
    import_model,
    export,
    parity,
    bench,
    report,
    verify,
    compare,
    bundle,
    fit,
    inspect,
    predict,
    features,
    cpu,
    doctor,
):
    cli.add_command(_module.command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code that errors.py documents."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    answered = completion.answer(cli)
    if answered is not None:
        return answered
    try:
        words = list(sys.argv[1:] if arguments is None else arguments)
        with cli.make_context("edgecnn", words) as context:  # cli.main would end a closed pipe with exit code 1
            cli.invoke(context)
        sys.stdout.flush()
        return 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as end:
        log("Interrupted; run the same command again to resume." if isinstance(end, Resumable) else "Interrupted.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, `| head` for instance
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        return EXIT_PIPE_CLOSED
    except EdgecnnError as error:
        return _fail(error)
    except ModuleNotFoundError as error:
        known = missing_package(error)
        if known is None:
            raise
        return _fail(known)
    except OSError as error:
        known_os = from_os_error(error)
        if known_os is None:
            raise
        return _fail(known_os)


def _fail(error: EdgecnnError) -> int:
    log(f"Error: {as_called(str(error))}")
    return error.exit_code
