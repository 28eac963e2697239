"""predictions.npz: every top-1 class that parity saw, for comparisons image by image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.data.output_labels import predicted_classes
from edgecnn.errors import InputError, reason_of
from edgecnn.execution.targets import KERAS
from edgecnn.files import load_arrays, staged
from edgecnn.parity.intervals import paired
from edgecnn.run_directory import PREDICTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Logits
    from edgecnn.data.evaluation import Evaluation
    from edgecnn.parity.evaluation import InferenceResult
    from edgecnn.records import Difference, Parity
    from edgecnn.run_directory import Run

    Classes = npt.NDArray[np.int32]

NOT_RUN = -1  # the class of an image that a target did not run


@dataclass(frozen=True)
class Predictions:
    """The top-1 classes int32 [N] of each target and of the reference by name, and the labels int32 [N], empty where
    none are known; `images` says which images they are of."""

    by_name: Mapping[str, Classes]
    labels: Classes
    images: str


def save_predictions(
    run: Run, reference: Logits, evaluation: Evaluation, results: Sequence[InferenceResult], meaning: str
) -> None:
    """Write predictions.npz: the targets' classes as int32 [rows, N], the reference's, and the labels."""
    import numpy as np

    predictions = np.full((len(results), len(reference)), NOT_RUN, np.int32)
    for row, one in zip(predictions, results, strict=True):
        row[one.indices] = predicted_classes(one.logits, meaning)
    labels = evaluation.labels
    with staged(run.path(PREDICTIONS)) as draft:
        np.savez_compressed(
            draft,
            names=np.array([one.target.name for one in results], dtype=np.str_),
            predictions=predictions,
            reference=predicted_classes(reference, meaning).astype(np.int32),
            labels=np.zeros(0, np.int32) if labels is None else labels.astype(np.int32),
            images=np.array(evaluation.source),
        )


def load_predictions(run: Run, record: Parity) -> Predictions:
    """The predictions written with this record; raises InputError where they are missing, damaged or others."""
    path = run.path(PREDICTIONS)
    if path.is_file() and run.hash_of(PREDICTIONS) != record.origin.outputs.get(PREDICTIONS):
        raise InputError(f"{path} does not belong to parity.json; {run.command('parity')} writes both again.")
    try:
        arrays = load_arrays(path)
        by_name = dict(zip(arrays["names"].tolist(), arrays["predictions"], strict=True))
        by_name[KERAS] = arrays["reference"]
        found = Predictions(by_name, arrays["labels"], str(arrays["images"]))
        _check(found, record)
        return found
    except FileNotFoundError:
        raise InputError(f"{path} is missing; {run.command('parity')} writes it.") from None
    except Exception as error:  # zip, zlib and numpy's parser each fail in their own ways
        raise InputError(f"{path} is damaged ({reason_of(error)}); {run.command('parity')} writes it again.") from None


def _check(found: Predictions, record: Parity) -> None:
    """Raises ValueError unless there is a class of each image for each row, and a label for each image or none."""
    if missing := {row.name for row in record.rows} - {*found.by_name}:
        raise ValueError(f"there are no classes of {min(missing)}")
    count = len(found.by_name[KERAS])
    for classes in (*found.by_name.values(), found.labels if len(found.labels) else found.by_name[KERAS]):
        if classes.dtype.kind != "i" or classes.shape != (count,):
            raise ValueError(f"{classes.dtype} {list(classes.shape)} is not a class of each of {count} images")


def paired_change(old: Predictions, new: Predictions, name: str) -> Difference | None:
    """The change on the images that the target ran in both; None where there are none."""
    before, now = old.by_name[name], new.by_name[name]
    both = (before != NOT_RUN) & (now != NOT_RUN)
    if not both.any():
        return None
    was_right, is_right = (before == old.labels)[both], (now == new.labels)[both]
    found = paired(int((was_right & ~is_right).sum()), int((~was_right & is_right).sum()), int(both.sum()))
    return found.difference
