"""Runs to report on, of records alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from edgecnn import records, run_directory
from edgecnn.parity.intervals import paired
from edgecnn.records import Accuracy, DataSource, LatencyRow, ParityRow, Placement, TensorSpec
from edgecnn.run_directory import Run
from edgecnn.stages.report import report
from edgecnn.visualization import plots
from tests.html_page import Page

if TYPE_CHECKING:
    from pathlib import Path

EVIL = "<script>alert('|`*')</script>"
LABELS = ("cat", EVIL, "frog")
FORMATS = {"onnx_float32": ("onnxruntime", 497_000), "tflite_int8": ("litert", 134_272)}
SEARCH = records.MixedPrecision(
    max_accuracy_drop_points=0.5, images=2000, sensitivity_sqnr_db={"conv2d": 9.3, "dense": 41.0},
    excluded_from_quantization=("conv2d",),
    steps=(
        records.MixedPrecisionStep(excluded_from_quantization=(), accuracy_drop_points=12.05),
        records.MixedPrecisionStep(excluded_from_quantization=("conv2d",), accuracy_drop_points=0.15),
    ),
    spreads={
        "conv2d": records.LayerSpread(low=-2.1, high=19.1, channel_ratio=178.4, weight_ratio=1.3),
        "dense": records.LayerSpread(low=0.0, high=5.2, channel_ratio=3.6, weight_ratio=2.5),
    },
    seconds=34.6,
)  # fmt: skip
DATA = DataSource(
    name="small", spec="/home/someone/small.npz", sha256="d" * 64, labels=LABELS, train_count=1500, test_count=700
)
NOTICE = "Synthetic data: no network, so synthetic images replace it."
IMAGE = TensorSpec(name="image", dtype="uint8", shape=(None, 32, 32, 3))
LOGITS = TensorSpec(name="logits", dtype="float32", shape=(None, 3))
PLACEMENT = Placement(device="cpu", compute_nodes={"XNNPACK": 7}, other_nodes={"LiteRT kernels": 2})


CHANGE = paired(3, 7, 700)


def share(correct: int, total: int = 700) -> Accuracy:
    return Accuracy(correct=correct, total=total, split="test", low=correct / total - 0.03, high=correct / total + 0.03)


def sha_of(format: str) -> str:
    return f"{sorted(FORMATS).index(format) + 1:064x}"


def parity_row(format: str, passed: bool = True) -> ParityRow:
    flips = tuple(
        records.Flip(
            image=i,
            label=0,
            reference_prediction=0 if i < 3 else 1,
            prediction=1 if i < 3 else 0 if i < 10 else 2,
            reference_margin=0.5,
            prediction_margin=0.25,
            kind="negative" if i < 3 else "positive" if i < 10 else "neutral",
        )
        for i in range(12)
    )
    return ParityRow(
        format=format, runtime=FORMATS[format][0], provider="cpu", artifact_sha256=sha_of(format), images=700,
        accuracy=share(602), paired=CHANGE, gate_difference=CHANGE.difference, extrapolated_from="", agreement=0.9829,
        top5_agreement=0.9911,
        flips=flips, max_logit_difference=0.0312, mean_logit_difference=0.01, sqnr_db=36.4, cosine_similarity=0.99912,
        bit_equal_to=(), placement=PLACEMENT, gate="agreement at least 98.0%", verdict="pass" if passed else "fail",
        seconds=1.0,
        reason="" if passed else "accuracy fell by 9.00 points, 1.0 are allowed",
    )  # fmt: skip


def around(value: float) -> records.Interval:
    return records.Interval(low=0.9 * value, high=1.1 * value)


def latency_row(format: str, threads: int, p50_ms: float) -> LatencyRow:
    return LatencyRow(
        format=format, runtime=FORMATS[format][0], provider="cpu", artifact_sha256=sha_of(format), threads=threads,
        batch=1, p50_ms=p50_ms, p90_ms=1.5 * p50_ms, p99_ms=3 * p50_ms, iterations=3, warmup_iterations=60,
        load_ms=74.5,
        peak_memory_bytes=1 << 27, placement=PLACEMENT, samples_ns=(1, 2, 3), calls_per_block=3, block_positions=(0,),
        restarts=1, p50_interval_ms=around(p50_ms), p90_interval_ms=around(1.5 * p50_ms),
        p99_interval_ms=around(3 * p50_ms), images_per_s=1e3 / p50_ms, ratio=None, first_call_ms=2 * p50_ms, warm=True,
        busy_cores=1.0, cpu_affinity=(0, 1),
    )  # fmt: skip


def draw(run: Run, path: str, size: tuple[int, int] = (6, 4)) -> None:
    run.path(path).parent.mkdir(exist_ok=True)
    Image.new("RGB", size, "teal").save(run.path(path))


def latency_of(run: Run, data: DataSource) -> records.Latency:
    rows = (
        latency_row("onnx_float32", 2, 0.5), latency_row("onnx_float32", 1, 0.0461),
        latency_row("tflite_int8", 1, 0.0188),
    )  # fmt: skip
    return records.Latency(
        schema=records.SCHEMA,
        origin=origin_of(run, "bench", run_directory.ARTIFACTS),
        data=data,
        measured_on="test images",
        rows=rows,
        skipped={},
        baseline="onnx_float32 on onnxruntime (cpu), 1 thread",
        noise=records.Noise(noise_probe_ns=(400_000,) * 3, spread=0.02, load_before=0.5, load_after=0.6, noisy=False),
        preprocessing=records.PreprocessingLatency(image="a JPEG of 640 x 480 pixels", decode_ms=4.0, resize_ms=1.5),
        timer_resolution_ns=40,
    )


def parity_of(run: Run, data: DataSource, failing: str = "") -> records.Parity:
    rows = tuple(parity_row(format, passed=format != failing) for format in FORMATS)
    return records.Parity(
        schema=records.SCHEMA,
        origin=origin_of(run, "parity", run_directory.CONTRACT, run_directory.ARTIFACTS),
        data=data,
        evaluated_on="all test images of small",
        images=700,
        reference="keras",
        reference_accuracy=share(595),
        rows=rows,
        agreement_matrix=((1.0, 0.9829, 0.9829), (0.9829, 1.0, 1.0), (0.9829, 1.0, 1.0)),
        preprocessing_paths=(records.PreprocessingPath(name="a file to the predictor", files=20, different_files=()),),
        skipped={"quantum": "qubits is not installed: pip install qubits"},
        verdict="fail" if failing else "pass",
        reasons=(),
    )


def layers_of(run: Run, data: DataSource, first_divergent_layer: str = "") -> records.Layers:
    row = records.LayerRow(
        layer="conv2d_1", tensor="t", sqnr_db=24.8, gain=1.05, fused_layers=("activation",),
        divergence="its gain is 1.050 times that of its inputs" if first_divergent_layer else "",
    )  # fmt: skip
    file = records.LayerParity(
        format="tflite_int8", runtime="litert", provider="cpu", artifact_sha256=sha_of("tflite_int8"),
        output_difference=0.0, fused_by_runtime=(), layers=(row,), first_divergent_layer=first_divergent_layer,
        advice="Export it again." if first_divergent_layer else "",
    )  # fmt: skip
    return records.Layers(
        schema=records.SCHEMA, origin=origin_of(run, "parity --layers", run_directory.CONTRACT), data=data, images=128,
        files=(file,), skipped={},
    )  # fmt: skip


def origin_of(run: Run, command: str, *names: str) -> records.Origin:
    return run.origin(command, {name: run.hash_of(name) for name in names}, [])


def build(root: Path, data: DataSource = DATA) -> Run:
    """A run of records alone: trained, exported twice, judged, measured, with feature maps."""
    root.mkdir()
    run, schema = Run(root), records.SCHEMA
    run.path(run_directory.MODEL).write_bytes(bytes(2048))
    run.save(run_directory.CONTRACT, records.Contract(
        schema=schema, model="cnn-small", model_sha256=run.hash_of(run_directory.MODEL), input=IMAGE, layout="NHWC",
        color_space="RGB", value_range=(0, 255), resize="rule", output=LOGITS, output_meaning="logits", labels=LABELS,
        data=data,
    ))  # fmt: skip
    epoch = records.Epoch(loss=1.0, accuracy=0.5, val_loss=0.9, val_accuracy=0.6125, seconds=62.0)
    run.save(run_directory.TRAINING, records.Training(
        schema=schema, origin=origin_of(run, "train"), data=data, architecture="cnn", recipe="tutorial", seed=7,
        batch_size=32, parameters=122_570, history=(epoch, epoch), accuracy=share(595),
        class_accuracy=(share(200, 300), None, share(211, 400)),
        confusion_matrix=((200, 60, 40), (0, 0, 0), (89, 100, 211)),
    ))  # fmt: skip
    calibration = records.Calibration(
        images=500, sha256="c" * 64, source="training images", method="min-max", tool="tool 1"
    )
    run.save(run_directory.ARTIFACTS, records.Artifacts(
        schema=schema, origin=origin_of(run, "export", run_directory.CONTRACT), data=data, artifacts=tuple(
            records.Artifact(format=format, path=f"exports/{format}", size_bytes=size, sha256=sha_of(format),
                             content_sha256=sha_of(format), input=IMAGE, output=LOGITS,
                             calibration=calibration if "int8" in format else None,
                             mixed_precision=SEARCH if "int8" in format else None)
            for format, (_, size) in FORMATS.items()
        ),
    ))  # fmt: skip
    run.save(run_directory.PARITY, parity_of(run, data))
    run.save(run_directory.LAYERS, layers_of(run, data))
    run.save(run_directory.LATENCY, latency_of(run, data))
    for name in (plots.CURVES, plots.CLASS_ACCURACY, plots.CONFUSION, "features/input.png", "features/conv2d.png"):
        draw(run, name)
    run.save(run_directory.FEATURES, records.Features(
        schema=schema, origin=origin_of(run, "features", run_directory.ARTIFACTS), data=data, image="a synthetic frog",
        input="features/input.png", pictures={"conv2d": "features/conv2d.png"},
    ))  # fmt: skip
    return run


def page_of(run: Run) -> Page:
    """The page that the stage writes."""
    return Page(report(run).read_text(encoding="utf-8"))
