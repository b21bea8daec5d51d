"""User code whose dependency is missing."""

import no_such_dependency  # type: ignore[import-not-found]  # noqa: F401
