"""What a host's sensors give."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Time of all cores together since boot, in any one unit."""

    busy: int
    whole: int


@dataclass(frozen=True, slots=True)
class Gauges:
    """One reading. None: this host does not tell."""

    soc_c: float | None = None
    tpu_c: float | None = None
    throttled_bits: int | None = None
    """As the firmware of a Raspberry Pi gives them; see `core.telemetry.vitals`."""
    cpu: CpuTime | None = None
    memory_available_bytes: int | None = None
    disk_free_bytes: int | None = None
