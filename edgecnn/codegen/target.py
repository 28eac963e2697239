"""What generated C is written for: any compiler, or the instructions of a kind of CPU, with the same outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.errors import unknown_name

if TYPE_CHECKING:
    from edgecnn.codegen.graph import Convolution


@dataclass(frozen=True)
class Target:
    """`multiply` are headers that multiply by blocks, each behind the condition under which a compiler takes it."""

    name: str
    summary: str
    machines: tuple[str, ...] = ()  # of Python's platform.machine() that may have these instructions; () for any
    flags: tuple[str, ...] = ()  # of gcc and clang
    multiply: tuple[tuple[str, str], ...] = ()
    largest_block: int = 0  # output channels at a time
    sums: int = 0  # pixels times channels at a time, at most
    window_bytes: int = 0  # of an input in a window, as the instructions take it, at most
    input_offset: int = 0  # that is added to each input
    group: tuple[int, ...] = (0, 1, 2, 3)  # the order of the inputs that are multiplied at once
    rows: bool = False  # whether the weights of an output lie side by side, whatever the block
    only_if: str = ""  # when there are blocks at all; else one output comes after the other, without buffers

    def block(self, channels: int) -> int:
        """How many output channels of a layer are computed at a time."""
        if self.rows:
            return max(block for block in range(1, min(channels, self.largest_block) + 1) if channels % block == 0)
        return next(block for block in (32, 16, 1) if block <= self.largest_block and (channels > 16 or block < 32))

    def pixels(self, channels: int) -> int:
        """How many pixels of a convolution are computed at a time."""
        return PIXELS_IN_ROWS if self.rows else self.sums // self.block(channels)

    def buffers(self, step: Convolution) -> tuple[int, int]:
        """How many inputs a step copies at a time, in windows, and how many sums it computes of them."""
        depth, block = -(-step.weights[0].size // len(self.group)) * len(self.group), self.block(len(step.bias))
        if step.is_dense:
            return depth, block
        pixels, pool = self.pixels(len(step.bias)), step.pool[0][0] * step.pool[0][1]
        together = max(1, pixels // pool) * pool
        windows = -(-together // pixels) * pixels
        return windows * depth, windows * block


PIXELS_IN_ROWS = 4  # as multiply_plain.h has them
ARM = ("arm",)
X86 = ("x86_64", "AMD64")
AVX2 = "multiply_avx2.h"
VNNI = "defined(__AVX512VNNI__) && defined(__AVX512BW__)"
TARGETS = {
    target.name: target
    for target in (
        Target(
            "portable",
            "any C99 compiler",
            multiply=(("", "multiply_plain.h"),),
            largest_block=64,
            window_bytes=2,
            group=tuple(range(8)),
            rows=True,
            only_if="defined(__SSE2__) || defined(__ARM_NEON)",
        ),
        Target(
            "cortex-m-dsp",
            "Cortex-M with DSP instructions, as M4 and M7",
            ARM,
            ("-mcpu=cortex-m4", "-mthumb"),
            (("", "multiply_dsp.h"),),
            largest_block=1,
            sums=4,
            window_bytes=2,
            group=(0, 2, 1, 3),
        ),
        Target(
            "cortex-m-mve",
            "Cortex-M with vectors, as M55",
            ARM,
            ("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"),
            (("", "multiply_mve.h"),),
            largest_block=1,
            sums=4,
            window_bytes=1,
            group=tuple(range(16)),
        ),
        Target(
            "x86-avx2",
            "x86 with AVX2",
            X86,
            ("-mavx2",),
            (("", AVX2),),
            largest_block=32,
            sums=128,
            window_bytes=2,
            input_offset=128,
        ),
        Target(
            "x86-vnni",
            "x86 with AVX-512 VNNI; with AVX2 where the compiler is not told of it",
            X86,
            ("-march=native",),
            ((VNNI, "multiply_vnni.h"), ("", AVX2)),
            largest_block=32,
            sums=128,
            window_bytes=2,
            input_offset=128,
        ),
        Target(
            "aarch64-dotprod",
            "AArch64 with dot products",
            ("aarch64", "arm64"),
            ("-march=armv8.2-a+dotprod",),
            (("", "multiply_dotprod.h"),),
            largest_block=16,
            sums=64,
            window_bytes=1,
        ),
    )
}
DEFAULT_TARGET = "portable"


def pick_target(name: str) -> Target:
    """The target of that name; raises UsageError with the nearest names."""
    if name not in TARGETS:
        raise unknown_name("target", name, TARGETS)
    return TARGETS[name]
