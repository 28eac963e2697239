"""A .tflite file taken apart into objects that can be changed and written again."""

from __future__ import annotations

from typing import Any

from edgecnn.errors import InputError

BUFFER_ALIGNMENT = 16  # `force_align` of Buffer.data in TFLite's schema
BORDER = frozenset({"QUANTIZE", "DEQUANTIZE", "CAST"})  # what quantization adds; it computes nothing


class File:
    """A .tflite file taken apart: its operators in order, and the tensors that go in and out of them."""

    def __init__(self, flatbuffer: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        names = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
        self.model: Any = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
        self.graph: Any = self.model.subgraphs[0]
        codes = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in self.model.operatorCodes]
        self.operators: list[Any] = list(self.graph.operators)
        self.kinds = [codes[operator.opcodeIndex] for operator in self.operators]
        if "CUSTOM" in self.kinds:
            raise InputError("The model needs operators that TFLite's runtimes on devices do not have.")

    def steps(self) -> list[int]:
        """The operators that compute, by number."""
        return [i for i, kind in enumerate(self.kinds) if kind not in BORDER]

    def is_constant(self, tensor: int) -> bool:
        """Whether the file holds the tensor's values."""
        data = self.model.buffers[self.graph.tensors[tensor].buffer].data
        return data is not None and len(data) > 0

    def outputs_of(self, operator: int) -> list[int]:
        """Tensors an operator makes."""
        return [int(t) for t in self.operators[operator].outputs]

    def inputs_of(self, operator: int) -> list[int]:
        """Tensors an operator reads, missing ones left out."""
        return [int(t) for t in self.operators[operator].inputs if t >= 0]


def packed(model: Any) -> bytes:
    """A .tflite file's bytes, from its ModelT."""
    import flatbuffers

    class Builder(flatbuffers.Builder):  # type: ignore[misc]
        """The generated code writes buffers without the alignment that the schema requires."""

        def StartVector(self, size: int, count: int, alignment: int) -> Any:  # noqa: N802
            return super().StartVector(size, count, BUFFER_ALIGNMENT if size == 1 and count > 4 else alignment)

    builder = Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
