"""`Retry`: how a function says that what failed now can succeed later."""

from __future__ import annotations

import math


class Retry(Exception):
    """A failure that another attempt may mend: a service that is busy, a limit that is reached.

        raise slither.Retry("the service is busy")            # the batch is run again
        return [slither.Retry("busy", after=2.5), "done"]     # the first item is run again

    It is an exception, but not a `SlitherError`: nothing went wrong in Slither. Where the stage's error policy is
    `retry`, the batch, or the item in whose place it was returned, is run again after `after` seconds, or after the
    back-off of the policy if that is None, until the policy's attempts are used up. Under any other policy it is a
    failure like others.

    `reason` is turned into text with `str`. `after` that is negative or not finite raises `ValueError`.
    """

    def __init__(self, reason: object = "another attempt was asked for", after: float | None = None) -> None:
        if after is not None and not (math.isfinite(after) and after >= 0):
            raise ValueError(f"after must be a number of seconds from 0, not {after!r}")
        self.reason = str(reason)
        self.after = after
        super().__init__(self.reason, after)

    def __str__(self) -> str:
        return self.reason
