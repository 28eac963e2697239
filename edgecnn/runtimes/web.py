"""ONNX Runtime Web in a headless Chromium: the very code of web bundles, in the browser that many have."""

from __future__ import annotations

import base64
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from edgecnn.environment import onnxruntime_web
from edgecnn.environment.onnxruntime_web import web_runtime
from edgecnn.errors import InputError, MachineError
from edgecnn.model_files.compute_nodes import is_compute_node
from edgecnn.model_files.onnx_protobuf import nodes
from edgecnn.records import Placement
from edgecnn.runtimes import javascript
from edgecnn.runtimes.chromium import Page
from edgecnn.runtimes.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.runtimes.runtime import Session

WASM, WEBGPU = "wasm", "webgpu"
HTML = b"<!DOCTYPE html><title>edgecnn</title>"
FLAGS = {WASM: (), WEBGPU: ("--enable-unsafe-webgpu",)}  # Chromium on Linux has WebGPU behind this flag
STEPS_OF_CLOCK = 100  # minimum length of a timed loop in steps of the page's clock
START = "(async () => { await import('./harness.js'); })"


class WebSession:
    """A model in a page of its own; the loops that time it run inside the page."""

    def __init__(self, path: Path, threads: int, provider: str, extra_outputs: tuple[str, ...]) -> None:
        content, runtime = path.read_bytes(), web_runtime(webgpu=provider == WEBGPU)
        library = {name: javascript.FOLDER / name for name in ("harness.js", *javascript.MODULES)}
        files: dict[str, Path | bytes] = {
            "index.html": HTML, "model.onnx": content, "ort.mjs": runtime.module, "ort.wasm": runtime.wasm, **library
        }  # fmt: skip
        self._page = Page(files, FLAGS[provider])
        loaded = self._load(provider, threads, extra_outputs)
        self._names: list[str] = loaded["outputs"]
        self._step_ms: float = self._page.call("edgecnn.clockStep")
        self._kept: Sequence[Pixels] = ()
        self._repeat = 0  # calls in a loop, once it is known
        compute = Counter(is_compute_node(node.operator) for node in nodes(content))
        self.placement = Placement(
            device=f"{self._page.version}, {loaded['runtime']}",
            compute_nodes={provider: compute[True]},
            other_nodes={provider: compute[False]},
        )

    def _load(self, provider: str, threads: int, tensors: tuple[str, ...]) -> dict[str, Any]:
        wanted = {"provider": provider, "threads": threads, "tensors": tensors}
        try:
            self._page.call(START)
            loaded: dict[str, Any] = self._page.call("edgecnn.load", wanted)
        except InputError as error:
            self._page.close()
            if provider == WEBGPU:  # not there, or it does not take all of the model
                raise MachineError(f"{error.reason}.") from None
            raise
        return loaded

    def run(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """uint8 [N, H, W, C] to {output name: float32 with N rows}."""
        import numpy as np

        outputs = self._page.call("edgecnn.run", {"pixels": _text(pixels), "shape": list(pixels.shape)})
        return {
            name: np.frombuffer(base64.b64decode(output["data"]), np.float32).reshape(output["shape"])
            for name, output in zip(self._names, outputs, strict=True)
        }

    def time(self, batches: Sequence[Pixels], skip: int, calls: int, repeat: int) -> list[int]:
        """Mean times in ns of loops of at least `repeat` calls, as long as the page's coarse clock needs."""
        if batches is not self._kept:
            self._page.call("edgecnn.keep", [_text(pixels) for pixels in batches])
            self._kept = batches
        block = {"shape": list(batches[0].shape), "skip": skip, "calls": calls, "repeat": max(repeat, self._repeat)}
        samples: list[float] = self._page.call("edgecnn.time", block)
        if not self._repeat:
            (mean,) = self._page.call("edgecnn.time", {**block, "calls": 1, "repeat": 10})
            self._repeat = math.ceil(STEPS_OF_CLOCK * self._step_ms / mean)
        return [round(sample * 1e6) for sample in samples]

    def close(self) -> None:
        """End the browser."""
        self._page.close()


def _text(pixels: Pixels) -> str:
    return base64.b64encode(pixels.tobytes()).decode()


def load(path: Path, threads: int, provider: str, extra_outputs: tuple[str, ...]) -> Session:
    """A ready session in a browser of its own."""
    return WebSession(path, threads, provider, extra_outputs)


PLUGIN = Runtime(
    name="web",
    title="ONNX Runtime Web",
    summary="ONNX Runtime Web in a headless Chromium, where it is named",
    file_kinds=("onnx",),
    packages=("playwright",),
    load=load,
    providers=(WASM, WEBGPU),
    default_providers=lambda: (),
    default_words="all, where web is named",
    modules=("numpy", "playwright.sync_api"),
    fuses=True,
    to_fetch=onnxruntime_web.to_fetch,
)
