"""What a rollout says that waits for a second person."""

import pytest

from deploy.core.refusal import Refused
from deploy.core.rollouts import approvals, gate
from deploy.core.rollouts.words import Approved, Policy, Verdict
from tests.fakes import rollouts

KEYS = ("a" * 64, "b" * 64)


def signed(key):
    return 1, Approved(rollout="birds-2", wave=1, key=key, signature="")


def test_the_gate_holds_for_the_signature_that_the_next_wave_lacks():
    order = rollouts.order("1", "100%", approve=("100%",), approvals_min=2)
    plan = (0, rollouts.steered(rollouts.plan()))
    devices = rollouts.picture(rollouts.seen("pi", rollouts.report("pi", **rollouts.COMMITTED)))
    told = [
        gate.judge(rollouts.rollout(order, plan, *map(signed, KEYS[:count])), devices) for count in range(3)
    ]
    assert [each.verdict for each in told] == [Verdict.HOLD, Verdict.HOLD, Verdict.PROMOTE]
    assert "wave 100% needs 2 more signatures: shoal rollout approve birds-2" in told[0].words
    assert "wave 100% needs 1 more signature: " in told[1].words


def test_nobody_begins_what_too_few_could_sign_for():
    policy = Policy(approve=("100%",), approvals_min=2)
    with pytest.raises(Refused, match=r"wave 100% signed with 2 keys, and shoal\.toml lists 1 .* approver"):
        approvals.require_keys(policy, KEYS[:1])
    approvals.require_keys(policy, KEYS)
    approvals.require_keys(Policy(), ())
