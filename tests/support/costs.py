"""What a call costs; how fast, nobody asserts: only that it does not grow with the square of what it is given."""

import gc
import time
from collections.abc import Callable


def least_cost(call: Callable[[], object]) -> float:
    """Measure a call three times; the least of its processor seconds.

    Without the collector: what that costs is a matter of all that the tests before have left in memory.
    """
    costs = []
    gc.disable()
    try:
        for _ in range(3):
            began = time.thread_time()
            call()
            costs.append(time.thread_time() - began)
    finally:
        gc.enable()
    return min(costs)
