"""Says which version of each distribution named in the arguments is installed, as one line of JSON."""

import sys

if sys.path and sys.path[0] == "":
    del sys.path[0]

import json  # noqa: E402
from importlib import metadata  # noqa: E402

found = {}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except Exception:
        continue
sys.stdout.write("\n" + json.dumps(found) + "\n")
