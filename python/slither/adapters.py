"""Adapters that come with the SDK: `ThreadedShowcaseAdapter`, to learn from and to try a pool with.

It shows the three ways in which an adapter that many threads use may keep state, one in each of its attributes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from typing import Any

from slither._kit.adapter import ThreadSafeAdapter, thread_safe_method
from slither._kit.requests import Stats
from slither._kit.tools import tool

__all__ = ["ThreadedShowcaseAdapter"]

_LOGGED = 1000


class ThreadedShowcaseAdapter(ThreadSafeAdapter):
    """Scores texts by a table of words that it shares, with a cache for each thread, and a log that all write."""

    __thread_safe__ = True

    def __init__(self, weights: dict[str, float] | None = None) -> None:
        """Take what each word counts for, dict of str to float; a small table if it is absent."""
        super().__init__()
        # Shared and never changed after this line: every thread may read it.
        self._weights = dict(weights) if weights is not None else {"good": 1.0, "fine": 0.5, "bad": -1.0}
        # Shared and changed: whoever touches them holds the lock.
        self._scored = 0
        self._log: list[dict[str, Any]] = []

    @thread_safe_method
    @tool(description="The score of one text, between -1 and 1")
    def predict(self, text: str) -> dict[str, Any]:
        """Score a text. Returns `score` (float), and `cached` (bool), whether this thread had scored it before."""
        # A thread's own: no other one sees it, so it needs no lock.
        cache: dict[str, float] = self.get_thread_local("cache", {})
        cached = text in cache
        if not cached:
            cache[text] = self._score(text)
            self.set_thread_local("cache", cache)
        score = cache[text]
        # The work is done; the lock is held as long as it takes to write it down.
        with self.acquire_lock():
            self._scored += 1
            if len(self._log) < _LOGGED:
                self._log.append({"score": score, "at": time.time()})
        return {"score": score, "cached": cached}

    @thread_safe_method
    @tool(description="The product of two matrices")
    def multiply(self, left: list[list[float]], right: list[list[float]]) -> list[list[float]]:
        """Multiply two matrices, each a list of rows of floats. It needs nothing of the adapter, and so no lock."""
        columns = list(zip(*right, strict=True))
        return [[sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in left]

    @thread_safe_method
    @tool(description="A chain of hashes: work for a processor, and nothing else")
    def compute(self, text: str, rounds: int = 1000) -> str:
        """Hash a text `rounds` times over. Returns 64 hexadecimal digits."""
        digest = text.encode()
        for _ in range(rounds):
            digest = hashlib.sha256(digest).digest()
        return digest.hex()

    @thread_safe_method
    @tool(description="The scores of several texts, each as soon as it is there", supports_streaming=True)
    def predict_each(self, texts: list[str]) -> Iterator[dict[str, Any]]:
        """Score texts, a list of str; yields for each what `predict` returns."""
        for text in texts:
            yield self.predict(text)

    @thread_safe_method
    @tool(description="How many texts were scored, and what the threads did")
    def summary(self) -> dict[str, Any]:
        """Return `scored` and `logged` (int), and `threads`, which is what `get_stats` returns."""
        threads: Stats | dict[str, Any] = self.get_stats()
        with self.acquire_lock():
            return {"scored": self._scored, "logged": len(self._log), "threads": threads}

    def _score(self, text: str) -> float:
        known = [self._weights[word] for word in text.lower().split() if word in self._weights]
        return sum(known) / len(known) if known else 0.0
