"""Exit codes and sentences."""

from __future__ import annotations

import errno

import pytest

from edgecnn import errors


def test_exit_codes_are_the_documented_ones() -> None:
    codes = {
        errors.GateFailed: 1, errors.UsageError: 2, errors.MachineError: 3, errors.DataUnavailable: 3,
        errors.InputError: 4, errors.NewerSchema: 4, errors.NoSuchData: 4,
    }  # fmt: skip
    assert {kind: kind.exit_code for kind in codes} == codes


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    known = ["tflite_int8", "tflite_float32", "onnx_float32"]
    assert "did you mean tflite_int8" in str(errors.unknown_name("format", "tflite_int", known))
    assert "there are onnx_float32" in str(errors.unknown_name("format", "zzz", known))


def test_a_missing_package_names_its_extra() -> None:
    error = errors.missing_package(ModuleNotFoundError("no", name="tensorflow.lite"))
    assert error is not None
    assert "pip install 'edgecnn[export]'" in str(error)
    assert errors.missing_package(ModuleNotFoundError("no", name="edgecnn_typo")) is None


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "not writable"), (errno.EROFS, "not writable")]
)
def test_os_errors_become_sentences(number: int, words: str) -> None:
    error = errors.from_os_error(OSError(number, "text", "/some/where"))
    assert error is not None
    assert error.exit_code == 3
    assert words in str(error)
    assert "/some/where" in str(error)


def test_other_os_errors_stay_what_they_are() -> None:
    assert errors.from_os_error(OSError(errno.EPIPE, "text")) is None
