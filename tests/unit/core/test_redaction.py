import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.redaction import HIDDEN, SHORTEST, redact, shown_url


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
        ("rtsp://cam:p@ss/w0rd@10.0.0.9/live went", f"rtsp://{HIDDEN}@10.0.0.9/live went"),
        ("http://cam/snap?user=me&pwd=hunter2&n=1", f"http://cam/snap?user=me&pwd={HIDDEN}&n=1"),
        ("rtsp://host:554/live for me@home", "rtsp://host:554/live for me@home"),
        ("compass: north, passes: 3", "compass: north, passes: 3"),
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


@given(
    st.sampled_from(["rtsp://", "mqtt://", "http:", ""]),
    st.text("abc", max_size=5),
    st.text("/:@?#%QRSTU[]", min_size=4).filter(lambda word: any(letter in word for letter in "QRSTU")),
    st.sampled_from(["cam", "cam:554/live", "[fe80::1]:1/x", "cam:99999"]),
)
def test_no_letter_of_a_password_is_shown_however_badly_the_address_is_written(scheme, user, password, place):
    assert not set(shown_url(f"{scheme}{user}:{password}@{place}")) & set("QRSTU")


def test_an_address_without_a_password_is_shown_as_it_is():
    for url in ("rtsp://cam:554/live", "mqtt://me@host", "/dev/video0", "rtsp://[fe80::1]:554/a"):
        assert shown_url(url) == url
