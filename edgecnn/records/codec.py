"""Records as JSON, and back."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeVar

from edgecnn.errors import InputError, UnsupportedSchema
from edgecnn.records.common import SCHEMA
from edgecnn.records.schema1 import upgraded

T = TypeVar("T")
MOST_BYTES = 1 << 26  # of a record; JSON takes up to sixteen times as much once it is read
NOT_ASCII = re.compile("[^\n -~]")
HALF = b"\\ud"  # of a character, which msgspec refuses alone


def encode(record: object, *, indent: int = 1) -> bytes:
    """A record as JSON, in ASCII: it is shown on terminals too. The bytes of a file's name that are no text are spelled
    as Python spells them, one half of a character each."""
    import msgspec

    try:
        text = msgspec.json.format(msgspec.json.encode(record), indent=indent).decode()
    except UnicodeEncodeError:  # msgspec refuses such halves
        text = json.dumps(plain(record), indent=indent or None)
    return NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text).encode() + b"\n"


def plain(record: object) -> object:
    """A record, or a value of one, as JSON's own types."""
    import msgspec

    return msgspec.to_builtins(record)


def decode(data: bytes, kind: type[T], source: str, *, remedy: str = "export it again", upgrade: bool = False) -> T:
    """The record of the given kind in `data`; `source` names the file in errors.

    `remedy` says what to do with one of an older schema; with `upgrade` a contract or a training record of schema 1 is
    read all the same. Raises :class:`InputError` when it is no such record, UnsupportedSchema when it is of another
    schema.
    """
    import msgspec

    if len(data) > MOST_BYTES:
        raise InputError(f"{source} has {len(data):,} bytes, and a record {MOST_BYTES:,} at most; it is damaged.")
    try:
        schema = _decoded(data, _Head).schema
        if isinstance(schema, int) and schema > SCHEMA:
            raise UnsupportedSchema(
                f"{source} was written by a newer edgecnn (schema {schema}, this one reads {SCHEMA}): update edgecnn."
            )
        if isinstance(schema, int) and schema < SCHEMA and not upgrade:
            raise UnsupportedSchema(
                f"{source} was written by an older edgecnn (schema {schema}, this one reads {SCHEMA}): {remedy}."
            )
        if schema == 1:
            return msgspec.convert(upgraded(_decoded(data, dict[str, Any])), kind)
        return _decoded(data, kind)
    except RecursionError:
        raise InputError(
            f"{source} cannot be read (it is nested too deep); delete it and run the stage again."
        ) from None
    except ValueError as error:  # msgspec's errors, and json's, are such
        raise InputError(f"{source} cannot be read ({error}); delete it and run the stage again.") from None


@dataclass(frozen=True)
class _Head:
    """All of a record that is read before it is known which one it is."""

    schema: object = None


def _decoded(data: bytes, kind: type[T]) -> T:
    import msgspec

    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError:
        if HALF not in data.lower():
            raise
        return msgspec.convert(json.loads(data), kind)
