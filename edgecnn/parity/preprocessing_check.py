"""Compare every preprocessing path from an image file to the model's input: the pixels must be equal.

What breaks apps is preprocessing that differs from training's. So files of every awkward kind are made from synthetic
images and taken through all ways there are.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.data.fitting import fit
from edgecnn.data.loading import load_data
from edgecnn.preprocessing.batches import prepared
from edgecnn.preprocessing.decode import decode_image, prepare
from edgecnn.preprocessing.reader_pool import Readers
from edgecnn.records import PreprocessingPath
from edgecnn.records.contract import image_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import PIL.Image

    from edgecnn.arrays import Pixels
    from edgecnn.records import Contract

    Way = Callable[[Sequence[Path], Contract], list[Pixels]]

ORIENTATION = 0x0112
READERS = 1 if sys.platform == "win32" else 2  # processes
SIDES = ((32, 32), (47, 61), (200, 133), (9, 301), (1, 1), (640, 480))  # height, width of the RGB files


def preprocessing_paths(contract: Contract) -> tuple[PreprocessingPath, ...]:
    """Run the awkward files through every preprocessing path, and compare with the contract's rules."""
    import numpy as np

    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        paths = awkward_files(Path(folder))
        wanted = [prepare(path, contract) for path in paths]
        found = []
        for name, way in WAYS.items():
            arrived = way(paths, contract)
            different = [p.name for p, a, b in zip(paths, wanted, arrived, strict=True) if not np.array_equal(a, b)]
            found.append(PreprocessingPath(name=name, files=len(paths), different_files=tuple(different)))
    return tuple(found)


def awkward_files(folder: Path) -> list[Path]:
    """PNG and JPEG files of odd sizes and all kinds that Pillow writes, synthetic; in the order of their names."""
    import numpy as np
    from PIL import Image

    from edgecnn.data.datasets.synthetic import draw

    images, _ = draw(len(SIDES), seed=1, split="test")

    def scene(number: int, height: int, width: int) -> PIL.Image.Image:
        rows = np.arange(height)[:, None] * 32 // height
        return Image.fromarray(np.ascontiguousarray(images[number][rows, np.arange(width)[None] * 32 // width]))

    for number, (height, width) in enumerate(SIDES):
        scene(number, height, width).save(folder / f"rgb-{height}x{width}.png")
    large = scene(2, 120, 85)
    turned = Image.Exif()
    for orientation in range(2, 9):
        turned[ORIENTATION] = orientation
        large.save(folder / f"turned-{orientation}.jpg", exif=turned, quality=92)
    large.save(folder / "progressive.jpg", progressive=True, quality=85)
    large.convert("CMYK").save(folder / "cmyk.jpg", quality=90)
    large.convert("L").save(folder / "gray.png")
    large.convert("L").save(folder / "gray.jpg", quality=90)
    large.convert("P", palette=Image.Palette.ADAPTIVE).save(folder / "palette.png", transparency=3)
    alpha = np.arange(120 * 85, dtype=np.uint8).reshape(120, 85)
    large.putalpha(Image.fromarray(alpha))
    large.save(folder / "alpha.png")
    large.convert("LA").save(folder / "gray-alpha.png")
    deep = np.asarray(scene(3, 77, 50).convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "gray-16-bit.png")
    return sorted(folder.iterdir())


def _as_bytes(paths: Sequence[Path], contract: Contract) -> list[Pixels]:
    return [prepare(path.read_bytes(), contract) for path in paths]


def _as_pillow(paths: Sequence[Path], contract: Contract) -> list[Pixels]:
    from PIL import Image

    found = []
    for path in paths:
        with Image.open(path) as image:
            found.append(prepare(image, contract))
    return found


def _as_array(paths: Sequence[Path], contract: Contract) -> list[Pixels]:
    return [prepare(decode_image(path), contract) for path in paths]


def _in_batches(paths: Sequence[Path], contract: Contract) -> list[Pixels]:
    (batch,) = prepared(paths, image_shape(contract), len(paths))
    return list(batch.pixels)


def _by_readers(paths: Sequence[Path], contract: Contract) -> list[Pixels]:
    """Read by two processes, this one among them, as many files are."""
    with Readers(READERS) as readers:
        batches = list(readers.prepared(paths, image_shape(contract), -(-len(paths) // 4)))
    return [pixels for batch in batches for pixels in batch.pixels]


def _as_data_set(paths: Sequence[Path], contract: Contract) -> list[Pixels]:
    """As test images of a folder of classes, the way evaluation and training images come."""
    shape = image_shape(contract)
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        for split in ("train", "test"):
            for label in ("a", "b"):
                (Path(folder) / split / label).mkdir(parents=True)
            (Path(folder) / split / "b" / paths[0].name).write_bytes(paths[0].read_bytes())
        for path in paths:
            for split in ("train", "test"):
                (Path(folder) / split / "a" / path.name).write_bytes(path.read_bytes())
        data = load_data(folder, shape[:2])
    return list(fit(data.test_images[: len(paths)], shape))


WAYS: dict[str, Way] = {
    "files in batches, to the predictor": _in_batches,
    "files read by several processes, to the predictor": _by_readers,
    "a file's bytes, to the predictor": _as_bytes,
    "a Pillow image, to the predictor": _as_pillow,
    "decoded pixels, to the predictor": _as_array,
    "a folder of classes, to training and parity": _as_data_set,
}
