"""See `cut_links`; `make bench-cuts` runs it with 200 devices, a model of 4 MB and 20 cuts."""

from pathlib import Path

from agent.core.update.window import FIRST_LIMIT
from agent.wire.documents import CHUNK_MAX_BYTES, SLICE_BYTES
from deploy.adapters.broker_local import BrokerKind
from tests.brokers import running
from tests.scenario.cut_links import count


def test_half_of_the_links_cut_again_and_again_cost_little_more_than_the_bytes_themselves(
    tmp_path: Path,
) -> None:
    with running(tmp_path / "broker", BrokerKind.MOSQUITTO) as broker:
        counted = count(broker, tmp_path / "devices", devices=20, length=1_200_000, cuts=6, seed=1)
    assert counted.verified == 20
    assert counted.cuts == 60
    assert counted.uncut_share < 1.01
    under_way_bytes = 10 * FIRST_LIMIT * CHUNK_MAX_BYTES
    assert counted.crossed_bytes <= 1.05 * counted.needed_bytes + under_way_bytes
    # Of whole chunks, a window of them would be lost each time.
    assert counted.lost_a_cut_bytes < 2.5 * SLICE_BYTES
