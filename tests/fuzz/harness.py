"""Cases of fuzzing, many in one process with limits on memory and time; what went wrong, one finding a case.

    python -m tests.fuzz.harness KIND FIRST COUNT

prints a line of JSON before each case and one after it. A case is a kind of input and a number, from which its file is
made: `tools/fuzz --kind KIND --case NUMBER` runs one again.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.kinds import KINDS, Kind

ROOT = Path(__file__).resolve().parent.parent.parent
MOST_SECONDS = 20.0
MOST_BYTES = 1 << 30  # that a case may take beyond what is there before it, and its file's size
ADDRESS_SPACE = 24 << 30  # of the process, so that the machine stays usable
START_SECONDS = 120.0
CODES = (0, 1, 2, 3, 4)
CONTROLS = {chr(code) for code in (*range(10), *range(11, 32), *range(127, 160), 0x2028, 0x202E)}


@dataclass(frozen=True)
class Finding:
    """What went wrong: "traceback", "crash", "hang", "memory", "control characters", "exit code" or
    "several errors"."""

    kind: str
    case: int
    what: str
    detail: str


def mutated(kind: str, data: bytes, case: int) -> bytes:
    """The file of a case."""
    return KINDS[kind].mutate(data, random.Random(f"{kind} {case}"))


def run(name: str, first: int, count: int) -> list[Finding]:
    """The findings of these cases, each process that dies or hangs followed by another."""
    found: list[Finding] = []
    end = first + count
    while first < end:
        case, ended = _run_child(name, first, end - first, found)
        if not ended:
            break
        found.append(Finding(name, case, *ended))
        first = case + 1
    return found


def measured(name: str, *paths: Path) -> list[str]:
    """What a kind's reader says of each of these files, read in a process of its own; AssertionError where that breaks
    a bound."""
    code = f"from tests.fuzz.harness import read; read({name!r}, {list(map(str, paths))!r})"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=env, timeout=START_SECONDS
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert not any(wrong for wrong, _ in answers), answers
    return [said for _, said in answers]


def read(name: str, paths: list[str]) -> None:
    """The child of :func:`measured`: warmed up on the valid file, so that what libraries take is there before."""
    with tempfile.TemporaryDirectory() as folder:
        file = KINDS[name].make(Path(folder))
        _wrong(KINDS[name], Path(folder), Path(folder) / file)
        for path in paths:
            print(json.dumps(_wrong(KINDS[name], Path(folder), Path(path))))


def _run_child(name: str, first: int, count: int, found: list[Finding]) -> tuple[int, tuple[str, str] | None]:
    """Run cases until the process ends; the last one begun, and how it ended the process, None where all are done."""
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.harness", name, str(first), str(count)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": folder, "PYTHONPATH": str(ROOT)},
        )
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_forward, args=(process, lines), daemon=True).start()
        case, limit = first, START_SECONDS
        try:
            while line := lines.get(timeout=limit):
                told = json.loads(line)
                case, limit = told["case"], 2 * MOST_SECONDS
                found += [Finding(name, case, what, detail) for what, detail in told.get("wrong", {}).items()]
                if told.get("done"):
                    return case, None
        except queue.Empty:
            return case, ("hang", f"no end after {limit:g} s")
        finally:
            process.kill()
            process.wait()
        errors.seek(0)
        return case, ("crash", errors.read().decode(errors="replace")[-2_000:])


def _forward(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put("")


def main(name: str, first: int, count: int) -> None:
    """The child: run the cases, and say before each and after each how it went."""
    from edgecnn.console import prepare_streams

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    prepare_streams()
    kind = KINDS[name]
    with tempfile.TemporaryDirectory() as original, tempfile.TemporaryDirectory() as scratch:
        file = kind.make(Path(original))
        data = (Path(original) / file).read_bytes()
        place = Path(scratch) / "case"
        for case in range(first, first + count):
            print(json.dumps({"case": case}), file=pipe, flush=True)
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(original, place, copy_function=_link)
            (place / file).unlink()
            (place / file).write_bytes(mutated(name, data, case))
            wrong, _ = _wrong(kind, place, place / file)
            print(json.dumps({"case": case, "wrong": wrong}), file=pipe, flush=True)
        print(json.dumps({"case": first + count - 1, "done": True}), file=pipe, flush=True)
    os._exit(0)


def _link(source: str, target: str) -> None:
    os.link(source, target)


def _wrong(kind: Kind, folder: Path, path: Path) -> tuple[dict[str, str], str]:
    """Read one case's file; what went wrong -> its details, and what was printed."""
    out, size, before = io.StringIO(), path.stat().st_size, _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    begun, wrong = time.monotonic(), {}
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            code = kind.read(folder, path)
        except BaseException:
            code, wrong["traceback"] = 0, traceback.format_exc()[-2_000:]
    seconds, grown, text = time.monotonic() - begun, _resident("VmHWM") - before, out.getvalue()
    if code not in CODES:
        wrong["exit code"] = str(code)
    if seconds > MOST_SECONDS:
        wrong["hang"] = f"{seconds:.1f} s"
    if grown > MOST_BYTES + size:
        wrong["memory"] = f"{grown:,} bytes"
    if "Traceback (most recent call last)" in text:
        wrong["traceback"] = text[-2_000:]
    written = [text, *(page.read_text(errors="replace") for page in folder.glob("run/report.*"))]
    if found := {letter for one in written for letter in CONTROLS & set(one)}:
        wrong["control characters"] = ascii(sorted(found))
    if sum(line.startswith("Error: ") for line in text.splitlines()) > 1:
        wrong["several errors"] = text[-500:]
    return wrong, text


def _resident(field: str) -> int:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[field].split()[0]) * 1024


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
