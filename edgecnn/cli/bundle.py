"""`edgecnn bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgecnn.cli import completion
from edgecnn.cli.options import list_option, run_argument
from edgecnn.console import say


@click.command("bundle")
@run_argument(pretrained=True)
@click.option(
    "--target",
    required=True,
    metavar="NAME",
    shell_complete=completion.plugins("bundle"),
    help="Target of the bundle, for instance cmake.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output folder. Default: RUN/bundles/NAME, for a pretrained run ./RUN-NAME.",
)
@click.option(
    "--format",
    default="",
    metavar="NAME",
    shell_complete=completion.plugins("format"),
    help="Format to make it from, where a target takes several: for instance onnx_int8 for web or python.",
)
@click.option("--single-file", is_flag=True, help="web: one HTML file, which opens from disk without a network.")
@click.option("--webgpu", is_flag=True, help="web: ask for WebGPU; the page says where it does not run.")
@click.option(
    "--runtime-dir",
    type=click.Path(path_type=Path),
    help="web: folder of the unpacked npm package onnxruntime-web. Default: fetched by npm once, and kept.",
)
@list_option("bundle", "targets")
def command(run: Path, target: str, out: Path | None, **options: Any) -> None:
    """Write what a device developer needs from RUN: the model, its contract, code, and a test.

    RUN may be the name of a pretrained run.
    """
    from edgecnn.pretrained import is_pretrained
    from edgecnn.run_directory import Run
    from edgecnn.stages.bundle import bundle as stage

    if is_pretrained(run):
        say(str(stage(Run(run), target, out or Path(f"{run.name}-{target}"), **options)))
        return
    place = Run.at(run)
    with place.lock():
        say(str(stage(place, target, out, **options)))
