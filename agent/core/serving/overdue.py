"""When an invocation on an Edge TPU counts as hung.

libedgetpu aborts on a transfer that fails, but waits for one that never ends. An invocation takes 2 to 300 ms
there, so that what has not come back after a second will not, unless the model is that slow.
"""

from typing import Final

OVERDUE_MIN_S: Final = 1.0
"""With the start of another worker, the variant for the CPU then serves within 3 s."""
OVERDUE_MAX_S: Final = 10.0
OVERDUE_TIMES: Final = 4


def limit_s(slowest_ms: float) -> float:
    """How long an invocation may take.

    Args:
        slowest_ms: the longest that one of the same model took of late.
    """
    return min(OVERDUE_MAX_S, max(OVERDUE_MIN_S, OVERDUE_TIMES * slowest_ms / 1000))


def in_words(limit_s: float, slowest_ms: float) -> str:
    return (
        f"hung: the Edge TPU has not answered a frame within {limit_s:.1f} s, "
        f"where none took longer than {slowest_ms:.0f} ms of late"
    )
