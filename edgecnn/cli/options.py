"""What several commands share: arguments, options, and how a record is printed."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import completion
from edgecnn.console import say
from edgecnn.errors import GateFailed, InputError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from click.shell_completion import CompletionItem

    from edgecnn.records import Training
    from edgecnn.stages.train import TrainOptions

DEFAULT = click.core.ParameterSource.DEFAULT  # where an option was not given
SEEDS = click.IntRange(0, 2**32 - 1)  # what NumPy, Keras and TensorFlow all take


def names(kind: str) -> str:
    """The names of all plug-ins of a kind, for a sentence."""
    from edgecnn import plugins

    return ", ".join(plugins.every(kind))


# What works instead where a command that writes to a run is given the name of a pretrained one.
ADVICE = {
    "run": "`edgecnn run my-run --model {name}` makes a run from it",
    "train": "`edgecnn train my-run` trains a model of your own",
    "import": "choose another name for --out",
    "export": "its files are in {path}/exports, and `edgecnn run my-run --model {name}` exports it again",
    "report": "its report is {path}/report.html",
}


class RunDirectory(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """RUN as a path: of a directory, or of the pretrained run of that name where the command only reads it."""

    name = "path"

    def __init__(self, *, pretrained: bool) -> None:
        self._pretrained = pretrained

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Path:
        """The path; raises UsageError, with what works instead, for a name that the command cannot take."""
        from edgecnn.pretrained import pretrained_runs

        runs, path = pretrained_runs(), Path(value)
        if value not in runs:
            is_name = path.name == value and not path.exists()
            if self._pretrained and is_name and (near := nearest(value, runs)):
                raise InputError(f"There is no run at {value}; did you mean the pretrained run {near[0]}?")
            return path.absolute() if str(path) in runs else path  # ./NAME, which a Path shortens to NAME
        if not self._pretrained:
            advice = ADVICE[str(context and context.info_name)].format(name=value, path=runs[value])
            raise UsageError(f"{value} is a pretrained run and stays as it is: {advice}; ./{value} would be a folder.")
        return runs[value]

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Run directories, and the pretrained runs where the command takes them."""
        return completion.runs(incomplete, pretrained=self._pretrained)


def run_argument(*, pretrained: bool = False, **settings: Any) -> Callable[..., Any]:
    """RUN, a directory, or the name of a pretrained run where a command takes one."""
    return click.argument("run", type=RunDirectory(pretrained=pretrained), **settings)


def formats_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--format",
        "formats",
        multiple=True,
        metavar="NAME",
        help="Only this format; repeatable. Default: all.",
        shell_complete=completion.plugins("format"),
    )(command)


def runtimes_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--runtime",
        "runtimes",
        cls=LateHelpOption,
        words=lambda: f"Only this runtime; repeatable: {names('runtime')}.",
        shell_complete=completion.plugins("runtime"),
        multiple=True,
        metavar="NAME",
    )(command)


class LateHelpOption(click.Option):
    """An option whose help names plug-ins: `words` makes it when it is shown, so that a command starts without them."""

    def __init__(self, *declarations: Any, words: Callable[[], str], **settings: Any) -> None:
        super().__init__(*declarations, **settings)
        self._words = words

    def get_help_record(self, context: click.Context) -> tuple[str, str] | None:
        """The option and its help, for a help text."""
        self.help = self._words()
        return super().get_help_record(context)


def providers_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--ep`, the execution providers to run on."""
    return click.option(
        "--ep",
        "providers",
        cls=LateHelpOption,
        words=_providers_help,
        multiple=True,
        metavar="NAME",
        shell_complete=completion.words(_providers),
    )(command)


def _providers() -> list[str]:
    """Names of all runtimes' execution providers, each once."""
    from edgecnn import plugins

    return list(dict.fromkeys(name for one in plugins.every("runtime").values() for name in one.providers))


def _providers_help() -> str:
    from edgecnn import plugins

    offers = [
        f"{runtime.title}: {', '.join(runtime.providers)} (default: {runtime.default_words})"
        for runtime in plugins.every("runtime").values()
        if len(runtime.providers) > 1
    ]
    return f"Only this execution provider; repeatable. {'; '.join(offers)}."


def host_options(command: Callable[..., Any]) -> Callable[..., Any]:
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
            shell_complete=completion.files,
            help="Python to run the exports with, for instance one with another ONNX Runtime.",
        ),
        click.option(
            "--allow-fallback", is_flag=True, help="Accept that a provider named by --ep leaves nodes to the CPU."
        ),
    ):
        command = option(command)
    return command


class Resumable(KeyboardInterrupt):
    """An interruption after which the same command goes on where it was."""


@contextmanager
def resumable(folder: Path, *files: str) -> Iterator[None]:
    """Turn an interruption into Resumable where one of these files, which the command goes on from, is there."""
    try:
        yield
    except KeyboardInterrupt:
        if any((folder / name).exists() for name in files):
            raise Resumable from None
        raise


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")(command)


def check_file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--junit` and `--markdown`: the result once more, for a build server."""
    settings: dict[str, Any] = {"type": click.Path(dir_okay=False, path_type=Path), "metavar": "FILE"}
    markdown = click.option("--markdown", help="Write the result as Markdown, 40 lines at most.", **settings)
    junit = click.option("--junit", help="Write the result as JUnit XML, one case per target.", **settings)
    return junit(markdown(command))


def gate_failed(what: str, failures: Sequence[str]) -> GateFailed:
    """The error of a gate that failed, with its failures where there are several."""
    return GateFailed(f"{what}: {failures[0]}.") if len(failures) == 1 else GateFailed(f"{what}:", failures)


def list_option(kind: str, what: str) -> Callable[..., Any]:
    """`--list` prints the plug-ins of a kind and exits."""

    def show(context: click.Context, option: click.Parameter, wanted: bool) -> None:
        if not wanted or context.resilient_parsing:
            return
        from edgecnn import plugins

        for name, plugin in plugins.every(kind).items():
            say(f"{name:18} {plugin.summary}")
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
        click.option(
            "--teacher",
            metavar="RUN",
            shell_complete=completion.models,
            help="Distil from this run too, where the recipe takes a teacher.",
        ),
        click.option(
            "--recipe",
            cls=LateHelpOption,
            words=_recipes_help,
            default="tutorial",
            show_default=True,
            shell_complete=completion.words(_recipes),
        ),
        click.option(
            "--architecture",
            cls=LateHelpOption,
            words=lambda: f"What to train: {names('architecture')}.",
            default="cnn",
            show_default=True,
            shell_complete=completion.plugins("architecture"),
        ),
        click.option(
            "--data",
            default="auto",
            show_default=True,
            shell_complete=completion.data_sets,
            metavar="auto|cifar10|synthetic|PATH",
            help="auto: CIFAR-10 if available, otherwise synthetic images. PATH: a cifar-10-batches-py folder, its "
            ".tar.gz, an .npz, or a folder with train/<class>/* and test/<class>/*.",
        ),
    ):
        command = option(command)
    return command


def _recipes() -> list[str]:
    """Names of all architectures' recipes, each once."""
    from edgecnn import plugins
    from edgecnn.training.recipes import recipes_of

    return list({name: None for plugin in plugins.every("architecture").values() for name in recipes_of(plugin)})


def _recipes_help() -> str:
    return f"How to train: {', '.join(_recipes())}."


def options_of(validation_images: int | None, **options: Any) -> TrainOptions:
    from edgecnn.stages.train import TrainOptions

    return TrainOptions(validation_images=validation_images or 0, **options)


def print_accuracy(record: Training) -> None:
    figures = record.accuracy
    say(
        f"{figures.split.capitalize()} accuracy {figures.share:.2%} on {figures.total:,} images "
        f"(95 % interval {figures.low:.2%} to {figures.high:.2%})"
    )


def print_json(record: object) -> None:
    from edgecnn.records import encode

    for line in encode(record).decode().splitlines():
        say(line)
