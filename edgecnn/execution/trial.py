"""Whether a runtime really runs here: images go through a model in a process of its own, which may crash or hang."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from edgecnn.environment import import_path
from edgecnn.errors import EdgecnnError, InputError, MachineError
from edgecnn.records.contract import image_shape

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Contract

MAX_SECONDS = 120.0  # TensorFlow on a small computer takes half a minute to start
STDERR_LINES = 2
C_SOURCE = """\
#include "trial.h"

int trial_run(const uint8_t *image, int8_t *logits, void *arena) {
  (void)arena;
  for (int i = 0; i < TRIAL_LABEL_COUNT; i++) logits[i] = (int8_t)(image[i] / 2);
  return 0;
}
"""


def run_once(
    runtime: str, provider: str, model: Path, images: Path, outputs: Path, seconds: float = MAX_SECONDS
) -> list[str]:
    """Run a file of images through a model, write its outputs, and return what executed its compute nodes.

    Raises MachineError where the runtime or the provider is not usable here, InputError where it refuses the model,
    and InputError too where its process dies or takes longer than `seconds`.
    """
    requests = (
        {"command": "load", "runtime": runtime, "path": str(model), "threads": 1, "provider": provider},
        {"command": "run", "images": str(images), "outputs": str(outputs)},
    )
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "edgecnn.execution.server"],
            input="".join(f"{json.dumps(request)}\n" for request in requests),
            env={**os.environ, "PYTHONPATH": import_path()},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"it hangs: no result within {seconds:g} s") from None
    answers: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    for answer in answers:
        if "error" in answer:
            raise _error(answer)
    if len(answers) < len(requests):
        raise InputError(_death(done))
    return list(answers[0]["placement"]["compute_nodes"])


def _error(answer: dict[str, Any]) -> EdgecnnError:
    kind = MachineError if answer["exit_code"] == MachineError.exit_code else InputError
    return kind(answer["error"])


def _death(done: subprocess.CompletedProcess[str]) -> str:
    """How a process ended, and the last it said."""
    end = f"exit code {done.returncode}" if done.returncode >= 0 else signal.Signals(-done.returncode).name
    lines = " | ".join(done.stderr.strip().splitlines()[-STDERR_LINES:])
    return f"its process died ({end}){f': {lines}' if lines else ''}"


def write_c_model(folder: Path, contract: Contract) -> Path:
    """A folder with C sources as `edgecnn export` generates them, of a model that needs no weights."""
    height, width, channels = image_shape(contract)
    numbers = {
        "ARENA_BYTES": 1, "COMPUTE_LAYERS": 1, "IMAGE_BYTES": height * width * channels,
        "IMAGE_CHANNELS": channels, "IMAGE_HEIGHT": height, "IMAGE_WIDTH": width,
        "LABEL_COUNT": len(contract.labels), "OUTPUT_SCALE": 1, "OUTPUT_ZERO_POINT": 0,
    }  # fmt: skip
    macros = [f"#define TRIAL_{name} {number}" for name, number in numbers.items()]
    function = "int trial_run(const uint8_t *image, int8_t *logits, void *arena);"
    folder.mkdir()
    (folder / "trial.h").write_text("\n".join(["#include <stdint.h>", *macros, function, ""]))
    (folder / "trial.c").write_text(C_SOURCE)
    return folder
