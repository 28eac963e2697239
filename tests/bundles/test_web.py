"""The bundle for the web: it proves itself in Node and in Chromium, from a server and from disk, and fails where it was
altered."""

from __future__ import annotations

import json
import re
import shutil
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from edgecnn.errors import InputError, MachineError, UsageError
from edgecnn.inference.predictor import Predictor
from edgecnn.pretrained import pretrained_runs
from edgecnn.run_directory import Run
from edgecnn.stages.bundle import bundle
from tests.alterations import change_weight, replacing
from tests.web_tools import browser, node, npm_folder, open_page, require_browser, require_node, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUN = Run(pretrained_runs()["cifar10-cnn"])
MOST_BYTES = 5_600_000  # of the page in one file
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
SCRIPT = """
import { Classifier } from "%s";
const classifier = await Classifier.load();
const image = new Blob([await (await import("node:fs/promises")).readFile(process.argv[2])]);
const labels = await classifier.classify(image);
const maps = await classifier.features(image);
const shown = {};
for (const [name, { data, shape }] of Object.entries(maps)) shown[name] = { data: [...data], shape };
console.log(JSON.stringify({ labels, shown }));
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_node()
    return bundle(RUN, "web", tmp_path_factory.mktemp("web") / "made")


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_browser()
    return bundle(RUN, "web", tmp_path_factory.mktemp("web") / "made", single_file=True) / "index.html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    require_browser()
    with browser(*FAKE_CAMERA) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as found:
        yield found


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    context = chromium.new_context(permissions=["camera"])
    yield open_page(context, address)
    context.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A PNG file that has to be resized, with alpha."""
    random = np.random.default_rng(5)
    coarse = Image.fromarray(random.integers(0, 256, (6, 5, 4), np.uint8), "RGBA")
    coarse.resize((120, 90), Image.Resampling.BICUBIC).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def _labels(page: Any) -> list[tuple[str, str]]:
    return [tuple(item.inner_text().splitlines()[:2]) for item in page.query_selector_all("#labels li")]


def _expected(image: Path, format: str = "onnx_float32") -> list[tuple[str, str]]:
    with Predictor(RUN.root, format=format) as predictor:
        return [(label, f"{100 * share:.1f} %") for label, share in predictor.predict(image).top(10)]


def _wait_for_labels(page: Any, expected: list[tuple[str, str]]) -> None:
    """Wait until the page shows these, and check all of them."""
    label, share = expected[0]
    page.wait_for_selector(f'#labels li:has-text("{label}"):has-text("{share}")')
    assert _labels(page) == expected


@pytest.mark.parametrize("format", ["onnx_float32", "onnx_int8"])
def test_node_gives_python_s_labels_and_feature_maps(format: str, photo: Path, tmp_path: Path) -> None:
    require_node()
    folder = bundle(RUN, "web", tmp_path / "made", format=format)
    assert re.search(r"PASS: 16 images, largest difference \S+ ", node("selftest.mjs", cwd=folder).stdout)
    (tmp_path / "look.mjs").write_text(SCRIPT % (folder / "classifier.js"))
    found = json.loads(node(tmp_path / "look.mjs", photo).stdout)
    with Predictor(RUN.root, format=format) as predictor:
        prediction = predictor.predict(photo)
        assert [one["label"] for one in found["labels"]] == [label for label, _ in prediction.top(10)]
        scores = [one["score"] for one in found["labels"]]
        np.testing.assert_allclose(scores, np.sort(prediction.scores)[::-1], atol=1e-4 if "float" in format else 0)
        maps = predictor.features(photo, list(predictor.layers))
    assert found["shown"].keys() == maps.keys()
    for name, values in maps.items():
        assert found["shown"][name]["shape"] == list(values.shape)
        shown = np.reshape(found["shown"][name]["data"], values.shape)
        np.testing.assert_allclose(shown, values, atol=1e-4 if "float" in format else 0)


def _swap_labels(folder: Path) -> None:
    content = (folder / "model.onnx").read_bytes()
    assert b'"cat", "deer"' in content
    (folder / "model.onnx").write_bytes(content.replace(b'"cat", "deer"', b'"deer", "cat"', 1))


ALTERATIONS: dict[str, tuple[Callable[[Path], None], str]] = {
    "model": (change_weight, "The model is not the file that was bundled."),
    "labels": (_swap_labels, "The labels were changed."),
    "resize": (replacing("pixels.js", "2 ** 14, 2 ** 14, 2 ** 14", "0, 0, 0"), "its pixels are prepared otherwise"),
    "channel order": (
        replacing("png.js", "data[at + c] = hidden ? 255 : row[i + c * wide]", "data[at + 2 - c] = row[i + c * wide]"),
        "its pixels are prepared otherwise",
    ),
    "orientation": (replacing("png.js", "=== ORIENTATION_TAG", "=== 0"), "its pixels are prepared otherwise"),
    "alpha": (replacing("png.js", "255 * (255 - alpha) + 127", "127"), "its pixels are prepared otherwise"),
}


@pytest.mark.parametrize("what", ALTERATIONS)
def test_an_altered_bundle_fails_its_self_test(what: str, folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    alter, words = ALTERATIONS[what]
    alter(copy)
    done = node("selftest.mjs", cwd=copy, code=1)
    assert words in done.stderr and "FAIL: 16 images" in done.stdout


def test_an_altered_bundle_fails_in_the_page(chromium: Any, folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    _swap_labels(copy)
    with served(copy) as address:
        page = open_page(chromium, address)
        assert page.inner_text("#state") == "Self-test failed: The model is not the file that was bundled."
        page.close()


def test_memory_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "loop.mjs"
    script.write_text(f"""
import {{ Classifier }} from "{folder / "classifier.js"}";
const classifier = await Classifier.load();
const image = await classifier.sample();
const used = async (count) => {{
  for (let i = 0; i < count; i++) await classifier.classify(image);
  gc();
  const {{ heapUsed, arrayBuffers }} = process.memoryUsage();
  return heapUsed + arrayBuffers;
}};
const before = await used(200);
console.log((await used(1000)) - before);
""")
    assert int(node("--expose-gc", script).stdout) < 2 << 20


def test_the_page_works_under_its_strict_policy(page: Any, photo: Path) -> None:
    assert page.inner_text("#state") == "Self-test passed: 16 images"
    assert re.fullmatch(r"Runs on WebAssembly, 1 thread, onnxruntime-web [\d.]+", page.inner_text("#backend"))
    assert "unsafe-eval'" not in page.content().replace("wasm-unsafe-eval'", "")
    page.set_input_files("#file", photo)
    _wait_for_labels(page, _expected(photo))
    assert page.inner_text("#picture-words") == "photo.png"
    page.click("#measure")
    page.wait_for_selector('#time:has-text("p50 of")')
    assert {url.split("/")[2] for url in page.asked if not url.startswith("blob:")} == {page.url.split("/")[2]}
    assert page.said == []


def test_images_are_pasted_and_dropped(page: Any, photo: Path) -> None:
    import base64

    sent = """([content, kind]) => {
      const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], "sent.png", { type: "image/png" }));
      document.dispatchEvent(kind === "paste" ? new ClipboardEvent("paste", { clipboardData: data })
                                              : new DragEvent("drop", { dataTransfer: data, bubbles: true }));
    }"""
    for kind in ("paste", "drop"):
        page.click("#sample")
        page.wait_for_selector('#picture-words:has-text("golden")')
        page.evaluate(sent, [base64.b64encode(photo.read_bytes()).decode(), kind])
        page.wait_for_selector(f'#picture-words:has-text("{"Pasted" if kind == "paste" else "sent.png"}")')
        _wait_for_labels(page, _expected(photo))


def test_the_camera_starts_when_chosen_and_stops(page: Any) -> None:
    assert page.locator("#video").is_hidden()
    page.click("#camera")
    page.wait_for_selector('#camera[aria-pressed="true"]')
    page.wait_for_selector("#video:visible")
    page.click("#camera")
    page.wait_for_selector('#camera[aria-pressed="false"]')
    assert page.locator("#video").is_hidden() and page.inner_text("#problem") == ""


def test_layers_and_channels_are_chosen_with_the_keyboard(page: Any) -> None:
    layers = page.eval_on_selector_all("#layer option", "all => all.map(one => one.value)")
    with Predictor(RUN.root) as predictor:
        assert layers == list(predictor.layers)
        shapes = predictor.shapes
    page.focus("#layer")
    for name in layers[1:]:
        page.keyboard.press("ArrowDown")
        shape = " x ".join(map(str, shapes[name]))
        page.wait_for_selector(f'#mosaic-words:has-text("{shape} values")')
    page.select_option("#layer", "conv2d_1")
    page.wait_for_selector('#channel-number:has-text("1 of 64")')
    page.focus("#channel")
    page.keyboard.press("End")
    assert page.inner_text("#map-words").startswith("Channel 64: from ")
    page.click("#mosaic", position={"x": 3, "y": 3})
    assert page.inner_text("#channel-number") == "1 of 64"


def _png_of(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    parts = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _jpeg(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> bytes:
    buffer = BytesIO()
    Image.new(mode, size, (90, 20, 200, 0)[: len(mode)]).save(buffer, "JPEG")
    return buffer.getvalue()


def _declaring(content: bytes, height: int, width: int) -> bytes:
    """A JPEG file that says it is larger."""
    place = content.index(b"\xff\xc0")
    return content[: place + 5] + struct.pack(">HH", height, width) + content[place + 9 :]


BAD_FILES = {
    "empty": (b"", "The image is empty (0 bytes)"),
    "text": (b"hello, world" * 20, "This is not an image that a browser decodes"),
    "tiff": (b"II*\0" + b"\0" * 60, "This is not an image that a browser decodes"),
    "huge PNG": (_png_of(60_000, 60_000), "The image has 60000 x 60000 pixels, and edgecnn takes up to 100 million"),
    "no pixels": (_png_of(0, 4), "The image has no pixels"),
    "short PNG": (_png_of(30, 30), "The PNG file is damaged or cut short."),
    "huge JPEG": (_declaring(_jpeg(), 65_500, 65_500), "The image has 65500 x 65500 pixels"),
    "cut JPEG": (_jpeg()[:40], "This is not an image that a browser decodes"),
    "JPEG without its end": (_jpeg()[:-9], "The image is damaged or cut short"),
    "JPEG of noise": (_jpeg()[:-40] + b"\xff" * 30 + _jpeg()[-2:], "The image is damaged or cut short"),
    "CMYK": (_jpeg("CMYK"), "The image is a CMYK JPEG"),
}


def test_a_bad_file_gets_one_sentence(page: Any, photo: Path) -> None:
    before = _labels(page)
    for name, (content, words) in BAD_FILES.items():
        page.set_input_files("#file", {"name": "bad", "mimeType": "image/png", "buffer": content})
        page.wait_for_selector("#problem:not(:empty)")
        assert words in page.inner_text("#problem"), name
        assert page.inner_text("#problem").count(".") == 1 or ";" in page.inner_text("#problem"), name
        assert _labels(page) == before
        page.click("#sample")
        page.wait_for_selector("#problem:empty", state="attached")
    page.set_input_files("#file", photo)
    _wait_for_labels(page, _expected(photo))
    assert page.said == []


def test_the_page_opens_without_a_network(chromium: Any, folder: Path, photo: Path) -> None:
    context = chromium.new_context()
    with served(folder) as address:
        page = open_page(context, address)
        page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    page.reload()  # the server is gone
    page.wait_for_selector("#state.good")
    page.set_input_files("#file", photo)
    _wait_for_labels(page, _expected(photo))
    context.close()


@pytest.mark.parametrize("format", ["onnx_float32", "onnx_int8"])
def test_one_file_opens_from_disk_and_loads_nothing_else(
    format: str, chromium: Any, single: Path, photo: Path, tmp_path: Path
) -> None:
    path = single
    if format != "onnx_float32":
        path = bundle(RUN, "web", tmp_path / "made", format=format, single_file=True) / "index.html"
    assert [entry.name for entry in path.parent.iterdir()] == ["index.html"]
    assert path.stat().st_size <= MOST_BYTES
    page = open_page(chromium, path.as_uri())
    assert page.inner_text("#state") == "Self-test passed: 16 images"
    page.set_input_files("#file", photo)
    _wait_for_labels(page, _expected(photo, format))
    assert {url for url in page.asked if not url.startswith("blob:")} == {path.as_uri()}
    assert page.said == []
    page.close()


def test_no_accessibility_rule_is_broken(chromium: Any, address: str, single: Path) -> None:
    axe = (npm_folder() / "node_modules" / "axe-core" / "axe.min.js").read_text()
    for scheme, width, url in (("light", 1440, address), ("dark", 768, single.as_uri()), ("light", 320, address)):
        context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True)
        page = open_page(context, url)
        page.wait_for_selector("#labels li")
        page.evaluate(axe)
        found = page.evaluate("axe.run().then(found => found.violations.map(one => [one.id, one.nodes[0].html]))")
        assert found == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        context.close()


def test_webgpu_that_does_not_run_is_told(chromium: Any, tmp_path: Path, photo: Path) -> None:
    require_browser()
    folder = bundle(RUN, "web", tmp_path / "made", webgpu=True)
    with served(folder) as address:
        page = open_page(chromium, address)
        if page.inner_text("#backend").startswith("Runs on WebGPU"):
            pytest.skip("Chromium has a GPU here")
        assert page.inner_text("#reason").startswith("WebGPU was asked for and does not run: WebGPU ")
        assert page.inner_text("#state") == "Self-test passed: 16 images"
        page.set_input_files("#file", photo)
        _wait_for_labels(page, _expected(photo))
        page.close()


APP = """
import { Classifier } from "cnn-cifar10";
const classifier = await Classifier.load();
const test = await classifier.selfTest();
const [best] = await classifier.classify(await classifier.sample());
document.body.textContent = JSON.stringify({ passed: test.passed, best });
"""


def test_an_app_made_with_vite_runs_it(chromium: Any, folder: Path, tmp_path: Path) -> None:
    app, packages = tmp_path / "app", npm_folder() / "node_modules"
    (app / "node_modules").mkdir(parents=True)
    shutil.copytree(folder, app / "node_modules" / "cnn-cifar10")
    (app / "main.js").write_text(APP)
    (app / "index.html").write_text('<!DOCTYPE html><body><script type="module" src="/main.js"></script></body>')
    node(packages / "vite" / "bin" / "vite.js", "build", "--logLevel", "warn", cwd=app)
    with served(app / "dist") as address:
        page = chromium.new_page()
        page.goto(address)
        page.wait_for_selector("body:has-text('passed')", timeout=120_000)
        found = json.loads(page.inner_text("body"))
        page.close()
    assert found["passed"] is True
    sample = json.loads((folder / "golden.json").read_text())["images"][0]
    assert found["best"]["score"] == pytest.approx(max(sample["scores"]), abs=1e-4)


def test_what_cannot_be_bundled_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="No format of web is called 'tflite_int8'; there are onnx_float32, onnx_int8"):
        bundle(RUN, "web", tmp_path / "made", format="tflite_int8")
    with pytest.raises(UsageError, match="The bundle cmake takes no --single-file"):
        bundle(RUN, "cmake", tmp_path / "made", single_file=True)
    with pytest.raises(InputError, match=r"holds no ort.wasm.bundle.min.mjs; give the folder of the unpacked npm"):
        bundle(RUN, "web", tmp_path / "made", runtime_dir=tmp_path)
    (tmp_path / "ort.wasm.bundle.min.mjs").write_text("other")
    with pytest.raises(InputError, match=r"ort.wasm.bundle.min.mjs is not the file of onnxruntime-web"):
        bundle(RUN, "web", tmp_path / "made", runtime_dir=tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match=r"npm, which fetches it, is not installed; install Node.js, or name the"):
        bundle(RUN, "web", tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_the_runtime_comes_from_a_folder_too(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgecnn.environment.onnxruntime_web import cache

    package = shutil.copytree(cache(), tmp_path / "package" / "dist").parent
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    made = bundle(RUN, "web", tmp_path / "made", runtime_dir=package)
    assert (made / "runtime" / "ort.wasm").read_bytes() == (folder / "runtime" / "ort.wasm").read_bytes()


def test_a_bundle_is_the_same_twice(folder: Path, single: Path, tmp_path: Path) -> None:
    again = bundle(RUN, "web", tmp_path / "again")
    for path in folder.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(folder)).read_bytes(), path
    one = bundle(RUN, "web", tmp_path / "one", single_file=True) / "index.html"
    assert one.read_bytes() == single.read_bytes()
