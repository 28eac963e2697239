"""A run directory: its file names, its records, and the lock.

What a killed process left under `.tmp-` names is removed by the next holder of the lock.
"""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from edgecnn.environment import UNKNOWN, installed_versions, this_machine
from edgecnn.errors import InputError, MachineError, UnsupportedSchema
from edgecnn.files import TEMPORARY, delete, sha256_of, staged
from edgecnn.records import (
    Artifact,
    Artifacts,
    Contract,
    Features,
    Golden,
    Latency,
    Layers,
    Origin,
    Parity,
    Report,
    Training,
    decode,
    encode,
)
from edgecnn.records.contract import image_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


MODEL = "model.keras"
CONTRACT = "contract.json"
TRAINING = "training.json"
SAMPLES = "samples.npz"
ARTIFACTS = "artifacts.json"
PARITY = "parity.json"
PREDICTIONS = "predictions.npz"
LAYERS = "layers.json"
GOLDEN = "golden.json"
LATENCY = "latency.json"
FEATURES = "features.json"
REPORT = "report.json"
EXPORTS = "exports"
CHECKPOINT = "checkpoint"
BUNDLES = "bundles"

RECORDS: dict[str, type] = {
    CONTRACT: Contract, TRAINING: Training, ARTIFACTS: Artifacts, PARITY: Parity, LAYERS: Layers, LATENCY: Latency,
    FEATURES: Features, REPORT: Report, GOLDEN: Golden,
}  # fmt: skip

LOCK = ".lock"
IMPORT = "import"  # the command a run begins with whose model was trained elsewhere

MOST_RUNS = 3  # in a sentence

R = TypeVar("R")


@dataclass(frozen=True)
class Run:
    """A run directory. Paths given to its methods are relative to it."""

    root: Path

    @classmethod
    def at(cls, root: Path) -> Run:
        """An existing run; raises InputError when there is none."""
        _refuse_file(root)
        if not root.is_dir():
            raise InputError(f"There is no run at {root}; {cls(root).command('run')} makes one.")
        run = cls(root)
        if run.holds_other_files():
            places = [root.parent, *sorted(path.parent for path in root.glob(f"*/{CONTRACT}"))]
            runs = [str(place) for place in places if (place / CONTRACT).is_file()][:MOST_RUNS]
            hint = f"did you mean {' or '.join(runs)}?" if runs else "give the directory of a run."
            raise InputError(f"{root} holds other files and is not a run; {hint}")
        return run

    def holds_other_files(self) -> bool:
        """Whether it is a directory with files and none of a run."""
        files = {path.name for path in self.root.iterdir()} if self.root.is_dir() else set()
        return bool(files) and not files & {LOCK, CONTRACT, MODEL, ARTIFACTS}

    def command(self, name: str, options: str = "") -> str:
        """A command on this run as a sentence shows it, in quotes: it can be copied to a shell."""
        return f"`{' '.join(filter(None, ['edgecnn', name, shlex.quote(str(self.root)), options]))}`"

    def path(self, name: str) -> Path:
        """Where a file of the run lies."""
        return self.root / name

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the directory, making it if needed; raises MachineError when another process holds it."""
        import filelock

        _refuse_file(self.root)
        if self.holds_other_files():
            raise InputError(f"{self.root} holds other files and is not a run; choose a new or an empty directory.")
        new = not self.root.is_dir()
        self.root.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.path(LOCK))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise MachineError(f"Another edgecnn is working in {self.root}; wait for it or stop it.") from None
        try:
            for leftover in self.root.rglob(f"{TEMPORARY}*"):
                delete(leftover)
            yield
        finally:
            if new and os.listdir(self.root) == [LOCK]:  # nothing came of it
                delete(self.root)
            lock.release()

    def save(self, name: str, record: object) -> None:
        """Write a record as JSON."""
        with staged(self.path(name)) as draft:
            draft.write_bytes(encode(record))

    def load(self, name: str, kind: type[R], maker: str, *, upgrade: bool = False) -> R:
        """Read a record; with `upgrade` a contract or a training record of schema 1 too.

        Raises InputError naming the command `maker` that writes it when it is missing, UnsupportedSchema when it is of
        another schema.
        """
        path = self.path(name)
        if not path.is_file():
            raise InputError(f"{path} is missing; {self.command(maker)} writes it.")
        remedy = f"`edgecnn run NEW --model {shlex.quote(str(self.root))}` takes its model into a new run"
        if not self.path(TRAINING).is_file():
            remedy = f"delete {path} and run the same command again"
        return decode(path.read_bytes(), kind, str(path), remedy=remedy, upgrade=upgrade)

    def contract(self, *, upgrade: bool = False) -> Contract:
        """The run's contract; with `upgrade` one of schema 1 too."""
        contract = self.load(CONTRACT, Contract, "train", upgrade=upgrade)
        image_shape(contract)
        return contract

    def model_path(self, contract: Contract) -> Path:
        """Where the Keras model lies; raises InputError unless it is the very file the contract was made for."""
        path = self.path(MODEL)
        if not path.is_file():
            raise InputError(f"{path} is missing; {self.maker()} writes it.")
        if sha256_of(path) != contract.model_sha256:
            raise InputError(f"{path} is not the model of {CONTRACT}, or is damaged; run {self.maker()}.")
        return path

    def maker(self) -> str:
        """The command that writes the run's first files, for a sentence."""
        if self.is_imported():
            return f"`edgecnn import MODEL --labels FILE --data PATH --out {shlex.quote(str(self.root))}`"
        return self.command("train")

    def is_imported(self) -> bool:
        """Whether the run's model was trained elsewhere."""
        try:
            return self.training().origin.command == IMPORT
        except UnsupportedSchema:
            raise
        except InputError:  # missing or unreadable
            return False

    def training(self, *, upgrade: bool = False) -> Training:
        """The run's training record; with `upgrade` one of schema 1 too."""
        return self.load(TRAINING, Training, "train", upgrade=upgrade)

    def artifacts(self) -> Artifacts:
        """The run's exports; raises InputError when they are of another model than the run holds now."""
        record = self.load(ARTIFACTS, Artifacts, "export")
        if record.origin.inputs.get(CONTRACT) != self.hash_of(CONTRACT):
            raise InputError(f"The exports in {self.root} are of another model; run {self.command('export')}.")
        return record

    def artifact_path(self, artifact: Artifact) -> Path:
        """Where an artifact lies; raises InputError unless it is the very file that was exported."""
        path = self.path(artifact.path)
        if not path.exists():
            raise InputError(f"{path} is missing; run {self.command('export')}.")
        if sha256_of(path) != artifact.sha256:
            raise InputError(
                f"{path} is not the file that was exported (its SHA-256 differs); run {self.command('export')}."
            )
        return path

    def without_export(self, record: Artifacts, format: str) -> InputError:
        """The sentence for a format without an export: why there is none, or how to make it."""
        reason = next((failure.reason for failure in record.failures if failure.format == format), "")
        if reason:
            return InputError(f"{format} could not be exported: {reason}.")
        return InputError(f"{format} is not exported yet; run {self.command('export', f'--format {format}')}.")

    def hash_of(self, name: str) -> str:
        """SHA-256 of a file or folder of the run, "" where there is none."""
        path = self.path(name)
        return sha256_of(path) if path.exists() else ""

    def origin(self, command: str, inputs: dict[str, str], outputs: Iterable[str]) -> Origin:
        """The origin of a record about to be saved, with the hashes of the outputs already written."""
        return Origin(
            command=command,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=this_machine(),
            versions=installed_versions(),
            inputs=inputs,
            outputs={name: self.hash_of(name) for name in outputs},
        )

    def is_current(self, name: str, kind: type[R], inputs: dict[str, str]) -> bool:
        """Whether the record was made from these very inputs and its outputs still are as written; never where the
        version of one of them is not known."""
        try:
            origin = getattr(self.load(name, kind, ""), "origin", None)
        except UnsupportedSchema:
            raise
        except InputError:  # missing or unreadable: to be made again
            return False
        return (
            isinstance(origin, Origin)
            and origin.inputs == inputs
            and UNKNOWN not in inputs.values()
            and all(self.hash_of(file) == sha256 for file, sha256 in origin.outputs.items())
        )


def _refuse_file(path: Path) -> None:
    if path.is_file():
        raise InputError(f"{path} is a file and not a run; give the directory of a run.")
