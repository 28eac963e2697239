"""Hand over an export to a device's developer: the bundle of a target, in a folder of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.bundles.bundle import Bundle, BundleSource
from edgecnn.console import log
from edgecnn.data.samples import samples_of
from edgecnn.errors import InputError, UsageError, unknown_name
from edgecnn.files import staged
from edgecnn.plugins import pick
from edgecnn.pretrained import is_pretrained
from edgecnn.run_directory import BUNDLES, Run

if TYPE_CHECKING:
    from pathlib import Path

PRETRAINED_FORMATS = {"c_int8": "tflite_int8_micro"}  # of one graph; a pretrained run is not exported to


def bundle(run: Run, target: str, out: Path | None = None, *, format: str = "", **options: object) -> Path:
    """Write a target's files to `out` (None: `bundles/<target>/` of the run) and return that folder.

    `format` is one of those that the target can be made from ("": its default), `options` are those of its `make`;
    what is None or False counts as not given. Raises UsageError for an unknown target, or a format or an option that it
    does not take, InputError when its format is not exported or `out` holds other files, MachineError when a tool that
    it is proved with is missing.
    """
    plugin = pick(Bundle, target)
    chosen = _format(plugin, format)
    given = {name: value for name, value in options.items() if value}
    for name in given:
        if name not in plugin.options:
            raise UsageError(f"The bundle {target} takes no --{name.replace('_', '-')}.")
    contract = run.contract()
    record = run.artifacts()
    exports = {artifact.format: artifact for artifact in record.artifacts}
    of_pretrained = PRETRAINED_FORMATS.get(chosen, "") if is_pretrained(run.root) else ""
    artifact = exports.get(chosen) or exports.get(of_pretrained)
    if artifact is None:
        raise InputError(f"{target} is made from {chosen}: {run.without_export(record, chosen)}")
    folder = out or run.path(f"{BUNDLES}/{target}")
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} holds other files; choose a new or an empty directory with --out.")
    samples = samples_of(run, contract)
    source = BundleSource(
        artifact=artifact,
        path=run.artifact_path(artifact),
        contract=contract,
        images=samples.images,
        is_synthetic=samples.is_synthetic,
    )
    with staged(folder) as draft:
        draft.mkdir()
        plugin.make(source, draft, **given)
    log(f"Bundle for {target}: {len(list(folder.iterdir()))} files")
    return folder


def _format(plugin: Bundle, wanted: str) -> str:
    """The format to make it from."""
    if wanted and wanted not in plugin.formats:
        raise unknown_name(f"format of {plugin.name}", wanted, plugin.formats)
    return wanted or plugin.formats[0]
