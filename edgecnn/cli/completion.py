"""What the shell offers for a word: names of plug-ins, runs, models and layers.

`_EDGECNN_COMPLETE=bash_source edgecnn` prints the script for bash; there are zsh_source and fish_source.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem, shell_complete

from edgecnn.errors import EdgecnnError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import click

    Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

VARIABLE = "_EDGECNN_COMPLETE"


def answer(cli: click.Command) -> int | None:
    """Print what the shell asks for in VARIABLE; the exit code, None where it does not ask."""
    instruction = os.environ.get(VARIABLE)
    return shell_complete(cli, {}, "edgecnn", VARIABLE, instruction) if instruction else None


def plugins(kind: str, *others: str) -> Complete:
    """Names of the plug-ins of a kind, and other words."""

    def complete(context: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
        from edgecnn.plugins import every

        return _matching([*others, *every(kind)], word)

    return complete


def words(find: Callable[[], Iterable[str]]) -> Complete:
    """Whatever `find` gives."""
    return lambda context, param, word: _matching(find(), word)


def files(context: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
    """Files, as the shell itself completes them."""
    return [CompletionItem(word, type="file")]


def data_sets(context: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
    """Names of data sets, or else files."""
    from edgecnn.plugins import every

    named = [name for name, plugin in every("dataset").items() if plugin.load_by_name]
    return _matching(["auto", *named], word) or files(context, param, word)


def models(context: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
    """Pretrained runs, run directories and .onnx files, or else files."""
    return _matching([*_pretrained(), *_runs(word), *_below(word, "*.onnx")], word) or files(context, param, word)


def runs(word: str, *, pretrained: bool) -> list[CompletionItem]:
    """Run directories, and the pretrained runs where a command takes them, or else directories."""
    found = _matching([*(_pretrained() if pretrained else ()), *_runs(word)], word)
    return found or [CompletionItem(word, type="dir")]


def onnx_exports(context: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
    """Names of the ONNX exports of MODEL."""
    from edgecnn.inference.ort_model import exports_of
    from edgecnn.pretrained import find_run

    try:
        return _matching(exports_of(find_run(_model(context))), word)
    except EdgecnnError:
        return []


def layers(context: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
    """Layers of MODEL, as the contract in its file names them."""
    from edgecnn.inference.ort_model import model_file
    from edgecnn.model_files.onnx_protobuf import metadata
    from edgecnn.records import Contract, decode
    from edgecnn.records.contract import CONTRACT_KEY

    try:
        path = model_file(_model(context), context.params.get("export"))
        contract = decode(metadata(path.read_bytes(), CONTRACT_KEY), Contract, str(path))
    except (EdgecnnError, OSError, ValueError):
        return []
    return _matching(["all", *(contract.export.layers if contract.export else ())], word)


def _model(context: click.Context) -> str:
    """MODEL as far as it is written; click leaves it unparsed while an option still lacks its value."""
    return context.params.get("model") or next((word for word in context.args if not word.startswith("-")), "")


def _matching(names: Iterable[str], word: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(word)]


def _pretrained() -> Iterable[str]:
    from edgecnn.pretrained import pretrained_runs

    return pretrained_runs()


def _runs(word: str) -> Iterator[str]:
    """Directories that begin with the word and hold a run."""
    from edgecnn.run_directory import CONTRACT

    return (path for path in _below(word, "*") if os.path.isfile(os.path.join(path, CONTRACT)))


def _below(word: str, pattern: str) -> Iterator[str]:
    """Paths that begin with the word and match the pattern, written as the word is."""
    folder, start = os.path.split(word)
    try:
        found = sorted(Path(folder or ".").glob(pattern))
    except OSError:
        return
    yield from (os.path.join(folder, path.name) for path in found if path.name.startswith(start))
