import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from agent.adapters.trust_tuf.envelopes import _decoded
from agent.ports.trust import Signed
from agent.wire.commands import ENVELOPE_MAX_BYTES, PAYLOAD_TYPE
from agent.wire.errors import Malformed, TooLarge, Unavailable, Untrusted, WireError
from deploy.adapters.repository_tuf.keys import KeyFolders, Role
from deploy.adapters.repository_tuf.shelf import Shelf
from deploy.adapters.repository_tuf.state import load
from tests.fakes.clock import FakeClock
from tests.fakes.operator import DAY_S, Operator

PAYLOAD = b'{"any": "bytes"}'


@pytest.fixture
def operator(tmp_path):
    return Operator(tmp_path / "operator", FakeClock())


@pytest.fixture
def device(operator, tmp_path):
    made = operator.device(tmp_path / "device")
    made.refresh()
    return made


def signed_by(operator, role, payload_type=PAYLOAD_TYPE):
    state = load(Shelf(operator.folder / "repository"))
    named = state.delegator(role).get_delegated_role(role)
    envelope = Envelope(PAYLOAD, payload_type, {})
    for signer in KeyFolders(operator.offline, operator.online).signers(role, named.keyids, 1, {}):
        envelope.sign(signer)
    return written(envelope)


def written(envelope):
    return msgspec.json.encode(envelope.to_dict())


def test_what_the_rollouts_key_signed_is_a_command(operator, device):
    assert device.command(operator.repository.sign_command(PAYLOAD)) == Signed(PAYLOAD, "")


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ROLLOUTS])
def test_no_other_role_may_command(operator, device, role):
    with pytest.raises(Untrusted):
        device.command(signed_by(operator, role))


def test_what_the_key_signed_as_something_else_is_no_command(operator, device):
    with pytest.raises(Malformed, match="payload of type"):
        device.command(signed_by(operator, Role.ROLLOUTS, "application/json"))


def test_a_stranger_s_key_in_the_envelope_counts_for_nothing(device):
    envelope = Envelope(PAYLOAD, PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner.generate_ed25519())
    with pytest.raises(Untrusted):
        device.command(written(envelope))


def test_a_replaced_key_commands_nothing_once_the_device_has_heard_of_it(operator, device):
    old = operator.repository.sign_command(PAYLOAD)
    operator.repository.rotate(Role.ROLLOUTS)
    operator.publish()
    device.refresh()
    with pytest.raises(Untrusted):
        device.command(old)
    assert device.command(operator.repository.sign_command(PAYLOAD)).payload == PAYLOAD


def test_expired_metadata_is_told_with_the_command(operator, device):
    command = operator.repository.sign_command(PAYLOAD)
    operator.clock.advance(6 * DAY_S)
    assert device.command(command).stale == ""
    operator.clock.advance(2 * DAY_S)
    assert device.command(command).stale.startswith("it expired at 2026-06-08")


def test_before_anything_was_verified_nobody_is_trusted(operator, tmp_path):
    device = operator.device(tmp_path / "fresh")
    with pytest.raises(Unavailable):
        device.command(operator.repository.sign_command(PAYLOAD))


def test_a_refresh_that_fails_leaves_the_keys_that_were_verified_before(operator, device):
    command = operator.repository.sign_command(PAYLOAD)
    operator.broker.lose(operator.root.index())
    with pytest.raises(Unavailable):
        device.refresh()
    assert device.command(command).payload == PAYLOAD


def test_too_long_an_envelope_is_not_parsed():
    with pytest.raises(TooLarge):
        _decoded(b"[" * (ENVELOPE_MAX_BYTES + 1))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_garbage_is_refused_as_such(content):
    with pytest.raises(WireError):
        _decoded(content)


def test_a_changed_byte_anywhere_in_the_envelope_ends_its_trust(operator, device):
    content = operator.repository.sign_command(PAYLOAD)
    for at in range(0, len(content), 3):
        changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        try:
            payload = device.command(changed).payload
        except WireError:
            continue
        # The last digit of base64 has bits that mean nothing.
        assert payload == PAYLOAD
