"""Traps of TUF over MQTT: who may say what, and who cannot."""

import pytest
from tuf.api.metadata import DelegatedRole, Delegations

from agent.wire.codec import encode
from agent.wire.documents import Plan
from agent.wire.errors import Untrusted
from agent.wire.topics import sha256
from deploy.adapters.repository_tuf.keys import Role
from tests.fakes.operator import manifest
from tests.scenario.trust_traps.steps import listed, ref_to, serial

# 11: who may say what.


def test_stolen_online_keys_cannot_sign_a_new_model(operator, home):
    """Trap 11: the models role is offline, and its path leads nowhere else."""
    evil = encode(manifest(version="9"))
    plan = encode(Plan(stream="home", serial=9, stable=ref_to(evil)))

    def change(state):
        listed(state.rollouts.signed, "models/cats/9.json", evil)
        listed(state.rollouts.signed, "rollouts/home.json", plan)
        return {Role.ROLLOUTS}

    operator.thief(change)
    operator.put(operator.root.target(sha256(evil)), evil)
    operator.put(operator.root.target(sha256(plan)), plan)
    device = operator.device(home)
    assert serial(device) == 9
    with pytest.raises(Untrusted, match="not signed by the models role"):
        device.manifest(device.plan("home").stable)


def test_stolen_online_keys_cannot_point_a_released_version_elsewhere(operator, home):
    """Trap 11: the plan's digest has to be the one that the models role signed."""
    evil = encode(manifest(description="evil"))
    operator.put(operator.root.target(sha256(evil)), evil)
    device = operator.device(home)
    device.refresh()
    with pytest.raises(Untrusted, match="the models role signed another"):
        device.manifest(ref_to(evil, "1"))


def test_the_models_role_signed_by_an_online_key_is_refused(operator, home):
    """Trap 11."""

    def change(state):
        evil = encode(manifest(version="9"))
        listed(state.models.signed, "models/cats/9.json", evil)
        state.models.signed.version += 1
        (signer,) = operator.repository._keys.signers(
            Role.ROLLOUTS, state.targets.signed.delegations.roles["rollouts"].keyids, 1, {}
        )
        state.models.sign(signer)
        version = state.models.signed.version
        operator.put(operator.root.meta(f"{version}.models"), state.models.to_bytes())
        meta = state.snapshot.signed.meta["models.json"]
        meta.version, meta.length, meta.hashes = version, None, None
        return {Role.SNAPSHOT}

    operator.thief(change)
    device = operator.device(home)
    device.refresh()
    with pytest.raises(Untrusted, match="models was signed by 0/1 keys"):
        device.manifest(ref_to(b"", "9"))


@pytest.mark.parametrize("name", ["other", "models", "../evil", "targets"])
def test_what_the_rollouts_role_delegates_further_is_never_asked(operator, home, name):
    """Trap 11: a plan comes from the rollouts role itself."""

    def change(state):
        rollouts = state.rollouts.signed
        (keyid,) = state.targets.signed.delegations.roles["rollouts"].keyids
        key = state.targets.signed.delegations.keys[keyid]
        role = DelegatedRole(name, [keyid], 1, terminating=False, paths=["rollouts/*", "models/*/*"])
        rollouts.targets.clear()
        rollouts.delegations = Delegations({keyid: key}, {} if name == "targets" else {name: role})
        return {Role.ROLLOUTS}

    operator.thief(change)
    device = operator.device(home)
    device.refresh()
    assert device.plan("home") is None
    assert not [t for t in operator.broker.subscribed if "other" in t or "evil" in t]


@pytest.mark.parametrize("path", ["rollouts/home.json", "models/cats/1.json"])
def test_the_targets_role_itself_speaks_neither_for_plans_nor_for_models(operator, home, path):
    """Trap 11: not even with the offline key."""
    repository = operator.repository
    with repository._shelf.locked():
        from deploy.adapters.repository_tuf.state import load

        state = load(repository._shelf)
        content = encode(manifest())
        listed(state.targets.signed, path, content)
        repository._commit(state, {Role.TARGETS})
    operator.publish()
    device = operator.device(home)
    device.refresh()
    with pytest.raises(Untrusted, match="another role"):
        device.plan("home") if path.startswith("rollouts") else device.manifest(ref_to(content, "1"))


def test_a_plan_under_the_name_of_another_stream_is_refused(operator, home):
    """Trap 11: the rollouts role cannot mix streams up."""

    def change(state):
        targets = state.rollouts.signed.targets
        listed(state.rollouts.signed, "rollouts/lab.json", encode(Plan(stream="home", serial=5)))
        assert set(targets) == {"rollouts/home.json", "rollouts/lab.json"}
        return {Role.ROLLOUTS}

    operator.thief(change)
    plan = encode(Plan(stream="home", serial=5))
    operator.put(operator.root.target(sha256(plan)), plan)
    device = operator.device(home)
    device.refresh()
    with pytest.raises(Untrusted, match="'lab' says that it is for 'home'"):
        device.plan("lab")
