"""The small predictor: labels and feature maps from an exported .onnx file, with numpy and ONNX Runtime alone.

    predictor = Predictor("runs/mine")
    predictor.predict("frog.png").label

All it must know lies in the file's metadata under `edgecnn.contract`, where the exporter writes it: the
:class:`Contract` as JSON, with the tensor of each Keras layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from edgecnn.errors import UsageError, unknown_name
from edgecnn.inference.ort_model import OnnxModel, model_file
from edgecnn.inference.results import Prediction, Predictions
from edgecnn.preprocessing.batches import prepared
from edgecnn.preprocessing.decode import Source, check_rules, fitted
from edgecnn.preprocessing.reader_pool import Readers
from edgecnn.records.contract import image_shape
from edgecnn.runtimes.onnxruntime import CPU, PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    import numpy.typing as npt

    from edgecnn.arrays import Floats
    from edgecnn.errors import EdgecnnError
    from edgecnn.preprocessing.batches import Batch
    from edgecnn.records import Contract, LayerTensor, Placement
    from edgecnn.runtimes.onnxruntime import Provider


DEFAULT_LAYERS = 6
MOST_IMAGES, MOST_BYTES = 32, 1 << 17  # of a batch: larger ones leave the caches and are slower

S = TypeVar("S", bound=Source)


class Predictor:
    """A classifier ready to use.

    `model` is a run directory, an .onnx file, or the name of a pretrained run; `format` chooses one of a run's
    ONNX exports (None: onnx_float32). `threads` is how many ONNX Runtime may compute with, `providers` which execution
    providers, the preferred first: ONNX Runtime's names, or those of `--ep`, cpu or cuda for instance.

    Several threads may use it at once. It pickles, with the file's content inside. A forked process opens the content
    again; it has to end with `os._exit`, as multiprocessing's do, since ONNX Runtime's own clean-up would never return
    there. `close`, or the end of a `with` block, frees the model.

    A file that edgecnn did not export has neither labels nor rules for images: it only shows its `layers`.

    Raises :class:`InputError` for a model that is missing or broken, MachineError for a provider that is not here or
    does not run all of the model's convolutions, dense and pooling layers.
    """

    def __init__(
        self, model: str | Path, *, format: str | None = None, threads: int = 1, providers: Sequence[Provider] = (CPU,)
    ) -> None:
        if threads < 1 or not providers:
            raise UsageError(f"A predictor needs 1 thread or more, not {threads}, and an execution provider.")
        path = model_file(model, format)
        own = tuple(PROVIDERS.get(name, name) if isinstance(name, str) else name for name in providers)
        self._model = OnnxModel(path, path.read_bytes(), threads, own)
        if not self._model.is_foreign:
            check_rules(self.contract)
            self._shape = image_shape(self.contract)
            self._input, self._outputs = self.contract.input.name, [self.contract.output.name]
            self._labels, self._meaning = self.contract.labels, self.contract.output_meaning
            height, width, channels = self._shape
            self._batch = max(1, min(MOST_IMAGES, MOST_BYTES // (height * width * channels)))

    @property
    def contract(self) -> Contract:
        """What the file says of its images and labels; raises InputError for one that edgecnn did not export."""
        return self._model.contract

    @property
    def layers(self) -> dict[str, LayerTensor]:
        """The layers whose maps :meth:`features` gives; of a foreign file the tensors that it can show."""
        return self._model.layers

    @property
    def fused_into(self) -> dict[str, str]:
        """Layers without maps of their own -> the layer each was fused into."""
        return self._model.fused_into

    @property
    def shapes(self) -> dict[str, tuple[int | str | None, ...]]:
        """The shape of each layer's maps, [H, W, C], [T, C] or [N]."""
        return self._model.shapes()

    @property
    def placement(self) -> Placement:
        """Which execution provider runs how many nodes, as ONNX Runtime tells."""
        return self._model.placement

    @overload
    def predict(self, image: Source) -> Prediction: ...
    @overload
    def predict(self, image: list[S] | tuple[S, ...] | Iterator[S], *, processes: int | Readers = 1) -> Predictions: ...

    def predict(
        self, image: Source | list[S] | tuple[S, ...] | Iterator[S], *, processes: int | Readers = 1
    ) -> Prediction | Predictions:
        """The prediction for one image: a path, a file's bytes, a Pillow image, or uint8 pixels, RGB or gray.

        For a list, tuple or iterator of images it is an iterator, in the same order. A list is computed in batches; of
        an iterator each image is classified before the next is taken, a camera's for instance. With more
        `processes`, a number or running :class:`Readers`, so many read files, a few batches ahead. Memory is bounded.
        Raises :class:`InputError` as :func:`edgecnn.preprocessing.decode.fitted` does.
        """
        labels = self.contract.labels
        if isinstance(image, (list, tuple, Iterator)):
            at_once = 1 if isinstance(image, Iterator) and processes == 1 else self._batch
            return Predictions(self._predictions(image, at_once, processes))
        pixels = fitted(image, *self._shape)
        return Prediction(self._model.run(self._outputs, {self._input: pixels[None]})[0][0], labels, self._meaning)

    def _predictions(
        self, images: Iterable[Source], at_once: int, processes: int | Readers
    ) -> Generator[Prediction | EdgecnnError, None, None]:
        with ExitStack() as stack:
            if processes == 1:
                batches = prepared(images, self._shape, at_once)
            else:
                readers = processes if isinstance(processes, Readers) else stack.enter_context(Readers(processes))
                batches = readers.prepared(images, self._shape, at_once)
            for batch in batches:
                yield from self._predict_batch(batch)

    def _predict_batch(self, batch: Batch) -> Iterator[Prediction | EdgecnnError]:
        """The results of a batch in the order of its images, errors in the places of those that could not be read."""
        predictions: Iterator[Prediction] = iter(())
        if len(batch.pixels):
            scores = self._model.run(self._outputs, {self._input: batch.pixels})[0]
            predictions = (Prediction(row, self._labels, self._meaning) for row in scores)
        if not batch.refused:
            return predictions
        return (batch.refused[i] if i in batch.refused else next(predictions) for i in range(len(batch)))

    def features(self, image: Source | npt.NDArray[Any], layers: Sequence[str] | None = None) -> dict[str, Floats]:
        """What the named Keras layers (None: the first six) give for one image, read out of the shipped file.

        As in Keras but without the batch: float32 [H, W, C], [T, C] for sequences, [N] for flatten and dense layers; of
        a quantized file the dequantized values. For a file that edgecnn did not export the image is its own input, an
        array without the batch. Raises UsageError for a layer the file does not have, :class:`InputError` as
        :meth:`predict` does.
        """
        names = list(self.layers)[:DEFAULT_LAYERS] if layers is None else list(dict.fromkeys(layers))
        for name in names:
            self._check_layer(name)
        if not names:
            return {}
        wanted = [self.layers[name] for name in names]
        values = self._values(image, [layer.tensor for layer in wanted])
        return {
            name: value[0].transpose(1, 2, 0) if layer.layout == "NCHW" else value[0]
            for name, layer, value in zip(names, wanted, values, strict=True)
        }

    def _check_layer(self, name: str) -> None:
        if name in self.fused_into:
            other = self.fused_into[name]
            raise UsageError(
                f"Layer {name} has no maps of its own in {self._model.path.name}: it is fused into {other}; use that."
            )
        if name not in self.layers:
            raise unknown_name("layer", name, self.layers)

    def _values(self, image: Source | npt.NDArray[Any], tensors: list[str]) -> list[Floats]:
        """What the tensors hold for one image: float32 with a batch of 1."""
        import numpy as np

        session = self._model.session_with_layers()
        if self._model.is_foreign and isinstance(image, np.ndarray):
            name, given = session.get_inputs()[0].name, image
        else:
            name, given = self.contract.input.name, fitted(image, *self._shape)
        values = self._model.run(tensors, {name: given[None]}, session)
        return [np.asarray(value, np.float32) for value in values]

    def close(self) -> None:
        """Free the model."""
        self._model.close()

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
