"""Adapters that import the names of the package that they were written for."""

import time

from snakepit_bridge.base_adapter import BaseAdapter
from snakepit_bridge.base_adapter import tool as plain_tool
from snakepit_bridge.base_adapter_threaded import ThreadSafeAdapter, thread_safe_method, tool
from snakepit_bridge.logging_config import get_logger

log = get_logger(__name__)


class Model:
    def predict(self, text):
        return len(text)


class Threaded(ThreadSafeAdapter):
    __thread_safe__ = True

    def __init__(self):
        super().__init__()
        self.model = Model()
        self.predictions = []
        self.total = 0

    @thread_safe_method
    @tool(description="Predict, and remember what this thread has predicted before")
    def predict(self, input_data: str) -> dict:
        cache = self.get_thread_local("cache", {})
        if input_data not in cache:
            cache[input_data] = self.model.predict(input_data)
            self.set_thread_local("cache", cache)
        self.log_prediction(cache[input_data])
        return {"prediction": cache[input_data]}

    @thread_safe_method
    def log_prediction(self, prediction):
        with self.acquire_lock():
            self.predictions.append({"prediction": prediction, "timestamp": time.time()})
            self.total += 1
        log.info("predicted %s", prediction)

    @thread_safe_method
    @tool(description="Rows times weights")
    def matrix_multiply(self, data: list) -> list:
        import numpy as np

        return np.dot(np.array(data), np.eye(len(data[0])) * 2).tolist()

    @thread_safe_method
    @tool(description="What the threads did")
    def get_thread_stats(self) -> dict:
        return self.get_stats()


class Plain(BaseAdapter):
    @plain_tool(description="One at a time")
    def double(self, value: int) -> int:
        return value * 2

    @plain_tool(description="Whose call it is")
    def whose(self) -> str:
        return self.session_context.session_id


class Dispatching(BaseAdapter):
    """Decides by itself what a name means."""

    def execute_tool(self, tool_name, arguments, context=None):
        return [tool_name, sorted(arguments), context is not None]
