"""Export a run's model to the formats asked for; artifacts.json says what was written."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

from edgecnn import run as files
from edgecnn.console import say
from edgecnn.errors import EdgecnnError, InputError, NewerSchema
from edgecnn.images import samples_of
from edgecnn.plugins import ExportSource, Format, discover, pick
from edgecnn.records import SCHEMA, Artifact, Artifacts, Calibration, TensorSpec
from edgecnn.run import Run, sha256_of, size_of, staged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.images import Samples
    from edgecnn.records import Contract

CONVERTERS = (
    "tensorflow", "keras", "tf2onnx", "onnx", "onnxslim", "onnxruntime", "ai-edge-litert", "numpy", "edgecnn",
)  # fmt: skip


def inputs(run: Run, formats: Sequence[str]) -> dict[str, str]:
    """What decides the exports: file hashes, formats, and the converters' versions."""
    versions = files.installed_versions()
    return {
        **{name: run.hash_of(name) for name in (files.MODEL, files.CONTRACT, files.SAMPLES)},
        "formats": " ".join(chosen(formats)),
        **{name: versions.get(name, "missing") for name in CONVERTERS},
    }


def chosen(formats: Sequence[str]) -> list[str]:
    """The formats asked for in alphabetical order, all when none is named; raises UsageError for an unknown one."""
    return sorted({pick(Format, name).name for name in formats} or discover(Format))


def is_current(run: Run, formats: Sequence[str]) -> bool:
    """Whether the run already holds these exports."""
    return run.is_current(files.ARTIFACTS, Artifacts, inputs(run, formats))


def export(run: Run, formats: Sequence[str] = ()) -> Artifacts:
    """Write `exports/<format><suffix>` for each format (all when none is named), and artifacts.json.

    Exports of other formats stay, and are made anew where the model, the samples or a converter has changed.
    Raises UsageError for an unknown format and InputError for a model that cannot be read or converted.
    """
    wanted = chosen(formats)
    contract = run.contract()
    samples = samples_of(run, contract)
    source = ExportSource(
        model=load_model(run, contract),
        contract=contract,
        calibration_images=samples.calibration,
        calibration=_calibration(samples),
    )
    if samples.drawn:
        say("The run carries no images: drawn ones are used for calibration")
    kept, stale = _others(run, wanted)
    made = []
    for name in sorted([*wanted, *stale]):
        artifact = _export_one(run, pick(Format, name), source)
        say(f"Exported {artifact.path}: {artifact.size_bytes:,} bytes ({artifact.seconds:.1f} s)")
        made.append(artifact)
    artifacts = tuple(sorted([*kept, *made], key=lambda artifact: artifact.format))
    record = Artifacts(
        schema=SCHEMA,
        origin=run.origin(
            "export", inputs(run, [a.format for a in artifacts]), [artifact.path for artifact in artifacts]
        ),
        data=contract.data,
        artifacts=artifacts,
    )
    run.save(files.ARTIFACTS, record)
    return record


def _others(run: Run, wanted: Sequence[str]) -> tuple[list[Artifact], list[str]]:
    """Of the exports not asked for now: those that still are what this model gives, or else the formats to renew."""
    try:
        old = run.load(files.ARTIFACTS, Artifacts, "export")
    except NewerSchema:
        raise
    except InputError:  # missing or unreadable
        return [], []
    known = [artifact for artifact in old.artifacts if artifact.format in discover(Format)]
    others = [artifact for artifact in known if artifact.format not in wanted]
    if is_current(run, [artifact.format for artifact in known]):
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
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} cannot be loaded by Keras: {reason}") from None


def _calibration(samples: Samples) -> Calibration:
    return Calibration(
        images=len(samples.calibration),
        sha256=hashlib.sha256(samples.calibration.tobytes()).hexdigest(),
        source="drawn images" if samples.drawn else "training images",
        method="minimum and maximum over these images and a black and a white one",
        tool=f"tensorflow {files.installed_versions()['tensorflow']}",
    )


def _export_one(run: Run, format: Format, source: ExportSource) -> Artifact:
    path = f"{files.EXPORTS}/{format.name}{format.suffix}"
    start = time.perf_counter()
    with staged(run.path(path)) as draft:
        try:
            exported = format.export(source, draft)
        except (EdgecnnError, OSError, ModuleNotFoundError):
            raise
        except Exception as error:  # converters raise errors of no common kind
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"The model cannot be exported as {format.name}: {reason}") from error
    image, output = source.contract.image, source.contract.output
    return Artifact(
        format=format.name,
        path=path,
        size_bytes=size_of(run.path(path)),
        sha256=sha256_of(run.path(path)),
        image=image if format.batched else _one(image),
        output=output if format.batched else _one(output),
        layers=dict(exported.layers),
        calibration=exported.calibration,
        seconds=round(time.perf_counter() - start, 3),
    )


def _one(spec: TensorSpec) -> TensorSpec:
    return TensorSpec(name=spec.name, dtype=spec.dtype, shape=(1, *spec.shape[1:]))
