"""A broker that pip can install: `python -P -m deploy.adapters.broker_embedded PORT`.

It serves MQTT 3.1.1 on loopback and keeps everything in memory: for demonstrations and tests on machines
without Mosquitto.

Two were measured with what this project needs, amqtt 0.12.1 (with the mends below) and rumqttd 0.20 as
iotcore 0.4.0 packs it, on two cores: 55 retained chunks of 64 KiB read through a window of 8 by one and by
20 readers, wills on abrupt death, 300 devices in 16 shards (600 retained messages) read by wildcards.

    what                                    amqtt       rumqttd
    chunks read, 20 readers at once         all         all
    retained will after a kill              yes         yes
    600 retained messages by 32 wildcards   600         143 to 202, silently
    retained message on a second SUBSCRIBE  again       only after UNSUBSCRIBE
    1,500 live reports of 300 devices       1,500       1,500
    64 KiB messages through it              16 MiB/s    136 MiB/s
    MQTT 5                                  no          on a second port

rumqttd cuts what is retained off at the free places of its in-flight window, and no setting widened it.
Losing status reports without a word is worse than being slow, so it is amqtt.
"""

import asyncio
import contextlib
import logging
import sys

from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session

CONNECTIONS_MAX = 5_000


class MendedBroker(Broker):  # type: ignore[misc]  # amqtt ships no type information
    """amqtt 0.12.1 without three faults; the version is pinned, because private methods are replaced.

    1. A new connection was sent every retained message that matched any filter of any client.
    2. What a client had published, with PUBACK, was dropped if it disconnected at once (on Python 3.13:
       12 of 55 chunks were kept; on 3.11 the tasks happen to run in a kinder order).
    3. A client that came back under its id left the old connection open, whose will then came late and
       declared the living client dead.
    """

    def __init__(self, config: BrokerConfig) -> None:
        super().__init__(config)
        self._deliveries: set[asyncio.Task[object]] = set()

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        topic_filter, qos = subscription
        handler = self._get_handler(session)
        subscribers = self._subscriptions.get(topic_filter, [])
        if handler is None or all(subscriber is not session for subscriber, _ in subscribers):
            return
        for topic, message in tuple(self._retained_messages.items()):
            if self._matches(topic, topic_filter):
                granted = min(qos, message.qos or 0)
                task = asyncio.ensure_future(handler.mqtt_publish(topic, message.data, granted, retain=True))
                self._deliveries.add(task)
                task.add_done_callback(self._delivered)

    def _delivered(self, task: asyncio.Task[object]) -> None:
        self._deliveries.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logging.getLogger(__name__).debug("broker.retained_not_acknowledged", exc_info=task.exception())

    async def _handle_disconnect(
        self,
        client_session: Session,
        handler: BrokerProtocolHandler,
        disconnect_waiter: "asyncio.Future[object]",
    ) -> None:
        accepted = client_session.delivered_message_queue
        while not accepted.empty():
            message: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            message.set_result(accepted.get_nowait())
            await self._handle_message_delivery(client_session, handler, message)
        await super()._handle_disconnect(client_session, handler, disconnect_waiter)

    async def _delete_session(self, client_id: str) -> None:
        _, handler = self._sessions.get(client_id, (None, None))
        if handler is not None:
            await self._stop_handler(handler)
        await super()._delete_session(client_id)


async def serve(port: int) -> None:
    """Serve on 127.0.0.1 until the other end of standard input goes away."""
    config = {
        "listeners": {
            "default": {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": CONNECTIONS_MAX}
        },
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    broker = MendedBroker(BrokerConfig.from_dict(config))
    await broker.start()
    await asyncio.to_thread(sys.stdin.buffer.read)
    await broker.shutdown()


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
