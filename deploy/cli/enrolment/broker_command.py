"""`shoal broker-config`: a Mosquitto that knows this fleet."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from agent.core.broker_url import parse_url
from agent.core.page.place import bracketed
from agent.wire.errors import ConfigError
from deploy.assemble.desk import workspaces
from deploy.assemble.enrolment import broker_files, homes
from deploy.assemble.enrolment.broker_files import OperatorFiles, Wanted
from deploy.assemble.enrolment.homes import HomeFiles
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.cli.factory.number_options import whole
from deploy.core import names
from deploy.core.enrolment import mosquitto
from deploy.core.enrolment.mosquitto import Listening, Upstream
from deploy.core.refusal import Refused

EPILOG = """\
examples:
  shoal broker-config --host broker.local --host 192.168.1.10
  shoal broker-config --host broker.local --password-port 8884 --homeassistant
  shoal broker-config --host hall-3.local --site hall-3 --bridge-to mqtts://broker.local --out hall-3
"""


PORT_MAX = 65_535


def _host(text: str) -> str:
    """As a client will write it, for the certificate names it."""
    try:
        if parse_url(f"mqtts://{bracketed(text)}").host == text:
            return text
    except ConfigError:
        pass
    raise ArgumentTypeError(f"{text!r} is not the name or the address of a host, without a port")


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument(
        "--host",
        type=_host,
        action="append",
        required=True,
        metavar="NAME",
        help="a name or an address by which it is reached; may be given again",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: broker, in the workspace")
    parser.add_argument(
        "--place",
        default=mosquitto.PLACE,
        metavar="DIR",
        help="where its files will lie on its machine (default: /etc/mosquitto/shoal)",
    )
    parser.add_argument(
        "--store", default=mosquitto.STORE, metavar="DIR", help="where it keeps what is retained"
    )
    parser.add_argument(
        "--listen", default="", metavar="ADDRESS", help="default: every address of its machine"
    )
    parser.add_argument(
        "--port", type=whole(1, PORT_MAX), default=mosquitto.PORT, help=f"default: {mosquitto.PORT}"
    )
    parser.add_argument(
        "--password-port",
        type=whole(1, PORT_MAX),
        metavar="PORT",
        help="listen there too, for devices with a password",
    )
    parser.add_argument(
        "--save-s",
        type=whole(1),
        metavar="S",
        help=f"seconds that a kill may take back (default: {mosquitto.SAVE_S}; {mosquitto.SITE_SAVE_S} with "
        "--bridge-to)",
    )
    parser.add_argument("--user", default="", metavar="NAME", help="whom it runs as (default: mosquitto)")
    parser.add_argument("--bridge-to", metavar="URL", help="make it a cache of this broker, for one site")
    parser.add_argument("--site", metavar="NAME", help="with --bridge-to: the site's name")
    parser.add_argument(
        "--homeassistant",
        action="store_true",
        help="let a Home Assistant in: a certificate, and a password where there is --password-port",
    )
    command.add_json(parser)


def run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    upstream = _upstream(options)
    save_s = options.save_s or (mosquitto.SAVE_S if upstream is None else mosquitto.SITE_SAVE_S)
    listening = Listening(
        folder=options.place,
        store=options.store,
        port=options.port,
        address=options.listen,
        password_port=options.password_port,
        save_s=save_s,
        user=options.user,
    )
    target = (options.out or broker_files.folder(workspace)).resolve()
    home = (
        homes.admit(workspace, password=options.password_port is not None) if options.homeassistant else None
    )
    files = broker_files.write(workspace, Wanted(tuple(options.host), listening, upstream), target)
    if options.json:
        told = {"folder": str(target), "ca": str(files.ca), "certificate": str(files.certificate)}
        if home is not None:
            told |= {"home_certificate": str(home.certificate), "home_password": str(home.password or "")}
        output.say_json(told)
    else:
        ours = _for_us(options.host[0], options.port, files, workspace.folder) if upstream is None else ()
        output.say(*_said(target), *ours, *([] if home is None else _for_home(home, options.password_port)))
    return 0


def _upstream(options: Namespace) -> Upstream | None:
    if options.bridge_to is None:
        if options.site is not None:
            raise Refused("--site names a site's own broker: say with --bridge-to what it is a cache of")
        return None
    if options.site is None:
        raise Refused("--bridge-to needs --site NAME: the broker above knows each site by its name")
    address = parse_url(options.bridge_to)
    return Upstream(names.segment("site", options.site), address.host, address.port, address.tls)


def _for_home(home: HomeFiles, password_port: int | None) -> list[str]:
    lines = [
        "",
        "for Home Assistant's MQTT integration:",
        f"  {home.certificate} and {home.key.name} beside it",
    ]
    if home.password is not None:
        lines.append(f"  or port {password_port}, user homeassistant, the password in {home.password}")
    return lines


def _said(target: Path) -> list[str]:
    return [
        f"wrote {target}, which holds the broker's key; carry it to the broker's machine, and there:",
        f"  sudo sh {target.name}/install",
    ]


def _for_us(host: str, port: int, files: OperatorFiles, folder: Path) -> list[str]:
    """As that file reads them, so that the workspace can be moved."""
    ca, certificate, key = (path.relative_to(folder) for path in (files.ca, files.certificate, files.key))
    return [
        "",
        "for shoal.toml here:",
        "  [broker]",
        f'  url = "mqtts://{bracketed(host)}:{port}"',
        f'  ca = "{ca}"',
        f'  certificate = "{certificate}"',
        f'  key = "{key}"',
    ]


COMMAND = Command(
    "broker-config", "write the configuration of a Mosquitto that knows this fleet", add_options, run, EPILOG
)
