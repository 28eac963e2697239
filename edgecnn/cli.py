"""The command line: one thin command a stage. Parse, call, print; errors become sentences here."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn import __version__
from edgecnn.console import say
from edgecnn.errors import EXIT_INTERRUPTED, EXIT_PIPE_CLOSED, EdgecnnError, GateFailed, from_os_error, missing_package

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgecnn.records import Training
    from edgecnn.stages.train import TrainOptions

DEFAULT_RUN = "edgecnn-run"
EPILOG = (
    "Exit codes: 0 done; 1 a gate failed; 2 wrong usage; 3 this machine cannot (missing package, lock held, disk "
    "full, not writable, no network); 4 bad input (no such file, broken image, model, data or run); 130 interrupted; "
    "141 the reader of the output went away."
)
SEEDS = click.IntRange(0, 2**32 - 1)  # what NumPy, Keras and TensorFlow all take


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(__version__, prog_name="edgecnn")
def cli() -> None:
    """Take a Keras image classifier to the devices it must run on, and prove that it arrives unchanged."""


def _run_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("run", type=click.Path(path_type=Path))(command)


def _formats_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--format", "formats", multiple=True, metavar="NAME", help="Only this format; repeatable. Default: all."
    )(command)


def _json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")(command)


def _list_option(kind: str, what: str) -> Callable[..., Any]:
    """`--list` prints the plug-ins of a kind, a class of edgecnn.plugins, and exits."""

    def show(context: click.Context, option: click.Parameter, wanted: bool) -> None:
        if not wanted or context.resilient_parsing:
            return
        from edgecnn import plugins

        for name, plugin in plugins.discover(getattr(plugins, kind)).items():
            click.echo(f"{name:18} {plugin.summary}")
        context.exit()

    return click.option(
        "--list", is_flag=True, is_eager=True, expose_value=False, callback=show, help=f"List the {what} and exit."
    )


def _training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--seed",
            type=SEEDS,
            default=1,
            show_default=True,
            help="Decides the weights and the order of the images.",
        ),
        click.option("--epochs", type=click.IntRange(min=1), help="Default: the recipe's own number."),
        click.option("--recipe", default="tutorial", show_default=True, help="How to train."),
        click.option("--architecture", default="cnn", show_default=True, help="What to train."),
        click.option(
            "--data",
            default="auto",
            show_default=True,
            metavar="auto|cifar10|synthetic|PATH",
            help="auto: CIFAR-10 where it can be had, otherwise drawn images. PATH: a cifar-10-batches-py folder, its "
            ".tar.gz, an .npz, or a folder with train/<class>/* and test/<class>/*.",
        ),
    ):
        command = option(command)
    return command


def _options(data: str, architecture: str, recipe: str, epochs: int | None, seed: int) -> TrainOptions:
    from edgecnn.stages.train import TrainOptions

    return TrainOptions(data=data, architecture=architecture, recipe=recipe, epochs=epochs, seed=seed)


@cli.command("run")
@click.argument("run", type=click.Path(path_type=Path), default=DEFAULT_RUN)
@_training_options
def run_command(run: Path, **options: Any) -> None:
    """Train, export, check, measure and report, all in the directory RUN.

    Resumes where it stopped and skips what is up to date.
    """
    from edgecnn.pipeline import run_all
    from edgecnn.run import Run

    page, passed = run_all(Run(run), _options(**options), click.echo)
    click.echo(f"Report: {page.resolve()}")
    if not passed:
        raise GateFailed("Parity failed: the report says which exports do not answer as trained.")


@cli.command()
@_run_argument
@_training_options
def train(run: Path, **options: Any) -> None:
    """Train a classifier into the directory RUN, with a checkpoint after each epoch.

    The same command resumes after a kill.
    """
    from edgecnn.run import Run
    from edgecnn.stages.train import train as stage

    place = Run(run)
    with place.lock():
        record = stage(place, _options(**options), click.echo)
    _print_accuracy(record)


def _print_accuracy(record: Training) -> None:
    figures = record.accuracy
    click.echo(
        f"Test accuracy {figures.share:.2%} on {figures.total:,} images "
        f"(95 % interval {figures.low:.2%} to {figures.high:.2%})"
    )


def _numbers(context: click.Context, option: click.Parameter, text: str | None) -> tuple[float, ...]:
    """Numbers with commas between, none for an option not given."""
    import math

    try:
        numbers = tuple(float(number) for number in (text or "").split(",") if text)
    except ValueError:
        raise click.BadParameter(f"{text} is no number and no list of numbers with commas between.") from None
    if not all(math.isfinite(number) for number in numbers):
        raise click.BadParameter(f"{text} is not finite.")
    return numbers


@cli.command("import")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--labels", required=True, type=click.Path(path_type=Path), help="UTF-8 text, one class name a line.")
@click.option("--data", required=True, metavar="auto|cifar10|synthetic|PATH", help="What the model answers about.")
@click.option(
    "--input-range",
    type=click.Choice(["0..255", "0..1", "-1..1"]),
    help="What MODEL takes pixels as. Default: whichever clearly answers more training images rightly.",
)
@click.option("--mean", callback=_numbers, metavar="R,G,B", help="Taken off next, in units of the input range.")
@click.option("--std", callback=_numbers, metavar="R,G,B", help="Divided by last, in units of the input range.")
@click.option("--out", "run", required=True, type=click.Path(path_type=Path), help="The run to begin.")
def import_command(run: Path, **options: Any) -> None:
    """Begin a run from MODEL, a .keras or .h5 classifier that was trained elsewhere.

    Nothing in MODEL is executed: Lambda layers and classes that are not Keras' own are refused.
    """
    from edgecnn.run import Run
    from edgecnn.stages.adopt import ImportOptions, adopt

    place = Run(run)
    with place.lock():
        record = adopt(place, ImportOptions(**options))
    _print_accuracy(record)


@cli.command()
@_run_argument
@_formats_option
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    default=0.5,
    show_default=True,
    metavar="POINTS",
    help="Accuracy that quantization may cost on training images before layers are kept in float32.",
)
@click.option("--check", is_flag=True, help="Export again elsewhere and compare; exit 1 when a file differs.")
@_list_option("Format", "formats")
@_json_option
def export(run: Path, formats: Sequence[str], max_drop: float, check: bool, as_json: bool) -> None:
    """Export RUN's model to the formats devices take."""
    from edgecnn.run import Run
    from edgecnn.stages import export as stage

    place = Run.at(run)
    with place.lock():
        if check:
            same = stage.check(place, formats)
            click.echo(f"The same again: {', '.join(same)}")
            return
        record = stage.export(place, formats, max_drop)
    if as_json:
        _print_json(record)
        return
    for artifact in record.artifacts:
        click.echo(f"{artifact.size_bytes:>12,} bytes  {place.path(artifact.path)}")


@cli.command()
@_run_argument
@_formats_option
@click.option("--data", metavar="auto|cifar10|synthetic|PATH", help="Judge on this test split. Default: RUN's own.")
@_json_option
def parity(run: Path, formats: Sequence[str], data: str | None, as_json: bool) -> None:
    """Check that every export of RUN answers as Keras does; exit 1 when one does not."""
    from edgecnn.run import Run
    from edgecnn.stages.parity import describe
    from edgecnn.stages.parity import parity as stage

    place = Run.at(run)
    with place.lock():
        record = stage(place, data, formats)
    if as_json:
        _print_json(record)
    else:
        for row in record.rows:
            click.echo(f"{row.format} on {row.runtime}: {describe(row)}")
    if not record.passed:
        failed = [f"{row.format} on {row.runtime}" for row in record.rows if not row.passed]
        raise GateFailed(f"Parity failed: {', '.join(failed) or 'no export could be asked on this machine'}.")


@cli.command()
@_run_argument
@_formats_option
@_json_option
def bench(run: Path, formats: Sequence[str], as_json: bool) -> None:
    """Measure the latency of RUN's exports on this machine: one image, one thread and all cores."""
    from edgecnn.run import Run
    from edgecnn.stages.bench import bench as stage

    place = Run.at(run)
    with place.lock():
        record = stage(place, formats)
    if as_json:
        _print_json(record)
        return
    for row in record.rows:
        click.echo(
            f"{row.format:16} {row.runtime:12} {row.threads} thread{'s' if row.threads > 1 else ' '}  "
            f"p50 {row.p50_ms:.3f}  p90 {row.p90_ms:.3f}  p99 {row.p99_ms:.3f} ms"
        )


@cli.command()
@_run_argument
@click.option("--target", required=True, metavar="NAME", help="What it is for, tflite-micro for instance.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to fill. Default: RUN/bundles/NAME.")
@_list_option("Bundle", "targets")
def bundle(run: Path, target: str, out: Path | None) -> None:
    """Write what a device's developer needs of RUN: the model, its contract, code, and a check."""
    from edgecnn.run import Run
    from edgecnn.stages.bundle import bundle as stage

    place = Run.at(run)
    with place.lock():
        click.echo(stage(place, target, out))


@cli.command()
@_run_argument
def report(run: Path) -> None:
    """Write RUN's report.html, report.md and report.json from what the stages left."""
    from edgecnn.run import Run
    from edgecnn.stages.report import report as stage

    place = Run.at(run)
    with place.lock():
        page = stage(place)
    click.echo(f"Report: {page.resolve()}")


@cli.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--top", default=3, show_default=True, type=click.IntRange(min=1), help="How many labels to print.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def predict(model: str, images: Sequence[str], top: int, as_json: bool) -> None:
    """Print labels and probabilities of image files.

    MODEL is a run, an .onnx file, or the name of a published run such as cifar10-cnn.
    """
    import json

    from edgecnn.predictor import Predictor

    predictor = Predictor(model)
    for image in images:
        best = predictor.predict(Path(image)).top(top)
        if as_json:
            answers = [{"label": label, "probability": round(share, 6)} for label, share in best]
            click.echo(json.dumps({"image": image, "answers": answers}))
        else:
            click.echo(f"{image}: " + ", ".join(f"{label} {share:.1%}" for label, share in best))


@cli.command()
@click.argument("model")
@click.argument("image", required=False)
@click.option("--layer", "layers", multiple=True, metavar="NAME", help="Repeatable. Default: the first six layers.")
@click.option("--channel", type=click.IntRange(min=0), help="Draw this channel alone, large. Default: all, as a grid.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to fill. Default: features.")
def features(model: str, image: str | None, layers: Sequence[str], channel: int | None, out: Path | None) -> None:
    """Draw the activations inside MODEL for an image, as PNG pictures.

    MODEL is a run, an .onnx file, or the name of a published run. Without IMAGE a drawn one is used.

    `edgecnn features RUN` alone draws one of the run's samples into the run, where the report finds it.
    """
    from edgecnn.run import Run
    from edgecnn.stages.features import draw_run
    from edgecnn.stages.features import features as stage

    if Path(model).is_dir() and not (image or out or layers or channel is not None):
        place = Run(Path(model))
        with place.lock():
            for name in draw_run(place).pictures.values():
                click.echo(place.path(name))
        return

    source = None if image is None else Path(image)
    for picture in stage(model, source, out or Path("features"), layers=layers or None, channel=channel).values():
        click.echo(picture)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@_json_option
@click.option("--visualize", is_flag=True, help="Open the graph in Model Explorer or Netron, where one is installed.")
def inspect(file: Path, as_json: bool, visualize: bool) -> None:
    """Say what FILE is, of any origin: inputs, operators, parameters, contract, and what is missing.

    FILE is an .onnx file, a .tflite file or a SavedModel folder. Nothing in it is run.
    """
    from edgecnn.stages import inspect as stage

    record = stage.inspect(file)
    if as_json:
        _print_json(record)
    else:
        click.echo(stage.describe(record))
    if visualize:
        stage.visualize(file)


def _print_json(record: object) -> None:
    from edgecnn.records import encode

    click.echo(encode(record).decode(), nl=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code that errors.py documents."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
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
    except (click.Abort, KeyboardInterrupt):
        say("Interrupted; the same command goes on where this one stopped.")
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
    say(f"Error: {error}")
    return error.exit_code
