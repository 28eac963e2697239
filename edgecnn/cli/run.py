"""`edgecnn run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import completion
from edgecnn.cli.bench import time_budget_option
from edgecnn.cli.options import DEFAULT, options_of, resumable, run_argument, training_options
from edgecnn.console import say
from edgecnn.errors import GateFailed

if TYPE_CHECKING:
    from edgecnn.stages.from_pretrained import StartOptions
    from edgecnn.stages.train import TrainOptions

DEFAULT_RUN = "edgecnn-run"


@click.command("run")
@run_argument(default=DEFAULT_RUN)
@training_options
@click.option(
    "--model",
    metavar="NAME",
    shell_complete=completion.models,
    help="Start from the pretrained run NAME, or another run, instead of training.",
)
@click.option(
    "--allow-synthetic",
    is_flag=True,
    help="With --model: calibrate with synthetic images where its data is unavailable.",
)
@time_budget_option
@click.pass_context
def command(
    context: click.Context,
    /,
    run: Path,
    model: str | None,
    allow_synthetic: bool,
    time_budget: int,
    **options: Any,
) -> None:
    """Train, export, check, measure and report, all in the directory RUN.

    Resumes where it stopped and skips what is up to date. A format that
    cannot be exported is left out, and the report says why. Exit 1 when parity fails, 0 when it is not proven.
    """
    from edgecnn.pipeline import run_all
    from edgecnn.run_directory import TRAINING, Run
    from edgecnn.stages.bench import BenchOptions
    from edgecnn.stages.from_pretrained import StartOptions
    from edgecnn.training.checkpoint import STATE

    chosen: TrainOptions | StartOptions = options_of(**options)
    if model is not None:
        given = [name for name in options if name != "data" and context.get_parameter_source(name) != DEFAULT]
        if given:
            raise click.UsageError(f"--{given[0].replace('_', '-')} is for training, which --model {model} skips.")
        chosen = StartOptions(model=model, data=options["data"], allow_synthetic=allow_synthetic)
    elif allow_synthetic:
        raise click.UsageError("--allow-synthetic needs --model.")
    with resumable(run, STATE, TRAINING):
        page, verdict = run_all(Run(run), chosen, say, BenchOptions(time_budget=time_budget))
    if verdict == "not proven":
        say("Parity is not proven: the report says why.")
    say(f"Report: {page.resolve()}")
    if verdict == "fail":
        raise GateFailed("Parity failed: the report says which exports do not match Keras.")
