import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.redaction import HIDDEN, SHORTEST, redact


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("opening rtsp://cam:hunter2@10.0.0.9/live", f"opening rtsp://{HIDDEN}@10.0.0.9/live"),
        ("mqtts://:p%40ss@host:8883 failed", f"mqtts://{HIDDEN}@host:8883 failed"),
        ("mqtt://user@host stays", "mqtt://user@host stays"),
        ("password=hunter2 next", f"password={HIDDEN} next"),
        ("mqtt_password: 'hunter 2' next", f"mqtt_password: {HIDDEN} next"),
        ('{"api_key": "abc", "b": 1}', '{"api_key": ' + HIDDEN + ', "b": 1}'),
        ("Bearer token=abc.def;x", f"Bearer token={HIDDEN};x"),
        ("no secret here: 12 passwords", "no secret here: 12 passwords"),
        (
            "a\n-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----\nb",
            f"a\n{HIDDEN}\nb",
        ),
        ("-----BEGIN RSA PRIVATE KEY-----\ncut off", HIDDEN),
    ],
)
def test_secrets_of_known_form_are_hidden(text, kept):
    assert redact(text) == kept


@given(st.text(), st.text(min_size=SHORTEST).filter(lambda text: text not in HIDDEN * 3), st.text())
def test_a_known_secret_never_stays(before, secret, after):
    assert secret not in redact(f"{before}{secret}{after}", [secret]).replace(HIDDEN, "\0")
