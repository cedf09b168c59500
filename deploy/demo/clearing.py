"""What a demonstration leaves on a broker that is not its own: nothing."""

import contextlib
import queue

from agent.ports.link import Link, Message, Outgoing
from agent.wire.topics import Qos, Root

CLEAN_ROUNDS = 20


def clean(link: Link, root: Root) -> None:
    """Take everything retained off a broker that is not ours, in rounds: one read may be cut short."""
    everything = f"{root.prefix}/#"
    for _ in range(CLEAN_ROUNDS):
        seen: queue.Queue[Message] = queue.Queue()
        link.subscribe([everything], Qos.AT_MOST_ONCE, seen.put)
        found = set()
        with contextlib.suppress(queue.Empty):
            while True:
                message = seen.get(timeout=1.0)
                if message.retained:
                    found.add(message.topic)
        link.unsubscribe([everything])
        if not found:
            return
        for topic in found:
            link.publish(Outgoing(topic, b"", Qos.AT_LEAST_ONCE, retain=True)).result(timeout=10.0)
