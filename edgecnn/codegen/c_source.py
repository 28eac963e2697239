"""C sources from templates: numbers, bytes and strings as C writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

BYTES_A_LINE = 18


def render_source(template: Path, facts: dict[str, Any]) -> str:
    """A source file from its template; strings go into C through the filters below, nothing else is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["bytes_of_c"] = bytes_of_c
    environment.filters["string_of_c"] = string_of_c
    environment.filters["float_of_c"] = "{:.8e}f".format
    environment.filters["c_comment"] = lambda text: " ".join(text.split()).replace("*/", "* /").replace("/*", "/ *")
    return environment.get_template(template.name).render(facts)


def bytes_of_c(content: bytes) -> str:
    """Bytes as the inside of a C array, indented."""
    rows = (content[i : i + BYTES_A_LINE] for i in range(0, len(content), BYTES_A_LINE))
    return "\n".join("    " + ", ".join(f"0x{byte:02x}" for byte in row) + "," for row in rows)


def string_of_c(text: str) -> str:
    """Text as a C string literal: UTF-8, all but plain letters, digits and spaces as octal escapes."""
    kept = (
        chr(byte) if byte < 128 and (chr(byte).isalnum() or byte in b" _-.") else f"\\{byte:03o}"
        for byte in text.encode()
    )
    return f'"{"".join(kept)}"'
