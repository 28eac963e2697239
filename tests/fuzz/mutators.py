"""Changes to a file's bytes, by what the file is made of; the same generator makes the same change."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from copy import deepcopy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 2**64 - 1)
EVIL = "a\x1b[2J\x9b\n\r\x07\u202e"
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 65_535, 2**31, 2**63, 2**64, 1e308, -1e-308, "", "x", EVIL, "../../../etc", "x" * 5_000,
    [], {}, [None], [-1, -1, -1, -1], [1, 65_535, 65_535, 3], {"x": EVIL},
)  # fmt: skip
NAMES = (b"\x1b[2J", b"\xff\xfe\xfd", b"\n\r\x00", b"../..")
DEPTH = 3_000


def raw(data: bytes, chance: random.Random) -> bytes:
    """A few bytes, numbers or stretches changed, wherever they stand."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        place = chance.randrange(len(found) + 1)
        size = chance.choice((1, 2, 4, 8))
        other = chance.randrange(len(found) + 1)
        match chance.randrange(8):
            case 0:
                found[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                order = chance.choice(("little", "big"))
                number = chance.choice(EXTREMES) % 256**size
                found[place : place + size] = number.to_bytes(size, order)
            case 2:
                del found[place : place + chance.choice((1, 2, 8, 64))]
            case 3:
                found[place:place] = chance.randbytes(chance.choice((1, 4, 32)))
            case 4:
                found[place : place + 64] = found[other : other + 64]
            case 5:
                found[place:place] = found[other : other + chance.choice((8, 256))]
            case 6:
                name = chance.choice(NAMES)
                found[place : place + len(name)] = name
            case _ if chance.random() < 0.3:
                del found[place:]
    return bytes(found)


def of_json(data: bytes, chance: random.Random) -> bytes:
    """Values, keys or whole branches changed; now and then what is no JSON."""
    if chance.random() < 0.15:
        return raw(data, chance)
    if chance.random() < 0.03:
        opening, closing = chance.choice((('{"x":', "}"), ("[", "]")))
        return (opening * DEPTH + "1" + closing * DEPTH).encode()
    content = json.loads(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        _change(content, chance)
    return json.dumps(content).encode()


def _change(content: Any, chance: random.Random) -> None:
    """Something somewhere in it, likely far down."""
    while True:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not keys:
            return
        key = chance.choice(keys)
        inner = content[key]
        if isinstance(inner, dict | list) and inner and chance.random() < 0.85:
            content = inner
            continue
        match chance.randrange(6):
            case 0:
                del content[key]
            case 1 if isinstance(content, dict):
                content[chance.choice((EVIL, "schema", "x"))] = deepcopy(inner)
            case 2 if isinstance(content, list):
                content.extend(deepcopy(inner) for _ in range(chance.choice((1, 20))))
            case _:
                content[key] = deepcopy(chance.choice(VALUES))
        return


def of_zip(data: bytes, chance: random.Random) -> bytes:
    """A part changed and packed again, or the archive itself."""
    if chance.random() < 0.3:
        return raw(data, chance)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(parts))
    if chance.random() < 0.05:
        del parts[name]
    else:
        parts[name] = of_json(parts[name], chance) if name.endswith(".json") else head_first(parts[name], chance)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    return packed.getvalue()


def of_gzip(data: bytes, chance: random.Random) -> bytes:
    """What was packed changed and packed again, or the file itself."""
    if chance.random() < 0.3:
        return raw(data, chance)
    return gzip.compress(head_first(gzip.decompress(data), chance), 1)


def head_first(data: bytes, chance: random.Random) -> bytes:
    """As raw, most often within the first bytes, where a format says what follows."""
    head = chance.choice((64, 512, len(data)))
    return raw(data[:head], chance) + data[head:]
