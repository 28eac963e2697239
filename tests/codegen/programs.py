"""Generated C as a program that maps images on its input to outputs, on this CPU or an emulated one."""

from __future__ import annotations

import platform
import shutil
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.codegen.emitter import emit
from edgecnn.codegen.target import TARGETS
from tests.codegen.compiled import GATE, build, contract_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgecnn.codegen.graph import Graph
    from edgecnn.records import Contract

MAIN = """
#include <stdio.h>
#include <stdlib.h>
#include "tiny.h"

int main(void) {
    static uint8_t image[TINY_IMAGE_BYTES];
    int8_t output[TINY_LABEL_COUNT];
    void *arena = malloc(TINY_ARENA_BYTES);
    if (tiny_selftest(arena)) {
        return 1;
    }
    while (fread(image, 1, sizeof image, stdin) == sizeof image) {
        tiny_run(image, output, arena);
        fwrite(output, 1, sizeof output, stdout);
    }
    free(arena);
    return 0;
}
"""
CROSS = "aarch64-linux-gnu-gcc"
PLACES = {  # target -> the compiler that makes it here, and what runs it where this CPU cannot
    "portable": ("gcc", ()),
    "x86-avx2": ("gcc", ("qemu-x86_64-static", "-cpu", "Haswell")),
    "x86-vnni": ("gcc", ()),
    "aarch64-dotprod": (CROSS, ("qemu-aarch64-static", "-cpu", "neoverse-n1")),
}
NEEDED = {"x86-avx2": "avx2", "x86-vnni": "avx512_vnni", "aarch64-dotprod": "asimddp"}  # in /proc/cpuinfo


def launcher(target: str) -> tuple[str, Sequence[str]]:
    """The compiler and what starts its programs; skips with the reason where there is none."""
    compiler, emulator = PLACES[target]
    machines = TARGETS[target].machines
    if platform.machine() in machines and compiler == CROSS:
        compiler = "gcc"
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}: apt install gcc{'-aarch64-linux-gnu' if compiler == CROSS else ''}")
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        has = target not in NEEDED or NEEDED[target] in file.read().split()
    if has and (not machines or platform.machine() in machines):
        return compiler, ()
    if not emulator:
        pytest.skip(
            f"this CPU has no {NEEDED[target]}, and no emulator here has it; {target} was compiled elsewhere only"
        )
    if not shutil.which(emulator[0]):
        pytest.skip(f"no {emulator[0]}: apt install qemu-user-static")
    return compiler, emulator


def program(graph: Graph, target: str, contract: Contract, folder: Path, flags: Sequence[str] = ("-O1",)) -> list[str]:
    """The command of the compiled model; its warnings are errors."""
    compiler, start = launcher(target)
    emit(graph, contract_for(contract, graph), folder, TARGETS[target])
    (folder / "main.c").write_text(MAIN)
    sources = [str(folder / name) for name in ("main.c", "tiny.c", "tiny_selftest.c")]
    static = ["-static"] if start else []
    place = str(folder / "program")
    build(compiler, [*GATE, *TARGETS[target].flags, *flags, *static, *sources, "-o", place])
    return [*start, place]


def outputs(command: Sequence[str], images: np.ndarray, classes: int) -> np.ndarray:
    """int8 [N, classes]."""
    done = subprocess.run(command, input=np.ascontiguousarray(images).tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return np.frombuffer(done.stdout, np.int8).reshape(len(images), classes)
