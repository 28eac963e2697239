"""`edgecnn doctor`: what is there for edgecnn on this machine, what is missing, and what brings it.

A runtime counts as there where images went through a model on it, each in a process of its own.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.console import LATE_SECONDS, progress
from edgecnn.data.dataset import Dataset
from edgecnn.data.samples import synthetic_images
from edgecnn.environment import onnxruntime_web, this_machine, usable_cores, versions_of
from edgecnn.environment.pinned import package_checks, python_check, remedy_for
from edgecnn.environment.tools import tool_checks
from edgecnn.errors import DataUnavailable, InputError, MachineError
from edgecnn.execution import emulation
from edgecnn.execution.targets import KERAS
from edgecnn.execution.trial import run_once, write_c_model
from edgecnn.export.format import Format
from edgecnn.files import save_array, size_of
from edgecnn.plugins import discover
from edgecnn.pretrained import pretrained_runs
from edgecnn.records import SCHEMA, Check, Diagnosis
from edgecnn.records.diagnosis import FAILED, MISSING, OK
from edgecnn.run_directory import MODEL, Run
from edgecnn.runtimes.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

IMAGES = 2


def diagnose() -> Diagnosis:
    """Check everything; nothing is written, downloaded or installed."""
    checks = (
        python_check(),
        *package_checks(),
        *_machine(),
        *_runtimes(),
        *_cpus(),
        *_data_sets(),
        *_caches(),
        *tool_checks(),
    )
    ready = not any(check.stops_run for check in checks)
    return Diagnosis(schema=SCHEMA, ready=ready, machine=this_machine(), checks=checks)


def _machine() -> Iterator[Check]:
    machine = this_machine()
    yield Check(
        group="machine",
        name="CPU",
        state=OK,
        detail=f"{machine.cpu}, {machine.cores} cores, {machine.memory_bytes / 2**30:.0f} GiB, {machine.system}",
    )
    sets = ", ".join(machine.instruction_sets)
    yield Check(group="machine", name="int8 instructions", state=OK, detail=sets or "none of those edgecnn looks for")
    gpus = " and ".join(machine.gpus)
    yield Check(
        group="machine", name="NVIDIA GPU", state=OK if gpus else MISSING, detail=gpus or "none that nvidia-smi names"
    )


def _runtimes() -> list[Check]:
    """Each runtime on each of its execution providers, in the plug-ins' order."""
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        models = _models(Path(folder))
        jobs = [(runtime, provider) for runtime in discover(Runtime).values() for provider in runtime.providers]
        with (
            ThreadPoolExecutor(usable_cores()) as pool,
            progress("trying runtimes", len(jobs), delay_seconds=LATE_SECONDS) as advance,
        ):
            running = [pool.submit(_try, runtime, provider, models, Path(folder)) for runtime, provider in jobs]
            for done, _ in enumerate(as_completed(running), 1):
                advance(done)
        return [one.result() for one in running]


def _models(folder: Path) -> dict[str, Path]:
    """File kind -> a small model of that kind: those of a pretrained run, and C sources; the images lie beside."""
    run = next((Run(path) for path in pretrained_runs().values()), None)
    if run is None:
        return {}
    contract, formats = run.contract(), discover(Format)
    save_array(folder / "images.npy", synthetic_images(IMAGES, contract))
    found = {KERAS: run.path(MODEL), "c": write_c_model(folder / "c", contract)}
    for artifact in run.artifacts().artifacts:
        found.setdefault(formats[artifact.format].file_kind, run.path(artifact.path))
    return found


def _try(runtime: Runtime, provider: str, models: Mapping[str, Path], folder: Path) -> Check:
    """Whether a model runs there."""
    name = f"{runtime.name} ({provider})" if len(runtime.providers) > 1 else runtime.name
    outputs = folder / f"{runtime.name}-{provider}.npy"
    model = next((models[kind] for kind in runtime.file_kinds if kind in models), None)
    state, detail, remedy = FAILED, "", ""
    if package := runtime.missing():
        state, detail, remedy = MISSING, f"{package} is not installed", remedy_for(package)
    elif model is None:
        state, detail = MISSING, "not tried: edgecnn came without a model for it"
    elif fetched := runtime.to_fetch():
        state, detail = MISSING, f"not tried: {fetched} is fetched when it is first used"
    else:
        try:
            places = run_once(runtime.name, provider, model, folder / "images.npy", outputs)
            _check_finite(outputs)
            versions = [f"{name} {version}" for name, version in versions_of(runtime.packages).items()]
            state, detail = OK, f"runs {model.name} with {', '.join(versions or places)}"
        except MachineError as error:
            state, (detail, remedy) = MISSING, _split(error.reason)
        except InputError as error:
            detail = error.reason
    return Check(group="runtime", name=name, state=state, detail=detail, remedy=remedy, required=runtime.name == KERAS)


def _check_finite(outputs: Path) -> None:
    import numpy as np

    values = np.load(outputs)
    if len(values) != IMAGES or not np.isfinite(values).all():
        raise InputError("its outputs are not finite")


def _split(sentence: str) -> tuple[str, str]:
    """What is wrong, and what to do about it."""
    wrong, _, remedy = sentence.partition("; ")
    return wrong, remedy


def _cpus() -> Iterator[Check]:
    for cpu in emulation.statuses():
        detail, remedy = _split(cpu.reason)
        yield Check(
            group="cpu",
            name=cpu.name,
            state=OK if cpu.ready else MISSING,
            detail=detail or f"emulated by {cpu.emulator}",
            remedy=remedy,
        )


def _data_sets() -> Iterator[Check]:
    """The data sets that `--data` takes by name."""
    for name, dataset in discover(Dataset).items():
        if dataset.load_by_name is None:
            continue
        if dataset.find is None:
            yield Check(group="data", name=name, state=OK, detail="made when needed")
            continue
        try:
            place = dataset.find()
        except DataUnavailable as error:
            yield Check(group="data", name=name, state=MISSING, detail=error.reason)
        except InputError as error:
            wrong, remedy = _split(error.reason)
            yield Check(group="data", name=name, state=FAILED, detail=wrong, remedy=remedy, required=True)
        else:
            yield _found(name, place)


def _found(name: str, place: Path | None) -> Check:
    if place is None:
        return Check(
            group="data",
            name=name,
            state=MISSING,
            detail="no copy on this machine",
            remedy="`edgecnn run` downloads it, or set EDGECNN_DATA to a copy",
        )
    return Check(group="data", name=name, state=OK, detail=str(place), size_bytes=size_of(place))


def _caches() -> Iterator[Check]:
    """What edgecnn keeps outside runs."""
    for name, place in {
        "emulated CPUs": emulation.cache_folder(),
        onnxruntime_web.NPM_PACKAGE: onnxruntime_web.cache(),
    }.items():
        size = size_of(place) if place.exists() else 0
        yield Check(group="cache", name=name, state=OK, detail=str(place), size_bytes=size)
