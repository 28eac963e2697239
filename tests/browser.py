"""A page as Chromium lays it out, where Chromium is installed."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from edgecnn.runtimes.chromium import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# The page in frames of several widths, so that its own media queries apply; what is found goes into the host's body.
HOST = """<!DOCTYPE html><meta charset="utf-8"><body><script>
const source = %(source)s, found = [];
const measure = (frame, width) => {
  const page = frame.contentDocument, root = page.documentElement;
  page.querySelectorAll("details").forEach(d => d.open = true);
  const wide = [...page.querySelectorAll("%(contained)s")].filter(e => e.scrollWidth > e.clientWidth + 1);
  const texts = [...page.querySelectorAll("svg text")].map(e => e.getBoundingClientRect().height).filter(h => h > 0);
  found.push({width, page: root.scrollWidth, cut: wide.map(e => e.getAttribute("aria-label")),
              smallest_text: texts.length ? Math.min(...texts) : null});
};
const next = widths => {
  if (!widths.length) {
    const out = document.createElement("pre");
    out.textContent = "FOUND" + JSON.stringify(found) + "END";
    document.body.replaceChildren(out);
    return;
  }
  const frame = document.createElement("iframe");
  frame.style = `width:${widths[0]}px;height:900px;border:0`;
  frame.onload = () => { measure(frame, widths[0]); frame.remove(); next(widths.slice(1)); };
  frame.srcdoc = source;
  document.body.append(frame);
};
next(%(widths)s);
</script>"""


def measured(source: str, widths: Sequence[int], contained: str, folder: Path) -> list[dict[str, Any]]:
    """Of a page at each width in pixels: its own width, the labels of the elements `contained` (a selector) that are
    wider than their place, and the height of the smallest text in a chart. Skips the test where Chromium is missing.
    """
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"needs one of {', '.join(PROGRAMS)}")
    script = json.dumps(source).replace("</", "<\\/")
    host = folder / "host.html"
    host.write_text(HOST % {"source": script, "widths": json.dumps([*widths]), "contained": contained})
    words = [program, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
             "--virtual-time-budget=20000", "--dump-dom", host.as_uri()]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    printed = re.search(r"FOUND(.*?)END", html.unescape(done.stdout), re.DOTALL)
    assert printed, done.stderr[-2000:]
    results: list[dict[str, Any]] = json.loads(printed[1])
    return results
