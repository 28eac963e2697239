"""The self-test, or labels of image files: python -m PACKAGE [IMAGE ...]"""

from __future__ import annotations

import sys

from .classifier import Classifier
from .errors import InputError
from .selftest import self_test


def main(paths: list[str]) -> int:
    """Without paths the self-test; 0 where all went well."""
    classifier = Classifier()
    if not paths:
        problems = self_test(classifier)
        for problem in problems:
            print(problem, file=sys.stderr)
        print("FAIL" if problems else "PASS")
        return int(bool(problems))
    failed = 0
    for path in paths:
        try:
            best = classifier.classify(path)[0]
        except InputError as error:
            print(error, file=sys.stderr)
            failed = 4
        else:
            print(f"{path}: {best.label}, {best.probability:.1%}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
