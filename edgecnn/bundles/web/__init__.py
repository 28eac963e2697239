"""A classifier for the browser and Node: ES modules, ONNX Runtime Web, a page, a self-test; or all in one file."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.bundles.bundle import Bundle
from edgecnn.bundles.golden import golden_images
from edgecnn.bundles.sources import package_name, write_sources
from edgecnn.codegen.c_source import render_source
from edgecnn.environment.onnxruntime_web import web_runtime
from edgecnn.runtimes import javascript

if TYPE_CHECKING:
    from edgecnn.bundles.bundle import BundleSource

HERE = Path(__file__).parent
SOURCES = HERE / "sources"  # of the folder
PAGE = ("colors.js", "page.js")
ONLINE = ("service-worker.js", "README.md", "package.json", "classifier.d.ts", "selftest.mjs")  # not kept for offline


def make(
    source: BundleSource,
    folder: Path,
    *,
    single_file: bool = False,
    webgpu: bool = False,
    runtime_dir: Path | None = None,
) -> None:
    """Write the bundle's files into `folder`; with `single_file` the page alone, which opens from disk.

    Raises MachineError where ONNX Runtime Web is not to be had.
    """
    runtime = web_runtime(runtime_dir, webgpu=webgpu)
    known = {"webgpu": webgpu, **golden_images(source, same_kernels=True)}  # WebAssembly's
    files = {
        "model.onnx": source.path.read_bytes(),
        "golden.json": json.dumps(known, separators=(",", ":")).encode(),
        "ort.mjs": runtime.module.read_bytes(),
        "ort.wasm": runtime.wasm.read_bytes(),
    }
    facts = {
        "name": package_name(source.contract),
        "model": source.contract.model,
        "format": source.artifact.format,
        "data": source.contract.data.name,
        "golden_count": len(known["images"]),
        "bound": known["bound"],
        "single": single_file,
    }
    if single_file:
        _write_single(files, facts, folder)
        return
    for name, content in files.items():
        place = folder / ("runtime" if name.startswith("ort.") else "") / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
    for name in (*javascript.MODULES, *javascript.PUBLIC):
        (folder / name).write_bytes((javascript.FOLDER / name).read_bytes())
    write_sources(SOURCES, facts, folder)
    _write_service_worker(facts, folder)


def _write_service_worker(facts: dict[str, Any], folder: Path) -> None:
    """It names every file that the page needs, and changes when one of them does."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in ONLINE)
    version = zlib.crc32(b"".join(path.read_bytes() for path in paths))
    names = ["./", *(path.relative_to(folder).as_posix() for path in paths)]
    text = render_source(HERE / "service-worker.js.j2", {**facts, "files": names, "version": f"{version:08x}"})
    (folder / "service-worker.js").write_text(text, encoding="utf-8")


def _write_single(files: dict[str, bytes], facts: dict[str, Any], folder: Path) -> None:
    """index.html with everything inside, packed."""
    modules = {name: (javascript.FOLDER / name).read_bytes() for name in (*javascript.MODULES, "classifier.js")}
    page = {name: (SOURCES / name).read_bytes() for name in PAGE}
    parts = {name: _packed(content) for name, content in {**files, **modules, **page}.items()}
    style, loader = (path.read_text(encoding="utf-8") for path in (SOURCES / "page.css", HERE / "loader.js"))
    text = render_source(SOURCES / "index.html.j2", {**facts, "parts": parts, "style": style, "loader": loader})
    (folder / "index.html").write_text(text, encoding="utf-8")


def _packed(content: bytes) -> str:
    """gzip as text of base 85 (RFC 1924), a fifteenth shorter than base 64; "/" for "<", which HTML would read."""
    return base64.b85encode(gzip.compress(content, 9, mtime=0)).decode().replace("<", "/")


PLUGIN = Bundle(
    name="web",
    summary="Page, ES module and Node package with ONNX Runtime Web",
    formats=("onnx_float32", "onnx_int8"),
    options=("single_file", "webgpu", "runtime_dir"),
    make=make,
)
