"""Who may import whom: downwards only, siblings never each other, heavy packages inside functions."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "edgecnn"

# Top to bottom; the modules of one line are siblings and never import each other.
LAYERS = (
    ("__main__",),
    ("cli",),
    ("cli.options", "cli.sources"),
    ("pipeline",),
    (
        "stages.adopt",
        "stages.bench",
        "stages.bundle",
        "stages.compare",
        "stages.export",
        "stages.features",
        "stages.golden",
        "stages.inspect",
        "stages.layers",
        "stages.parity",
        "stages.report",
        "stages.start",
        "stages.train",
    ),
    ("evidence",),
    (
        "beginning",
        "bundles",
        "choices",
        "conclusion",
        "conversion_worker",
        "embedded",
        "grid",
        "logbook",
        "pathways",
        "slowdown",
        "weighing",
    ),
    ("arm64", "exporter", "session"),
    (
        "predictor",
        "worker",
        "targets",
        "images",
        "charts",
        "checkpoint",
        "feed",
        "foreign",
        "learning",
        "maps",
        "rendering",
        "judging",
        "layer_parity",
        "measuring",
    ),
    ("places", "timing"),
    ("device", "emulation", "onnx_model", "prediction", "readers", "viridis"),
    ("preparing",),
    ("formats", "graphs", "holding_out", "runtimes", "datasets", "architectures", "published"),
    ("integer_tflite", "micro_faults", "safe_weights"),
    ("onnx_files", "onnx_input_pattern", "pixel_pairs", "tflite_files", "tflite_graphs", "precision", "wide_image"),
    ("layer_spread", "mean_pooling", "onnx_converter"),
    ("onnx_graphs",),
    ("conversion", "int8_overflow", "layer_map", "micro", "onnx_wire", "plugins"),
    ("hub",),
    (
        "activations",
        "answers",
        "fitting",
        "fonts",
        "link",
        "keras_files",
        "recipes",
        "run",
        "sampling",
        "statistics",
        "unfolding",
    ),
    ("contract", "machine"),
    ("console", "records", "resizing"),
    ("records.comparison", "records.report"),
    ("records.golden", "records.latency", "records.layers"),
    ("records.parity",),
    ("records.artifacts", "records.inspection", "records.training"),
    ("records.contract",),
    ("records.codec",),
    ("records.common",),
    ("errors",),
)
LEVEL = {module: level for level, modules in enumerate(LAYERS) for module in modules}
HEAVY = frozenset(
    {"tensorflow", "keras", "tf2onnx", "onnx", "onnxslim", "onnxruntime", "ai_edge_litert", "scipy", "matplotlib",
     "jinja2", "PIL", "tqdm", "msgspec", "filelock", "numpy", "flatbuffers"}
)  # fmt: skip
TENSORFLOW = frozenset({"tensorflow", "keras"})
MAY_USE_TENSORFLOW = (
    "architectures",
    "feed",
    "foreign",
    "learning",
    "mean_pooling",
    "stages.adopt",
    "stages.train",
    "exporter",
    "formats",
    "graphs.saved_model",
    "conversion",
    "layer_map",
    "onnx_converter",
    "onnx_files",
    "tflite_files",
    "runtimes.keras",
    "runtimes.saved_model",
)
MODULES = sorted(p for p in PACKAGE.rglob("*.py"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__") or "__init__"


def _room(module: str) -> str | None:
    """The name under which a module, or a name in it, stands in LAYERS: the longest that is listed."""
    parts = module.split(".")
    return next((name for end in range(len(parts), 0, -1) if (name := ".".join(parts[:end])) in LEVEL), None)


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
def test_imports_go_downwards(path: Path) -> None:
    here = _room(_name(path))
    if here is None:
        assert _name(path) in ("__init__", "stages"), f"{_name(path)} stands in no layer: add it to LAYERS"
        return
    for module, _ in _imports(path):
        if not module.startswith("edgecnn."):
            continue
        there = _room(module.removeprefix("edgecnn."))
        if there is None or module.removeprefix("edgecnn.").startswith(f"{_name(path)}."):
            continue
        assert LEVEL[there] > LEVEL[here], f"{_name(path)} imports {module}, which does not stand below it"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_heavy_packages_are_imported_inside_functions(path: Path) -> None:
    eager = {module.split(".")[0] for module, at_import in _imports(path) if at_import} & HEAVY
    assert not eager, f"{_name(path)} imports {eager} when it is imported itself"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_tensorflow_stays_in_its_rooms(path: Path) -> None:
    name = _name(path)
    if not name.startswith(MAY_USE_TENSORFLOW):
        assert not {module.split(".")[0] for module, _ in _imports(path)} & TENSORFLOW
