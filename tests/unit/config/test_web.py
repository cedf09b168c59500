import pytest

from agent import config
from agent.config import Origin
from agent.wire.errors import ConfigError

ANYWHERE = "web.listen = '0.0.0.0:8480'\n"


def examined(folder, text, **credentials):
    path, secrets = folder / "agent.toml", folder / "credentials"
    path.write_text(text)
    secrets.mkdir(exist_ok=True)
    for name, content in credentials.items():
        (secrets / name).write_text(content)
    return config.examine(path, {"CREDENTIALS_DIRECTORY": str(secrets)})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[web]\nlisten = '8480'", "line 2: web.listen"),
        ("[web]\nlisten = 'pi:99999'", "line 2: web.listen: 'pi:99999' names port 99999"),
        ("[web]\nlisten = '0.0.0.0:8480'", "line 2: web.listen '0.0.0.0:8480' can be reached from elsewhere"),
        ("[web]\nlisten = '[::]:8480'", "line 2: web.listen '[::]:8480' can be reached from elsewhere"),
        (
            "[web]\nlisten = '[fe80::1%eth0]:8480'",
            "line 2: web.listen: '[fe80::1%eth0]:8480' names a zone",
        ),
        (
            "[web]\nlisten = '127.0.0.1:8480'\nproxy = '127.0.0.1'",
            "line 2: web.listen '127.0.0.1:8480' can be reached from elsewhere, and there is no password",
        ),
        (
            "[web]\nlisten = '127.0.0.1:8480'\nproxy = '*'\npassword_file = 'secret'",
            "line 3: web.proxy '*' is no address",
        ),
        ("[web]\ncertificate = 'a.pem'", "line 2: web.certificate and web.key belong together"),
        ("[web]\nkey = 'a.pem'", "line 2: web.certificate and web.key belong together"),
        (
            "[broker]\nurl = 'mqtt://localhost:1999'\n[web]\nlisten = '127.0.0.1:1999'",
            "line 4: web.listen '127.0.0.1:1999' has the port of broker.url",
        ),
    ],
)
def test_a_page_that_cannot_be_is_refused_in_one_sentence(tmp_path, text, said):
    with pytest.raises(ConfigError, match=r"agent\.toml") as refused:
        examined(tmp_path, text)
    assert said in str(refused.value)


def test_a_password_opens_the_page_to_others(tmp_path):
    settings = examined(tmp_path, f"{ANYWHERE}web.password_file = 'secret'").settings
    assert settings.web.password_file == str(tmp_path / "secret")


def test_the_service_manager_hands_a_password_over(tmp_path):
    found = examined(tmp_path, ANYWHERE, web_password="a wet shoal")
    assert found.settings.web.password_file == str(tmp_path / "credentials/web_password")
    told = {each.key: each for each in config.effective(found)}
    assert told["web.password_file"].origin is Origin.CREDENTIAL
    assert "a wet shoal" not in str(told)


def test_the_page_moves_without_a_restart(tmp_path):
    before = examined(tmp_path, "").settings
    after = examined(tmp_path, "web.listen = '127.0.0.1:8480'").settings
    changes = config.compare(before, after)
    assert [change.key for change in changes.applied] == ["web.listen"]
    assert (changes.restart, changes.settings.web) == ((), after.web)
