"""A few models of the zoo; all of them are `tools/zoo`'s, whose page has to know every one."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.export.format import default_formats
from tests.zoo import IMPORT, complaint, tried
from tests.zoo_models import APPLICATIONS, ZOO

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parent.parent / "docs" / "supported-models.md"


@pytest.mark.parametrize("name", [name for name, specimen in ZOO.items() if specimen.quick])
def test_a_model_comes_out_as_expected(name: str) -> None:
    pytest.importorskip("tensorflow")
    found = tried(name)
    assert [outcome.format for outcome in found] in ([IMPORT], default_formats())
    assert [words for outcome in found if (words := complaint(ZOO[name], outcome))] == []


def test_the_page_knows_every_model_and_format() -> None:
    lines = PAGE.read_text().splitlines()
    rows = {line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")} - {"---"}
    assert {*ZOO, "model"} <= rows <= {*ZOO, *APPLICATIONS, "model"}
    assert f"| model | {' | '.join(default_formats())} |" in lines
