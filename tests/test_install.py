"""A plain install of the wheel, without TensorFlow, in an environment of its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest

from edgecnn.pretrained import NAMES
from tests import schemas

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
DIRT = (  # what the quickstart, a stage and a kill leave in artifacts/
    "artifacts/quickstart/contract.json", "artifacts/quickstart/exports/onnx_float32.onnx",
    "artifacts/cifar10-cnn/.lock", "artifacts/cifar10-cnn/.tmp-1-model.keras", "artifacts/cifar10-cnn/samples.npz",
    "artifacts/cifar10-cnn/checkpoint/state.json",
)  # fmt: skip
CONSTRAINTS = ROOT / "tools" / "constraints.txt"


def _call(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(argument) for argument in arguments], cwd=cwd, capture_output=True, text=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a wheel and a source distribution, both of a checkout in which people have worked."""
    place = tmp_path_factory.mktemp("built")
    tree = place / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache"))
    for name in DIRT:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    done = _call(sys.executable, "-m", "build", "--sdist", "--wheel", "--outdir", place, tree, cwd=place)
    if "No matching distribution found for hatchling" in done.stdout + done.stderr:
        pytest.skip("no package registry can be reached")
    assert done.returncode == 0, done.stdout + done.stderr
    return place


def test_only_the_pretrained_runs_are_published_whatever_lies_beside_them(built: Path) -> None:
    (wheel,), (source,) = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name.removeprefix("edgecnn/published/") for name in archive.namelist() if "/published/" in name}
        assert "edgecnn/constraints.txt" in archive.namelist()
    with tarfile.open(source) as archive:
        shipped = {name.partition("/artifacts/")[2] for name in archive.getnames() if "/artifacts/" in name}
    tracked = _call("git", "ls-files", "artifacts", cwd=ROOT).stdout.split()
    dirt = {name.removeprefix("artifacts/") for name in DIRT}
    for names in (packed, shipped):
        assert {name.partition("/")[0] for name in names} == set(NAMES)
        assert not names & dirt
        assert {name.removeprefix("artifacts/") for name in tracked} <= names


@pytest.fixture(scope="module")
def base(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment's programs, with the wheel and nothing but its own requirements."""
    place = tmp_path_factory.mktemp("install")
    (wheel,) = built.glob("*.whl")
    assert _call(sys.executable, "-m", "venv", place / "venv", cwd=place).returncode == 0
    bin = place / "venv" / "bin"
    installed = _call(bin / "python", "-m", "pip", "install", "-q", "-c", CONSTRAINTS, wheel, cwd=place)
    assert installed.returncode == 0, installed.stderr
    return bin


def test_predict_and_features_work_anywhere(base: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (640, 480), "skyblue").save(tmp_path / "sky.jpg")
    predicted = _call(base / "edgecnn", "predict", "cifar10-cnn", "sky.jpg", cwd=tmp_path)
    assert predicted.returncode == 0, predicted.stderr
    assert predicted.stdout.startswith("sky.jpg: ")
    drawn = _call(base / "edgecnn", "features", "cifar10-cnn", "--layer", "conv2d", "--channel", "4", cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    with Image.open(tmp_path / drawn.stdout.strip()) as picture:
        assert picture.width > 400


@pytest.mark.parametrize("command", ["train", "run"])
def test_what_needs_tensorflow_says_how_to_get_it_and_downloads_nothing(
    command: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGECNN_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    asked = _call(base / "edgecnn", command, "run", cwd=tmp_path)
    assert asked.returncode == 3
    assert "downloading" not in asked.stderr
    assert not (tmp_path / "keras").exists()
    hinted = re.search(r"This needs the package \w+: (.* install '.*\.whl\[export\]')\.$", asked.stderr)
    assert hinted, asked.stderr
    _works(hinted[1], tmp_path)
    assert not (tmp_path / "run").exists()


def _works(install: str, folder: Path) -> None:
    hint = subprocess.run(f"{install} --dry-run --no-deps", shell=True, cwd=folder, capture_output=True, text=True)
    assert hint.returncode == 0, hint.stderr


def test_the_doctor_says_what_a_run_needs(base: Path, tmp_path: Path) -> None:
    asked = _call(base / "edgecnn", "doctor", "--json", cwd=tmp_path)
    assert asked.returncode == 3, asked.stderr
    schemas.check(asked.stdout, "command-doctor.json")
    found = {(check["group"], check["name"]): check for check in json.loads(asked.stdout)["checks"]}
    states = {name: check["state"] for (group, name), check in found.items() if group == "package"}
    assert states["numpy"] == states["onnxruntime"] == "ok"
    assert states["tensorflow"] == states["jinja2"] == states["tflite-micro"] == "missing"
    assert found["runtime", "onnxruntime (cpu)"]["state"] == "ok"
    assert found["runtime", "keras"]["state"] == "missing"
    for name in ("tensorflow", "tflite-micro"):
        remedy = found["package", name]["remedy"]
        assert "constraints.txt" in remedy
        _works(remedy, tmp_path)


def test_the_base_install_is_small(base: Path, tmp_path: Path) -> None:
    code = (
        "import importlib.metadata as m\n"
        "there = [d for d in m.distributions() if d.name not in ('pip', 'setuptools')]\n"
        "files = {file.locate() for d in there for file in d.files}\n"
        "print(len(there), sum(f.stat().st_size for f in files if f.is_file()), *sorted(d.name for d in there))"
    )
    counted = _call(base / "python", "-c", code, cwd=tmp_path)
    assert counted.returncode == 0, counted.stderr
    packages, size, *names = counted.stdout.split()
    assert int(packages) <= 14, names
    assert int(size) < 200_000_000


def test_a_folder_is_predicted_by_several_processes(base: Path, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "pictures").mkdir()
    for i in range(40):
        Image.new("RGB", (64, 48), (6 * i, 90, 30)).save(tmp_path / "pictures" / f"{i:02}.jpg")
    predicted = _call(base / "edgecnn", "predict", "cifar10-cnn", "pictures", "--processes", "2", cwd=tmp_path)
    assert predicted.returncode == 0, predicted.stderr
    lines = predicted.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"pictures/{i:02}.jpg" for i in range(40)]


def test_a_published_run_is_benchmarked_and_bundled_by_its_name(base: Path, tmp_path: Path) -> None:
    measured = _call(base / "edgecnn", "bench", "cifar10-cnn", "--time-budget", "1", "--json", cwd=tmp_path)
    assert measured.returncode == 0, measured.stderr
    record = json.loads(measured.stdout)
    assert {row["format"] for row in record["rows"]} == {"onnx_float32", "onnx_int8"}
    command = f"{base / 'python'} -m pip install ai-edge-litert"
    assert record["skipped"]["litert"] == f"ai_edge_litert is not installed: {command}"
    assert record["measured_on"].startswith("synthetic images")
    bundled = _call(base / "edgecnn", "bundle", "cifar10-cnn", "--target", "tflite-micro", cwd=tmp_path)
    assert bundled.returncode == 3 and re.search(r"\.whl\[\w+\]'\.$", bundled.stderr), bundled.stderr
    assert not list(tmp_path.iterdir())


def test_a_pretrained_run_s_onnx_files_are_checked_and_the_others_are_not_proven(base: Path, tmp_path: Path) -> None:
    checked = _call(
        base / "edgecnn", "parity", "cifar10-cnn", "--format", "onnx_int8", "--junit", "checks.xml", cwd=tmp_path
    )
    assert checked.returncode == 0, checked.stderr
    assert ET.parse(tmp_path / "checks.xml").getroot()[0].get("failures") == "0"
    everything = _call(base / "edgecnn", "parity", "cifar10-cnn", cwd=tmp_path)
    assert everything.returncode == 1
    assert "2 passed, 0 failed" in everything.stdout
    assert "Parity is not proven: keras, saved_model, " in everything.stderr
