import pytest

from agent.core.broker_url import BrokerUrl, parse_url, parse_urls
from agent.wire.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("mqtt://broker", BrokerUrl("broker", 1883, tls=False)),
        ("mqtts://broker.example.org", BrokerUrl("broker.example.org", 8883, tls=True)),
        ("mqtt://10.0.0.7:2883/", BrokerUrl("10.0.0.7", 2883, tls=False)),
        ("mqtts://maker@broker:1", BrokerUrl("broker", 1, tls=True, username="maker")),
        ("mqtt://a%40b@broker", BrokerUrl("broker", 1883, tls=False, username="a@b")),
        ("mqtt://[::1]:1884", BrokerUrl("::1", 1884, tls=False)),
        ("MQTT://Broker_1.local", BrokerUrl("broker_1.local", 1883, tls=False)),
    ],
)
def test_a_url_names_host_port_and_whether_tls(text, url):
    assert parse_url(text) == url


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("broker:1883", "begin with mqtt://"),
        ("http://broker", "begin with mqtt://"),
        ("", "begin with mqtt://"),
        ("mqtt://", "not the name or the address"),
        ("mqtt://:1883", "not the name or the address"),
        ("mqtt://bro ker", "not the name or the address"),
        ("mqtt://-broker", "not the name or the address"),
        ("mqtt://" + "a" * 64, "not the name or the address"),
        ("mqtt://broker:99999", "out of range"),
        ("mqtt://broker:port", "could not be cast"),
        ("mqtt://broker:0", "port 0"),
        ("mqtt://[::1", "IPv6"),
        ("mqtt://broker/topic", "nothing may follow"),
        ("mqtt://broker?x=1", "nothing may follow"),
    ],
)
def test_what_names_no_broker_is_refused_with_the_reason(text, because):
    with pytest.raises(ConfigError, match=because):
        parse_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "mqtt://maker:hunter2@broker",
        "maker:hunter2@broker",
        "http://maker:hunter2@broker",
        "mqtt://maker:hunter2@broker:99999",
        "mqtt://maker:hunter2/@broker",
        "mqtt://maker:hun/hunter2@broker",
        "mqtt://maker:hunter2@[broker",
    ],
)
def test_a_password_in_the_url_is_refused_without_being_shown(text):
    with pytest.raises(ConfigError) as refused:
        parse_url(text)
    assert "hunter2" not in str(refused.value)


def test_several_brokers_are_written_with_commas_and_each_counts_once():
    text = " mqtts://maker@a, mqtts://maker@b:1,mqtts://maker@a:8883,mqtts://maker@[::1]:2 "
    assert [url.place for url in parse_urls(text)] == ["a:8883", "b:1", "[::1]:2"]


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("mqtt://a,mqtts://b", "some are not"),
        ("mqtt://x@a,mqtt://y@b", "different users"),
        ("mqtt://a,b", "not the name or the address"),
        ("mqtt://a,", "not the name or the address"),
        ("mqtt://a,mqtt://", "not the name or the address"),
    ],
)
def test_brokers_that_cannot_stand_for_each_other_are_refused(text, because):
    with pytest.raises(ConfigError, match=because):
        parse_urls(text)


def test_a_comma_in_a_password_shows_nothing_of_it():
    with pytest.raises(ConfigError) as refused:
        parse_urls("mqtt://maker:hun,ter2@broker")
    assert "ter2" not in str(refused.value)
