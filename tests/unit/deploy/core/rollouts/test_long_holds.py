"""What a rollout leaves in the ledger that is held for long while devices come and go."""

import pytest
from msgspec.structs import replace

from deploy.core.rollouts import replaying, steps
from deploy.core.rollouts.condensed import condense
from deploy.core.rollouts.replaying import Agreement
from deploy.core.rollouts.state import fold
from deploy.core.rollouts.words import Judged, Started, Verdict
from tests.fakes.rollouts import after, healthy, lines, order, pending, picture, plan, seen, steered

DAY_S = 86_400
STARTED = Started(order=order("100%"))
OFFLINE = {"report": None, "heard_at": None, "online": False}


def fleet_at(at, *, coming):
    """Too few can be judged, and one of them comes and goes."""
    absent = [replace(seen(f"off-{n}"), **OFFLINE) for n in range(4)]
    one = pending("pi", free_at=after(at)) if coming else replace(seen("pi"), **OFFLINE)
    return picture(healthy("well", heard_at=after(at)), one, *absent, at=at)


def test_reasons_that_change_all_the_time_are_told_ever_more_seldom():
    fleet = fold(lines((0, STARTED), (0, steered(plan()))))
    kept = []
    for minute in range(1, 7 * DAY_S // 600):
        at = minute * 600.0
        for entry in steps.step(fleet, "birds-2", fleet_at(at, coming=minute % 2 == 0), None):
            assert isinstance(entry, Judged)
            assert entry.judgement.verdict is Verdict.HOLD
            kept.append(at)
            fleet = fold(lines((at, entry)), fleet)
    assert 10 <= len(kept) <= 40
    assert kept[1] - kept[0] <= 1_200.0


@pytest.mark.parametrize("at", [1_000.0, 30 * DAY_S])
def test_a_verdict_that_changes_is_told_at_once(at):
    fleet = fold(lines((0, STARTED), (0, steered(plan()))))
    (held,) = steps.step(fleet, "birds-2", fleet_at(at, coming=False), None)
    fleet = fold(lines((at, held)), fleet)
    well = picture(*(healthy(f"pi-{n}", heard_at=after(at)) for n in range(5)), at=at + 1)
    judged, *follows = steps.step(fleet, "birds-2", well, None)
    assert judged.judgement.verdict is Verdict.PROMOTE
    assert follows


def judgement_of(entry):
    return replace(
        entry.judgement, findings=tuple(replace(f, words="in other words") for f in entry.judgement.findings)
    )


def test_other_words_for_the_same_decision_are_no_other_decision():
    fleet = fold(lines((0, STARTED), (0, steered(plan()))))
    of = fleet_at(100.0, coming=True)
    (entry,) = steps.step(fleet, "birds-2", of, None)
    content = {entry.picture: condense(of, fleet.rollouts["birds-2"])}
    for told, found in (
        (replace(entry, judgement=judgement_of(entry)), Agreement.SAME),
        (replace(entry, judgement=replace(entry.judgement, verdict=Verdict.ABORT)), Agreement.OTHER),
    ):
        written = lines((0, STARTED), (0, steered(plan())), (100, told))
        replayed = list(replaying.replay(written, content.get))
        assert replayed[-1].agreement is found
