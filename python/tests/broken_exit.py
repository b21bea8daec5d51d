"""User code that leaves at import."""

import sys

sys.exit(4)
