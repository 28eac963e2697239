"""Export a run's model to the formats asked for; artifacts.json says what was written."""

from __future__ import annotations

import hashlib
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn import run as files
from edgecnn.charts import draw_precision
from edgecnn.console import say
from edgecnn.errors import EdgecnnError, GateFailed, InputError, NewerSchema, reason_of
from edgecnn.images import digests, samples_of
from edgecnn.layer_map import absorbed
from edgecnn.machine import installed_versions
from edgecnn.plugins import ExportSource, Format, discover, pick
from edgecnn.records import SCHEMA, Artifact, Artifacts, Calibration, Export, TensorSpec
from edgecnn.run import TEMPORARY, Run, sha256_of, size_of, staged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.images import Samples
    from edgecnn.plugins import Exported
    from edgecnn.records import Contract

CONVERTERS = (
    "tensorflow", "keras", "tf2onnx", "onnx", "onnxslim", "onnxruntime", "ai-edge-litert", "numpy", "edgecnn",
)  # fmt: skip


DEFAULT_MAX_DROP = 0.5  # points


def inputs(run: Run, formats: Sequence[str], max_drop: float) -> dict[str, str]:
    """What decides the exports: file hashes, formats, the budget, and the converters' versions."""
    versions = installed_versions()
    return {
        **{name: run.hash_of(name) for name in (files.MODEL, files.CONTRACT, files.SAMPLES)},
        "formats": " ".join(chosen(formats)),
        "max_drop": str(max_drop),
        **{name: versions.get(name, "missing") for name in CONVERTERS},
    }


def chosen(formats: Sequence[str]) -> list[str]:
    """The formats asked for in alphabetical order, all when none is named; raises UsageError for an unknown one."""
    return sorted({pick(Format, name).name for name in formats} or discover(Format))


def is_current(run: Run, formats: Sequence[str] = (), max_drop: float = DEFAULT_MAX_DROP) -> bool:
    """Whether the run already holds these exports."""
    return run.is_current(files.ARTIFACTS, Artifacts, inputs(run, formats, max_drop))


def export(run: Run, formats: Sequence[str] = (), max_drop: float = DEFAULT_MAX_DROP) -> Artifacts:
    """Write `exports/<format><suffix>` for each format (all when none is named), and artifacts.json.

    A quantized format that loses more than `max_drop` percentage points on training images keeps the layers that
    cause it in float32. Exports of other formats stay, and are made anew where the model, the samples or a converter
    has changed. Raises UsageError for an unknown format and InputError for a model that cannot be read or converted,
    or for calibration images that are evaluation images.
    """
    wanted = chosen(formats)
    contract = run.contract()
    source, calibration = _source(run, contract, max_drop)
    kept, stale = _others(run, wanted, max_drop)
    made = []
    for name in sorted([*wanted, *stale]):
        artifact = _export_one(run.root, pick(Format, name), source, calibration)
        say(f"Exported {artifact.path}: {artifact.size_bytes:,} bytes ({artifact.seconds:.1f} s)")
        made.append(artifact)
    artifacts = tuple(sorted([*kept, *made], key=lambda artifact: artifact.format))
    decided = inputs(run, [artifact.format for artifact in artifacts], max_drop)
    searched = [artifact for artifact in artifacts if artifact.precision and artifact.precision.sensitivity]
    pictures = [draw_precision(run, a.format, a.precision) for a in searched if a.precision]
    record = Artifacts(
        schema=SCHEMA,
        origin=run.origin("export", decided, [*(artifact.path for artifact in artifacts), *pictures]),
        data=contract.data,
        artifacts=artifacts,
    )
    run.save(files.ARTIFACTS, record)
    return record


def check(run: Run, formats: Sequence[str] = ()) -> list[str]:
    """Export again elsewhere and compare with what the run holds; the formats that came out the same.

    By the bytes, or by the content hash of a format that cannot give the same bytes. Raises GateFailed naming the
    formats that differ.
    """
    contract = run.contract()
    record = run.artifacts()
    artifacts = {artifact.format: artifact for artifact in record.artifacts}
    wanted = chosen(formats or list(artifacts))
    missing = [name for name in wanted if name not in artifacts]
    if missing:
        raise InputError(f"{missing[0]} is not exported yet; run `edgecnn export {run.root} --format {missing[0]}`.")
    max_drop = float(record.origin.inputs.get("max_drop", DEFAULT_MAX_DROP))
    source, calibration = _source(run, contract, max_drop)
    differing = []
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=run.root) as folder:
        for name in wanted:
            run.artifact_path(artifacts[name])
            again = _export_one(Path(folder), pick(Format, name), source, calibration)
            same = again.content_sha256 == artifacts[name].content_sha256
            say(f"{name}: {'the same' if same else 'DIFFERS'} ({again.content_sha256[:12]})")
            differing += [] if same else [name]
    if differing:
        old, new = record.origin.versions, installed_versions()
        changed = [f"{name} {old.get(name, 'none')} -> {new[name]}" for name in new if old.get(name) != new[name]]
        why = f"; versions have changed: {', '.join(changed)}" if changed else ", with the same versions"
        raise GateFailed(f"Exporting again gave other files for {', '.join(differing)}{why}.")
    return wanted


def _source(run: Run, contract: Contract, max_drop: float) -> tuple[ExportSource, Calibration]:
    samples = samples_of(run, contract)
    if samples.drawn:
        say("The run carries no images: drawn ones are used for calibration")
    source = ExportSource(
        model=load_model(run, contract),
        contract=contract,
        calibration_images=samples.calibration,
        selection_images=samples.selection,
        selection_labels=samples.selection_labels,
        max_drop_points=max_drop,
    )
    return source, _calibration(samples)


def _others(run: Run, wanted: Sequence[str], max_drop: float) -> tuple[list[Artifact], list[str]]:
    """Of the exports not asked for now: those that still are what this model gives, or else the formats to renew."""
    try:
        old = run.load(files.ARTIFACTS, Artifacts, "export")
    except NewerSchema:
        raise
    except InputError:  # missing or unreadable
        return [], []
    known = [artifact for artifact in old.artifacts if artifact.format in discover(Format)]
    others = [artifact for artifact in known if artifact.format not in wanted]
    if is_current(run, [artifact.format for artifact in known], max_drop):
        return others, []
    return [], [artifact.format for artifact in others]


def load_model(run: Run, contract: Contract) -> Any:
    """The Keras model, in safe mode; raises InputError when it is not the contract's or cannot be read."""
    from edgecnn.conversion import configure_tensorflow

    configure_tensorflow()
    import keras

    path = run.model_path(contract)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its parts raise
        raise InputError(f"{path} cannot be loaded by Keras: {reason_of(error)}") from None


def _calibration(samples: Samples) -> Calibration:
    evaluated = set(samples.test_digests.tolist())
    mixed = sum(digest in evaluated for digest in digests(samples.calibration).tolist())
    return Calibration(
        images=len(samples.calibration),
        sha256=hashlib.sha256(samples.calibration.tobytes()).hexdigest(),
        evaluation_images=mixed,
        source="drawn images" if samples.drawn else "training images",
        method="minimum and maximum over these images and a black and a white one",
        tool="",
    )


def _export_one(root: Path, format: Format, source: ExportSource, calibration: Calibration) -> Artifact:
    path = f"{files.EXPORTS}/{format.name}{format.suffix}"
    start = time.perf_counter()
    if format.calibrated and calibration.evaluation_images:
        raise InputError(
            f"{calibration.evaluation_images} of the {calibration.images} calibration images are test images, on which "
            f"{format.name} is to be judged; calibrate on training images that are not in the test split."
        )
    used = replace(calibration, tool=_tool(format)) if format.calibrated else None
    with staged(root / path) as draft:
        try:
            exported = format.export(source)
            inside = _travelling(source, format, exported, used)
            exported.write(inside, draft)
        except (EdgecnnError, OSError, ModuleNotFoundError):
            raise
        except Exception as error:  # converters raise errors of no common kind
            raise InputError(f"The model cannot be exported as {format.name}: {reason_of(error)}") from error
    facts = inside.export
    assert facts is not None
    sha256 = sha256_of(root / path)
    return Artifact(
        format=format.name,
        path=path,
        size_bytes=size_of(root / path),
        sha256=sha256,
        content_sha256=exported.content_sha256 or sha256,
        image=inside.image,
        output=inside.output,
        layers=facts.layers,
        absorbed=facts.absorbed,
        calibration=used,
        precision=exported.precision,
        seconds=round(time.perf_counter() - start, 3),
    )


def _tool(format: Format) -> str:
    """Which package measured the ranges."""
    package = "onnxruntime" if format.file_kind == "onnx" else "tensorflow"
    return f"{package} {installed_versions()[package]}"


def _travelling(source: ExportSource, format: Format, exported: Exported, used: Calibration | None) -> Contract:
    """The contract as it travels inside the file: with what it says of itself."""
    layers = dict(exported.layers)
    versions = installed_versions()
    facts = Export(
        format=format.name,
        versions={name: versions[name] for name in CONVERTERS if name in versions},
        layers=layers,
        absorbed=absorbed(source, layers) if layers else {},
        calibration=used,
        kept_float=exported.precision.kept_float if exported.precision else (),
    )
    contract = source.contract
    image, output = contract.image, replace(contract.output, dtype=format.output_dtype)
    return replace(
        contract,
        image=image if format.batched else _one(image),
        output=output if format.batched else _one(output),
        export=facts,
    )


def _one(spec: TensorSpec) -> TensorSpec:
    return TensorSpec(name=spec.name, dtype=spec.dtype, shape=(1, *spec.shape[1:]))
