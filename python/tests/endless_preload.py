"""A module that starts a process in a session of its own and whose import never ends."""

from __future__ import annotations

import subprocess
import sys
import time

_child = subprocess.Popen(["sleep", "600"], start_new_session=True)
print(_child.pid, file=sys.stderr, flush=True)
while True:
    time.sleep(0.01)  # sleep: to be deaf and alive
