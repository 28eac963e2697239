"""`edgecnn predict`."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from edgecnn.cli import completion
from edgecnn.cli.options import LateHelpOption
from edgecnn.cli.sources import image_paths, source_of
from edgecnn.console import flush, late_progress, log, printable, say
from edgecnn.data.output_labels import SCORES
from edgecnn.errors import InputError, UsageError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edgecnn.inference.results import Prediction
    from edgecnn.records import Contract, ImageError, ImagePrediction, ImageScores

MANY = 500  # images from which on several processes are quicker, counting their start
FLUSH_SECONDS = 0.2


def _offered() -> tuple[str, ...]:
    from edgecnn.runtimes.onnxruntime import PLUGIN

    return PLUGIN.providers


def _providers(context: click.Context, option: click.Parameter, words: tuple[str, ...]) -> tuple[str, ...]:
    """Names of execution providers as given; raises UsageError for an unknown one."""
    for word in words:
        if word not in _offered():
            raise unknown_name("execution provider", word, _offered())
    return words


def _providers_help() -> str:
    return (
        f"Execution provider of ONNX Runtime: {', '.join(_offered())}; repeatable, the preferred first. Default: cpu."
    )


@click.command("predict")
@click.argument("model", shell_complete=completion.models)
@click.argument("images", nargs=-1, required=True, metavar="IMAGES...", shell_complete=completion.files)
@click.option("--top", default=3, show_default=True, type=click.IntRange(min=1), help="How many labels to print.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line; a bad image gives its error.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated table; bad images are left out.")
@click.option(
    "--format", "export", metavar="NAME", shell_complete=completion.onnx_exports,
    help="ONNX export of the run, for instance int8. Default: float32.",
)  # fmt: skip
@click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(min=1), help="CPU threads to compute with."
)
@click.option(
    "--ep", "providers", cls=LateHelpOption, words=_providers_help, multiple=True, metavar="NAME", callback=_providers,
    shell_complete=completion.words(_offered),
)  # fmt: skip
@click.option(
    "--processes", type=click.IntRange(min=1),
    help=f"Processes that read images. Default: one per core from {MANY} images on, otherwise 1.",
)  # fmt: skip
def command(
    model: str,
    images: Sequence[str],
    top: int,
    as_json: bool,
    as_csv: bool,
    export: str | None,
    threads: int,
    providers: Sequence[str],
    processes: int | None,
) -> None:
    """Print labels and probabilities of images, or independent scores as they are.

    MODEL is a run, an .onnx file, or the name of a pretrained run such as cifar10-cnn.

    IMAGES are files, folders (the images in them and below), patterns such as "*.jpg", and - for standard input. An
    image that cannot be used is reported and skipped; the exit code is then 4.
    """
    if as_json and as_csv:
        raise UsageError("Results are printed as --json or as --csv; give one of them.")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a resize needs no more, and numpy loads faster
    from edgecnn.environment import usable_cores
    from edgecnn.inference.predictor import Predictor
    from edgecnn.preprocessing.reader_pool import Readers

    paths = image_paths(images)
    if processes is None:
        processes = usable_cores() if len(paths) >= MANY and sys.platform != "win32" else 1
    with ExitStack() as stack:
        readers: Readers | int = 1
        if processes > 1:
            readers = stack.enter_context(Readers(processes))  # they start while the model is read
        predictor = stack.enter_context(
            Predictor(model, format=export, threads=threads, providers=providers or ("cpu",))
        )
        write = _writer(predictor.contract, as_json=as_json, as_csv=as_csv, top=top)
        sources = [source_of(path) for path in paths]
        together = sources if len(sources) >= MANY else iter(sources)  # a few are each answered at once
        refused = _print(paths, predictor.predict(together, processes=readers), write)
    if refused:
        if len(paths) > 1:
            log(f"{refused:,} of {len(paths):,} images could not be used.")
        raise click.exceptions.Exit(InputError.exit_code)


def _print(
    paths: Sequence[str], predictions: Iterable[Prediction], write: Callable[[str, Prediction | None, str], None]
) -> int:
    """Print every answer as it comes; how many images were refused."""
    refused, flushed, rest = 0, time.monotonic(), iter(predictions)
    with late_progress("predicting", len(paths)) as advance:
        for done, path in enumerate(paths, 1):
            try:
                write(path, next(rest), "")
            except InputError as error:
                refused += 1
                log(f"Error: {error}")
                write(path, None, str(error))
            if time.monotonic() - flushed > FLUSH_SECONDS:
                flush()
                flushed = time.monotonic()
            advance(done)
    return refused


def _writer(
    contract: Contract, *, as_json: bool, as_csv: bool, top: int
) -> Callable[[str, Prediction | None, str], None]:
    """What prints an image's answer, or why there is none."""
    top, independent = min(top, len(contract.labels)), contract.output_meaning == SCORES
    word, form = ("score", "{:.3f}") if independent else ("probability", "{:.1%}")
    if as_json:
        import msgspec

        return lambda image, answer, why: say(json.dumps(msgspec.to_builtins(_record(image, answer, why, top))))
    if as_csv:
        _say_row(["image", *(f"{what}_{i}" for i in range(1, top + 1) for what in ("label", word))])

        def write_row(image: str, answer: Prediction | None, _: str) -> None:
            if answer is not None:
                shares = [(label, f"{share:.6f}") for label, share in answer.top(top)]
                _say_row([image, *(cell for pair in shares for cell in pair)])

        return write_row

    def write_line(image: str, answer: Prediction | None, _: str) -> None:
        if answer is not None:
            say(f"{image}: " + ", ".join(f"{label} {form.format(share)}" for label, share in answer.top(top)))

    return write_line


def _say_row(cells: Sequence[str]) -> None:
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow([printable(cell) for cell in cells])
    say(row.getvalue())


def _record(image: str, answer: Prediction | None, why: str, top: int) -> ImagePrediction | ImageScores | ImageError:
    from edgecnn.records import ImageError, ImagePrediction, ImageScores, LabelProbability, LabelScore

    if answer is None:
        return ImageError(image=image, error=why)
    best = [(label, round(share, 6)) for label, share in answer.top(top)]
    if answer.independent:
        scores = tuple(LabelScore(label=label, score=share) for label, share in best)
        return ImageScores(image=image, predictions=scores)
    shares = tuple(LabelProbability(label=label, probability=share) for label, share in best)
    return ImagePrediction(image=image, predictions=shares)
