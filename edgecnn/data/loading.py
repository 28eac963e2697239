"""The data set that `--data` names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.console import log
from edgecnn.data.dataset import Dataset
from edgecnn.errors import DataUnavailable, InputError, NoSuchData, nearest
from edgecnn.plugins import discover

if TYPE_CHECKING:
    from edgecnn.arrays import Size
    from edgecnn.data.dataset import LabelledImages

AUTO = "auto"
PREFERRED, BUILT_IN = "cifar10", "synthetic"


def load_data(spec: str, size: Size) -> LabelledImages:
    """The data set `auto`, a name, or a path stands for; `size` is for sets whose images have sizes of their own.

    `auto` is CIFAR-10 where it is available, otherwise the built-in synthetic set with a notice that says so.
    """
    datasets = discover(Dataset)
    if spec == AUTO:
        try:
            return _by_name(datasets[PREFERRED], size)
        except DataUnavailable as error:
            notice = f"Synthetic data: {error}, so the built-in synthetic images replace CIFAR-10."
            log(notice)
            data = _by_name(datasets[BUILT_IN], size)
            return replace(data, source=replace(data.source, notice=notice))
    named = [name for name, dataset in datasets.items() if dataset.load_by_name is not None]
    if spec in named:
        return _say_whole_sentence(datasets[spec], size)
    path = Path(spec).resolve()
    if not path.exists():
        near = nearest(spec, [AUTO, *named])
        hint = f"did you mean {near[0]}?" if near else "give auto, cifar10, synthetic or a path."
        raise NoSuchData(f"There is no data set at {spec}; {hint}")
    for dataset in datasets.values():
        if dataset.load is not None and dataset.accepts(path):
            return dataset.load(path, size)
    if path.is_dir() and (path / "test").is_dir():
        raise InputError(f"{path} has no training split: put images into {path / 'train'}/<class>/ too.")
    raise InputError(
        f"{path} is not a data set; use a cifar-10-batches-py folder, its .tar.gz, an .npz, or train/<class>/* "
        "with test/<class>/*."
    )


def _by_name(dataset: Dataset, size: Size) -> LabelledImages:
    assert dataset.load_by_name is not None
    return dataset.load_by_name(size)


def _say_whole_sentence(dataset: Dataset, size: Size) -> LabelledImages:
    try:
        return _by_name(dataset, size)
    except DataUnavailable as error:
        text = str(error)
        raise DataUnavailable(
            f"{text[0].upper()}{text[1:]}; set EDGECNN_DATA to a copy, or use --data {BUILT_IN}."
        ) from None
