"""Plain C from a quantized graph: read and check it, plan its memory, write it with kernels that are real C files."""
