"""What bundles share: their files from a folder `sources`, and the name of a package."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgecnn.codegen.c_source import render_source

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Contract


def write_sources(sources: Path, facts: dict[str, Any], folder: Path) -> None:
    """Write all of `sources` to the same places in `folder`; a `.j2` is rendered with `facts` and loses its ending."""
    for path in sorted(path for path in sources.rglob("*") if path.is_file()):
        place = folder / path.relative_to(sources)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".j2":
            place.with_suffix("").write_text(render_source(path, facts), encoding="utf-8")
        else:
            place.write_bytes(path.read_bytes())


def package_name(contract: Contract) -> str:
    """A name that package managers take, of lower-case letters, digits and dashes, from the model's."""
    return re.sub(r"[^a-z0-9]+", "-", contract.model.lower()).strip("-") or "classifier"
