import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.homeassistant.model import TRIED, WAITS, model_state
from agent.core.page.words import Offered
from agent.core.update.lifecycle import Fetching, Idle, Probation, Trial
from agent.wire.homeassistant import SUMMARY_CHARS
from agent.wire.reasons import Reason
from agent.wire.reports import Ended, Outcome, Phase, Progress, Report
from agent.wire.topics import DeviceId, sha256
from tests.golden.documents import AT
from tests.scenario.one_device.home import fitted, manifest

OLD, NEW = fitted(manifest("1.0.0")), fitted(manifest("1.1.0"))
OTHER = fitted(manifest("1.0.0", name="dogs"))
OFFERED = Offered(name=NEW.name, version=NEW.version, manifest=NEW.manifest)
PLAIN = Report(device=DeviceId("pi"), at=AT, phase=Phase.IDLE)


def fetching(done: int, total: int) -> Report:
    coming = Progress(name="cats", version="1.1.0", manifest=NEW.manifest, bytes_done=done, bytes_total=total)
    return replace(PLAIN, candidate=coming)


@pytest.mark.parametrize(
    ("state", "report", "offered", "shown"),
    [
        (Idle(), PLAIN, None, ("none", "none", False, None)),
        (Idle(), PLAIN, OFFERED, ("none", "1.1.0", False, None)),
        (Idle(active=OLD), PLAIN, None, ("1.0.0", "1.0.0", False, None)),
        (Idle(active=OLD), PLAIN, OFFERED, ("1.0.0", "1.1.0", False, None)),
        (Fetching(active=OLD, fallback=None, candidate=NEW), PLAIN, None, ("1.0.0", "1.1.0", True, 0)),
        (
            Fetching(active=OLD, fallback=None, candidate=NEW),
            fetching(1, 3),
            None,
            ("1.0.0", "1.1.0", True, 33),
        ),
        (
            Fetching(active=None, fallback=None, candidate=NEW),
            fetching(3, 3),
            None,
            ("none", "1.1.0", True, 100),
        ),
        (Fetching(active=OLD, fallback=None, candidate=OTHER), PLAIN, None, ("1.0.0", "dogs 1.0.0", True, 0)),
        (
            Trial(active=OLD, fallback=None, candidate=NEW, tries=1),
            PLAIN,
            None,
            ("1.0.0", "1.1.0", True, None),
        ),
        (Probation(active=NEW, fallback=OLD, need=3), PLAIN, None, ("1.0.0", "1.1.0", True, None)),
        (Probation(active=NEW, fallback=None, need=3), PLAIN, None, ("none", "1.1.0", True, None)),
    ],
    ids=str,
)
def test_installed_is_what_has_committed(state, report, offered, shown):
    told = model_state(state, report, offered)
    assert (told.installed_version, told.latest_version, told.in_progress, told.update_percentage) == shown


@pytest.mark.parametrize(
    ("installed", "offered", "shown"),
    [
        ("1.9.0", "1.10.0", "1.10.0"),
        ("1.2", "1.2.1", "1.2.1"),
        ("9", "10", "10"),
        ("2026.08.19", "2026.08.20", "2026.08.20"),
        ("1.2.0", "1.1.9", "cats 1.1.9"),
        ("1.2", "1.2.0", "cats 1.2.0"),
        ("1.2.0", "1.2", "cats 1.2"),
        ("1.2.0", "1.3.0-rc1", "cats 1.3.0-rc1"),
        ("2026-08-19-f00d", "2026-08-20-beef", "cats 2026-08-20-beef"),
        ("1.2.0", "9" * 5_000, f"cats {'9' * 5_000}"),
    ],
)
def test_what_home_assistant_would_take_for_no_update_bears_its_name(installed, offered, shown):
    coming = Offered(name=NEW.name, version=offered, manifest=NEW.manifest)
    told = model_state(Idle(active=fitted(manifest(installed))), PLAIN, coming)
    assert (told.installed_version, told.latest_version) == (installed, shown)


def test_the_summary_says_what_it_waits_for_and_how_the_last_one_ended():
    ended = Ended(
        name="cats", version="1.1.0", manifest=NEW.manifest, outcome=Outcome.REVERTED, reason=Reason.TOO_SLOW
    )
    assert model_state(Idle(active=OLD), PLAIN, OFFERED).release_summary == WAITS
    trial = Trial(active=OLD, fallback=None, candidate=NEW, tries=1)
    assert model_state(trial, PLAIN, None).release_summary == TRIED
    assert model_state(Idle(active=OLD), replace(PLAIN, last=ended), None).release_summary == (
        "cats 1.1.0 was reverted: the model exceeds its latency budget on this device."
    )


@pytest.mark.parametrize(
    ("report", "summary"),
    [
        (PLAIN, "It is accepted."),
        (
            replace(PLAIN, reason=Reason.WINDOW, detail="the next one opens at 02:00 UTC"),
            "It is accepted, and held: no maintenance window is open: the next one opens at 02:00 UTC.",
        ),
        (
            replace(PLAIN, reason=Reason.PAUSED),
            "It is accepted, and held: the operator has paused the rollout.",
        ),
    ],
    ids=str,
)
def test_what_was_accepted_is_on_its_way_and_says_what_holds_it(report, summary):
    told = model_state(Idle(active=OLD), report, None, OFFERED)
    assert (told.installed_version, told.latest_version, told.in_progress) == ("1.0.0", "1.1.0", True)
    assert (told.update_percentage, told.release_summary) == (None, summary)


@given(st.text(max_size=400), st.sampled_from(Reason))
def test_no_summary_of_what_is_held_is_longer_either(detail, reason):
    told = model_state(Idle(active=OLD), replace(PLAIN, reason=reason, detail=detail), None, OFFERED)
    assert len(told.release_summary) <= SUMMARY_CHARS


@given(st.text(max_size=400), st.text(max_size=400), st.sampled_from(Reason))
def test_no_summary_is_longer_than_home_assistant_takes(name, version, reason):
    ended = Ended(name=name, version=version, manifest=sha256(b""), outcome=Outcome.REFUSED, reason=reason)
    told = model_state(Idle(active=OLD), replace(PLAIN, last=ended), None)
    assert len(told.release_summary) <= SUMMARY_CHARS
