"""ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime

if TYPE_CHECKING:
    from pathlib import Path

    from .arrays import Floats, Pixels

EXACT_INT8 = ("session.x64quantprecision", "1")  # without VNNI the fast kernels saturate


class Engine:
    """The model's session."""

    def __init__(self, folder: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry(*EXACT_INT8)
        self._session: Any = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def run(self, pixels: Pixels) -> Floats:
        """The outputs, float32 [labels], of uint8 [height, width, channels]."""
        scores: Floats = self._session.run(None, {self._input: pixels[None]})[0][0]
        return scores
