"""The trained runs that come with edgecnn, by name."""

from __future__ import annotations

import os
from pathlib import Path

from edgecnn.errors import InputError

PLACES = (
    Path(__file__).parent / "published",  # an installed package
    Path(__file__).parent.parent / "artifacts",  # a source checkout
)


def pretrained_runs() -> dict[str, Path]:
    """Name -> run directory, in alphabetical order; the package's own win over the checkout's."""
    found: dict[str, Path] = {}
    for place in reversed(PLACES):
        found |= {contract.parent.name: contract.parent for contract in place.glob("[!.]*/contract.json")}
    return dict(sorted(found.items()))


def pretrained_path(run: Path) -> Path | None:
    """Path of the pretrained run that RUN on a command line names; None where it is a path."""
    return None if run.exists() else pretrained_runs().get(str(run))


def find_run(name: str) -> Path:
    """What a user means by `name`: a path that exists, else the pretrained run of that name.

    Raises :class:`InputError`, naming the pretrained runs, when it is neither.
    """
    if os.path.exists(name):
        return Path(name)
    runs = pretrained_runs()
    if name not in runs:
        offer = f" or one of the pretrained runs ({', '.join(runs)})" if runs else "; this copy has no pretrained runs"
        raise InputError(f"There is no model '{name}'; give a path that exists{offer}.")
    return runs[name]
