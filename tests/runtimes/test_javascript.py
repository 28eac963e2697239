"""The JavaScript of web bundles: linted, type-checked, and its pixels are Python's to the bit."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import zlib
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from edgecnn import bundles
from edgecnn.preprocessing.decode import decode_image
from edgecnn.preprocessing.resize import resize
from edgecnn.runtimes import javascript
from edgecnn.runtimes.chromium import Page
from tests import pages
from tests.png_files import KINDS, png_files
from tests.web_tools import node, npm_folder, require_browser, require_node

if TYPE_CHECKING:
    from collections.abc import Iterator

PNG_FILES = 700
OTHER_FILES = 300
PAGE_SOURCES = Path(bundles.__file__).parent / "web"
BIOME = {
    "root": True,
    "files": {"includes": ["*.js", "*.mjs", "*.ts"]},
    "linter": {"rules": {"preset": "recommended"}},
    "formatter": {"indentStyle": "space", "lineWidth": 120},
    "assist": {"enabled": False},
}
TYPESCRIPT = {
    "compilerOptions": {
        "allowJs": True, "checkJs": True, "noEmit": True, "strict": True, "noImplicitAny": False, "target": "es2023",
        "lib": ["es2023", "dom", "dom.iterable", "dom.asynciterable"], "module": "esnext",
        "moduleResolution": "bundler", "moduleDetection": "force", "types": [], "skipLibCheck": True,
    },
    "include": ["*.js", "*.ts"],
}  # fmt: skip
DECODE = f"""
import {{ decode, crc32 }} from "{javascript.FOLDER / "pixels.js"}";
import {{ readFileSync }} from "node:fs";
for (const path of process.argv.slice(2)) {{
  const {{ data, width, height }} = await decode(new Blob([readFileSync(path)]));
  console.log(height, width, crc32(data));
}}
"""
RESIZE = f"""
import {{ resize, crc32 }} from "{javascript.FOLDER / "pixels.js"}";
import {{ readFileSync }} from "node:fs";
for (const [h, w, height, width] of JSON.parse(process.argv[2])) {{
  const data = new Uint8Array(h * w * 3);
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) for (let c = 0; c < 3; c++) {{
    data[(y * w + x) * 3 + c] = (37 * y + 101 * x + 53 * c + x * y) % 256;
  }}
  const result = resize({{ data, width: w, height: h }}, height, width);
  console.log(crc32(result).toString(16).padStart(8, "0"), [...result.subarray(0, 3)].join(", "));
}}
"""
LOOK = b"""
import { decode, crc32 } from "./pixels.js";
globalThis.look = async (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const { data, width, height } = await decode(new Blob([bytes]));
  return [height, width, crc32(data), data.length < 20000 ? [...data] : []];
};
"""


def test_the_sources_pass_the_linter_and_the_type_checker(tmp_path: Path) -> None:
    packages = npm_folder() / "node_modules"
    for folder in (javascript.FOLDER, PAGE_SOURCES, PAGE_SOURCES / "sources"):
        for path in folder.iterdir():
            if path.suffix in (".js", ".ts", ".mjs"):
                shutil.copy(path, tmp_path)
    sources = [path.name for path in tmp_path.iterdir()]
    (tmp_path / "biome.json").write_text(json.dumps(BIOME))
    (tmp_path / "tsconfig.json").write_text(json.dumps(TYPESCRIPT))
    for words in (
        ["biome", "check", "--error-on-warnings", "--max-diagnostics=50", *sources],
        ["tsc", "--project", "."],
    ):
        command = [packages / ".bin" / words[0], *words[1:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_png_files_of_every_kind_are_decoded_as_in_python(tmp_path: Path) -> None:
    require_node()
    (tmp_path / "decode.mjs").write_text(DECODE)
    paths = []
    for number, content in enumerate(png_files(PNG_FILES, seed=1)):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(content)
    lines = node(tmp_path / "decode.mjs", *paths).stdout.splitlines()
    for number, (path, line) in enumerate(zip(paths, lines, strict=True)):
        pixels = decode_image(path)
        height, width, _ = pixels.shape
        assert line == f"{height} {width} {zlib.crc32(pixels.tobytes())}", (number, KINDS[number % len(KINDS)])


def test_the_test_images_become_the_pixels_that_are_listed(tmp_path: Path) -> None:
    require_node()
    (tmp_path / "decode.mjs").write_text(DECODE)
    listing = [one for one in pages.corpus() if one["file"].endswith(".png")]
    paths = [pages.ROOT / "docs" / "corpus" / one["file"] for one in listing]
    lines = node(tmp_path / "decode.mjs", *paths).stdout.splitlines()
    for one, line in zip(listing, lines, strict=True):
        assert line == " ".join(map(str, [*one["size"], int(one["decoded_crc32"], 16)])), one["file"]


def test_the_resize_gives_the_page_s_vectors(tmp_path: Path) -> None:
    require_node()
    rows = pages.table("docs/preprocessing.md", "vectors")
    sizes = [[int(side) for cell in row[:2] for side in cell.split(" x ")] for row in rows]
    (tmp_path / "resize.mjs").write_text(RESIZE)
    lines = node(tmp_path / "resize.mjs", json.dumps(sizes)).stdout.splitlines()
    assert lines == [f"{row[2]} {row[3].strip('[]')}" for row in rows]


@pytest.mark.parametrize("seed", range(3))
def test_any_size_is_resized_as_in_python(seed: int, tmp_path: Path) -> None:
    require_node()
    random = np.random.default_rng(seed)
    sizes = [[int(side) for side in np.exp(random.uniform(0, 6, 4))] for _ in range(20)]
    sizes.append([1, 65_535, 3, 32])
    (tmp_path / "resize.mjs").write_text(RESIZE)
    lines = node(tmp_path / "resize.mjs", json.dumps(sizes)).stdout.splitlines()
    for (h, w, height, width), line in zip(sizes, lines, strict=True):
        y, x, c = np.meshgrid(np.arange(h), np.arange(w), np.arange(3), indexing="ij")
        image = ((37 * y + 101 * x + 53 * c + x * y) % 256).astype(np.uint8)
        assert line.split()[0] == f"{zlib.crc32(np.ascontiguousarray(resize(image, height, width)).tobytes()):08x}"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    require_browser()
    opened = Page(
        {"index.html": b"", "look.js": LOOK, **{name: javascript.FOLDER / name for name in javascript.MODULES}}
    )
    opened.call("(async () => { await import('./look.js'); })")
    yield opened
    opened.close()


def _picture(random: np.random.Generator) -> Image.Image:
    height, width = random.integers(1, 80, 2)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / random.uniform(3, 40) + i) * np.cos(y / random.uniform(3, 40)) for i in range(3)]
    noise = random.normal(0, random.choice([0, 5, 20]), (height, width, 3))
    return Image.fromarray((np.stack(waves, axis=-1) * 110 + 128 + noise).clip(0, 255).astype(np.uint8))


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


EXACT: dict[str, Any] = {
    "JPEG 4:2:0": ("JPEG", {"subsampling": 2}),
    "JPEG 4:2:2": ("JPEG", {"subsampling": 1}),
    "JPEG 4:4:4": ("JPEG", {"subsampling": 0, "quality": 95}),
    "JPEG progressive": ("JPEG", {"progressive": True, "quality": 60}),
    "JPEG of low quality": ("JPEG", {"quality": 10}),
    **{f"JPEG of orientation {number}": ("JPEG", {"exif": _exif(number)}) for number in (1, 3, 6, 8)},
    "WebP": ("WEBP", {"quality": 70}),
    "WebP lossless": ("WEBP", {"lossless": True}),
    "BMP": ("BMP", {}),
    "GIF": ("GIF", {}),
}


def _looked_at(page: Page, content: bytes) -> tuple[int, int, int, list[int]]:
    height, width, crc, values = page.call("look", base64.b64encode(content).decode())
    return height, width, crc, values


@pytest.mark.parametrize("kind", [*EXACT, "gray JPEG"])
def test_other_files_are_decoded_in_chromium_as_in_python(kind: str, page: Page) -> None:
    random = np.random.default_rng(len(kind))
    for _ in range(OTHER_FILES // len(EXACT)):
        buffer, picture = BytesIO(), _picture(random)
        name, options = EXACT.get(kind, ("JPEG", {}))
        (picture.convert("L") if kind == "gray JPEG" else picture).save(buffer, name, **options)
        pixels = decode_image(buffer.getvalue())
        height, width, crc, _ = _looked_at(page, buffer.getvalue())
        assert (height, width, crc) == (*pixels.shape[:2], zlib.crc32(pixels.tobytes()))


def test_chromium_makes_the_listed_pixels_of_all_test_images(page: Page) -> None:
    for one in pages.corpus():
        content = (pages.ROOT / "docs" / "corpus" / one["file"]).read_bytes()
        assert _looked_at(page, content)[:3] == (*one["size"], int(one["decoded_crc32"], 16)), one["file"]


def test_webp_with_alpha_is_within_one_level(page: Page) -> None:
    random = np.random.default_rng(7)
    for _ in range(10):
        buffer, picture = BytesIO(), _picture(random)
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
        picture.save(buffer, "WEBP", lossless=True)
        pixels = decode_image(buffer.getvalue())
        _, _, _, values = _looked_at(page, buffer.getvalue())
        assert np.abs(np.reshape(values, pixels.shape) - pixels.astype(int)).max() <= 1


def test_png_is_decoded_in_chromium_as_in_node(page: Page) -> None:
    for content in png_files(2 * len(KINDS), seed=9):
        pixels = decode_image(content)
        assert _looked_at(page, content)[2] == zlib.crc32(pixels.tobytes())
