from datetime import UTC, timedelta

import pytest

from agent.adapters import clock_system
from agent.adapters.clock_system import SystemClock
from agent.core.update.freshness import DAWN


def test_both_clocks_go_forward_and_the_first_is_utc(tmp_path):
    clock = SystemClock(tmp_path)
    first, then = clock.monotonic_ns(), clock.now()
    assert then.tzinfo is UTC
    assert clock.monotonic_ns() >= first
    assert timedelta(0) <= clock.now() - then < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("files", "disciplined", "year", "expected"),
    [
        (["systemd/timesync/synchronized"], False, 2026, True),
        (["systemd/timesync/clock"], True, 2026, False),  # timesyncd is about to set it
        ([], True, 2026, True),
        (["chrony/chronyd.pid"], True, 2026, True),
        (["chrony/chronyd.pid"], False, 2026, False),
        (["ntpd.pid"], False, 2026, False),
        ([], False, 2026, True),  # a container, or a clock set by hand
        ([], False, 2025, False),  # before this program was written
    ],
)
def test_a_clock_counts_as_synchronized_unless_something_speaks_against_it(
    tmp_path, monkeypatch, files, disciplined, year, expected
):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(clock_system, "_disciplined", lambda: disciplined)
    clock = SystemClock(tmp_path)
    monkeypatch.setattr(clock, "now", lambda: DAWN.replace(year=year))
    assert clock.synchronized() is expected


def test_the_kernel_is_asked_without_privilege():
    assert clock_system._disciplined() in {True, False}
