"""Adapters as users write them: some for Slither, and some for the package that they were written for first."""

import asyncio
import os
import threading
import time

import slither
from slither import ThreadSafeAdapter, thread_safe_method, tool


class Predictions(ThreadSafeAdapter):
    """What stays the same is shared, what is a thread's is its own, and what changes is written under the lock."""

    __thread_safe__ = True

    def __init__(self):
        super().__init__()
        self.weights = {"good": 1.0, "bad": -1.0}
        self.log = []
        self.built = threading.get_ident()

    @thread_safe_method
    @tool(description="The score of a text")
    def predict(self, text: str) -> dict:
        cache = self.get_thread_local("cache", {})
        known = text in cache
        if not known:
            cache[text] = sum(self.weights.get(word, 0.0) for word in text.split())
            self.set_thread_local("cache", cache)
        with self.acquire_lock():
            self.log.append({"score": cache[text], "at": time.time()})
        return {"score": cache[text], "known": known, "pid": os.getpid()}

    @tool
    def logged(self) -> int:
        with self.acquire_lock():
            return len(self.log)

    @tool
    def meet(self, folder: str, name: str, others: list) -> str:
        """Wait for calls that run at the same time."""
        open(os.path.join(folder, name), "w").close()
        deadline = time.monotonic() + 60
        while not all(os.path.exists(os.path.join(folder, other)) for other in others):
            if time.monotonic() > deadline:
                raise TimeoutError("the others did not come")
            time.sleep(0.002)  # sleep: it waits for files of other calls, under a deadline
        return threading.current_thread().name

    @tool
    def gated(self, gate: str):
        """Yields, and yields once more when there is a file."""
        yield "first"
        while not os.path.exists(gate):
            time.sleep(0.002)  # sleep: it waits for a file that the test makes
        yield "last"

    @tool
    async def gated_later(self, gate: str):
        yield "first"
        while not os.path.exists(gate):
            await asyncio.sleep(0.002)
        yield "last"

    @tool
    def count(self, end: int, marker: str = ""):
        try:
            yield from range(end)
        finally:
            if marker:
                open(marker, "w").close()

    @tool
    def mixed(self):
        yield 1
        yield slither.Failed("not this one")
        yield 3
        raise ValueError("no more of it")

    @tool
    def die(self):
        yield 1
        os._exit(3)

    @tool
    def negative(self, value: int) -> int:
        if value >= 0:
            raise ValueError(f"{value} is not negative")
        return value

    @tool
    def session_id(self):
        return slither.context().session_id

    def get_stats(self):
        return {"mine": 1}


class Undeclared(ThreadSafeAdapter):
    @tool
    def meet(self, folder: str, name: str, others: list) -> int:
        return os.getpid()


class Unlocked(ThreadSafeAdapter):
    __thread_safe__ = True

    def __init__(self):
        super().__init__()
        self.counter = 0

    @thread_safe_method
    @tool
    def increment(self, folder: str, name: str, others: list) -> int:
        Predictions.meet(self, folder, name, others)
        self.counter += 1
        return self.counter


class Broken(ThreadSafeAdapter):
    __thread_safe__ = True

    def __init__(self):
        super().__init__()
        self.load_model()

    def load_model(self):
        raise FileNotFoundError("there is no model.bin")


class Slow:
    def __init__(self):
        self.load_for_long()

    def load_for_long(self):
        time.sleep(600)  # sleep: it is to take too long


class BrokenLater:
    """Can be built as long as there is a file."""

    def __init__(self):
        if not os.path.exists(os.environ["MODEL"]):
            raise FileNotFoundError("the model is gone")

    @tool
    def pid(self):
        return os.getpid()
