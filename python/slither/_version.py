"""The version of the SDK, in one place; `HELLO` tells it to the host."""

__version__ = "0.1.0"
