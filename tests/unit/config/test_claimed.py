import pytest

from agent import config
from agent.config import claimed
from agent.wire.errors import ConfigError

IMAGE = """
[device]
state_dir = "state"
tags = ["image"]
[broker]
url = "mqtts://hub"
ca = "ca.pem"
certificate = "claim.pem"
key = "claim.key"
[claim]
token_file = "claim.token"
enrolment_key = "enrolment.pem"
"""


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "agent.toml"
    path.write_text(IMAGE)
    (tmp_path / "state/identity").mkdir(parents=True)
    return path


def _identity(image):
    return image.parent / "state/identity/identity.json"


def test_a_device_from_an_image_claims_first(image):
    settings = config.read(image)
    assert claimed.pending(settings)
    assert settings.broker.certificate == str(image.parent / "claim.pem")
    assert claimed.name(settings) == ""
    (image.parent / "state/identity/name").write_text("3f9a\n")
    assert claimed.name(settings) == "3f9a"


def test_what_it_was_given_counts_from_then_on(image):
    _identity(image).write_text('{"device":"hall-7","tags":["hall"]}')
    settings = config.read(image)
    folder = image.parent / "state/identity"
    assert not claimed.pending(settings)
    assert (settings.device.id, settings.device.tags) == ("hall-7", ("hall",))
    assert settings.device.seal_key_file == str(folder / "seal.key")
    assert (settings.broker.certificate, settings.broker.key) == (
        str(folder / "device.pem"),
        str(folder / "device.key"),
    )


@pytest.mark.parametrize("content", ["", "{}", '{"device":7}', "\x00"])
def test_a_damaged_identity_is_told_and_what_to_do(image, content):
    _identity(image).write_text(content)
    with pytest.raises(ConfigError, match="delete its folder"):
        config.read(image)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("[device]\n", '[device]\nid = "pi"\n', "claims none"),
        ('ca = "ca.pem"\n', "", "without broker.ca"),
        ('enrolment_key = "enrolment.pem"\n', "", "belong together"),
    ],
)
def test_contradictions_are_refused(image, before, after, words):
    image.write_text(IMAGE.replace(before, after))
    with pytest.raises(ConfigError, match=words):
        config.read(image)
