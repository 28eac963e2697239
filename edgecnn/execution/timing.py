"""What a worker times, and how: blocks of calls, the first call, decoding and resizing, a loop that is always the same.

It imports the standard library and numpy: it runs on devices too.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_BATCHES = 16
SPIN_STEPS = 20_000
REST_SECONDS, MOST_RESTS, AT_REST = 0.0005, 40, 0.2  # how long at a time, how often, and what share of CPU is rest
CLOCK_LOOKS = 200


def batches(images: str, batch: int) -> list[Any]:
    """Batches of consecutive images of a file, uint8 [batch, H, W, C]; MOST_BATCHES at most."""
    import numpy as np

    pixels = np.load(images)
    numbers = np.arange(batch)
    count = min(len(pixels), MOST_BATCHES)
    return [np.ascontiguousarray(pixels[(i * batch + numbers) % len(pixels)]) for i in range(count)]


def first(run: Callable[[Any], object], batches: Sequence[Any]) -> dict[str, Any]:
    """Time the first call."""
    start = time.perf_counter()
    run(batches[0])
    return {"first_ms": (time.perf_counter() - start) * 1e3}


def block(
    run: Callable[[Any], object],
    batches: Sequence[Any],
    skip: int,
    calls: int,
    repeat: int = 1,
    slowdown: float = 0.0,
) -> dict[str, Any]:
    """Time calls on these batches in turn, after `skip` calls that are not kept, then wait until all is at rest.

    Where the clock is coarse a sample is the mean of `repeat` calls.
    With a `slowdown` every call spins on for that share of its time: what a comparison has to find.
    """
    for i in range(skip):
        run(batches[i % len(batches)])
    samples, clock = [0] * calls, time.perf_counter_ns
    began, used = clock(), time.process_time_ns()
    for i in range(calls):
        pixels = batches[i % len(batches)]
        start = clock()
        for _ in range(repeat):
            run(pixels)
        taken = clock() - start
        if slowdown:
            end = start + int(taken * (1 + slowdown))
            while clock() < end:
                pass
            taken = clock() - start
        samples[i] = taken // repeat
    busy = (time.process_time_ns() - used) / max(1, clock() - began)
    _rest()
    return {"samples_ns": samples, "busy_cores": busy}


def prepare(image: str, height: int, width: int, calls: int) -> dict[str, Any]:
    """Median times of decoding an image file and of resizing its pixels; the first is None without Pillow."""
    import importlib.util
    from statistics import median

    import numpy as np

    from edgecnn.preprocessing.decode import decode_image
    from edgecnn.preprocessing.resize import resize

    def taken(work: Callable[[], object]) -> float:
        samples = []
        for _ in range(calls):
            start = time.perf_counter()
            work()
            samples.append((time.perf_counter() - start) * 1e3)
        return median(samples)

    there = importlib.util.find_spec("PIL") is not None
    pixels = decode_image(image) if there else np.zeros((480, 640, 3), np.uint8)
    return {
        "decode_ms": taken(lambda: decode_image(image)) if there else None,
        "resize_ms": taken(lambda: resize(pixels, height, width)),
    }


def noise_probe() -> dict[str, Any]:
    """Time a loop that always does the same."""
    start = time.perf_counter_ns()
    for _ in range(SPIN_STEPS):
        pass
    return {"noise_probe_ns": time.perf_counter_ns() - start}


def facts() -> dict[str, Any]:
    """The cores this process may use, the step of its clock, and how many processes want to run."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return {"cpu_affinity": cores, "timer_resolution_ns": _timer_step(), "load": load}


def _rest() -> None:
    """Wait until this process uses no CPU: runtimes' threads spin on for a while, and would slow the next worker."""
    for _ in range(MOST_RESTS):
        used, start = time.process_time_ns(), time.perf_counter_ns()
        time.sleep(REST_SECONDS)
        if time.process_time_ns() - used < AT_REST * (time.perf_counter_ns() - start):
            return


def _timer_step() -> int:
    """The smallest step, in ns, by which the clock is seen to go on."""
    clock, steps = time.perf_counter_ns, []
    for _ in range(CLOCK_LOOKS):
        start = now = clock()
        while now == start:
            now = clock()
        steps.append(now - start)
    return min(steps)
