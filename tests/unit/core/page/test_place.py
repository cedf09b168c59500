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


@pytest.mark.parametrize(
    ("listen", "because"),
    [
        ("8480", "no address with a port"),
        (":8480", "no address with a port"),
        ("pi.local:", "no address with a port"),
        ("pi.local:http", "no address with a port"),
        ("pi:65536", "the highest there is"),
        ("pi:\u0661", "no address with a port"),
        ("[::1]", "no address with a port"),
        ("::1:8480", "without its brackets"),
        ("fe80::1", "no IPv6 address"),
        ("[::1:8480", "without its brackets"),
        ("[pi.local]:8480", "'pi.local' is no IPv6 address"),
        ("[fe80::1%eth0]:8480", "names a zone"),
    ],
)
def test_anything_else_is_refused_with_the_reason(listen, because):
    with pytest.raises(ConfigError, match=because):
        place.parse(listen)


@pytest.mark.parametrize("proxy", ["127.0.0.1", "::1, 10.0.0.0/8"])
def test_behind_a_proxy_anybody_may_reach_loopback(proxy):
    found = place.parse("127.0.0.1:8480", proxy)
    assert (found.proxy, found.loopback, str(found)) == (proxy, False, "127.0.0.1:8480")


@pytest.mark.parametrize("proxy", ["*", "proxy.local", "127.0.0.1:80", "10.0.0.1/8"])
def test_a_proxy_is_an_address_and_not_whoever_says_so(proxy):
    with pytest.raises(ConfigError, match="is no address"):
        place.parse("127.0.0.1:8480", proxy)


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
