"""Heavy packages are imported inside functions, TensorFlow in a few modules only; import-linter holds the rest."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "edgecnn"

HEAVY = frozenset(
    {"tensorflow", "keras", "tf2onnx", "onnx", "onnxslim", "onnxruntime", "ai_edge_litert", "scipy", "matplotlib",
     "jinja2", "PIL", "tqdm", "msgspec", "filelock", "numpy", "flatbuffers"}
)  # fmt: skip
TENSORFLOW = frozenset({"tensorflow", "keras"})
MAY_USE_TENSORFLOW = (
    "export.exporter",
    "export.formats",
    "export.layer_map",
    "export.onnx_converter",
    "export.onnx_file",
    "export.optimizations.global_pool_to_mean",
    "export.saved_model",
    "export.tflite_converter",
    "model_files.inspectors.saved_model",
    "model_files.keras_archive",
    "runtimes.keras",
    "runtimes.saved_model",
    "stages.import_model",
    "stages.train",
    "tensorflow_setup",
    "training.architectures",
    "training.input_pipeline",
    "training.keras_import",
    "training.optimizer",
)
HANDED_OVER = ("sources", "engines")  # folders of a bundle's files: they run elsewhere
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if not {*HANDED_OVER} & {*path.relative_to(PACKAGE).parts})


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__") or "__init__"


def _imports(path: Path) -> list[tuple[str, bool]]:
    """(module, whether at import time); what stands under TYPE_CHECKING is never executed and not listed."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, at_import: bool) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            found.extend((alias.name, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.extend((f"{node.module}.{alias.name}", at_import) for alias in node.names)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, at_import and not inside)

    visit(ast.parse(path.read_text()), True)
    return found


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_heavy_packages_are_imported_inside_functions(path: Path) -> None:
    eager = {module.split(".")[0] for module, at_import in _imports(path) if at_import} & HEAVY
    assert not eager, f"{_name(path)} imports {eager} when it is imported itself"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_tensorflow_stays_in_its_rooms(path: Path) -> None:
    name = _name(path)
    if not name.startswith(MAY_USE_TENSORFLOW):
        assert not {module.split(".")[0] for module, _ in _imports(path)} & TENSORFLOW
