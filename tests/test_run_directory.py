"""A run directory: atomic writes, hashes, up-to-date checks, the lock."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edgecnn.errors import InputError, MachineError, UnsupportedSchema
from edgecnn.files import TEMPORARY, sha256_of, size_of, staged
from edgecnn.records import SCHEMA, Features, Progress
from edgecnn.run_directory import FEATURES, LOCK, Run
from tests.factories import DATA

if TYPE_CHECKING:
    from pathlib import Path


def test_what_records_no_version_is_never_up_to_date(tmp_path: Path) -> None:
    from edgecnn.environment import MISSING, UNKNOWN, versions_of

    (tmp_path / "homemade_runtime.py").touch()
    sys.path.insert(0, str(tmp_path))
    try:
        inputs = versions_of(["homemade_runtime", "no_such_runtime"])
    finally:
        sys.path.remove(str(tmp_path))
    assert inputs == {"homemade-runtime": UNKNOWN, "no-such-runtime": MISSING}
    run = Run(tmp_path)
    for found in (inputs, {**inputs, "homemade-runtime": "1.0"}):
        origin = run.origin("features", found, [])
        run.save(FEATURES, Features(schema=SCHEMA, origin=origin, data=DATA, image="x", input="x", pictures={}))
        assert run.is_current(FEATURES, Features, found) == (found is not inputs)


def test_staged_replaces_a_file_only_on_success(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with staged(target) as draft:
        assert draft.suffix == target.suffix
        draft.write_text("first")
    with pytest.raises(ValueError, match="stop"), staged(target) as draft:
        draft.write_text("half of the sec")
        raise ValueError("stop")
    assert target.read_text() == "first"
    assert [p.name for p in target.parent.iterdir()] == ["file.txt"]


def test_staged_replaces_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for text in ("old", "new"):
        with staged(target) as draft:
            draft.mkdir()
            (draft / "weights").write_text(text)
    assert (target / "weights").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_staged_does_not_put_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "input.png").mkdir()
    with pytest.raises(MachineError, match="a folder stands in its place"), staged(tmp_path / "input.png") as draft:
        draft.touch()
    assert [p.is_dir() for p in tmp_path.iterdir()] == [True]


def test_hash_of_a_folder_sees_names_and_contents(tmp_path: Path) -> None:
    hashes = set()
    for name, text in (("a", "x"), ("b", "x"), ("a", "y")):
        folder = tmp_path / f"{name}{text}"
        folder.mkdir()
        (folder / name).write_text(text)
        hashes.add(sha256_of(folder))
        assert size_of(folder) == 1
    assert len(hashes) == 3


def _origin_record(run: Run) -> dict[str, object]:
    return {"schema": SCHEMA, "origin": run.origin("test", {"seed": "1"}, ["output.txt"])}


def test_is_current_wants_the_same_inputs_and_untouched_outputs(tmp_path: Path) -> None:
    from edgecnn.records import Features

    run = Run(tmp_path)
    (tmp_path / "output.txt").write_text("result")
    record = {**_origin_record(run), "data": _data(), "image": "", "input": "", "pictures": {}}
    run.save("features.json", record)
    assert run.is_current("features.json", Features, {"seed": "1"})
    assert not run.is_current("features.json", Features, {"seed": "2"})
    (tmp_path / "output.txt").write_text("touched")
    assert not run.is_current("features.json", Features, {"seed": "1"})
    assert not run.is_current("missing.json", Features, {"seed": "1"})


def _data() -> dict[str, object]:
    return {"name": "x", "spec": "x", "sha256": "", "labels": ["a", "b"], "train_count": 1, "test_count": 1}


def test_a_newer_schema_is_refused_even_by_the_up_to_date_check(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save("state.json", {"schema": SCHEMA + 1, "future": True})
    for read in (lambda: run.load("state.json", Progress, "train"), lambda: run.is_current("state.json", Progress, {})):
        with pytest.raises(UnsupportedSchema, match="newer edgecnn"):
            read()


def test_an_older_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save("state.json", {"schema": SCHEMA - 1})
    for read in (lambda: run.load("state.json", Progress, "train"), lambda: run.is_current("state.json", Progress, {})):
        with pytest.raises(UnsupportedSchema, match=rf"older edgecnn .*: delete {tmp_path / 'state.json'} and run"):
            read()
    run.save("training.json", {"schema": SCHEMA - 1})
    with pytest.raises(UnsupportedSchema, match=rf"older edgecnn .*: `edgecnn run NEW --model {tmp_path}` takes"):
        run.training()


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema": 2}', b"[]", b"\xff\x00", b'{"a": "\xff"}'])
def test_a_damaged_record_is_bad_input_to_a_reader_and_stale_to_the_check(tmp_path: Path, content: bytes) -> None:
    run = Run(tmp_path)
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        run.load("state.json", Progress, "train")
    assert not run.is_current("state.json", Progress, {})


def test_two_processes_refuse_each_other(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    code = (
        f"from pathlib import Path\nfrom edgecnn.run_directory import Run\n"
        f"with Run(Path({str(run.root)!r})).lock(): pass"
    )
    with run.lock():
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Another edgecnn is working" in other.stderr
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_lock_clears_what_a_killed_process_left(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with run.lock():
        pass
    (tmp_path / "exports" / f"{TEMPORARY}1-model").mkdir(parents=True)
    (tmp_path / "exports" / f"{TEMPORARY}1-model" / "half").touch()
    (tmp_path / f"{TEMPORARY}1-model.keras").touch()
    with run.lock():
        assert sorted(p.name for p in tmp_path.rglob("*")) == [LOCK, "exports"]


def test_a_directory_of_somebody_elses_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="not a run"), Run(tmp_path).lock():
        pass
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_file_where_the_directory_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(InputError, match="is a file and not a run"), Run(tmp_path / "run").lock():
        pass
