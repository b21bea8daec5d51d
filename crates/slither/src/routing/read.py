"""Says what the source of a function says, as one line of JSON: read.py FUNCTION MODULE…."""

import sys

# `-c` puts the working folder first; a worker would not look there.
if sys.path and sys.path[0] == "":
    del sys.path[0]

import json  # noqa: E402

from slither._source import describe  # noqa: E402

sys.stdout.write("\n" + json.dumps(describe(sys.argv[1], sys.argv[2:])) + "\n")
