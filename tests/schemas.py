"""Checks of JSON against docs/schemas."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parent.parent / "docs" / "schemas"


@cache
def validator(name: str) -> Draft202012Validator:
    """Of the schema docs/schemas/NAME."""
    return Draft202012Validator(json.loads((FOLDER / name).read_text()))


@cache
def schema_of_record() -> dict[str, str]:
    """Name of a record -> the schema of the file that it fills."""
    schemas = {path.name: json.loads(path.read_text()) for path in FOLDER.iterdir()}
    return {schema["$ref"].removeprefix("#/$defs/"): name for name, schema in schemas.items() if "$ref" in schema}


def check(text: bytes | str, name: str) -> None:
    """Fail unless the JSON text fits docs/schemas/NAME."""
    validator(name).validate(json.loads(text))
