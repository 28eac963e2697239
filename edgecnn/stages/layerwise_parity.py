"""Compare every layer inside every export with Keras' own, and write layers.json and its picture."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn import run_directory
from edgecnn.console import log, progress
from edgecnn.data.evaluation import evaluation_of
from edgecnn.environment import runtime_versions, usable_cores
from edgecnn.errors import EdgecnnError
from edgecnn.execution.client import ModelWorker
from edgecnn.execution.targets import KERAS, pairs
from edgecnn.files import TEMPORARY, save_array, sha256_of
from edgecnn.model_files.activations import activations_in, images_per_batch
from edgecnn.model_files.keras_archive import layer_inputs
from edgecnn.parity.layerwise import EXPECTED, Sums, advice, in_keras_layout, judged
from edgecnn.records import SCHEMA, LayerParity, Layers
from edgecnn.run_directory import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.execution.targets import ExportTarget

    Outputs = list[npt.NDArray[np.float32]]

IMAGES = 128
MOST_BYTES = 1 << 30  # of layers' outputs on the disk while exports are compared
MAX_BATCH = 32  # images of one call: all layers' outputs of a batch are held in memory


@dataclass(frozen=True)
class _Observed:
    """Of one pair: each layer's sums, and what observing changed and could not show; see LayerParity."""

    sums: dict[str, Sums]
    output_difference: float
    fused_by_runtime: tuple[str, ...]


def inputs(
    run: Run, images: str, formats: Sequence[str], providers: Sequence[str], runtimes: Sequence[str] = ()
) -> dict[str, str]:
    """What decides the figures: the files' hashes, the images, and the runtimes' versions."""
    return {
        **{
            name: run.hash_of(name)
            for name in (run_directory.MODEL, run_directory.CONTRACT, run_directory.ARTIFACTS, run_directory.EXPORTS)
        },
        "images": images,
        "formats": " ".join(sorted(formats)),
        "providers": " ".join(sorted(providers)),
        **({"runtimes": " ".join(sorted(runtimes))} if runtimes else {}),
        **runtime_versions(),
    }


def is_current(run: Run) -> bool:
    """Whether layers.json is about what the run holds now."""
    if not run.path(run_directory.LAYERS).is_file():
        return False
    evaluation = evaluation_of(run.contract(), run.training().data, None)
    return run.is_current(run_directory.LAYERS, Layers, inputs(run, evaluation.source, (), ()))


def layers(
    run: Run,
    data: str | None = None,
    formats: Sequence[str] = (),
    providers: Sequence[str] = (),
    runtimes: Sequence[str] = (),
) -> Layers:
    """Observe the first evaluation images in every export that shows its layers.

    Raises InputError for a file that cannot be loaded, MachineError when a worker dies.
    """
    contract = run.contract()
    evaluation = evaluation_of(contract, run.training().data, data)
    images = evaluation.images[:IMAGES]
    found, skipped = pairs(run, formats, providers, runtimes)
    found = [pair for pair in found if pair.runtime.exposes and pair.artifact.layers]
    log(f"Layers of {len(found)} exports over {len(images)} images")
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=run.root) as folder:
        observed, failures, count = _observe(run, found, images, Path(folder))
    skipped |= failures
    graph = layer_inputs(run.path(run_directory.MODEL))
    results = []
    for pair in found:
        if pair.name in failures:
            continue
        seen = observed[pair.name]
        sha256 = sha256_of(pair.path)
        rows = judged(
            seen.sums, pair.artifact.layers, pair.artifact.fused_into, graph, EXPECTED[pair.format.weight_dtype]
        )
        first_divergent_layer = next((row.layer for row in rows if row.divergence), "")
        todo = advice(pair.format.name, pair.format.weight_dtype, exported=sha256 == pair.artifact.sha256)
        results.append(
            LayerParity(
                format=pair.format.name,
                runtime=pair.runtime.name,
                provider=pair.provider,
                artifact_sha256=sha256,
                output_difference=seen.output_difference,
                fused_by_runtime=seen.fused_by_runtime,
                layers=rows,
                first_divergent_layer=first_divergent_layer,
                advice=todo if first_divergent_layer else "",
            )
        )
        log(f"  {describe(results[-1])}")
    record = Layers(
        schema=SCHEMA,
        origin=run.origin("parity --layers", inputs(run, evaluation.source, formats, providers, runtimes), []),
        data=contract.data,
        images=count,
        files=tuple(results),
        skipped=skipped,
    )
    run.save(run_directory.LAYERS, record)
    return record


def describe(file: LayerParity) -> str:
    """The result for a file, as a sentence."""
    seen = f"; its runtime fuses {', '.join(file.fused_by_runtime)}" if file.fused_by_runtime else ""
    if file.output_difference:
        seen += f"; while observed its outputs differ by up to {file.output_difference:.1g} from the usual ones"
    if not file.first_divergent_layer:
        return f"{file.name}: all {len(file.layers)} layers are as expected from their inputs{seen}"
    row = next(row for row in file.layers if row.layer == file.first_divergent_layer)
    parts = f", which includes {', '.join(row.fused_layers)}," if row.fused_layers else ""
    return f"{file.name}: layer {row.layer}{parts} diverges: {row.divergence}{seen}. {file.advice}"


def _observe(
    run: Run, found: Sequence[ExportTarget], images: Pixels, folder: Path
) -> tuple[dict[str, _Observed], dict[str, str], int]:
    """What was seen of each pair, by its name; why a pair could not be run; over how many images."""
    model = run.model_path(run.contract())
    batch = images_per_batch(activations_in(model).total_bytes, MAX_BATCH)
    batches = [images[start : start + batch] for start in range(0, len(images), batch)]
    wanted = {layer for pair in found for layer in pair.artifact.layers}
    names = [layer for layer in layer_inputs(model) if layer in wanted]
    inputs_path, outputs_path = folder / "images.npy", folder / "outputs.npz"
    references = [folder / f"reference-{number}.npz" for number in range(len(batches))]
    with ModelWorker(KERAS, model, threads=usable_cores(), extra_outputs=names) as reference:
        written = 0
        for number, (pixels, kept) in enumerate(zip(batches, references, strict=True)):
            save_array(inputs_path, pixels)
            reference.ask("observe", images=str(inputs_path), outputs=str(kept))
            written += kept.stat().st_size
            if written + kept.stat().st_size > MOST_BYTES:  # of a deep model the first images have to do
                batches, references = batches[: number + 1], references[: number + 1]
                break
    observed: dict[str, _Observed] = {}
    failures: dict[str, str] = {}
    with progress("observing layers", len(found)) as advance:
        for number, pair in enumerate(found):
            try:
                observed[pair.name] = _observe_one(pair, names, batches, references, (inputs_path, outputs_path))
            except EdgecnnError as error:
                failures[pair.name] = error.reason
            advance(number + 1)
    return observed, failures, sum(map(len, batches))


def _observe_one(
    pair: ExportTarget,
    names: Sequence[str],
    batches: Sequence[Pixels],
    references: Sequence[Path],
    paths: tuple[Path, Path],
) -> _Observed:
    import numpy as np

    own, output = pair.artifact.layers, pair.artifact.output.name
    inputs_path, outputs_path = paths

    def outputs(worker: ModelWorker) -> Outputs:
        worker.ask("observe", images=str(inputs_path), outputs=str(outputs_path))
        with np.load(outputs_path) as archive:
            return [archive[f"arr_{i}"] for i in range(len(archive.files))]

    def outputs_with(worker: ModelWorker, extra_outputs: Sequence[str]) -> npt.NDArray[np.float32]:
        worker.load(extra_outputs)
        return outputs(worker)[0]

    same = partial(np.array_equal, equal_nan=True)
    settings: dict[str, Any] = {"threads": usable_cores(), "provider": pair.provider}
    with ModelWorker(pair.runtime.name, pair.path, **settings) as plain:
        expected = []
        for pixels in batches:
            save_array(inputs_path, pixels)
            expected.append(outputs(plain)[0])
        tensors = list(dict.fromkeys(tensor.tensor for tensor in own.values() if tensor.tensor != output))
        save_array(inputs_path, batches[0])
        if pair.runtime.fuses and not same(outputs_with(plain, tensors), expected[0]):
            tensors = [name for name in tensors if same(outputs_with(plain, [name]), expected[0])]
        plain.load(tensors)
        shown = {output, *tensors}
        sums = {layer: Sums() for layer in names if layer in own and own[layer].tensor in shown}
        array_of = {name: f"arr_{i + 1}" for i, name in enumerate(names)}
        difference = 0.0
        for pixels, reference, unobserved in zip(batches, references, expected, strict=True):
            save_array(inputs_path, pixels)
            values = outputs(plain)
            if not same(values[0], unobserved):
                difference = max(difference, float(np.nanmax(np.abs(values[0] - unobserved))))
            seen = dict(zip([output, *tensors], values, strict=True))
            with np.load(reference) as wanted:
                for layer, total in sums.items():
                    total.add(wanted[array_of[layer]], in_keras_layout(seen[own[layer].tensor], own[layer]))
    return _Observed(sums, difference, tuple(layer for layer in own if own[layer].tensor not in shown))
