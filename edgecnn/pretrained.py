"""The pretrained runs that come with edgecnn, by name.

Such a name never means a folder; ./NAME does, as does a :class:`pathlib.Path`.
"""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors import InputError, nearest

NAMES = ("cifar10-cnn", "cifar10-resnet8")  # also listed in pyproject.toml, for the wheel
PLACES = (
    Path(__file__).parent / "published",  # an installed package
    Path(__file__).parent.parent / "artifacts",  # a source checkout, where other runs may lie too
)


def pretrained_runs() -> dict[str, Path]:
    """Name -> run directory, in alphabetical order; the package's own win over the checkout's."""
    found = {(name, place): place / name for name in sorted(NAMES) for place in reversed(PLACES)}
    return {name: run for (name, _), run in found.items() if (run / "contract.json").is_file()}


def is_pretrained(run: Path) -> bool:
    """Whether this is the path of a pretrained run as :func:`pretrained_runs` gives it."""
    return run in pretrained_runs().values()


def find_run(model: str | Path) -> Path:
    """What a user means by `model`: the pretrained run of that name, else a path that exists.

    Raises :class:`InputError`, naming the pretrained runs, when it is neither.
    """
    runs = pretrained_runs()
    if isinstance(model, str) and model in runs:
        return runs[model]
    if not Path(model).exists():
        near = nearest(str(model), runs)
        offer = f" or one of the pretrained runs ({', '.join(runs)})" if runs else "; this copy has no pretrained runs"
        hint = f"did you mean {near[0]}?" if near else f"give a path that exists{offer}."
        raise InputError(f"There is no model '{model}'; {hint}")
    return Path(model)
