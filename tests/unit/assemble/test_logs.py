import logging

import pytest

from agent.assemble.logs import KEPT_MAX_CHARS, Ring
from agent.wire.commands import LINE_MAX_CHARS, LINES_MAX


@pytest.fixture
def ring():
    ring, log = Ring(), logging.getLogger("ring")
    log.propagate = False
    log.setLevel(logging.DEBUG)
    log.addHandler(ring)
    yield ring
    log.removeHandler(ring)


log = logging.getLogger("ring")


def test_the_newest_lines_come_in_order(ring):
    for number in range(LINES_MAX + 10):
        log.info("event", extra={"number": number})
    assert len(ring.newest(LINES_MAX * 2)) == LINES_MAX
    assert [line.rpartition("number=")[2] for line in ring.newest(2)] == ["408", "409"]


def test_what_is_only_for_finding_faults_is_not_kept(ring):
    log.debug("event")
    assert ring.newest(5) == ()


def test_a_long_line_is_shortened_after_its_secrets_are_gone(ring):
    padding = "x" * (LINE_MAX_CHARS - 60)
    log.info("event", extra={"text": f"{padding} correct-horse-battery-staple {padding}"})
    (line,) = ring.newest(1, ["correct-horse-battery-staple"])
    assert len(line) == LINE_MAX_CHARS
    assert "horse" not in line
    log.info("event", extra={"text": "y" * 10 * KEPT_MAX_CHARS})
    assert len(ring.newest(1)[0]) == LINE_MAX_CHARS


def test_a_trace_is_as_many_lines_as_it_has(ring):
    try:
        int("password=hunter2")
    except ValueError:
        log.exception("failed")
    lines = ring.newest(50)
    assert lines[-1] == "ValueError: invalid literal for int() with base 10: 'password=***'"
    assert len(lines) > 3


def test_no_field_can_pass_for_a_line_of_its_own(ring):
    log.info("event", extra={"detail": "lost\n2026-01-01\x1b[2Jinfo"})
    (line,) = ring.newest(1)
    assert line.endswith(r"detail='lost\n2026-01-01\x1b[2Jinfo'")
