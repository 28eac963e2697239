"""What must not be loaded: each in a fresh process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("tensorflow", "keras", "onnx", "onnxruntime", "numpy", "tqdm", "msgspec", "PIL")


def _loaded_by(code: str) -> set[str]:
    """The top-level modules in sys.modules after running `code`."""
    script = f"{code}\nimport sys\nprint('LOADED', *sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.rsplit("LOADED", 1)[1].split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["import", "--help"], ["export", "--help"], ["predict", "--help"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    loaded = _loaded_by(f"from edgecnn.cli import _run\nassert _run({arguments}) == 0")
    assert "click" in loaded
    assert not loaded & set(HEAVY)


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not _loaded_by("import edgecnn") & set(HEAVY)


def test_discovery_loads_no_runtime() -> None:
    code = "from edgecnn.plugins import INTERFACES, every\nfor kind in INTERFACES: assert every(kind)"
    assert not _loaded_by(code) & set(HEAVY)


@pytest.mark.parametrize("command", ["predict", "features"])
def test_predict_and_features_need_onnxruntime_alone(command: str, tiny_onnx: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    arguments = [command, str(tiny_onnx), str(tmp_path / "red.png")]
    if command == "features":
        arguments += ["--out", str(tmp_path / "maps")]
    loaded = _loaded_by(f"from edgecnn.cli import _run\nassert _run({arguments!r}) == 0")
    assert "onnxruntime" in loaded
    assert not loaded & {"tensorflow", "keras", "onnx", "scipy", "matplotlib"}


def test_a_worker_loads_the_standard_library_numpy_and_its_runtime(tiny_onnx: Path) -> None:
    code = (
        "from edgecnn.execution.server import _Server\n"
        f"answer = _Server().answer(dict(command='load', runtime='onnxruntime', path={str(tiny_onnx)!r}, threads=1, "
        "provider='cpu', extra_outputs=[]))\n"
        "assert 'error' not in answer, answer"
    )
    loaded = _loaded_by(code)
    assert "onnxruntime" in loaded
    assert not loaded & {"tensorflow", "keras", "onnx", "click", "tqdm", "msgspec", "PIL", "filelock", "scipy"}


def test_what_reads_images_loads_numpy_and_pillow(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (9, 8), "red").save(tmp_path / "red.jpg")
    code = (
        "from edgecnn.preprocessing.reader_pool import prepare_batch\n"
        f"batch = prepare_batch([{str(tmp_path / 'red.jpg')!r}], (4, 4, 3))\n"
        "assert batch.pixels.shape == (1, 4, 4, 3)\n"
        "import sys\nassert 'PIL.PdfImagePlugin' not in sys.modules, 'a JPEG needs none of the rarer plug-ins'"
    )
    loaded = _loaded_by(code)
    assert {"numpy", "PIL"} <= loaded
    assert not loaded & {"onnxruntime", "msgspec", "click", "tqdm", "filelock", "importlib.metadata"}
