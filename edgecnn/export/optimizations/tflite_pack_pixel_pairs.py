"""A faster first convolution for full-integer TFLite files on CPUs.

XNNPACK's integer convolution is fed channels in fours and eights; an image has three. Taken as pairs of neighbouring
pixels it has half the width and six channels, and the first convolution makes two neighbouring outputs at once, with
each of its weights in two places. Both reshapes move no byte, all sums stay the same integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.model_files.tflite_model import File

    Weights = npt.NDArray[np.int8]


def pair_pixels(file: File) -> None:
    """Change the first convolution where it is quantized, with three channels, no padding, stride 1 and even width."""
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    place = _first_convolution(file)
    if place is None:
        return
    convolution = file.operators[place]
    tensors = file.graph.tensors
    image, kernel, bias = (int(tensor) for tensor in convolution.inputs)
    output = int(convolution.outputs[0])
    _, height, width, channels = (int(side) for side in tensors[image].shape)
    _, rows, columns, filters = (int(side) for side in tensors[output].shape)

    paired = paired_weights(_values(file, kernel, np.int8))
    _replace(file, kernel, paired)
    _replace(file, bias, np.tile(_values(file, bias, np.int32), 2))
    for tensor in (kernel, bias):
        quantization = tensors[tensor].quantization
        quantization.scale = np.tile(quantization.scale, 2)
        quantization.zeroPoint = np.tile(quantization.zeroPoint, 2)
    pairs_in = _like(file, image, (1, height, width // 2, 2 * channels))
    pairs_out = _like(file, output, (1, rows, columns // 2, 2 * filters))
    convolution.inputs = np.array([pairs_in, kernel, bias], np.int32)
    convolution.outputs = np.array([pairs_out], np.int32)
    code = _code(file, schema.BuiltinOperator.RESHAPE)
    before = _reshape(file, code, image, pairs_in)
    after = _reshape(file, code, pairs_out, output)
    file.operators[place : place + 1] = [before, convolution, after]
    file.graph.operators = file.operators


def paired_weights(weights: Weights) -> Weights:
    """int8 [out, height, width, in] to [2 * out, height, width // 2 + 1, 2 * in]: two neighbouring outputs of pairs.

    Output 2 j + p of a row reads the pixels 2 j + p + k, which lie in the pair j + (p + k) // 2 at (p + k) % 2.
    """
    import numpy as np

    filters, height, width, channels = weights.shape
    paired = np.zeros((2, filters, height, width // 2 + 1, 2, channels), np.int8)
    for p in range(2):
        for k in range(width):
            paired[p, :, :, (p + k) // 2, (p + k) % 2] = weights[:, :, k]
    return paired.reshape(2 * filters, height, width // 2 + 1, 2 * channels)


def _first_convolution(file: File) -> int | None:
    """The operator that can be changed, by number."""
    from ai_edge_litert import schema_py_generated as schema

    tensors = file.graph.tensors
    first = next((i for i in file.steps() if file.kinds[i] == "CONV_2D"), None)
    if first is None or first != file.steps()[0] or len(file.inputs_of(first)) != 3:
        return None
    options = file.operators[first].builtinOptions
    image, kernel, bias = file.inputs_of(first)
    suits = (
        tensors[kernel].type == schema.TensorType.INT8
        and tensors[bias].type == schema.TensorType.INT32
        and options.padding == schema.Padding.VALID
        and (options.strideW, options.dilationWFactor, options.dilationHFactor) == (1, 1, 1)
        and tensors[image].shape[3] == 3
        and tensors[kernel].shape[2] % 2 == 1
        and tensors[image].shape[2] % 2 == 0
    )
    return first if suits else None


def _values(file: File, tensor: int, dtype: Any) -> Any:
    import numpy as np

    details = file.graph.tensors[tensor]
    return np.frombuffer(bytes(file.model.buffers[details.buffer].data), dtype).reshape(details.shape)


def _replace(file: File, tensor: int, values: Any) -> None:
    import numpy as np

    details = file.graph.tensors[tensor]
    details.shape = np.array(values.shape, np.int32)
    file.model.buffers[details.buffer].data = np.frombuffer(values.tobytes(), np.uint8)


def _like(file: File, tensor: int, shape: tuple[int, ...]) -> int:
    """A new tensor of another shape, quantized as `tensor` is."""
    import copy

    import numpy as np

    new = copy.copy(file.graph.tensors[tensor])
    new.shape = np.array(shape, np.int32)
    new.shapeSignature = None
    new.name = new.name + b"/pairs"
    new.buffer = 0
    file.graph.tensors.append(new)
    return len(file.graph.tensors) - 1


def _code(file: File, operator: int) -> int:
    """The place of an operator in the file's list, which it joins where it is missing."""
    from ai_edge_litert import schema_py_generated as schema

    for i, code in enumerate(file.model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == operator:
            return i
    new = schema.OperatorCodeT()
    new.builtinCode = new.deprecatedBuiltinCode = operator
    new.version = 1
    file.model.operatorCodes.append(new)
    return len(file.model.operatorCodes) - 1


def _reshape(file: File, code: int, source: int, target: int) -> Any:
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    wanted = np.array(file.graph.tensors[target].shape, np.int32)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(wanted.tobytes(), np.uint8)
    file.model.buffers.append(buffer)
    shape = schema.TensorT()
    shape.name = file.graph.tensors[target].name + b"/shape"
    shape.type = schema.TensorType.INT32
    shape.shape = np.array([4], np.int32)
    shape.buffer = len(file.model.buffers) - 1
    file.graph.tensors.append(shape)
    operator = schema.OperatorT()
    operator.opcodeIndex = code
    operator.inputs = np.array([source, len(file.graph.tensors) - 1], np.int32)
    operator.outputs = np.array([target], np.int32)
    operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    operator.builtinOptions = schema.ReshapeOptionsT()
    operator.builtinOptions.newShape = wanted
    return operator
