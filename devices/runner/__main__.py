"""The runner of a bundle: python3 runner.pyz check | profile | restore | unpack. See README.md of the bundle.

This file alone is read by every Python, so that one that is too old says so.
"""

import sys

OLDEST = (3, 8)

if sys.version_info < OLDEST:
    sys.stderr.write(
        "error: this is Python %s, and the runner needs %s or later; set MOCEIR_EDGE_PYTHON to a newer one\n"
        % (".".join(map(str, sys.version_info[:3])), ".".join(map(str, OLDEST)))
    )
    sys.exit(2)

from command import main  # noqa: E402 (an old Python does not get so far)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
