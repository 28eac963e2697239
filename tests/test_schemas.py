"""docs/schemas: every file of a run has one, and what does not fit it is seen."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import ValidationError

from edgecnn import records, run_directory
from tests import schemas

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgecnn.records import Contract


def test_every_json_file_of_a_run_has_a_schema() -> None:
    names = {name for name in vars(run_directory).values() if isinstance(name, str) and name.endswith(".json")}
    assert len(names) >= 9
    assert names | {"checkpoint-state.json"} <= {path.name for path in schemas.FOLDER.iterdir()}


@pytest.mark.parametrize("path", sorted(schemas.FOLDER.parent.glob("gpu/*/*.json")), ids=lambda path: path.parent.name)
def test_records_in_the_documentation_fit(path: Path) -> None:
    schemas.check(path.read_bytes(), path.name)


def test_every_schema_is_one() -> None:
    for path in schemas.FOLDER.iterdir():
        schemas.Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_fields_are_described_by_their_comments() -> None:
    described = json.loads((schemas.FOLDER / "parity.json").read_text())["$defs"]["Flip"]
    assert described["description"].startswith("An image that an artifact classifies differently")
    assert described["properties"]["image"]["description"] == "index in the evaluation split"
    assert described["properties"]["kind"]["description"].startswith('"negative": only the reference is correct')


@pytest.mark.parametrize(
    "spoil",
    [
        lambda contract: {**contract, "colour": "RGB"},
        lambda contract: {**contract, "schema": records.SCHEMA - 1},
        lambda contract: {name: value for name, value in contract.items() if name != "labels"},
        lambda contract: {**contract, "input": {**contract["input"], "shape": ["N"]}},
    ],
)
def test_what_does_not_fit_is_seen(spoil: Callable[[dict[str, Any]], dict[str, Any]], tiny_contract: Contract) -> None:
    text = records.encode(tiny_contract)
    schemas.check(text, "contract.json")
    with pytest.raises(ValidationError):
        schemas.check(json.dumps(spoil(json.loads(text))), "contract.json")


def test_a_record_that_does_not_fit_cannot_be_written_in_a_test(tiny_contract: Contract) -> None:
    with pytest.raises(ValidationError):
        records.encode(replace(tiny_contract, schema=records.SCHEMA + 1))
