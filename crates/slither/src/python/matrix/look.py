"""Says what importing a module does to this process, as one line of JSON: look.py DISTRIBUTION MODULE."""

import sys

if sys.path and sys.path[0] == "":
    del sys.path[0]

import importlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from importlib import metadata  # noqa: E402

distribution, module = sys.argv[1:]
# Libraries that ask for a display must not find one.
os.environ.setdefault("MPLBACKEND", "agg")


def version():
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "standard library" if distribution in sys.stdlib_module_names else None


def gil():
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


answer = {"version": version()}
if answer["version"] is not None:
    before, memory, began = gil(), resident(), time.monotonic()
    said = []
    # Python itself names the extension that turned the GIL on.
    warnings.showwarning = lambda message, *rest, **more: said.append(str(message))
    warnings.simplefilter("always", RuntimeWarning)
    try:
        importlib.import_module(module)
    except BaseException as error:
        answer["error"] = "{}: {}".format(type(error).__name__, error)
    named = [text for text in said if "global interpreter lock" in text and "'" in text]
    answer.update(
        gil_before=before,
        gil_after=gil(),
        turned_on_by=named[0].split("'")[1] if named else None,
        seconds=round(time.monotonic() - began, 3),
        memory=max(0, resident() - memory),
        threads=len(os.listdir("/proc/self/task")) - 1,
    )
sys.stdout.write("\n" + json.dumps(answer) + "\n")
