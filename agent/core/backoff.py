"""How long to wait before trying again."""


def delay_s(attempt: int, chance: float, *, base_s: float, cap_s: float) -> float:
    """Seconds to wait after failed attempt number `attempt`, counted from 0: full jitter.

    delay = chance * min(cap, base * 2^attempt). The whole delay is random, not a part of it, so that a
    fleet that lost its broker at one instant does not come back at one instant.

    Args:
        attempt: failed attempts before this one.
        chance: uniform in [0, 1).
        base_s: ceiling of the first delay.
        cap_s: ceiling of all delays.

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (Brooker), "Full Jitter".
    """
    doublings = min(attempt, 63)
    return chance * min(cap_s, base_s * 2.0**doublings)
