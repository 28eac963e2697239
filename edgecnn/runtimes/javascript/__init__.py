"""The JavaScript library of web bundles, which the runtime `web` runs too: ES modules without a dependency.

`classifier.js` is what an app imports. `service.js` does the work, in a worker or in Node; below it are `model.js`
(ONNX Runtime Web), `onnx_file.js` (the contract inside the file), `pixels.js` and `png.js` (from a file to pixels).
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
MODULES = ("png.js", "pixels.js", "onnx_file.js", "model.js", "service.js")  # each imports those before it only
PUBLIC = ("classifier.js", "classifier.d.ts", "worker.js")
