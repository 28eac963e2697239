"""What can go wrong, and the exit code each kind ends with.

    EdgecnnError
    ├── GateFailed      1   a gate failed: parity, a comparison, or the memory of a microcontroller
    ├── UsageError      2   an unknown format, runtime, architecture ... or options that exclude each other
    ├── MachineError    3   this machine cannot: package missing, lock held, disk full, not writable
    │   └── DataUnavailable     the data set is unavailable here (no copy, no network)
    └── InputError      4   bad input: no such file, broken image, data set, model or run
        ├── NoSuchData          no data set at the path given
        └── UnsupportedSchema   a file was written by a newer or an older edgecnn, in another schema

130 is left for an interrupted command, 143 and 129 for one ended by SIGTERM and SIGHUP, 141 for one whose reader went
away. Every message is one sentence a person
can act on.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from typing import TYPE_CHECKING

try:
    import resource  # here, since nothing can be imported once too many files are open
except ImportError:  # of Windows
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

EXIT_PIPE_CLOSED = 141  # what a shell reports of a program ended by SIGPIPE

MAX_REASON = 300  # characters
# Colors, and the places in its own graph that TensorFlow puts around a message.
DECORATION = re.compile(
    r"\x1b\[[0-9;]*[A-Za-z]|\{\{function_node [^}]*\}\} | \[Op:\w+\]( name: *(?=$|\x1b))?", re.MULTILINE
)
# What stands before a message: glog's time and place in its two spellings, MLIR's place in a graph.
PREFIX = re.compile(
    r"[IWEF]\d{4} [\d:.]+ +\d+ \S+:\d+\] |[\d-]{10} [\d:.]+: [IWEF] \S+:\d+\] |.*<unknown>:0: error: (loc\(.*\): )?"
)
# Lines by which Keras, TensorFlow and Python announce a message, and where it arose.
ANNOUNCEMENT = re.compile(
    r"Exception encountered when calling .*|Detected at node .*|<stack traces unavailable>|Node: .*|File \".*|.*:"
)
# ONNX Runtime's code, the check that failed, and the place in its source with the function's signature.
ONNXRUNTIME = re.compile(r"\[ONNXRuntimeError\] : .* : |.* was false\. |/\S+\.(cc|h):\d+ .*?\)(?: const)? (?=[A-Z])")
TFLITE_LACKS = re.compile(r"(?:Custom|TF Select) ops: (.+)")  # the line of a long message that names the operators


class EdgecnnError(Exception):
    """Root of every error whose message is meant for the user."""

    exit_code = 1

    @property
    def reason(self) -> str:
        """The message without its full stop, to stand in a sentence or a record."""
        return str(self).rstrip(".")


class GateFailed(EdgecnnError):
    """A result is not good enough to ship; several `failures` are told on lines of their own."""

    def __init__(self, message: str, failures: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.failures = tuple(failures)


class UsageError(EdgecnnError):
    """The command line names something that does not exist."""

    exit_code = 2


class MachineError(EdgecnnError):
    """The request is fine, this machine cannot do it now."""

    exit_code = 3


class DataUnavailable(MachineError):
    """A data set is unavailable on this machine."""


class InputError(EdgecnnError):
    """A file, image, data set, model or run that cannot be used."""

    exit_code = 4


class NoSuchData(InputError):
    """There is no data set at the path given."""


class UnsupportedSchema(InputError):
    """A file in a newer or an older schema than this edgecnn reads."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """A :class:`UsageError` for a name that no plug-in has, with the nearest names first."""
    names = sorted(known)
    near = nearest(name, names)
    hint = f"there are {', '.join(names)}." if len(names) > 1 else f"there is only {names[0]}."
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    return UsageError(f"No {kind} is called '{name}'; {hint}")


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Of the names known those that `name` may stand for, the most likely first, three at most: those of which one
    begins with the other, as CUDAExecutionProvider does with cuda, and those spelled nearly so, in capitals or not."""
    spelled = {one.lower(): one for one in known}
    begun = [one for one in spelled if name and (name.lower().startswith(one) or one.startswith(name.lower()))]
    near = difflib.get_close_matches(name.lower(), spelled, n=3)
    return [spelled[one] for one in dict.fromkeys([*begun, *near])][:3]


def reason_of(error: BaseException) -> str:
    """The line of a library's error that says what is wrong, without a full stop and never empty.

    Keras and TensorFlow announce a message in lines of their own and put it further down. Where a message says nothing
    without the kind of the error, as a missing key's, the kind stands before it.

    Raises MachineError where the reason is this process's limit of open files, which says nothing of what was read.
    """
    if refused := too_many_files(error):
        raise refused from None
    kind = type(error).__name__
    lines = [PREFIX.sub("", line.strip(), count=1).strip() for line in DECORATION.sub("", str(error)).splitlines()]
    lines = [line for line in lines if line.strip(" .'\"")]
    if not lines:
        return f"{kind} without a message"
    operators = next((found[1] for line in lines if (found := TFLITE_LACKS.fullmatch(line))), "")
    line = next((line for line in lines if not ANNOUNCEMENT.fullmatch(line)), lines[0])
    reason = f"TFLite has no operator for {operators}" if operators else ONNXRUNTIME.sub("", line).rstrip(" .:")
    if isinstance(error, LookupError | UnicodeError | AssertionError):
        reason = f"{kind}: {reason}"
    return reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]} ..."


def damaged(path: Path, kind: str, error: Exception) -> InputError:
    """The sentence for a file whose reader stumbled over it; `kind` says what it should have been."""
    return InputError(f"{path} is damaged or not a valid {kind} ({reason_of(error)}); export or copy it again.")


def too_many_files(error: BaseException) -> MachineError | None:
    """The sentence for a limit of open files, None for any other error; libraries make errors of their own of it."""
    if os.strerror(errno.ENFILE) in str(error) or getattr(error, "errno", None) == errno.ENFILE:
        return MachineError("This system has no more files to open; end other programs and run the same command again.")
    if os.strerror(errno.EMFILE) not in str(error) and getattr(error, "errno", None) != errno.EMFILE:
        return None
    limit = f" of {resource.getrlimit(resource.RLIMIT_NOFILE)[0]:,}" if resource else ""
    return MachineError(
        f"Too many files are open for this process's limit{limit}; raise it (`ulimit -n`) and run the same command "
        "again."
    )


def from_os_error(error: OSError) -> MachineError | None:
    """The sentence for what the system refuses: a full disk, a place not writable; None if it gives no reason."""
    if error.errno is None or error.errno == errno.EPIPE:
        return None
    if refused := too_many_files(error):
        return refused
    place = error.filename or "the output directory"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return MachineError(f"The disk is full at {place}; free some space and run the same command again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return MachineError(
            f"{place} is not writable or not readable; choose another directory or correct its permissions."
        )
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT):
        return MachineError(f"{place} cannot be used; part of this path is not a directory, or cannot be created.")
    return MachineError(f"The system refuses {error.filename or 'it'}: {error.strerror}.")
