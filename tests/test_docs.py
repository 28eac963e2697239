"""README and docs/ say what the program does: generated parts, links, names of files, options and modules."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from edgecnn.export.format import Format
from edgecnn.plugins import INTERFACES, discover
from tests import pages
from tests.pages import PAGES, ROOT, blocks

README = PAGES["README.md"]


def test_the_generated_parts_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "docs", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_every_format_is_described() -> None:
    section = README.split("\n## Formats\n", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(discover(Format))
    for name in discover(Format):
        assert f"`{name}`" in PAGES["docs/formats.md"], name


def test_every_command_is_described() -> None:
    for name in pages.cli.commands:
        assert re.search(rf"`edgecnn {name}[ `]", README), name


def test_the_package_tree_names_every_module_at_the_root() -> None:
    block = README.split("```text\nedgecnn/\n", 1)[1].split("```", 1)[0]
    names = re.findall(r"^  (\w+(?:\.py|/))", block, re.MULTILINE)
    assert len(names) > 10
    for name in names:
        assert (ROOT / "edgecnn" / name).exists(), name
    for path in (ROOT / "edgecnn").iterdir():
        name = f"{path.name}/" if path.is_dir() else path.name
        assert name in {*names, "__init__.py", "__main__.py", "__pycache__/", "published/"}, f"{name} is missing"


def test_no_registry_is_named() -> None:
    text = "".join(PAGES.values()) + (ROOT / "pyproject.toml").read_text()
    text += (ROOT / "tools" / "constraints.txt").read_text()
    assert not re.search(r"https?://\S*(py" r"pi|pythonhosted|npm|debian)", text)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in pages.links(page):
        assert not link.startswith("/"), link
        if link.startswith("http"):
            continue
        target, _, anchor = link.partition("#")
        path = ((ROOT / page).parent / target).resolve() if target else ROOT / page
        assert path.exists(), link
        name = path.relative_to(ROOT).as_posix()
        assert not anchor or anchor in pages.anchors(name), link


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in pages.links("README.md")}
    assert set(PAGES) - {"README.md"} <= linked


@pytest.mark.parametrize("page", PAGES)
def test_files_and_options_that_a_page_names_exist(page: str) -> None:
    made = {block.mark.split()[1] for block in blocks("python") if block.mark.startswith(pages.PLUG_INS)}
    tools = "".join(path.read_text() for path in (ROOT / "tools").iterdir() if path.is_file())
    for code in pages.inline_code(page):
        for path in re.findall(r"(?:^| )((?:edgecnn|tools|tests|docs)/[\w./-]+)", code):
            assert (ROOT / path).exists() or path in made, path
        for option in re.findall(r"(?:^| )(--[a-z][\w-]*)", "" if code.startswith("pip ") else code):
            assert option in pages.options() or option in tools, option


def test_the_plug_ins_interfaces_are_where_the_page_says() -> None:
    rows = re.findall(r"^\| ([\w ]+) \| `(\S+)` \| `(\S+)` \|$", PAGES["docs/architecture.md"], re.MULTILINE)
    assert len(rows) == len(INTERFACES)
    for kind, interface, folder in rows:
        name = "Dataset" if kind == "data set" else kind.capitalize()
        assert f"class {name}:" in (ROOT / interface).read_text()
        assert f'"{folder.strip("/").replace("/", ".")}"' in (ROOT / interface).read_text()
