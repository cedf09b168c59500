import pytest

from agent.core.page import place
from agent.core.page.place import Place
from agent.wire.errors import ConfigError


@pytest.mark.parametrize(
    ("listen", "expected", "loopback"),
    [
        ("127.0.0.1:8480", Place("127.0.0.1", 8480), True),
        ("localhost:0", Place("localhost", 0), True),
        ("[::1]:8480", Place("::1", 8480), True),
        ("0.0.0.0:8480", Place("0.0.0.0", 8480), False),
        ("[::]:65535", Place("::", 65535), False),
        ("pi.local:80", Place("pi.local", 80), False),
        ("127.9.9.9:1", Place("127.9.9.9", 1), True),
    ],
)
def test_an_address_with_a_port_is_a_place(listen, expected, loopback):
    found = place.parse(listen)
    assert (found, found.loopback, str(found)) == (expected, loopback, listen)


@pytest.mark.parametrize("listen", ["8480", ":8480", "pi.local:", "pi.local:http", "pi:65536", "pi:\u0661"])
def test_anything_else_is_refused(listen):
    with pytest.raises(ConfigError):
        place.parse(listen)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost:8480", True),
        ("LOCALHOST", True),
        ("127.0.0.1:8480", True),
        ("[::1]:8480", True),
        ("evil.example:8480", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("192.168.1.7:8480", False),
        ("", False),
    ],
)
def test_only_a_name_that_nobody_else_can_have_is_our_own(host, own):
    assert place.own_name(host) is own
