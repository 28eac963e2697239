"""Records as JSON, and back."""

from __future__ import annotations

from typing import TypeVar

from edgecnn.errors import InputError, UnsupportedSchema
from edgecnn.records.common import SCHEMA
from edgecnn.records.schema1 import upgraded

T = TypeVar("T")


def encode(record: object, *, indent: int = 1) -> bytes:
    """A record as JSON."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(record), indent=indent) + b"\n"


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

    try:
        content = msgspec.json.decode(data, type=dict[str, object])
        schema = content.get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise UnsupportedSchema(
                f"{source} was written by a newer edgecnn (schema {schema}, this one reads {SCHEMA}): update edgecnn."
            )
        if isinstance(schema, int) and schema < SCHEMA and not upgrade:
            raise UnsupportedSchema(
                f"{source} was written by an older edgecnn (schema {schema}, this one reads {SCHEMA}): {remedy}."
            )
        return msgspec.convert(upgraded(content), kind) if schema == 1 else msgspec.json.decode(data, type=kind)
    except RecursionError:
        raise InputError(
            f"{source} cannot be read (it is nested too deep); delete it and run the stage again."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{source} cannot be read ({error}); delete it and run the stage again.") from None
