from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from agent.core.serving.delegate import DelegateChoice
from agent.core.update.admission import Device
from agent.core.update.cohort import EVERYBODY, NOBODY
from agent.core.update.consent import Moment
from agent.core.update.known_bad import Bad
from agent.core.update.lifecycle import Fitted, Idle, Record
from agent.loops.release.consult import Desired, Hold, Host, consult
from agent.wire import codec
from agent.wire.documents import (
    Artifact,
    Chunk,
    Delegate,
    Dtype,
    Golden,
    InputContract,
    Manifest,
    OutputContract,
    Plan,
    Variant,
)
from agent.wire.errors import (
    LinkDown,
    Malformed,
    Stale,
    StoreFailed,
    TooLarge,
    Unavailable,
    UnknownSchema,
    Untrusted,
)
from agent.wire.reasons import Reason
from agent.wire.topics import DeviceId, sha256
from tests.fakes.trust import ScriptedTrust

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
HOST = Host(Device(id=DeviceId("pi"), hardware="cpu", agent="0.1.0"), edgetpu=False, runtime_version="x 1.0")


def artifact(name):
    digest = sha256(name.encode())
    return Artifact(digest=digest, length=1, chunks=(Chunk(digest, 1),))


def variant(name, delegate=Delegate.CPU, minimum=None):
    return Variant(artifact=artifact(name), file=name, delegate=delegate, minimum_runtime=minimum)


def manifest(version, *variants, labels=True):
    return Manifest(
        name="cats",
        version=version,
        variants=variants or (variant(f"{version}.tflite"),),
        input=InputContract(height_px=4, width_px=4, channels=3, dtype=Dtype.UINT8),
        output=OutputContract(classes=2, dtype=Dtype.UINT8),
        labels=artifact("labels") if labels else None,
        golden=Golden(artifact=artifact("golden"), tolerance=0.1),
    )


ONE, TWO = manifest("1"), manifest("2", labels=False)
PAIR = manifest("3", variant("3_edgetpu.tflite", Delegate.EDGETPU), variant("3.tflite"))
TPU_ONLY = manifest("4", variant("4_edgetpu.tflite", Delegate.EDGETPU))


@pytest.fixture
def trust():
    return ScriptedTrust()


def order(trust, stable=None, candidate=None, **changes):
    described = {
        "stream": "home",
        "serial": 5,
        "cut": {"*": EVERYBODY},
        "stable": None if stable is None else trust.release(stable),
        "candidate": None if candidate is None else trust.release(candidate),
    }
    trust.signed = Plan(**described | changes)
    return trust.signed


def ask(trust, *, host=HOST, record=None, clock_trusted=True, windows=(), veto=None):
    moment = Moment(NOW, windows, veto)
    return consult(trust, "home", host, record or Record(), moment, clock_trusted=clock_trusted)


def fitted(of, chosen=0, twin=None):
    content = codec.encode(of)
    files = [sha256(content), of.variants[chosen].artifact.digest, of.golden.artifact.digest]
    labels = [] if of.labels is None else [of.labels.digest]
    twins = [] if twin is None else [of.variants[twin].artifact.digest]
    return Fitted(
        name="cats",
        version=of.version,
        manifest=sha256(content),
        variant=of.variants[chosen].artifact.digest,
        delegate=of.variants[chosen].delegate,
        files=(*files, *labels, *twins),
        twin=None if twin is None else of.variants[twin].artifact.digest,
    )


@pytest.mark.parametrize(
    ("cut", "edgetpu", "candidate", "release"),
    [
        (EVERYBODY, False, TWO, fitted(TWO)),
        (NOBODY, False, TWO, fitted(ONE)),
        (EVERYBODY, False, PAIR, fitted(PAIR, 1)),
        (EVERYBODY, True, PAIR, fitted(PAIR, 0, twin=1)),
        (EVERYBODY, True, TPU_ONLY, fitted(TPU_ONLY)),
    ],
)
def test_the_release_is_chosen_by_the_plan_and_fitted_to_the_device(trust, cut, edgetpu, candidate, release):
    plan = order(trust, stable=ONE, candidate=candidate, cut={"*": cut})
    found = ask(trust, host=Host(HOST.device, edgetpu=edgetpu, runtime_version="x 1.0"))
    content = codec.encode(ONE if release == fitted(ONE) else candidate)
    assert found == Desired(plan, release, content)


@pytest.mark.parametrize(
    ("where", "fault", "reason"),
    [
        ("refresh_fault", Stale("expired"), Reason.STALE_METADATA),
        ("refresh_fault", Untrusted("forged"), Reason.UNTRUSTED),
        ("plan_fault", Stale("expired"), Reason.STALE_METADATA),
        ("plan_fault", Malformed("no plan"), Reason.UNREADABLE),
        ("plan_fault", TooLarge("no plan"), Reason.UNREADABLE),
        ("plan_fault", UnknownSchema("9"), Reason.UNREADABLE),
        ("manifest_fault", Untrusted("not signed"), Reason.UNTRUSTED),
        ("manifest_fault", UnknownSchema("9"), Reason.UNREADABLE),
    ],
)
def test_what_cannot_be_trusted_or_read_is_held(trust, where, fault, reason):
    order(trust, stable=ONE)
    setattr(trust, where, fault)
    assert ask(trust) == Hold(reason, str(fault))


@pytest.mark.parametrize("fault", [LinkDown("gone"), Unavailable("silent"), StoreFailed("full")])
@pytest.mark.parametrize("where", ["refresh_fault", "plan_fault", "manifest_fault"])
def test_what_did_not_come_is_to_be_asked_for_again(trust, where, fault):
    order(trust, stable=ONE)
    setattr(trust, where, fault)
    with pytest.raises(type(fault), match=str(fault)):
        ask(trust)


def test_without_a_plan_for_its_stream_the_device_holds(trust):
    assert ask(trust) == Hold(Reason.NO_PLAN, "stream home")
    order(trust, stable=ONE, stream="barn")
    assert ask(trust) == Hold(Reason.NO_PLAN, "stream home")


def test_an_untrusted_clock_holds_after_the_metadata_was_judged(trust):
    plan = order(trust, stable=ONE)
    detail = "set the clock, or let it follow a time server"
    assert ask(trust, clock_trusted=False) == Hold(Reason.CLOCK, detail, plan)
    assert trust.refreshes == 1


def test_an_old_plan_is_no_plan_to_act_on(trust):
    """Not even its revocations count: whoever replays it is not the operator."""
    order(trust, stable=ONE)
    found = ask(trust, record=Record(plan_serial=6))
    assert isinstance(found, Hold)
    assert (found.reason, found.plan) == (Reason.UNTRUSTED, None)


BAD_TWO = Record(known_bad=(Bad(fitted(TWO).variant, Reason.TOO_SLOW),))
BAD_MANIFEST_TWO = Record(known_bad=(Bad(fitted(TWO).manifest, Reason.GOLDEN_MISMATCH),))
REVOKED_TWO = Record(known_bad=(Bad(fitted(TWO).variant, Reason.REVOKED),))


@pytest.mark.parametrize(
    ("candidate", "record", "reason", "detail"),
    [
        (TWO, BAD_TWO, Reason.KNOWN_BAD, "cats 2"),
        (TWO, BAD_MANIFEST_TWO, Reason.KNOWN_BAD, "cats 2"),
        (TWO, REVOKED_TWO, Reason.REVOKED, "cats 2"),
        (TPU_ONLY, Record(), Reason.NEEDS_EDGETPU, None),
        (manifest("5", variant("5", minimum="x 2.0")), Record(), Reason.RUNTIME_TOO_OLD, None),
    ],
)
def test_a_candidate_that_is_refused_here_is_passed_over_for_the_stable_release(
    trust, candidate, record, reason, detail
):
    plan = order(trust, stable=ONE, candidate=candidate)
    found = ask(trust, record=record)
    assert isinstance(found, Desired)
    why = found.passed_over
    assert why is not None
    assert found == Desired(plan, fitted(ONE), codec.encode(ONE), Hold(reason, why.detail, plan))
    assert detail in {None, why.detail}
    alone = order(trust, candidate=candidate)
    assert ask(trust, record=record) == Hold(reason, why.detail, alone)


def test_where_both_are_refused_the_candidates_reason_is_told(trust):
    plan = order(trust, stable=TPU_ONLY, candidate=TWO)
    assert ask(trust, record=BAD_TWO) == Hold(Reason.KNOWN_BAD, "cats 2", plan)


def test_a_candidate_that_is_the_stable_release_is_looked_at_once(trust):
    plan = order(trust, stable=TWO, candidate=TWO)
    assert ask(trust, record=BAD_TWO) == Hold(Reason.KNOWN_BAD, "cats 2", plan)


def test_a_revoked_candidate_leaves_the_device_with_the_stable_release(trust):
    plan = order(trust, stable=ONE, candidate=TWO)
    plan = trust.signed = replace(plan, revoked=(fitted(TWO).manifest,))
    assert ask(trust) == Desired(plan, fitted(ONE), codec.encode(ONE))


def _asked_again(trust, record, **host):
    described = {"device": HOST.device, "edgetpu": False, "runtime_version": "x 1.0"}
    order(trust, candidate=PAIR)
    found = ask(trust, host=Host(**described | host), record=record)
    assert isinstance(found, Desired)
    return found.release


def test_a_release_keeps_its_fit_while_the_edge_tpu_is_away(trust):
    record = Record(state=Idle(active=fitted(PAIR, 0, twin=1)))
    assert _asked_again(trust, record) == fitted(PAIR, 0, twin=1)


def test_an_edge_tpu_that_appears_later_fits_the_same_release_anew(trust):
    record = Record(state=Idle(active=fitted(PAIR, 1)))
    assert _asked_again(trust, record, edgetpu=True) == fitted(PAIR, 0, twin=1)


def test_a_compiled_variant_that_failed_here_leaves_the_cpu_variant_of_its_release(trust):
    compiled = PAIR.variants[0].artifact.digest
    record = Record(known_bad=(Bad(compiled, Reason.CANARY_CRASHED),))
    assert _asked_again(trust, record, edgetpu=True) == fitted(PAIR, 1)


def test_an_edge_tpu_that_is_not_wanted_is_left_alone(trust):
    record = Record(state=Idle(active=fitted(PAIR, 0, twin=1)))
    assert _asked_again(trust, record, edgetpu=True, wanted=DelegateChoice.CPU) == fitted(PAIR, 1)


def test_a_compiled_release_that_only_lacked_its_edge_tpu_is_held_for_that_reason(trust):
    order(trust, candidate=TPU_ONLY)
    record = Record(known_bad=(Bad(TPU_ONLY.variants[0].artifact.digest, Reason.NEEDS_EDGETPU),))
    held = ask(trust, host=Host(HOST.device, edgetpu=True, runtime_version="x 1.0"), record=record)
    assert isinstance(held, Hold)
    assert held.reason is Reason.NEEDS_EDGETPU
