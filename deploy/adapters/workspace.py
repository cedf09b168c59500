"""The operator's folder: `shoal.toml`, the keys, the signed repository and the files of releases."""

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from agent.wire.errors import ConfigError, StoreFailed
from agent.wire.topics import Digest, MqttVersion, sha256
from deploy.adapters.whole_file import FOR_ALL, make_folder, write_whole
from deploy.core.refusal import Refused

FILE: Final = "shoal.toml"


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Fleet(Section, frozen=True, kw_only=True):
    name: str = "home"
    stream: str = "main"


class Broker(Section, frozen=True, kw_only=True):
    url: str = "mqtt://127.0.0.1:1883"
    """Several that bear the same fleet: with commas between them."""
    independent: bool = False
    """Each of them keeps for itself what it was given: everything is published to all. Else they are nodes of
    one cluster, and one of them is enough."""
    subscribe_qos: Literal[0, 1] = 1
    """0 for a NATS cluster."""
    root: str = "shoal/home"
    protocol: MqttVersion = MqttVersion.MQTT_3_1_1
    username: str = ""
    password_file: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""


class Approval(Section, frozen=True, kw_only=True):
    keys: tuple[Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")], ...] = ()
    """Public keys whose signatures let a wave begin that the policy names."""


class Accept(StrEnum):
    BY_HAND = "by-hand"
    WITH_TOKEN = "with-token"  # noqa: S105 - a word of the settings


class Claims(Section, frozen=True, kw_only=True):
    accept: Accept = Accept.BY_HAND
    """Whom `shoal serve` gives an identity: nobody, or whoever has a claim token that is good."""


class Web(Section, frozen=True, kw_only=True):
    """The fleet's page, a child of `shoal serve`."""

    listen: Annotated[
        str,
        Meta(
            pattern=r"\A(.+:\d{1,5})?\Z",
            description="an address and a port, such as 127.0.0.1:8470 or 0.0.0.0:8470; nothing for no page",
        ),
    ] = "127.0.0.1:8470"
    """Beyond loopback users are needed: `shoal users add`."""
    proxy: str = ""
    """The address of a reverse proxy in front of it, which is believed; several with commas. Users are
    needed."""
    certificate: str = ""
    key: str = ""
    """For https, in PEM."""


class Settings(Section, frozen=True, kw_only=True):
    fleet: Fleet = Fleet()
    broker: Broker = Broker()
    approval: Approval = Approval()
    claims: Claims = Claims()
    web: Web = Web()


TEMPLATE = """\
# The workspace of a Shoal fleet. Relative paths are relative to this file.

[fleet]
name = {name}
# Devices follow one stream of rollouts; a second stream is a second plan.
stream = {stream}

[broker]
# mqtt://host:port, or mqtts://host:port for TLS; several with commas between them.
url = {url}
# All topics stand below this prefix.
root = {root}
# "3.1.1" or "5".
protocol = {protocol}
# independent = true    # several brokers that know nothing of each other
# subscribe_qos = 0     # a NATS cluster
# username = "operator"
# password_file = "broker-password"
# ca = "ca.pem"
# certificate = "operator.pem"
# key = "operator.key"

# Waves that a policy names begin only with the signature of one of these; shoal approver FILE makes a key.
# [approval]
# keys = []

# "with-token": shoal serve gives an identity to every device that claims one with a good token.
# [claims]
# accept = "by-hand"

# The fleet's page, as long as shoal serve runs. Nobody can order anything there until shoal users add NAME;
# beyond loopback it needs users, and had better speak https. listen = "": no page.
# [web]
# listen = "127.0.0.1:8470"
# proxy = "127.0.0.1"    # a reverse proxy in front of it; it needs users then, too
# certificate = "page.pem"
# key = "page.key"
"""


def quoted(text: str) -> str:
    """The text as a TOML string: JSON's escapes are a subset of TOML's."""
    return msgspec.json.encode(text).decode()


S = TypeVar("S", Broker, Web)


class Workspace:
    """Paths and settings of one workspace; it holds no open files."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    @property
    def online_keys(self) -> Path:
        return self.folder / "keys" / "online"

    @property
    def offline_keys(self) -> Path:
        return self.folder / "keys" / "offline"

    @property
    def root_of_trust(self) -> Path:
        """What devices are given as their pinned root."""
        return self.folder / "root.json"

    def approvers(self) -> tuple[str, ...]:
        """The keys that count as a second person's, as the file lists them now.

        Raises:
            ConfigError: as `read`.
        """
        return read(self.folder / FILE).approval.keys

    @property
    def ledger(self) -> Path:
        """What was decided about rollouts and devices."""
        return self.folder / "ledger.sqlite"

    @property
    def users(self) -> Path:
        """Of the fleet's page."""
        return self.folder / "users.json"

    @property
    def evaluations(self) -> Path:
        """What `shoal evaluate` wrote of each release, by the digest of its manifest."""
        return self.folder / "evaluations"

    @property
    def acting_lock(self) -> Path:
        return self.folder / "acting.lock"

    @property
    def controller_lock(self) -> Path:
        return self.folder / "controller.lock"

    @property
    def artifacts(self) -> Path:
        return self.repository / "artifacts"


def find(start: Path) -> Workspace:
    """The workspace that the folder lies in.

    Raises:
        ConfigError: there is none, or its `shoal.toml` cannot be read.
    """
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return Workspace(folder, read(folder / FILE))
    raise ConfigError(
        f"there is no {FILE} in {here} or above it: make a workspace with shoal init DIR, "
        "or name one with --workspace DIR"
    )


def read(path: Path) -> Settings:
    """The settings in the file, with its paths made absolute.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or holds an unknown key or an impossible value.
    """
    try:
        settings = msgspec.toml.decode(path.read_bytes(), type=Settings)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    return msgspec.structs.replace(
        settings,
        broker=_absolute(settings.broker, ("password_file", "ca", "certificate", "key"), path.parent),
        web=_absolute(settings.web, ("certificate", "key"), path.parent),
    )


def _absolute(section: S, names: tuple[str, ...], folder: Path) -> S:
    """With the paths of these names made absolute."""
    given = {name: str(getattr(section, name)) for name in names if getattr(section, name)}
    files = {name: str(folder / Path(path).expanduser()) for name, path in given.items()}
    return msgspec.structs.replace(section, **files)


def create(folder: Path, settings: Settings) -> Workspace:
    """An empty workspace, readable by its owner only.

    Raises:
        Refused: the folder has something in it.
        StoreFailed: the disk refused.
    """
    workspace = Workspace(folder.resolve(), settings)
    if (workspace.folder / FILE).exists():
        raise Refused(f"{workspace.folder} is a workspace already: choose another folder")
    if workspace.folder.is_dir() and any(workspace.folder.iterdir()):
        raise Refused(f"{workspace.folder} is not empty: choose another folder")
    try:
        workspace.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for inside in (workspace.folder / "keys", workspace.online_keys, workspace.offline_keys):
            inside.mkdir(mode=0o700)
        workspace.artifacts.mkdir(parents=True)
    except OSError as error:
        raise StoreFailed(f"{workspace.folder} cannot be made: {error.strerror}") from error
    return workspace


def write_settings(workspace: Workspace) -> None:
    """Write `shoal.toml`: last of all, because it is what makes the folder a workspace."""
    settings = workspace.settings
    text = TEMPLATE.format(
        name=quoted(settings.fleet.name),
        stream=quoted(settings.fleet.stream),
        url=quoted(settings.broker.url),
        root=quoted(settings.broker.root),
        protocol=quoted(settings.broker.protocol),
    )
    write_file(workspace.folder / FILE, text.encode())


def write_file(path: Path, content: bytes) -> None:
    """Replace the file at once: a reader sees the old content or the new one.

    Raises:
        StoreFailed: the disk refused.
    """
    make_folder(path.parent, 0o777)
    write_whole(path, content, FOR_ALL)


class ArtifactFolder:
    """Files named by their SHA-256."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes) -> Digest:
        digest = sha256(content)
        if not (self._folder / digest).is_file():
            write_file(self._folder / digest, content)
        return digest

    def get(self, digest: Digest) -> bytes:
        path = self._folder / digest
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StoreFailed(
                f"artifact {path} cannot be read ({error.strerror}): release the model again to restore it"
            ) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise StoreFailed(f"artifact {path} is damaged: delete it and release the model again")
        return content
