"""The checkpoint of a training: the model after the last epoch, optimizer included, and how far it got."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgecnn import run_directory
from edgecnn.console import log
from edgecnn.errors import InputError, UnsupportedSchema
from edgecnn.files import staged
from edgecnn.records import Progress

if TYPE_CHECKING:
    from edgecnn.run_directory import Run

STATE = f"{run_directory.CHECKPOINT}/state.json"


def model_name(epochs: int) -> str:
    """Path of the model after this many epochs."""
    return f"{run_directory.CHECKPOINT}/epoch_{epochs:03d}.keras"


def resumable(run: Run, inputs: dict[str, str], epochs: int) -> Progress | None:
    """The state of an earlier training with the same inputs that has not gone past `epochs`."""
    if not run.path(STATE).is_file():
        return None
    try:
        state = run.load(STATE, Progress, "train")
    except UnsupportedSchema:
        raise
    except InputError:
        log("The checkpoint is damaged; starting again")
        return None
    if state.inputs != inputs or len(state.history) > epochs:
        log("The checkpoint is of another training or has more epochs; starting again")
        return None
    if run.hash_of(model_name(len(state.history))) != state.checkpoint_sha256:
        log("The checkpoint is damaged or of another training; starting again")
        return None
    return state


def save_checkpoint(run: Run, model: Any, state: Progress) -> Progress:
    """The model first, then the state that names it, then away with the older one."""
    number = len(state.history)
    with staged(run.path(model_name(number))) as draft:
        model.save(draft)
    state = replace(state, checkpoint_sha256=run.hash_of(model_name(number)))
    run.save(STATE, state)
    for old in run.path(run_directory.CHECKPOINT).glob("epoch_*.keras"):
        if old.name != run.path(model_name(number)).name:
            old.unlink()
    return state
