"""Create a run from a pretrained one: its model and records, and training images for calibration where available."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgecnn import run_directory
from edgecnn.console import log
from edgecnn.data.fitting import align, fitted_data
from edgecnn.data.loading import AUTO, load_data
from edgecnn.data.samples import save_samples
from edgecnn.errors import DataUnavailable, InputError, MachineError, NoSuchData
from edgecnn.files import staged
from edgecnn.pretrained import find_run
from edgecnn.records.contract import image_shape
from edgecnn.run_directory import Run

if TYPE_CHECKING:
    from edgecnn.data.dataset import LabelledImages
    from edgecnn.records import Contract, Training


@dataclass(frozen=True, kw_only=True)
class StartOptions:
    """A run's path or a pretrained run's name, its data, and whether synthetic images may replace that."""

    model: str
    data: str = AUTO
    allow_synthetic: bool = False


def is_current(run: Run, options: StartOptions) -> bool:
    """Whether the run already is one of that model. Raises InputError when it is one of another."""
    if not run.path(run_directory.TRAINING).is_file():
        return False
    other = Run.at(find_run(options.model)).contract(upgrade=True)
    if run.contract().model_sha256 != other.model_sha256:
        raise InputError(f"{run.root} is a run of another model than {options.model}; choose a new directory.")
    return True


def start(run: Run, options: StartOptions) -> Training:
    """Copy the pretrained run's first files, and sample its data set; a run of schema 1 will do.

    Raises MachineError where that is unavailable and synthetic images are not allowed, InputError for a damaged run.
    """
    published = Run.at(find_run(options.model))
    contract, training = published.contract(upgrade=True), published.training(upgrade=True)
    model = published.model_path(contract)
    data = _data(contract, training, options)
    notice = ""
    if data is None:
        notice = f"Synthetic images replace {training.data.name}: quantized exports are calibrated with them."
        log(notice)
    source = replace(training.data, notice=notice)
    copied = [
        name
        for name in training.origin.outputs
        if name not in (run_directory.SAMPLES, run_directory.CONTRACT, run_directory.MODEL)
    ]
    for name, path in ((run_directory.MODEL, model), *((name, published.path(name)) for name in copied)):
        with staged(run.path(name)) as draft:
            shutil.copyfile(path, draft)
    own = replace(contract, data=replace(contract.data, notice=notice))
    if data is not None:
        own = replace(own, calibration_sha256=save_samples(run, data, training.seed))
    run.save(run_directory.CONTRACT, own)
    outputs = {
        name: run.hash_of(name)
        for name in (run_directory.MODEL, run_directory.CONTRACT, run_directory.SAMPLES, *copied)
    }
    kept = {name: sha256 for name, sha256 in outputs.items() if sha256}
    record = replace(training, data=source, origin=replace(training.origin, outputs=kept))
    run.save(run_directory.TRAINING, record)
    return record


def _data(contract: Contract, training: Training, options: StartOptions) -> LabelledImages | None:
    """The data set, its images at the model's size; None where synthetic images replace it."""
    shape = image_shape(contract)
    try:
        data = load_data(training.data.spec if options.data == AUTO else options.data, shape[:2])
    except (DataUnavailable, NoSuchData) as error:
        if options.data != AUTO or not options.allow_synthetic:
            raise MachineError(
                f"{training.data.name} is unavailable, and exports are calibrated with its training images: give "
                "--data, or --allow-synthetic to calibrate with synthetic images instead."
            ) from error
        return None
    data = align(data, contract.labels)
    return fitted_data(data, shape)
