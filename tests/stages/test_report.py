"""The report: every figure is there, strings from data stay text, and nothing stands beside a file it is not about."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from edgecnn import records, run_directory
from edgecnn.cli import cli
from edgecnn.errors import InputError
from edgecnn.export.format import default_formats
from edgecnn.parity.intervals import paired
from edgecnn.records import Accuracy, DataSource, LatencyRow, ParityRow, Placement, Report, TensorSpec
from edgecnn.report import summary
from edgecnn.report.render import aligned, duration, escape_markdown
from edgecnn.report.summary import commands
from edgecnn.report.view import scale
from edgecnn.run_directory import Run
from edgecnn.stages.report import MARKDOWN, PAGE, inputs, is_current, report
from edgecnn.visualization import plots

pytest.importorskip("jinja2")

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


class Page(HTMLParser):
    """What a browser makes of the page: its tags with their attributes, and its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._skip = False
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self._skip = tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.text = re.sub(r"\s+", " ", f"{self.text} {data}")


@pytest.fixture
def small(tmp_path: Path) -> Run:
    return build(tmp_path / "run")


def page_of(run: Run) -> Page:
    return Page(report(run).read_text(encoding="utf-8"))


def test_the_page_holds_every_figure(small: Run) -> None:
    text = page_of(small).text
    for figure in (
        "cnn-small", "All 2 exports match the trained model", "85.00%", "82.00% to 88.00%", "700 images", "122,570",
        "131", "negative flip", "positive flip", "wrong both times",
        "485", "0.019", "0.046", "0.500", "0.138", "1.500", "×1.0", "×2.5", "×26.6", "86.00%", "+0.57", "98.29%",
        "12 flips", "0.0312", "agreement at least 98.0%", "XNNPACK 7", "LiteRT kernels 2", "500", "min-max", "tool 1",
        "2 epochs in 2 min 4 s", "a synthetic frog", "Layer conv2d", "60 warm-up calls", "qubits is not installed",
        "1 thread", "2 threads", "66.67%",
        "99.11%", "36.4", "0.99912", "a file to the predictor", "equal to the bit", "24.8",
        *FORMATS, *(f"on {runtime} (cpu)" for runtime, _ in FORMATS.values()),
    ):  # fmt: skip
        assert figure in text, f"{figure} is not on the page"
    row = text[text.rindex("tflite_int8 on litert (cpu) ✓ pass") :]
    assert re.match(
        r"\S+ on litert \(cpu\) ✓ pass agreement at least 98.0% 700 \+0.57 \S+ to \S+ 3 / 7 / 2 0\.34 ", row
    )


def test_the_markdown_holds_the_same_tables(small: Run) -> None:
    report(small)
    text = small.path(MARKDOWN).read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert ["tflite_int8", "litert (cpu)", "131", "86.00%", "+0.57", "98.29%", "12", "0.0312", "pass"] in rows
    assert ["onnx_float32", "onnxruntime (cpu)", "2 threads", "0.500", "0.750", "1.500", "x26.6"] in rows
    timing = ["0.019", "0.017 to 0.021", "53,191", "1", "–", "baseline", "0.0"]
    assert ["tflite_int8 on litert (cpu)", "1 thread", *timing] in rows
    interval = f"{CHANGE.low_points:+.2f} to {CHANGE.high_points:+.2f}".replace("-", "\N{MINUS SIGN}")
    judged = ["+0.57", interval, "3", "7", "2", "0.34", "99.11%", "36.4", "agreement at least 98.0%"]
    assert ["tflite_int8", "litert (cpu)", *judged] in rows
    assert ["conv2d_1", "24.8", "1.0500", "activation", ""] in rows
    assert ["onnx_float32", "onnxruntime (cpu)", "cpu", "XNNPACK 7", "LiteRT kernels 2"] in rows
    assert f"[{plots.CURVES}]({plots.CURVES})" in text
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(blocks) == 13
    for block in blocks:
        assert len({len(line) for line in block.splitlines()}) == 1, "a table is not padded"


def test_the_page_needs_nothing_else(small: Run) -> None:
    page = page_of(small)
    source = small.path(PAGE).read_text(encoding="utf-8")
    without_pictures = re.sub(r"base64,[A-Za-z0-9+/=]+", "", source)
    assert not re.search(r"https?:|//|@import|url\(|\.(?:css|js)\b", without_pictures)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed"}
    for _, attributes in page.tags:
        assert all(attributes.get(name, "data:").startswith("data:") for name in ("src", "href"))
        assert not [name for name in attributes if name.startswith("on")]
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 7
    assert all(picture["alt"] and int(picture["width"]) > 0 for picture in pictures)
    assert str(small.root) not in source and "/home/someone" not in source


def test_the_notice_comes_first_and_only_where_there_is_one(small: Run, tmp_path: Path) -> None:
    assert NOTICE not in page_of(small).text
    source = report(build(tmp_path / "synthetic", replace(DATA, notice=NOTICE))).read_text(encoding="utf-8")
    assert source.count(NOTICE) == 1
    assert source.index(NOTICE) < source.index("<h1>")
    markdown = (tmp_path / "synthetic" / MARKDOWN).read_text(encoding="utf-8")
    assert markdown.strip().startswith(f"**{NOTICE}**")


def test_strings_from_data_stay_text(small: Run) -> None:
    page = page_of(small)
    assert EVIL in page.text
    assert "script" not in {tag for tag, _ in page.tags}
    markdown = small.path(MARKDOWN).read_text(encoding="utf-8")
    assert r"\<script\>alert('\|\`\*')\</script\>" in markdown
    assert "<script" not in markdown.replace(r"\<script", "")


def test_the_trained_model_stands_first_where_it_was_measured(small: Run) -> None:
    latency = small.load(run_directory.LATENCY, records.Latency, "bench")
    model = replace(
        latency.rows[1], format="keras", runtime="keras", artifact_sha256=small.contract().model_sha256, p50_ms=0.75
    )
    small.save(run_directory.LATENCY, replace(latency, rows=(*latency.rows, model)))
    page_of(small)
    tables = [line for line in small.path(MARKDOWN).read_text().splitlines() if line.startswith("| keras ")]
    assert [cell.strip() for cell in tables[0].split("|")[3:5]] == ["2.0", "85.00%"]
    assert tables[0].rstrip("| ").endswith("reference") and "0.750" in tables[1]
    small.path(run_directory.MODEL).unlink()
    page_of(small)
    assert "| keras " not in small.path(MARKDOWN).read_text()


def test_escaped_markdown_stays_on_its_line_and_in_its_cell() -> None:
    assert escape_markdown("a\n# b | <i> [x](y) & `c`") == r"a # b \| \<i\> \[x\](y) \& \`c\`"
    table = aligned(f"| name | n |\n|--|--:|\n| {escape_markdown('a|b')} | 1 |\n| longer | 1,000 |\n")
    assert table.splitlines() == [
        "| name   |     n |", "| ------ | ----: |", r"| a\|b   |     1 |", "| longer | 1,000 |",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("missing", "hint"),
    [
        (run_directory.PARITY, "edgecnn parity RUN"),
        (run_directory.LATENCY, "edgecnn bench RUN"),
        (run_directory.FEATURES, "edgecnn run RUN --data PATH/small.npz --architecture cnn"),
    ],
)
def test_what_is_missing_is_said_with_its_command(small: Run, missing: str, hint: str) -> None:
    small.path(missing).unlink()
    page = page_of(small)
    for text in (page.text.split("Reproduce")[0], small.path(MARKDOWN).read_text().split("## Reproduce")[0]):
        assert hint in text and all(format in text for format in FORMATS)
        assert ("All 2 exports match the trained model" in text) == (missing != run_directory.PARITY)
    assert getattr(small.load(run_directory.REPORT, Report, "report"), missing.removesuffix(".json")) is None


@pytest.mark.parametrize("required", [run_directory.CONTRACT, run_directory.TRAINING, run_directory.ARTIFACTS])
def test_what_is_required_is_asked_for_and_nothing_written(small: Run, required: str) -> None:
    small.path(required).unlink()
    with pytest.raises(InputError, match=f"{required} is missing"):
        report(small)
    assert not small.path(PAGE).exists() and not small.path(run_directory.REPORT).exists()


def test_a_failed_gate_is_the_verdict(small: Run) -> None:
    small.save(run_directory.PARITY, parity_of(small, DATA, failing="tflite_int8"))
    text = page_of(small).text
    assert "1 of 2 exports does not match the trained model: tflite_int8 (1 pass, 0 not proven)" in text
    assert "tflite_int8 on litert (cpu): accuracy fell by 9.00 points, 1.0 are allowed." in text
    assert "✗ fail" in text and "All 2" not in text
    assert "1 of 2 exports does not match the trained model" in small.path(MARKDOWN).read_text()


def test_a_layer_that_falls_out_is_the_verdict(small: Run) -> None:
    small.save(run_directory.LAYERS, layers_of(small, DATA, first_divergent_layer="conv2d_1"))
    text = page_of(small).text
    assert "1 of 2 exports does not match the trained model: tflite_int8 (1 pass, 0 not proven)" in text
    assert "tflite_int8 on litert (cpu): layer conv2d_1 diverges. Export it again." in text
    assert "its gain is 1.050 times that of its inputs" in text


def test_what_is_not_proven_is_not_called_passed(small: Run) -> None:
    parity = parity_of(small, DATA)
    first, second = parity.rows
    rows = (first, replace(second, verdict="not proven", reason="700 images cannot exclude it"))
    small.save(run_directory.PARITY, replace(parity, rows=rows, verdict="not proven"))
    text = page_of(small).text
    assert f"None of 2 exports fails, 1 pass, 1 not proven yet: {second.format}" in text
    assert f"{second.name}: 700 images cannot exclude it." in text


def test_an_export_nobody_asked_is_not_called_proven(small: Run) -> None:
    parity = parity_of(small, DATA)
    small.save(run_directory.PARITY, replace(parity, rows=parity.rows[:1], agreement_matrix=((1.0, 0.98), (0.98, 1.0))))
    text = page_of(small).text
    assert "None of 2 exports fails, 1 pass, 1 not proven yet: tflite_int8" in text
    assert "not checked" in text and "All 2" not in text


def test_figures_of_replaced_exports_are_left_out(small: Run) -> None:
    artifacts = small.artifacts()
    first, second = artifacts.artifacts
    small.save(run_directory.ARTIFACTS, replace(artifacts, artifacts=(replace(first, sha256="e" * 64), second)))
    text = page_of(small).text
    assert "None of 2 exports fails, 1 pass, 1 not proven yet: onnx_float32" in text
    assert "×26.6" not in text and "×1.0" in text
    for name in (run_directory.PARITY, run_directory.LATENCY):
        assert f"{name} is older than the last export" in text
    assert "They are from earlier exports" in text and "Layer conv2d" not in text
    assert small.load(run_directory.REPORT, Report, "report").features is not None


def test_the_record_holds_everything_and_names_what_was_written(small: Run) -> None:
    report(small)
    record = small.load(run_directory.REPORT, Report, "report")
    kept = {
        run_directory.CONTRACT: record.contract,
        run_directory.TRAINING: record.training,
        run_directory.ARTIFACTS: record.artifacts,
        run_directory.PARITY: record.parity,
        run_directory.LAYERS: record.layers,
        run_directory.LATENCY: record.latency,
        run_directory.FEATURES: record.features,
    }
    for name, part in kept.items():
        assert records.encode(part) == small.path(name).read_bytes()
    assert record.origin.inputs == inputs(small)
    assert record.origin.outputs == {name: small.hash_of(name) for name in (PAGE, MARKDOWN)}


def test_sources_are_named_with_their_hashes(small: Run) -> None:
    page = page_of(small)
    titles = {attributes.get("title") for _, attributes in page.tags}
    markdown = small.path(MARKDOWN).read_text()
    for name in (
        run_directory.CONTRACT,
        run_directory.TRAINING,
        run_directory.ARTIFACTS,
        run_directory.PARITY,
        run_directory.LATENCY,
        run_directory.FEATURES,
    ):
        assert small.hash_of(name) in titles and small.hash_of(name) in markdown
        assert f"{small.hash_of(name)[:12]}" in page.text


@pytest.mark.parametrize(
    "changed",
    [run_directory.TRAINING, run_directory.PARITY, run_directory.LATENCY, run_directory.FEATURES, PAGE, MARKDOWN],
)
def test_a_change_makes_the_report_out_of_date(small: Run, changed: str) -> None:
    assert not is_current(small)
    report(small)
    assert is_current(small)
    small.path(changed).write_bytes(small.path(changed).read_bytes() + b"\n")
    assert not is_current(small)


@pytest.mark.parametrize("path", ["../secret.png", "features/notes.png"])
def test_only_pictures_of_the_run_are_shown(small: Run, path: str) -> None:
    draw(small, "../secret.png")
    small.path("features/notes.png").write_text("private notes, and no picture")
    features = small.load(run_directory.FEATURES, records.Features, "features")
    small.save(run_directory.FEATURES, replace(features, pictures={"conv2d": path}))
    with pytest.raises(InputError, match=re.escape(path)):
        report(small)
    assert not small.path(PAGE).exists()


def test_a_missing_picture_is_said(small: Run) -> None:
    small.path(plots.CONFUSION).unlink()
    page = page_of(small)
    assert f"{plots.CONFUSION} is missing" in page.text
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 6


def test_commands_reproduce_the_run_without_naming_places_of_this_machine(small: Run) -> None:
    parity = parity_of(small, DATA)
    chosen = {"data": "/data/other set.npz", "formats": "onnx_float32 tflite_int8"}
    small.save(
        run_directory.PARITY, replace(parity, origin=replace(parity.origin, inputs={**parity.origin.inputs, **chosen}))
    )
    latency = small.load(run_directory.LATENCY, records.Latency, "bench")
    swept = {"runtimes": "keras onnxruntime", "threads": "1 2", "batches": "1 8", "restarts": "2",
             "io_binding": "False",
             "cpu_affinity": "0,1", "python": "/home/me/python", "allow_fallback": "True",
             "remote": "ssh://pi"}  # fmt: skip
    small.save(
        run_directory.LATENCY,
        replace(latency, origin=replace(latency.origin, inputs={**latency.origin.inputs, **swept})),
    )
    report(small)
    whole, stages = commands(small.load(run_directory.REPORT, Report, "report"))
    options = "RUN --data PATH/small.npz --architecture cnn --recipe tutorial --epochs 2 --seed 7"
    assert whole == f"edgecnn run {options}"
    assert stages == [
        f"edgecnn train {options}", "edgecnn export RUN",
        "edgecnn parity RUN --format onnx_float32 --format tflite_int8 --data 'PATH/other set.npz' --layers",
        "edgecnn bench RUN --runtime keras --runtime onnxruntime --threads 1,2 --batch 1,8 --restarts 2 "
        "--cpu-affinity 0,1 --python PATH/python --remote ssh://pi --allow-fallback",
        "edgecnn features RUN", "edgecnn report RUN",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("formats", "max_accuracy_drop", "options"),
    [
        (default_formats(), "0.5", ""),
        (["onnx_int8", "tflite_int8"], "0.5", " --format onnx_int8 --format tflite_int8"),
        (default_formats(), "0.25", " --max-accuracy-drop 0.25"),
    ],
)
def test_the_command_of_an_export_has_its_options(
    small: Run, formats: list[str], max_accuracy_drop: str, options: str
) -> None:
    artifacts = small.artifacts()
    inputs = {**artifacts.origin.inputs, "formats": " ".join(formats), "max_accuracy_drop": max_accuracy_drop}
    small.save(run_directory.ARTIFACTS, replace(artifacts, origin=replace(artifacts.origin, inputs=inputs)))
    report(small)
    _, stages = commands(small.load(run_directory.REPORT, Report, "report"))
    assert f"edgecnn export RUN{options}" in stages


def test_every_option_of_a_command_in_the_report_is_one_of_the_command_line() -> None:
    options = {
        option: parameter
        for command in cli.commands.values()
        for parameter in command.params
        for option in parameter.opts
    }
    named = {name: summary._option(name) for name in (*summary.SINGLE, *summary.FLAGS)}
    for option in (*summary.REPEATED.values(), *summary.LISTS.values(), *named.values()):
        assert option in options
    for name, value in summary.DEFAULTS.items():
        assert str(options[{**summary.LISTS, **named}[name]].default) == value
    for option in re.findall(r"--[a-z-]+", Path(summary.__file__).read_text()):
        assert option in options


def test_a_training_without_validation_has_no_columns_for_it(small: Run) -> None:
    training = small.training()
    blind = tuple(replace(epoch, val_loss=None, val_accuracy=None) for epoch in training.history)
    held_out = replace(training.accuracy, split="held-out")
    told = replace(
        training,
        history=blind,
        accuracy=held_out,
        recipe_settings="random flip, random shift 2",
        teacher="/a/run",
        validation_images=90,
    )
    small.save(run_directory.TRAINING, told)
    report(small)
    whole, _ = commands(small.load(run_directory.REPORT, Report, "report"))
    assert whole.endswith("--teacher PATH/run --validation-images 90")
    for page in ("report.html", "report.md"):
        text = small.path(page).read_text()
        assert "random flip, random shift 2" in text
        assert "held-out images" in text
        assert "out loss" not in text


@pytest.mark.parametrize(
    ("fastest_ms", "slowest_ms", "ends", "ticks", "decimals"),
    [
        (0.0188, 2.8, (0.01, 5), (0.01, 0.1, 1), 3),
        (0.7, 0.9, (0.5, 1), (0.5, 1), 2),
        (12.0, 80.0, (5, 100), (5, 10, 20, 50, 100), 0),
    ],
)
def test_the_scale_spans_what_was_measured(
    fastest_ms: float, slowest_ms: float, ends: tuple[float, float], ticks: tuple[float, ...], decimals: int
) -> None:
    rows = [replace(latency_row("tflite_int8", 1, fastest_ms), p99_ms=ms) for ms in (fastest_ms, slowest_ms)]
    axis = scale(rows)
    assert axis is not None
    assert (axis.low_ms, axis.high_ms) == pytest.approx(ends)
    assert axis.ticks_ms == pytest.approx(ticks)
    assert axis.decimals == decimals
    assert axis.at(axis.low_ms) == 0 and axis.at(axis.high_ms) == pytest.approx(100)
    assert axis.at(2 * fastest_ms) - axis.at(fastest_ms) == pytest.approx(axis.at(4) - axis.at(2))


def test_durations_in_words() -> None:
    assert [duration(s) for s in (4.25, 42.4, 95.2, 119.7, 7322)] == [
        "4.2 s",
        "42 s",
        "1 min 35 s",
        "2 min 0 s",
        "2 h 2 min",
    ]


def test_the_search_for_precision_is_shown(tmp_path: Path) -> None:
    run = build(tmp_path / "run")
    draw(run, plots.precision_picture("tflite_int8"))
    report(run)
    for page in (PAGE, MARKDOWN):
        text = run.path(page).read_text()
        assert "Mixed precision of tflite_int8" in text.replace("\\_", "_")
        assert "12.05" in text and "0.15" in text
        assert "The search took 35 s of the export." in text
        words = "channels differ in size 178 times and share one scale"
        assert words in text and text.count("differ in size") == 1
        assert "-2.1 to 19.1" in text.replace("\\-", "-")
    assert run.path(PAGE).read_text().count("data:image/png") >= 6
