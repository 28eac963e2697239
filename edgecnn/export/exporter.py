"""What a run is exported from, and one export: converted, written and described."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgecnn.console import log
from edgecnn.data.samples import digests, samples_of
from edgecnn.environment import versions_of
from edgecnn.errors import InputError
from edgecnn.export.format import ExportSource
from edgecnn.export.layer_map import fused_into
from edgecnn.files import sha256_of, size_of
from edgecnn.model_files import keras_archive
from edgecnn.records import Artifact, Calibration, Export, TensorSpec
from edgecnn.run_directory import EXPORTS

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.data.samples import Samples
    from edgecnn.export.format import Exported, ExportOptions, Format
    from edgecnn.records import Contract
    from edgecnn.run_directory import Run

WHATEVER_THE_FORMAT = ("edgecnn", "numpy")  # packages that every export is made with


def source_of(run: Run, options: ExportOptions) -> tuple[ExportSource, Calibration]:
    """What a run is exported from, and what a quantized format records of its calibration but the tool."""
    contract = run.contract()
    samples = samples_of(run, contract)
    if samples.is_synthetic:
        log("The run has no images: calibrating with synthetic ones")
    source = ExportSource(
        model=load_model(run, contract),
        contract=contract,
        calibration_images=samples.calibration,
        selection_images=samples.selection,
        selection_labels=samples.selection_labels,
        options=options,
    )
    return source, _calibration(samples)


def load_model(run: Run, contract: Contract) -> Any:
    """The Keras model, in safe mode; raises InputError when it is not the contract's or cannot be read."""
    from edgecnn.tensorflow_setup import configure_tensorflow

    configure_tensorflow()
    return keras_archive.load(run.model_path(contract))


def _calibration(samples: Samples) -> Calibration:
    evaluated = set(samples.test_digests.tolist())
    mixed = sum(digest in evaluated for digest in digests(samples.calibration).tolist())
    return Calibration(
        images=len(samples.calibration),
        sha256=hashlib.sha256(samples.calibration.tobytes()).hexdigest(),
        evaluation_images=mixed,
        source="synthetic images" if samples.is_synthetic else "training images",
        method="minimum and maximum over these images and a black and a white one",
        tool="",
    )


def path_of(format: Format) -> str:
    """Where a run holds a format's export."""
    return f"{EXPORTS}/{format.name}{format.suffix}"


def artifact_of(format: Format, draft: Path, source: ExportSource, calibration: Calibration) -> Artifact:
    """Convert, write the file or folder at `draft`, and describe it as it will be in its place."""
    start = time.perf_counter()
    if format.calibrator and calibration.evaluation_images:
        raise InputError(
            f"{calibration.evaluation_images} of the {calibration.images} calibration images are test images, on which "
            f"{format.name} is to be judged; calibrate on training images that are not in the test split"
        )
    used = None
    if format.calibrator:
        tools = versions_of((format.calibrator,))
        used = replace(calibration, tool=", ".join(f"{name} {version}" for name, version in tools.items()))
    exported = format.export(source)
    inside = _travelling(source, format, exported, used)
    exported.write(inside, draft)
    facts = inside.export
    assert facts is not None
    sha256 = sha256_of(draft)
    return Artifact(
        format=format.name,
        path=path_of(format),
        size_bytes=size_of(draft),
        sha256=sha256,
        content_sha256=exported.content_sha256 or sha256,
        input=inside.input,
        output=inside.output,
        layers=facts.layers,
        fused_into=facts.fused_into,
        calibration=used,
        mixed_precision=exported.mixed_precision,
        int8_safety=exported.int8_safety,
        seconds=round(time.perf_counter() - start, 3),
    )


def _travelling(source: ExportSource, format: Format, exported: Exported, used: Calibration | None) -> Contract:
    """The contract as it travels inside the file: with what it says of itself."""
    layers = dict(exported.layers)
    facts = Export(
        format=format.name,
        versions=versions_of((*WHATEVER_THE_FORMAT, *format.packages)),
        layers=layers,
        fused_into=fused_into(source, layers) if layers else {},
        calibration=used,
        excluded_from_quantization=exported.mixed_precision.excluded_from_quantization
        if exported.mixed_precision
        else (),
    )
    contract = source.contract
    image, output = contract.input, replace(contract.output, dtype=format.output_dtype)
    return replace(
        contract,
        input=image if format.batched else _one(image),
        output=output if format.batched else _one(output),
        export=facts,
    )


def _one(spec: TensorSpec) -> TensorSpec:
    return TensorSpec(name=spec.name, dtype=spec.dtype, shape=(1, *spec.shape[1:]))
