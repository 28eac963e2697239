"""The verdict: what passes, what fails, what is not proven, and no false alarm."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.data.output_labels import predicted_classes, prediction_name
from edgecnn.export.format import Gate
from edgecnn.parity.intervals import mid_p_limits, paired
from edgecnn.parity.metrics import agreement
from edgecnn.parity.verdict import _limits, uninformative_reference_reason, verdict
from edgecnn.records import PairedDifference

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.arrays import Labels, Logits

GATE = Gate(tolerance_points=1.0, min_agreement=0.9)
CLASSES = 5
LABELS = tuple("abcde")


def _answers(labels: Labels, wrong: int = 0) -> Logits:
    """One-hot outputs that are right but for the first `wrong`."""
    answers = labels.copy()
    answers[:wrong] = (answers[:wrong] + 1) % CLASSES
    return np.eye(CLASSES, dtype=np.float32)[answers]


def _verdict(reference: Logits, logits: Logits, labels: Labels | None) -> tuple[str, str]:
    found = agreement(reference, logits, labels)
    return verdict(found, (found.paired,) if found.paired else (), GATE, len(reference))


def test_with_labels_the_interval_of_the_change_decides() -> None:
    labels = np.arange(2_000) % CLASSES
    right = _answers(labels)
    assert _verdict(right, right, labels) == ("pass", "")
    assert _verdict(right, _answers(labels, 8), labels)[0] == "pass"
    state, reason = _verdict(right, _answers(labels, 18), labels)
    assert state == "not proven", "0.9 points lost, and up to 1.4 cannot be excluded"
    assert reason == (
        "not proven with 2,000 images; 18 changed, 18 for the worse and 0 for the better; about 38,000 would be needed "
        "(accuracy may have fallen by up to 1.39 points, 1 are allowed)"
    )
    assert _verdict(right, _answers(labels, 40), labels) == (
        "fail", "accuracy fell by 2.00 points, 1 are allowed",
    )  # fmt: skip
    assert _verdict(_answers(labels, 40), right, labels)[0] == "pass", "more right answers are no failure"


def test_few_images_prove_nothing() -> None:
    labels = np.arange(100) % CLASSES
    assert _verdict(_answers(labels), _answers(labels), labels)[0] == "not proven"
    assert _verdict(_answers(labels), _answers(labels), None)[0] == "pass", "agreement alone asks less"
    assert _verdict(_answers(labels[:20]), _answers(labels[:20]), None)[0] == "not proven"


def test_no_changed_answer_says_how_many_images_would_do() -> None:
    for strict, needed in ((0.3, "1,000"), (0.05, "6,000"), (1.0, "300")):
        labels = np.arange(121) % CLASSES
        found = agreement(_answers(labels), _answers(labels), labels)
        assert found.paired is not None
        gate = Gate(tolerance_points=strict, min_agreement=0.9)
        state, reason = verdict(found, (found.paired,), gate, 121)
        assert state == "not proven"
        assert f"not proven with 121 images; none changed; about {needed} would be needed" in reason
        enough = np.arange(int(needed.replace(",", ""))) % CLASSES
        whole = agreement(_answers(enough), _answers(enough), enough)
        assert whole.paired is not None
        assert verdict(whole, (whole.paired,), gate, len(enough))[0] == "pass", "so many really are enough"


def test_the_needed_number_without_labels_and_where_none_is_enough() -> None:
    labels = np.arange(20) % CLASSES
    state, reason = _verdict(_answers(labels), _answers(labels), None)
    assert state == "not proven"
    assert reason.startswith(
        "not proven with 20 images; none changed; about 29 would be needed (agreement may be as low"
    )
    labels = np.arange(300) % CLASSES
    state, reason = _verdict(_answers(labels), _answers(labels, 4), labels)
    assert state == "not proven"
    assert "at that rate more images would not prove it either" in reason


def test_a_part_is_judged_by_its_own_number_of_images() -> None:
    whole, part = paired(5, 5, 10_000), paired(0, 0, 100)
    labels = np.arange(100) % CLASSES
    state, reason = verdict(agreement(_answers(labels), _answers(labels), labels), (whole, part), GATE, 100)
    assert state == "not proven"
    assert "not proven with 100 images; none changed; about 300 would be needed" in reason


def test_figures_differ_as_far_as_it_takes_to_tell_them_apart() -> None:
    labels = np.arange(10_000) % CLASSES
    right = _answers(labels)
    found = agreement(right, right, labels)
    steps = (
        PairedDifference(
            points=-0.1,
            low_points=-0.3004,
            high_points=0.1,
            negative_flips=0,
            positive_flips=0,
            images=10_000,
            p_value=1,
        ),
    )
    _, reason = verdict(found, steps, Gate(tolerance_points=0.3, min_agreement=0.9), 10_000)
    assert "fallen by up to 0.3004 points, 0.3 are allowed" in reason


def _scores(labels: Labels) -> Logits:
    """Scores that hold for the image's own label alone."""
    return np.where(np.arange(CLASSES) == labels[:, None], 0.9, 0.1).astype(np.float32)


def test_scores_agree_decision_by_decision_and_images_count_as_a_whole() -> None:
    labels = np.arange(2_000) % CLASSES
    reference, scores = _scores(labels), _scores(labels)
    scores[0] = 0.45  # its label is lost
    scores[1, :4] = 0.8  # three labels more
    found = agreement(reference, scores, labels, "scores")
    assert [(flip.image, flip.kind) for flip in found.flips] == [(0, "negative"), (1, "negative")]
    assert found.top1 == pytest.approx(1 - 4 / (2_000 * CLASSES))
    assert found.top5 is None
    assert (found.flips[0].reference_prediction, found.flips[0].prediction) == (0, CLASSES)
    assert prediction_name(found.flips[0].prediction, LABELS) == "no label"
    assert prediction_name(found.flips[1].prediction, LABELS) == "several labels"
    assert found.flips[0].prediction_margin == pytest.approx(0.05)
    assert found.paired is not None and (found.paired.negative_flips, found.paired.positive_flips) == (2, 0)


def test_an_export_that_loses_a_label_altogether_fails() -> None:
    """A mean over labels hides it: 96 % of the decisions are as before."""
    labels = np.arange(5_000) % CLASSES
    scores = _scores(labels)
    scores[:, 2] = 0.0
    found = agreement(_scores(labels), scores, labels, "scores")
    assert found.top1 == pytest.approx(0.96)
    assert found.paired is not None
    assert verdict(found, (found.paired,), GATE, 5_000)[0] == "fail"


def test_without_labels_scores_are_judged_by_their_decisions_with_images_as_the_unit() -> None:
    labels = np.arange(1_000) % CLASSES
    scores = _scores(labels)
    assert verdict(agreement(_scores(labels), scores, None, "scores"), (), GATE, 1_000) == ("pass", "")
    scores[:480] = 0.0
    found = agreement(_scores(labels), scores, None, "scores")
    assert found.top1 == pytest.approx(1 - 0.48 / CLASSES)
    low, high = _limits(found, 1_000)
    assert (low, high) == tuple(1 - limit for limit in reversed(mid_p_limits(96, 1_000)))
    assert verdict(found, (), GATE, 1_000)[0] == "not proven"


def test_scores_that_never_hold_prove_nothing_and_those_of_several_labels_do() -> None:
    labels = np.arange(1_000) % CLASSES
    low = _scores(labels) / 2  # the highest is the right one, and none is above 0.5
    for known in (None, labels):
        assert "gives 100% of the images the same prediction" in uninformative_reference_reason(low, known, "scores")
    several = np.minimum(_scores(labels) + 0.7 * (np.arange(CLASSES) == (labels[:, None] + 1) % CLASSES), 0.95)
    assert (predicted_classes(several, "scores") != labels).all(), "no image has its own label alone"
    assert uninformative_reference_reason(several, labels, "scores") == ""


def test_answers_of_scores_are_the_same_for_the_same_labels_only() -> None:
    every = (np.arange(2**CLASSES)[:, None] >> np.arange(CLASSES) & 1).astype(np.float32)
    answers = predicted_classes(every, "scores")
    assert len(set(answers.tolist())) == 2**CLASSES
    assert answers[0] == CLASSES and answers[[1, 2, 4, 8, 16]].tolist() == [0, 1, 2, 3, 4]
    assert answers.max() < 2**31 and (predicted_classes(every, "scores") == answers).all()


def test_as_good_but_another_model_fails() -> None:
    """The same accuracy, but not the same answers."""
    labels = np.arange(4_000) % CLASSES
    state, reason = _verdict(_answers(labels, 500), _answers(labels[::-1], 500)[::-1], labels)
    assert (state, reason) == ("fail", "agreement is 75.00%, 90.00% is needed")


def test_what_is_not_finite_fails() -> None:
    labels = np.arange(100) % CLASSES
    right = _answers(labels)
    assert _verdict(right, np.full_like(right, np.nan), labels) == ("fail", "some outputs are not finite")


def test_the_figures_of_agreement() -> None:
    reference = np.array([[4, 3, 2, 1, 0, -1], [0, 0, 0, 3, 1, 0], [9, 0, 0, 0, 0, 1]], np.float32)
    logits = reference.copy()
    logits[0] = [3, 4, 2, 1, 0, -1]
    logits[1] += 1
    found = agreement(reference, logits, np.array([1, 3, 0]))
    assert found.top1 == pytest.approx(2 / 3)
    assert found.top5 == 1
    assert (found.max_difference, found.mean_difference) == (1, pytest.approx(8 / 18))
    assert found.sqnr_db == pytest.approx(10 * np.log10(np.square(reference).sum() / 8))
    (flip,) = found.flips
    assert (flip.image, flip.label, flip.reference_prediction, flip.prediction, flip.kind) == (0, 1, 0, 1, "positive")
    assert (flip.reference_margin, flip.prediction_margin) == (1, 1)
    assert agreement(reference, reference, None).sqnr_db is None
    assert agreement(reference, logits, None).flips[0].kind == ""


@pytest.mark.parametrize(("label", "kind"), [(0, "negative"), (1, "positive"), (2, "neutral")])
def test_kinds_of_flips(label: int, kind: str) -> None:
    before, now = np.eye(3, dtype=np.float32)[[0]], np.eye(3, dtype=np.float32)[[1]]
    assert agreement(before, now, np.array([label])).flips[0].kind == kind


def test_a_reference_that_hardly_varies_proves_nothing() -> None:
    labels = np.arange(1_000) % CLASSES
    assert "gives 100% of the images the same prediction" in uninformative_reference_reason(
        _answers(np.zeros(1_000, np.int64)), None
    )
    guesses = np.random.default_rng(1).integers(0, CLASSES, 1_000)
    assert "not shown to be better than guessing" in uninformative_reference_reason(_answers(guesses), labels)
    assert (
        uninformative_reference_reason(_answers(labels, 300), labels)
        == uninformative_reference_reason(_answers(labels), None)
        == ""
    )


@pytest.mark.slow
def test_a_model_beside_itself_under_harmless_noise_gives_no_alarm(tiny_onnx: Path) -> None:
    """200 comparisons, each with another number of threads, another batch, with and without fused operators."""
    import onnxruntime

    random = np.random.default_rng(3)
    images = random.integers(0, 256, (10_000, 8, 8, 3), np.uint8)
    sessions = []
    levels = onnxruntime.GraphOptimizationLevel
    for threads, level in itertools.product((1, 2, 4), (levels.ORT_ENABLE_ALL, levels.ORT_DISABLE_ALL)):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.graph_optimization_level = threads, level
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads would burn CPU time
        sessions.append(onnxruntime.InferenceSession(str(tiny_onnx), options, providers=["CPUExecutionProvider"]))
    reference = sessions[0].run(None, {"image": images})[0]
    labels = np.where(random.random(len(images)) < 0.7, reference.argmax(axis=1), random.integers(0, 3, len(images)))
    strict = Gate(tolerance_points=0.05, min_agreement=0.999)
    differing = 0
    for _ in range(200):
        session, batch = sessions[random.integers(6)], int(random.integers(16, 4_000))
        logits = np.concatenate(
            [session.run(None, {"image": images[i : i + batch]})[0] for i in range(0, len(images), batch)]
        )
        found = agreement(reference, logits, labels)
        differing += found.max_difference > 0
        assert found.paired is not None
        assert verdict(found, (found.paired,), strict, len(images)) == ("pass", "")
    assert differing, "there was noise"
