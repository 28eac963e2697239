"""Records as JSON, and back."""

from __future__ import annotations

from typing import TypeVar

from edgecnn.errors import InputError, NewerSchema
from edgecnn.records.common import SCHEMA

T = TypeVar("T")


def encode(record: object, *, indent: int = 1) -> bytes:
    """A record as JSON."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(record), indent=indent) + b"\n"


def decode(data: bytes, kind: type[T], source: str) -> T:
    """The record of the given kind in `data`; `source` names the file in errors.

    Raises :class:`InputError` when it is no such record or was written by a newer edgecnn.
    """
    import msgspec

    try:
        schema = msgspec.json.decode(data, type=dict[str, object]).get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise NewerSchema(
                f"{source} was written by a newer edgecnn (schema {schema}, this one reads up to {SCHEMA}): "
                "pip install --upgrade edgecnn."
            )
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{source} cannot be read ({error}); delete it and run the stage again.") from None
