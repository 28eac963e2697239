"""An .onnx file in memory: its sessions, its contract, and the layers it can show."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn import bounds
from edgecnn.errors import EdgecnnError, InputError, MachineError, UsageError, damaged, reason_of, unknown_name
from edgecnn.model_files.onnx_protobuf import layouts, nodes, with_outputs
from edgecnn.pretrained import find_run
from edgecnn.records import Contract, LayerTensor, Placement, decode
from edgecnn.records.contract import CONTRACT_KEY, image_shape
from edgecnn.run_directory import EXPORTS, Run
from edgecnn.runtimes.onnxruntime import CPU, check_available, check_placement, names_of, open_session, placement_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgecnn.runtimes.onnxruntime import Provider

DEFAULT_FORMAT = "onnx_float32"
PREFIX, SUFFIX = "onnx_", ".onnx"

_MODELS: weakref.WeakSet[OnnxModel] = weakref.WeakSet()
_INHERITED: list[object] = []  # by a forked process; never freed, since freeing waits for threads that are not there


class OnnxModel:
    """A file's content and the sessions that run it; the content is kept, so that both are of the very same file.

    Safe to use from several threads. It pickles as its content, and in a forked process its sessions are opened again.
    Raises :class:`InputError` for a file that cannot be used, MachineError for a provider that is not here or does not
    run all compute nodes.
    """

    layers: dict[str, LayerTensor]  # of a file without a layer map: its tensors by their own names
    fused_into: dict[str, str]  # Keras layer without a tensor of its own -> the layer it was fused into
    placement: Placement

    def __init__(self, path: Path, content: bytes, threads: int, providers: tuple[Provider, ...]) -> None:
        check_available(providers)
        self.path, self._content, self._threads, self._providers = path, content, threads, providers
        self._lock = threading.Lock()
        self._is_open = True
        self._on_cpu = providers == (CPU,)  # drivers of devices map more memory than they take
        self._session: Any = self._open(content)
        self._session_with_layers: Any = None
        with self._reading():
            self.placement = placement_of(self._session)
            self._contract = _contract_of(self._session, path)
            export = self._contract.export if self._contract else None
            self.fused_into = dict(export.fused_into) if export else {}
            self.layers = self._own_tensors() if self._contract is None else dict(export.layers) if export else {}
        _MODELS.add(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return OnnxModel, (self.path, self._content, self._threads, self._providers)

    @property
    def contract(self) -> Contract:
        """What the file says of itself; raises InputError for a file that edgecnn did not export."""
        if self._contract is None:
            raise InputError(
                f"{self.path} was not exported by edgecnn (no {CONTRACT_KEY} in its metadata), so its labels and its "
                "preprocessing are unknown; use an .onnx file of a run."
            )
        return self._contract

    @property
    def is_foreign(self) -> bool:
        """Whether the file carries no contract."""
        return self._contract is None

    def session(self) -> Any:
        """The InferenceSession of the file as it is; raises UsageError when closed."""
        session = self._session
        if session is None:
            with self._lock:
                if not self._is_open:
                    raise UsageError("The predictor is closed; make another.")
                session = self._session = self._session or self._open(self._content)
        return session

    def run(self, outputs: list[str], inputs: dict[str, Any], session: Any = None) -> list[Any]:
        """What these outputs hold for these inputs; the session is that of the file as it is unless another is given.

        Raises :class:`InputError` where ONNX Runtime refuses them while it runs.
        """
        session = session or self.session()
        try:
            with bounds.running(self.path, len(self._content), inputs.values()) if self._on_cpu else nullcontext():
                values: list[Any] = session.run(outputs, inputs)
        except EdgecnnError:
            raise
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise InputError(f"{self.path} cannot take this input ({reason_of(error)}).") from None
        return values

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """The guard around what is read of the file: names that are not UTF-8, layers that are not there."""
        try:
            yield
        except EdgecnnError:
            raise
        except Exception as error:  # of ONNX Runtime's binding, and of the reader of the file's bytes
            raise damaged(self.path, "ONNX model", error) from None

    def session_with_layers(self) -> Any:
        """The same with each of `layers` as a further output: another session, so that the first stays what it is."""
        plain = self.session()
        with self._lock:
            if self._session_with_layers is None:
                with self._reading():
                    outputs = {output.name for output in plain.get_outputs()}
                    tensors = dict.fromkeys(
                        layer.tensor for layer in self.layers.values() if layer.tensor not in outputs
                    )
                self._session_with_layers = self._open(with_outputs(self._content, tensors))
            return self._session_with_layers

    def shapes(self) -> dict[str, tuple[int | str | None, ...]]:
        """Layer -> the shape of its maps for one image, as [H, W, C] or [N]; the name of a side that varies."""
        session = self.session_with_layers()
        with self._reading():
            found = {output.name: tuple(output.shape[1:]) for output in session.get_outputs()}
            return {
                name: (*found[layer.tensor][1:], found[layer.tensor][0])
                if layer.layout == "NCHW"
                else found[layer.tensor]
                for name, layer in self.layers.items()
            }

    def close(self) -> None:
        """Free the sessions."""
        with self._lock:
            self._is_open = False
            self._session = self._session_with_layers = None

    def leave_inherited(self) -> None:
        """In a process that was just forked: put the sessions, whose threads were not copied, out of use."""
        _INHERITED.append((self._session, self._session_with_layers))
        self._lock = threading.Lock()
        self._session = self._session_with_layers = None

    def _open(self, content: bytes) -> Any:
        """A session whose placement is proven."""
        try:
            with bounds.loading(self.path, len(content)) if self._on_cpu else nullcontext():
                session = open_session(content, self._threads, self._providers, self.path.parent)
        except EdgecnnError:
            raise
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise self._refusal(content, error) from None
        with self._reading():
            check_placement(placement_of(session), self._providers)
        return session

    def _refusal(self, content: bytes, error: Exception) -> InputError | MachineError:
        """Whether it is the file or, where the CPU can run it, the provider that is no good."""
        if self._providers != (CPU,):
            try:
                open_session(content, 1, weights=self.path.parent)
            except Exception as other:
                error = other
            else:
                names = " and ".join(names_of(self._providers))
                return MachineError(f"{names} cannot run the model on this machine ({reason_of(error)}).")
        if self.path.suffix != SUFFIX:
            return InputError(f"{self.path} is not an ONNX model; give a run, or one of its {SUFFIX} files.")
        return InputError(f"{self.path} is damaged or not an ONNX model ({reason_of(error)}); export or copy it again.")

    def _own_tensors(self) -> dict[str, LayerTensor]:
        """What a file without a layer map can show: its float tensors with a batch and at least one more dimension.

        A tensor that is rounded to integers next is left out: what ships is the rounded one.
        """
        graph = nodes(self._content)
        layout = layouts(graph)
        rounded = {node.inputs[0] for node in graph if node.operator == "QuantizeLinear"}
        outputs = {output.name for output in self._session.get_outputs()}
        names = [name for node in graph for name in node.outputs if name and name not in rounded]
        session = self._open(with_outputs(self._content, [name for name in names if name not in outputs]))
        ranks = {value.name: len(value.shape) for value in session.get_outputs() if value.type == "tensor(float)"}
        return {
            name: LayerTensor(tensor=name, layout=layout[name] if ranks[name] == 4 else "N")
            for name in names
            if ranks.get(name, 0) >= 2
        }


def _after_fork() -> None:
    for model in list(_MODELS):
        model.leave_inherited()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def model_file(model: str | Path, format: str | None) -> Path:
    """The .onnx file a user means: the file itself, or a run's export in that format (None: onnx_float32).

    `onnx_` may be left out of its name: `int8` for `onnx_int8`. Raises InputError and UsageError.
    """
    place = find_run(model)
    if not place.is_dir():
        if format is not None:
            raise UsageError(f"{place} is a single file; a format selects an export of a run.")
        return place
    wanted = DEFAULT_FORMAT if format is None else format
    there = exports_of(place)
    for name in (wanted, f"{PREFIX}{wanted}"):
        if name in there:
            return there[name]
    if not (place / EXPORTS).is_dir():
        Run.at(place)  # says so where it is no run at all
    if format is None or not there:
        raise InputError(f"{place} holds no {EXPORTS}/{wanted}{SUFFIX}; {Run(place).command('export')} makes it.")
    raise unknown_name("ONNX export", wanted, there)


def exports_of(run: Path) -> dict[str, Path]:
    """The ONNX exports of a run: format -> file, in alphabetical order."""
    return {path.stem: path for path in sorted((run / EXPORTS).glob(f"*{SUFFIX}"))}


def _contract_of(session: Any, path: Path) -> Contract | None:
    """The contract in a model's metadata, None where there is none; raises InputError where it does not fit."""
    try:
        content = session.get_modelmeta().custom_metadata_map.get(CONTRACT_KEY)
    except UnicodeError:
        return None
    if content is None:
        return None
    contract = decode(content.encode(), Contract, f"The contract in {path}")
    found = [
        [(value.name, value.type, value.shape[1:]) for value in side]
        for side in (session.get_inputs(), session.get_outputs()[:1])
    ]
    try:
        wanted = [
            [(contract.input.name, "tensor(uint8)", list(image_shape(contract)))],
            [(contract.output.name, "tensor(float)", [len(contract.labels)])],
        ]
    except InputError:
        wanted = []
    if found != wanted:
        raise InputError(f"{path} and the contract in it do not fit together; export it again.")
    return contract
