"""Where everything goes that the device says."""

from agent.ports.link import Link, Outgoing


class Post:
    def __init__(self, link: Link) -> None:
        self._link = link

    def send(self, outgoing: Outgoing) -> None:
        """Now, or not at all: what is lost while the link is down is stale when it is back."""
        self._link.publish(outgoing)
