"""Which installation of the program this is."""

from importlib.metadata import distribution

from agent.wire.reports import Capabilities
from agent.wire.topics import sha256


def program(capabilities: Capabilities) -> str:
    """What tells it from another version, from the same one with other files, and from one beside another
    runtime. Of a checkout only the version tells.
    """
    files = distribution("shoal").read_text("RECORD") or ""
    return f"{capabilities.agent} {sha256(files.encode())} {capabilities.runtime}"
