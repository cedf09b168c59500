"""What the process that steers a simulation and those that hold its devices tell each other, a line each."""

from msgspec import Struct

from agent.wire.reports import Running
from agent.wire.topics import DeviceId
from deploy.simulation.scenario import Fate, Scenario

STABLE = "1.0.0"
CANDIDATE = "2.0.0"


class Post(Struct, frozen=True, kw_only=True):
    """What a process is to hold."""

    scenario: Scenario
    seed: int
    devices: int
    """Of the whole fleet."""
    first: int
    last: int
    """The numbers of its own, this one excluded."""
    host: str
    port: int
    root: str
    trusted: str
    folder: str
    """For the devices' state."""
    keys: str
    """The folder with their seal keys."""
    username: str | None = None
    password_file: str | None = None


class Served(Struct, frozen=True, kw_only=True, tag="served"):
    """To the devices: the fleet serves its first release. What is to befall them counts from here."""


class Begun(Struct, frozen=True, kw_only=True, tag="begun"):
    """To the devices: the candidate is on its way. It is what a liar will claim to run."""

    running: Running


class Finish(Struct, frozen=True, kw_only=True, tag="finish"):
    """To the devices: switch off, and say where each has ended."""


Word = Served | Begun | Finish


class Sample(Struct, frozen=True, kw_only=True, tag="sample"):
    """From the devices, several times a second."""

    there: int = 0
    on_stable: int = 0
    on_candidate: int = 0
    exposed: int = 0
    """So many have run the candidate, in its trial or in service."""
    fallen: int = 0
    """On so many it has done its worst."""
    broken: str = ""
    """Why the first agent ended that should not have."""
    cpu_s: float = 0.0
    sent_bytes: int = 0
    received_bytes: int = 0
    sent_messages: int = 0
    received_messages: int = 0
    connects: int = 0


class Whereabouts(Struct, frozen=True, kw_only=True):
    """Where a device has ended."""

    device: DeviceId
    group: int
    there: bool
    serves: str
    """A version; empty: nothing."""
    exposed: bool
    fate: Fate | None = None
    """What the candidate did to it."""


class Ended(Struct, frozen=True, kw_only=True, tag="ended"):
    devices: tuple[Whereabouts, ...]
    peak_bytes: int


Said = Sample | Ended


def device_id(number: int) -> DeviceId:
    return DeviceId(f"sim-{number:05}")
