"""What several commands share: arguments, options, and how a record is printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgecnn.records import Training
    from edgecnn.stages.train import TrainOptions

DEFAULT = click.core.ParameterSource.DEFAULT  # where an option was not given
SEEDS = click.IntRange(0, 2**32 - 1)  # what NumPy, Keras and TensorFlow all take


def run_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("run", type=click.Path(path_type=Path))(command)


def formats_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--format", "formats", multiple=True, metavar="NAME", help="Only this format; repeatable. Default: all."
    )(command)


def runtimes_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--runtime", "runtimes", multiple=True, metavar="NAME", help="Only this runtime; repeatable.")(
        command
    )


def providers_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--ep`, the execution providers to run on."""
    return click.option(
        "--ep",
        "providers",
        multiple=True,
        metavar="NAME",
        help="Only this execution provider; repeatable. ONNX Runtime: cpu, cuda, tensorrt, openvino, coreml, directml, "
        "webgpu, xnnpack; LiteRT: xnnpack, builtin, reference. Default: all that work here; LiteRT with xnnpack.",
    )(command)


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--allow-fallback`, `--python` and `--remote`: where the exports run."""
    for option in (
        click.option(
            "--remote",
            default="",
            metavar="ssh://USER@HOST[:PORT]",
            help="Run on another machine over ssh. It needs Python 3.11, numpy and a runtime, and is left as it was.",
        ),
        click.option(
            "--python",
            default="",
            metavar="PATH",
            help="Python to run the exports with, for instance one with another ONNX Runtime.",
        ),
        click.option(
            "--allow-fallback", is_flag=True, help="Accept that a provider named by --ep leaves nodes to the CPU."
        ),
    ):
        command = option(command)
    return command


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")(command)


def list_option(kind: str, what: str) -> Callable[..., Any]:
    """`--list` prints the plug-ins of a kind and exits."""

    def show(context: click.Context, option: click.Parameter, wanted: bool) -> None:
        if not wanted or context.resilient_parsing:
            return
        from edgecnn import plugins

        for name, plugin in plugins.every(kind).items():
            click.echo(f"{name:18} {plugin.summary}")
        context.exit()

    return click.option(
        "--list", is_flag=True, is_eager=True, expose_value=False, callback=show, help=f"List the {what} and exit."
    )


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--seed",
            type=SEEDS,
            default=1,
            show_default=True,
            help="Seed of the weights and of the order of the images.",
        ),
        click.option("--epochs", type=click.IntRange(min=1), help="Default: the recipe's own number."),
        click.option(
            "--validation-images",
            type=click.IntRange(min=1),
            metavar="N",
            help="Set N training images aside and measure accuracy on them instead of the test images.",
        ),
        click.option("--teacher", metavar="RUN", help="Distil from this run too, where the recipe takes a teacher."),
        click.option("--recipe", default="tutorial", show_default=True, help="How to train: tutorial or tuned."),
        click.option("--architecture", default="cnn", show_default=True, help="What to train."),
        click.option(
            "--data",
            default="auto",
            show_default=True,
            metavar="auto|cifar10|synthetic|PATH",
            help="auto: CIFAR-10 if available, otherwise synthetic images. PATH: a cifar-10-batches-py folder, its "
            ".tar.gz, an .npz, or a folder with train/<class>/* and test/<class>/*.",
        ),
    ):
        command = option(command)
    return command


def options_of(validation_images: int | None, **options: Any) -> TrainOptions:
    from edgecnn.stages.train import TrainOptions

    return TrainOptions(validation_images=validation_images or 0, **options)


def print_accuracy(record: Training) -> None:
    figures = record.accuracy
    click.echo(
        f"{figures.split.capitalize()} accuracy {figures.share:.2%} on {figures.total:,} images "
        f"(95 % interval {figures.low:.2%} to {figures.high:.2%})"
    )


def print_json(record: object) -> None:
    from edgecnn.records import encode

    click.echo(encode(record).decode(), nl=False)
