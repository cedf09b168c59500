"""The broker of a simulation lasts as long as the simulation, whoever brings it back."""

import threading
import time

from deploy.adapters import broker_local
from deploy.adapters.broker_local import BrokerKind
from deploy.simulation.own_broker import OwnBroker
from deploy.simulation.scenario import Broker
from tests.brokers import require


def test_one_that_was_brought_back_outlives_the_thread_that_did_it(tmp_path):
    require(BrokerKind.MOSQUITTO)
    with OwnBroker(tmp_path, Broker(killed_at_s=1.0, away_s=1.0)) as own:
        first = own.broker.process
        for since_s in (1.0, 2.0):
            watch = threading.Thread(target=own.follow, args=(since_s,))
            watch.start()
            watch.join()
        assert own.broker.process is not first
        ended = time.monotonic() + 0.3
        while time.monotonic() < ended:
            assert own.broker.process.poll() is None
            assert broker_local._accepts(own.broker.port)
    assert own.broker.process.poll() is not None
