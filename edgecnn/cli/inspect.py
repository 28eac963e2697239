"""`edgecnn inspect`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from edgecnn.cli.options import json_option, print_json
from edgecnn.console import say


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@click.option("--visualize", is_flag=True, help="Open the graph in Model Explorer or Netron, where one is installed.")
def command(file: Path, as_json: bool, visualize: bool) -> None:
    """Describe the model FILE, of any origin: inputs, operators, parameters, contract, and what is missing.

    FILE is an .onnx file, a .tflite file or a SavedModel folder. Nothing in it is executed.
    """
    from edgecnn.pretrained import pretrained_runs
    from edgecnn.stages import inspect as stage

    if not os.path.exists(file):
        file = pretrained_runs().get(str(file), file)  # a run, whose exports are named
    record = stage.inspect(file)
    if as_json:
        print_json(record)
    else:
        for line in stage.describe(record):
            say(line)
    if visualize:
        stage.visualize(file)
