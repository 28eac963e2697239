"""The small predictor: an exported .onnx file, numpy and ONNX Runtime; no TensorFlow, nothing to configure.

    predictor = Predictor("runs/mine")
    predictor.predict("frog.png").label

All it must know lies in the file's metadata under `edgecnn.contract`, where the exporter writes it: the
:class:`Contract` as JSON, with the tensor of each Keras layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, overload

from edgecnn.contract import CONTRACT_KEY, Source, image_shape, prepare
from edgecnn.errors import InputError, UsageError, unknown_name
from edgecnn.onnx_outputs import with_outputs
from edgecnn.published import find_run
from edgecnn.records import Contract, LayerTensor, decode
from edgecnn.run import EXPORTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    import onnxruntime  # type: ignore[import-untyped, unused-ignore]

    Floats = npt.NDArray[np.float32]

MODEL_FILE = f"{EXPORTS}/onnx_float32.onnx"
DEFAULT_LAYERS = 6

S = TypeVar("S", bound=Source)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says of one image: float32 [classes] probabilities, in the order of `labels`."""

    probabilities: Floats
    labels: tuple[str, ...]

    @property
    def label(self) -> str:
        """The most probable label."""
        return self.top(1)[0][0]

    @property
    def probability(self) -> float:
        """The probability of `label`, in [0, 1]."""
        return self.top(1)[0][1]

    def top(self, n: int) -> list[tuple[str, float]]:
        """The n most probable labels with their probabilities, best first; among equals the earlier label."""
        best = (-self.probabilities).argsort(kind="stable")[:n]
        return [(self.labels[i], float(self.probabilities[i])) for i in best]


class Predictor:
    """A classifier ready to use, on the CPU.

    `model` is a run directory, an .onnx file that edgecnn exported, or the name of a published run; `threads` is how
    many ONNX Runtime may compute with. Raises :class:`InputError` for a model that is missing, broken or foreign.
    """

    contract: Contract
    layers: dict[str, LayerTensor]

    def __init__(self, model: str | Path, *, threads: int = 1) -> None:
        if threads < 1:
            raise UsageError(f"A predictor needs 1 thread or more, not {threads}.")
        self._path = _model_file(find_run(str(model)))
        self._threads = threads
        self._model = self._path.read_bytes()  # kept, so that features are of this file even if another replaces it
        self._session = _session(self._model, threads, self._path)
        self.contract, self.layers = _metadata(self._session, self._path)

    @overload
    def predict(self, image: Source) -> Prediction: ...
    @overload
    def predict(self, image: list[S] | tuple[S, ...] | Iterator[S]) -> Iterator[Prediction]: ...

    def predict(self, image: Source | list[S] | tuple[S, ...] | Iterator[S]) -> Prediction | Iterator[Prediction]:
        """The prediction for one image: a path, a file's bytes, a Pillow image, or uint8 pixels, RGB or grey.

        For a list, tuple or iterator of images it is an iterator that reads each image when its turn comes.
        Raises :class:`InputError` as :func:`edgecnn.contract.prepare` does.
        """
        if isinstance(image, (list, tuple, Iterator)):
            return map(self._predict_one, image)
        return self._predict_one(image)

    def _predict_one(self, image: Source) -> Prediction:
        output = _run(self._session, self.contract, image, [self.contract.output.name])[0][0]
        is_logits = self.contract.output_meaning != "probabilities"
        return Prediction(_softmax(output) if is_logits else output, self.contract.labels)

    def features(self, image: Source, layers: Sequence[str] | None = None) -> dict[str, Floats]:
        """What the named Keras layers (None: the first six) give for one image, read out of the shipped file.

        As in Keras but without the batch: float32 [H, W, C], or [N] for flatten and dense layers.
        Raises UsageError for a layer the file does not have, :class:`InputError` as :meth:`predict` does.
        """
        names = list(self.layers)[:DEFAULT_LAYERS] if layers is None else list(dict.fromkeys(layers))
        for name in names:
            if name not in self.layers:
                raise unknown_name("layer", name, self.layers)
        if not names:
            return {}
        wanted = [self.layers[name] for name in names]
        values = _run(self._layer_session, self.contract, image, [layer.tensor for layer in wanted])
        return {
            name: value[0].transpose(1, 2, 0) if layer.layout == "NCHW" else value[0]
            for name, layer, value in zip(names, wanted, values, strict=True)
        }

    @cached_property
    def _layer_session(self) -> onnxruntime.InferenceSession:
        """The same model with every layer's tensor as a further output."""
        outputs = {output.name for output in self._session.get_outputs()}
        tensors = dict.fromkeys(layer.tensor for layer in self.layers.values() if layer.tensor not in outputs)
        return _session(with_outputs(self._model, tensors), self._threads, self._path)


def _model_file(place: Path) -> Path:
    """The .onnx file of a run directory, or the file itself."""
    if not place.is_dir():
        return place
    if not (place / MODEL_FILE).is_file():
        raise InputError(f"{place} holds no {MODEL_FILE}; `edgecnn export {place}` makes it.")
    return place / MODEL_FILE


def _session(model: bytes, threads: int, path: Path) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no base class
        reason = str(error).split(" : ")[-1].strip().rstrip(".")
        raise InputError(f"{path} is damaged or no ONNX model ({reason}); export or copy it again.") from None


def _metadata(session: onnxruntime.InferenceSession, path: Path) -> tuple[Contract, dict[str, LayerTensor]]:
    """The contract and the layers in a model's metadata; raises InputError where they are missing or do not fit."""
    try:
        metadata = session.get_modelmeta().custom_metadata_map
        contract = decode(metadata[CONTRACT_KEY].encode(), Contract, f"The contract in {path}")
    except (KeyError, UnicodeError):
        raise InputError(
            f"{path} was not exported by edgecnn (no {CONTRACT_KEY} in its metadata); use an .onnx file of a run."
        ) from None
    found = [
        [(value.name, value.type, value.shape[1:]) for value in side]
        for side in (session.get_inputs(), session.get_outputs()[:1])
    ]
    try:
        wanted = [
            [(contract.image.name, "tensor(uint8)", list(image_shape(contract)))],
            [(contract.output.name, "tensor(float)", [len(contract.labels)])],
        ]
    except InputError:
        wanted = []
    if found != wanted:
        raise InputError(f"{path} and the contract in it do not fit together; export it again.")
    return contract, contract.export.layers if contract.export else {}


def _run(
    session: onnxruntime.InferenceSession, contract: Contract, image: Source, outputs: Sequence[str]
) -> list[Floats]:
    """The named outputs for one image, float32 with a batch of 1."""
    import numpy as np

    values = session.run(list(outputs), {contract.image.name: prepare(image, contract)[None]})
    return [np.asarray(value, np.float32) for value in values]


def _softmax(logits: Floats) -> Floats:
    """float32 [classes] to float32 [classes] that sum to 1, without overflow."""
    import numpy as np

    powers = np.exp(logits - logits.max())
    shares: Floats = powers / powers.sum()
    return shares
