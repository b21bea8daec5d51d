"""Logging: loggers as ever; in a worker their records reach the host by themselves."""

from __future__ import annotations

import logging
import os
import sys

from slither import RequestFilter

__all__ = ["configure_logging", "get_logger"]

_FORMAT = "%(asctime)s - [%(threadName)s] - %(levelname)s - %(name)s - request %(request)s - %(message)s"
_LEVEL = "SNAKEPIT_LOG_LEVEL"


def get_logger(name: str) -> logging.Logger:
    """Return the logger of this name."""
    return logging.getLogger(name)


def configure_logging(level: int | str | None = None) -> None:
    """Write log records to stderr, with thread and request number, unless something takes them already.

    In a worker the host does, and its level counts. `level` is that of `logging`; if it is absent, the variable
    `SNAKEPIT_LOG_LEVEL` says it, or else it is INFO. An unknown one is INFO, too.
    """
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RequestFilter())
    handler.setFormatter(logging.Formatter(_FORMAT))
    root.addHandler(handler)
    wanted = os.environ.get(_LEVEL, "INFO") if level is None else level
    named = logging.getLevelName(wanted.upper()) if isinstance(wanted, str) else wanted
    root.setLevel(named if isinstance(named, int) else logging.INFO)
