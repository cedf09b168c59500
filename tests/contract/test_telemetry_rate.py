"""A thousand windows a second over a real broker; `make bench-telemetry` does it for a minute."""

import pytest

from deploy.adapters.broker_local import BrokerKind, installed_kinds, start_broker
from tests.brokers import WHY_MISSING
from tests.soak.telemetry import fleet_settings, measure


@pytest.mark.skipif(BrokerKind.MOSQUITTO not in installed_kinds(), reason=WHY_MISSING[BrokerKind.MOSQUITTO])
def test_a_thousand_windows_a_second_and_a_burst_are_counted_each_once(tmp_path):
    with start_broker(tmp_path / "broker", kind=BrokerKind.MOSQUITTO, settings=fleet_settings) as broker:
        found = measure(broker, tmp_path, rate=1_000, seconds=1.5, burst=500)
    assert found.sent.acknowledged == found.sent.messages == 2_000
    assert (found.collected.windows, found.collected.repeated) == (2_000, 0)
    assert (found.collected.overrun, found.refused) == (0, 0)
