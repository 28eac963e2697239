"""LiteRT with XNNPACK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ai_edge_litert.interpreter import Interpreter

if TYPE_CHECKING:
    from pathlib import Path

    from .arrays import Floats, Pixels


class Engine:
    """The model's interpreter."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._interpreter: Any = Interpreter(model_path=str(folder / "model.tflite"), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def run(self, pixels: Pixels) -> Floats:
        """The outputs, float32 [labels], of uint8 [height, width, channels]."""
        self._interpreter.set_tensor(self._input, pixels[None])
        self._interpreter.invoke()
        scores: Floats = self._interpreter.get_tensor(self._output)[0]
        return scores
