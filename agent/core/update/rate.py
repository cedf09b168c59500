"""How fast a device may download: a bucket that the cap fills and that every request empties.

A chunk is asked for as soon as the bucket is not in debt, and may leave it in debt: so over any time t no
more than cap * t + 2 * CHUNK_MAX_BYTES bytes are asked for, whatever the lengths of chunks and however low
the cap. What was asked for comes as fast as the line is, so a cap makes no answer late.
"""

from dataclasses import dataclass, replace

from agent.wire.documents import CHUNK_MAX_BYTES


@dataclass(frozen=True, slots=True)
class Bucket:
    rate_bytes_s: float
    """0: no cap."""
    level_bytes: float = 0.0
    """Below zero: in debt."""
    at_s: float | None = None
    """When the level was so; None: not used yet."""


def lower(*caps_bytes_s: float) -> float:
    """The lowest of the caps that are set; 0 if none is."""
    return min((cap for cap in caps_bytes_s if cap > 0), default=0.0)


def filled(bucket: Bucket, now_s: float) -> Bucket:
    if bucket.at_s is None:
        return replace(bucket, at_s=now_s)
    gained_bytes = bucket.rate_bytes_s * max(0.0, now_s - bucket.at_s)
    return replace(bucket, level_bytes=min(bucket.level_bytes + gained_bytes, CHUNK_MAX_BYTES), at_s=now_s)


def is_ready(bucket: Bucket) -> bool:
    return bucket.rate_bytes_s == 0 or bucket.level_bytes >= 0


def spent(bucket: Bucket, length: int) -> Bucket:
    return replace(bucket, level_bytes=bucket.level_bytes - length) if bucket.rate_bytes_s else bucket


def ready_at_s(bucket: Bucket) -> float:
    """When it will be out of debt."""
    if is_ready(bucket) or bucket.at_s is None:
        return bucket.at_s or 0.0
    return bucket.at_s - bucket.level_bytes / bucket.rate_bytes_s
