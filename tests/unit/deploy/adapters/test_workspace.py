import pytest

from agent.wire.errors import ConfigError, StoreFailed
from agent.wire.topics import MqttVersion
from deploy.adapters import workspace
from deploy.adapters.workspace import ArtifactFolder, Broker, Fleet, Settings
from deploy.assemble.controller import rollouts
from deploy.core.refusal import Refused
from deploy.simulation import scenario

SETTINGS = Settings(
    fleet=Fleet(name="garden", stream="beta"),
    broker=Broker(url='mqtt://a"b', root="shoal/garden", protocol=MqttVersion.MQTT_5),
)


def made(folder):
    created = workspace.create(folder, SETTINGS)
    workspace.write_settings(created)
    return created


def test_a_workspace_is_found_from_below_with_the_settings_it_was_made_with(tmp_path):
    made(tmp_path / "w")
    below = tmp_path / "w" / "a" / "b"
    below.mkdir(parents=True)
    found = workspace.find(below)
    assert (found.folder, found.settings) == ((tmp_path / "w").resolve(), SETTINGS)


def test_keys_are_for_their_owner_only(tmp_path):
    created = made(tmp_path / "w")
    for folder in (created.folder, created.online_keys, created.offline_keys):
        assert folder.stat().st_mode & 0o077 == 0


def test_outside_of_any_workspace_the_operator_is_told_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="make a workspace with shoal init DIR"):
        workspace.find(tmp_path)


def test_a_folder_that_is_in_use_is_refused_and_left_alone(tmp_path):
    made(tmp_path / "w")
    before = (tmp_path / "w" / workspace.FILE).read_bytes()
    with pytest.raises(Refused, match="is a workspace already"):
        workspace.create(tmp_path / "w", SETTINGS)
    assert (tmp_path / "w" / workspace.FILE).read_bytes() == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(Refused, match="is not empty"):
        workspace.create(tmp_path / "full", SETTINGS)


def test_paths_in_the_settings_are_relative_to_their_file(tmp_path):
    path = tmp_path / workspace.FILE
    path.write_text('[broker]\npassword_file = "p"\nca = "/etc/ca.pem"\n')
    broker = workspace.read(path).broker
    assert (broker.password_file, broker.ca, broker.key) == (str(tmp_path / "p"), "/etc/ca.pem", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[brokr]\n", "unknown field `brokr`"),
        ("[broker\n", "shoal.toml"),
        ('[broker]\nprotocol = "4"', "protocol"),
    ],
)
def test_wrong_settings_are_named(tmp_path, text, said):
    path = tmp_path / workspace.FILE
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        workspace.read(path)


@pytest.mark.parametrize(
    "reader", [workspace.read, rollouts.read_policy, lambda path: scenario.read(str(path))]
)
def test_a_file_that_is_no_text_is_told_so_in_words(tmp_path, reader):
    path = tmp_path / "settings.toml"
    path.write_bytes(b"[broker]\n\xd2\n")
    with pytest.raises(ConfigError, match=r"settings\.toml is not UTF-8 text: "):
        reader(path)


def test_an_artifact_is_kept_once_and_comes_back(tmp_path):
    folder = ArtifactFolder(tmp_path)
    digest = folder.put(b"model")
    assert folder.put(b"model") == digest
    assert (folder.get(digest), [path.name for path in tmp_path.iterdir()]) == (b"model", [digest])


def test_a_damaged_or_missing_artifact_is_never_handed_out(tmp_path):
    folder = ArtifactFolder(tmp_path)
    digest = folder.put(b"model")
    (tmp_path / digest).write_bytes(b"m0del")
    with pytest.raises(StoreFailed, match="is damaged"):
        folder.get(digest)
    (tmp_path / digest).unlink()
    with pytest.raises(StoreFailed, match="cannot be read"):
        folder.get(digest)
