"""Real brokers for tests, on free loopback ports."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.adapters.broker_local import BrokerKind, LocalBroker, installed_kinds, start_broker

WHY_MISSING = {
    BrokerKind.MOSQUITTO: "mosquitto is not installed",
    BrokerKind.EMBEDDED: "the demo extra (amqtt) is not installed",
}


@contextmanager
def running(folder: Path, kind: BrokerKind) -> Iterator[LocalBroker]:
    """A broker of this kind; the test is skipped where there is none."""
    require(kind)
    with start_broker(folder, kind=kind) as broker:
        yield broker


def require(kind: BrokerKind) -> None:
    if kind not in installed_kinds():
        pytest.skip(WHY_MISSING[kind])
