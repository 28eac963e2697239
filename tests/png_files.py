"""PNG files of every kind that the standard has, with random content."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
KINDS = [(color, depth) for color, depths in DEPTHS.items() for depth in depths]
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
LARGEST = 40


def png_files(count: int, seed: int) -> Iterator[bytes]:
    """Files of all kinds in turn, each with sizes, filters, interlacing, transparency and orientation by chance."""
    generator = np.random.default_rng(seed)
    for number in range(count):
        yield _file(*KINDS[number % len(KINDS)], generator)


def _file(color: int, depth: int, generator: np.random.Generator) -> bytes:
    height, width = generator.integers(1, LARGEST, 2).tolist()
    values = generator.integers(0, 2**depth, (height, width, CHANNELS[color]))
    if generator.random() < 0.5:
        values = np.maximum(values, values.max() - 2)  # few different ones, so that some are transparent
    interlaced = generator.random() < 0.5
    parts = [_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced))]
    if color == 3:
        parts.append(_chunk(b"PLTE", generator.integers(0, 256, 3 * 2**depth, dtype=np.uint8).tobytes()))
    if generator.random() < 0.5 and color == 3:
        count = int(generator.integers(1, 2**depth + 1))
        parts.append(_chunk(b"tRNS", generator.integers(0, 256, count, dtype=np.uint8).tobytes()))
    elif generator.random() < 0.5 and color in (0, 2):
        parts.append(_chunk(b"tRNS", values[0, 0].astype(">u2").tobytes()))
    if generator.random() < 0.3:
        orientation = int(generator.integers(0, 10))
        parts.append(
            _chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHHI", 0x0112, 3, 1, orientation, 0, 0))
        )
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    content = b"".join(_pass(values[y0::dy, x0::dx], depth, generator) for x0, y0, dx, dy in passes)
    packed = zlib.compress(content, int(generator.integers(0, 10)))
    middle = int(generator.integers(0, len(packed)))
    parts += [_chunk(b"IDAT", packed[:middle]), _chunk(b"IDAT", packed[middle:]), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _pass(values: np.ndarray, depth: int, generator: np.random.Generator) -> bytes:
    """The rows of a pass [h, w, channels], each with a filter by chance."""
    if not values.size:
        return b""
    flat = values.reshape(len(values), -1)
    if depth == 16:
        rows = flat.astype(">u2").view(np.uint8).reshape(len(flat), -1)
    elif depth == 8:
        rows = flat.astype(np.uint8)
    else:
        bits = (flat[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
        rows = np.packbits(bits.reshape(len(flat), -1).astype(np.uint8), axis=1)
    step = max(1, values.shape[2] * depth // 8)
    above, lines = np.zeros(rows.shape[1], np.uint8), []
    for row in rows:
        kind = int(generator.integers(0, 5))
        left, corner = (np.concatenate([np.zeros(step, np.uint8), line])[: len(line)] for line in (row, above))
        lines.append(bytes([kind]) + (row - _predicted(kind, left, above, corner)).astype(np.uint8).tobytes())
        above = row
    return b"".join(lines)


def _predicted(kind: int, left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """What the filter subtracts (PNG, 9.2)."""
    a, b, c = (line.astype(np.int64) for line in (left, above, corner))
    pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    paeth = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))
    return [np.zeros_like(a), a, b, (a + b) // 2, paeth][kind]
