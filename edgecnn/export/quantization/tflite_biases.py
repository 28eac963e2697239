"""Bias correction of full-integer .tflite files, see :mod:`edgecnn.export.quantization.bias_correction`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from edgecnn.export.format import cached
from edgecnn.export.quantization.bias_correction import IMAGES, corrected, moved
from edgecnn.export.tflite_converter import calibrated_file, inspecting_interpreter
from edgecnn.model_files.tflite_model import File, packed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.export.format import ExportSource
    from edgecnn.export.quantization.bias_correction import Means

WITH_BIAS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
BIAS = 2  # which input of these it is


def with_corrected_biases(source: ExportSource, flatbuffer: bytes) -> bytes:
    """A quantized file with the biases of its int8 operators moved until their outputs have the float file's means."""
    images = source.calibration_images[:IMAGES]
    wanted = _float_means(source)
    return corrected(
        flatbuffer,
        {step: wanted[step] for step in _correctable(File(flatbuffer))},
        lambda model, step: _means(model, images, [step])[step],
        _shifted,
    )


@cached
def _float_means(source: ExportSource) -> dict[int, Means]:
    """Of the calibrated file: step -> the mean of each output channel."""
    import numpy as np

    flatbuffer = calibrated_file(source)
    file = File(flatbuffer)
    steps = [n for n, operator in enumerate(file.steps()) if file.kinds[operator] in WITH_BIAS]
    images = source.calibration_images[:IMAGES].astype(np.float32) / np.float32(255)
    return _means(flatbuffer, images, steps)


def _means(flatbuffer: bytes, images: Pixels | npt.NDArray[np.float32], steps: list[int]) -> dict[int, Means]:
    """Step -> mean of each channel of its output over images [N, H, W, C], as the file takes them."""
    import numpy as np

    file = File(flatbuffer)
    ready = inspecting_interpreter(flatbuffer)
    image = ready.get_input_details()[0]["index"]
    scales = {detail["index"]: detail["quantization"] for detail in ready.get_tensor_details()}
    outputs = {step: file.outputs_of(file.steps()[step])[0] for step in steps}
    sums: dict[int, Any] = dict.fromkeys(steps, 0.0)
    for pixels in images:
        ready.set_tensor(image, pixels[np.newaxis])
        ready.invoke()
        for step, tensor in outputs.items():
            values = ready.get_tensor(tensor)
            sums[step] = sums[step] + values.reshape(-1, values.shape[-1]).mean(axis=0, dtype=np.float64)
    means = {}
    for step, tensor in outputs.items():
        scale, zero_point = scales[tensor]
        mean = sums[step] / len(images)
        means[step] = (mean - zero_point) * scale if scale else mean
    return means


def _correctable(file: File) -> list[int]:
    """The steps with an int32 bias that no other operator reads."""
    from ai_edge_litert import schema_py_generated as schema

    readers = Counter(tensor for operator in range(len(file.operators)) for tensor in file.inputs_of(operator))
    found = []
    for step, operator in enumerate(file.steps()):
        inputs = file.operators[operator].inputs
        bias = int(inputs[BIAS]) if file.kinds[operator] in WITH_BIAS and len(inputs) > BIAS else -1
        if bias >= 0 and readers[bias] == 1 and file.graph.tensors[bias].type == schema.TensorType.INT32:
            found.append(step)
    return found


def _shifted(flatbuffer: bytes, step: int, by: Means) -> bytes:
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    file = File(flatbuffer)
    tensor = file.graph.tensors[int(file.operators[file.steps()[step]].inputs[BIAS])]
    buffers = file.model.buffers
    bias = np.frombuffer(np.asarray(buffers[tensor.buffer].data, np.uint8).tobytes(), np.int32)
    if sum(other.buffer == tensor.buffer for other in file.graph.tensors) > 1:  # equal constants share their bytes
        tensor.buffer = len(buffers)
        buffers.append(schema.BufferT())
    scale = np.asarray(tensor.quantization.scale, np.float32)
    buffers[tensor.buffer].data = np.frombuffer(moved(bias, scale, by).tobytes(), np.uint8)
    return packed(file.model)
