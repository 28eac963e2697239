"""The command line: one thin command a stage. Parse, call, print; errors become sentences here."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import TYPE_CHECKING

import click

from edgecnn import __version__, bounds, console, processes
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
from edgecnn.errors import EXIT_PIPE_CLOSED, EdgecnnError, GateFailed, MachineError, from_os_error

if TYPE_CHECKING:
    from collections.abc import Sequence

EPILOG = (
    "Exit codes: 0 done; 1 a gate failed; 2 wrong usage; 3 this machine cannot (missing package, lock held, disk "
    "full, not writable, no network); 4 bad input (no such file, broken image, model, data or run); 130 interrupted, "
    "143 and 129 ended by SIGTERM and SIGHUP; 141 the output pipe was closed."
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
    processes.claim_temporary_place()
    console.prepare_streams()
    try:
        processes.end_on_signals()
    except OSError as error:
        sys.exit(_fail(from_os_error(error) or MachineError(f"{error}.")))
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    answered = completion.answer(cli)
    if answered is not None:
        return answered
    bounds.enforce()
    try:
        code = _executed(list(sys.argv[1:] if arguments is None else arguments))
        console.flush()
        return code
    except BrokenPipeError:  # the reader of our output has gone, `| head` for instance
        _lead_nowhere(1, 2)
        return EXIT_PIPE_CLOSED
    except OSError as error:
        _lead_nowhere(1)  # or Python would try to write the rest once more
        return _fail(from_os_error(error) or MachineError(f"{error}."))


def _executed(words: list[str]) -> int:
    """The exit code of a command."""
    try:
        with cli.make_context("edgecnn", words) as context:  # cli.main would end a closed pipe with exit code 1
            cli.invoke(context)
        return 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        return _refuse(error)
    except (click.Abort, KeyboardInterrupt) as end:
        return _interrupted(isinstance(end, Resumable))
    except BrokenPipeError:
        raise
    except Exception as error:
        if processes.received_signal():  # a library made an error of its own of it
            return _interrupted()
        known = error if isinstance(error, EdgecnnError) else None
        if isinstance(error, ModuleNotFoundError):
            known = missing_package(error)
        elif isinstance(error, OSError):
            known = from_os_error(error)
        if known is None:
            raise
        return _fail(known)


def _interrupted(resumable: bool = False) -> int:
    number = processes.received_signal() or signal.SIGINT
    log(f"{processes.ending(number)}{'; run the same command again to resume' * resumable}.")
    return processes.SIGNALLED + number


def _refuse(error: click.ClickException) -> int:
    """Say what is wrong with the command line, below its usage."""
    usage = io.StringIO()
    error.show(usage)
    message = f"Error: {error.format_message()}"
    for line in usage.getvalue().removesuffix(f"{message}\n").splitlines():
        log(line)
    log(message)
    return error.exit_code


def _fail(error: EdgecnnError) -> int:
    log(f"Error: {as_called(str(error))}")
    for failure in error.failures if isinstance(error, GateFailed) else ():
        log(f"  {as_called(failure)}")
    return error.exit_code


def _lead_nowhere(*streams: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream)
