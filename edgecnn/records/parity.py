"""parity.json."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.records.common import Accuracy, DataSource, Difference, Origin, PairedDifference, Placement, target_name


@dataclass(frozen=True, kw_only=True)
class Flip:
    """An image that an artifact classifies differently from the reference."""

    image: int  # index in the evaluation split
    label: int | None
    reference_prediction: int  # class of the reference, as edgecnn.data.output_labels numbers predictions
    prediction: int
    reference_margin: float  # between the best and the second-best output; of scores, of the nearest to 0.5 from it
    prediction_margin: float
    # "negative": only the reference is correct, "positive": only the artifact is, "neutral": neither is; "": no label
    kind: str


@dataclass(frozen=True, kw_only=True)
class NativeDifference:
    """How outputs on an emulated CPU differ from those of the same file and runtime on the machine's own CPU."""

    images: int  # that both ran
    different_predictions: int  # images with another best class
    max_difference: float  # of the outputs; 0 where they are equal to the bit, -1 where they are not finite

    @property
    def words(self) -> str:
        """The difference in words."""
        if self.max_difference == 0:
            return f"equal to the bit with native on {self.images:,} images"
        largest = f"{self.max_difference:.2g}" if self.max_difference > 0 else "not finite"
        return (
            f"{self.different_predictions:,} of {self.images:,} images classified differently from native, largest "
            f"difference {largest}"
        )


@dataclass(frozen=True, kw_only=True)
class ParityRow:
    """One artifact on one runtime, execution provider and CPU against Keras, over the same images."""

    format: str
    runtime: str
    provider: str
    artifact_sha256: str
    images: int
    accuracy: Accuracy | None  # of scores: with every label decided correctly; None without labelled images
    paired: PairedDifference | None  # against the reference; None as above
    gate_difference: Difference | None  # what the gate looked at: `paired`, or a chain of two of them
    extrapolated_from: str  # the row by which it was judged, where it ran a part of the images only; else empty
    agreement: float  # share of equal top-1 classes; of scores, of equal decisions over images and labels
    top5_agreement: float | None  # share with the same five best classes, in whatever order; None of five or fewer
    flips: tuple[Flip, ...]
    max_logit_difference: float  # -1 where outputs are not finite, as in the next three
    mean_logit_difference: float
    sqnr_db: float | None  # of the outputs; None where they are equal or not finite
    cosine_similarity: float  # of an image's outputs with the reference's, in the mean
    bit_equal_to: tuple[str, ...]  # names of other rows, or of the reference, with the very same outputs
    cpu_dependent_images: int | None = None  # images on which exact int8 kernels differ; None where there are no others
    placement: Placement
    gate: str  # the rule in words
    verdict: str  # "pass", "fail" or "not proven"
    reason: str  # why not, in words; empty when passed
    seconds: float
    cpu: str = ""  # the emulated one; "": the machine's own
    emulator: str = ""  # that emulated it, with its version
    native: NativeDifference | None = None  # of an emulated CPU; None where the file did not run natively
    macro_accuracy: Accuracy | None = None  # of scores: right decisions of all, see edgecnn.parity.intervals

    @property
    def name(self) -> str:
        """The row in words."""
        return target_name(self.format, self.runtime, self.provider, self.cpu)


@dataclass(frozen=True, kw_only=True)
class PreprocessingPath:
    """A preprocessing path from image files to the model's input, compared with the contract's rules."""

    name: str
    files: int
    different_files: tuple[str, ...]  # those that gave other pixels


@dataclass(frozen=True, kw_only=True)
class Parity:
    """parity.json; predictions.npz next to it holds every top-1 class."""

    schema: int
    origin: Origin
    data: DataSource
    evaluated_on: str  # which images, in words
    images: int
    reference: str
    reference_accuracy: Accuracy | None
    rows: tuple[ParityRow, ...]
    agreement_matrix: tuple[tuple[float, ...], ...]  # of each with each, the reference first, over images both ran
    preprocessing_paths: tuple[PreprocessingPath, ...]
    skipped: dict[str, str]  # what did not run -> why
    verdict: str  # "pass", "fail" or "not proven"
    reasons: tuple[str, ...]  # for the whole run, in addition to those of the rows
    reference_macro_accuracy: Accuracy | None = None
    remote: str = ""  # where the exports ran, if not here; the reference runs here
