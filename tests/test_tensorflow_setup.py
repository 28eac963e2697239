"""TensorFlow's import costs no search for garbage."""

from __future__ import annotations

import gc

from edgecnn.tensorflow_setup import _uncollected


def test_what_is_imported_is_never_looked_through() -> None:
    before = gc.get_freeze_count()
    with _uncollected("a module that is not imported yet"):
        assert not gc.isenabled()
        made = [[number] for number in range(100_000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() > before + len(made)
    if not before:
        gc.unfreeze()


def test_what_is_imported_already_changes_nothing() -> None:
    before = gc.get_freeze_count()
    with _uncollected("sys"):
        assert gc.isenabled()
    assert gc.get_freeze_count() == before
