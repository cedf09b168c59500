"""`shoal init`, `publish`, `sign` and `device-config`: the workspace and what others get from it."""

from argparse import ArgumentParser, Namespace
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from deploy.adapters.repository_tuf.keys import Role
from deploy.adapters.workspace import Workspace
from deploy.assemble.desk import publishing, workspaces
from deploy.assemble.desk.workspaces import Wanted
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.core.device_config import CameraKind

INIT_EPILOG = """\
examples:
  shoal init fleet
  shoal init fleet --broker mqtt://192.168.1.10:1883 --fleet garden
"""


class Made(Struct, frozen=True, kw_only=True):
    workspace: str
    broker: str
    root: str
    root_of_trust: str
    offline_keys: str


class Configured(Struct, frozen=True, kw_only=True, omit_defaults=True):
    device: str
    file: str | None = None
    root_of_trust: str | None = None
    configuration: str | None = None
    """Where it was not written into a file."""


def add_init_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="the workspace to make: a new or empty folder"
    )
    parser.add_argument(
        "--broker",
        default="mqtt://127.0.0.1:1883",
        metavar="URL",
        help="mqtt://host:port, or mqtts:// for TLS (default: mqtt://127.0.0.1:1883)",
    )
    parser.add_argument("--fleet", default="home", metavar="NAME", help="name of the fleet (default: home)")
    parser.add_argument(
        "--root",
        metavar="PREFIX",
        help="prefix of all topics on the broker (default: shoal/ and the fleet's name)",
    )
    command.add_json(parser)


def run_init(options: Namespace) -> int:
    root = options.root or f"shoal/{options.fleet}"
    workspace = workspaces.create(options.folder, fleet=options.fleet, url=options.broker, root=root)
    if options.json:
        made = Made(
            workspace=str(workspace.folder),
            broker=options.broker,
            root=root,
            root_of_trust=str(workspace.root_of_trust),
            offline_keys=str(workspace.offline_keys),
        )
        output.say_json(made)
    else:
        output.say(*_next_steps(workspace, options.folder))
    return 0


def _next_steps(workspace: Workspace, folder: Path) -> list[str]:
    broker, fleet = workspace.settings.broker, workspace.settings.fleet
    return [
        f"made {folder}: fleet {fleet.name} on {broker.url}, topics below {broker.root}",
        "",
        "KEEP THE OFFLINE KEYS AWAY FROM THIS MACHINE: whoever has them can sign any model for the fleet.",
        f"  mv {folder}/keys/offline STICK/     then give shoal release --offline-keys STICK/offline",
        "",
        "next:",
        f"  cd {folder}",
        "  shoal model fetch efficientnet_lite0",
        "  shoal release efficientnet_lite0_224_uint8.tflite --labels labels.txt --name lite0 --version 1",
        "  shoal rollout start lite0 --waves all",
        "  shoal device-config pi-1 -o device/pi-1.toml    on the device: shoal-agent run --config pi-1.toml",
    ]


def add_publish_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    command.add_json(parser)


def run_publish(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    with output.progress("publishing") as on_progress:
        releases = publishing.publish_everything(workspace, on_progress)
    names = [f"{ref.name}@{ref.version}" for ref in releases]
    if options.json:
        output.say_json({"releases": names})
    else:
        output.say(
            f"published: metadata, plans and {len(names)} releases{': ' + ', '.join(names) if names else ''}"
        )
    return 0


def add_sign_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument(
        "--renew",
        action="store_true",
        help="sign afresh what the offline keys sign too: once a year is enough",
    )
    command.add_offline_keys(parser)
    command.add_json(parser)


def run_sign(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    with output.progress("publishing") as on_progress:
        if options.renew:
            ends = publishing.renew(workspace, options.offline_keys, on_progress)
        else:
            ends = publishing.sign(workspace, on_progress)
    return _tell_ends(ends, "signed afresh and published", to_program=options.json)


def add_rotate_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument(
        "role", choices=command.names(Role), metavar="ROLE", help=f"one of {', '.join(command.names(Role))}"
    )
    command.add_offline_keys(parser)
    command.add_json(parser)


def run_rotate(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    with output.progress("publishing") as on_progress:
        ends = publishing.rotate(workspace, options.offline_keys, Role(options.role), on_progress)
    return _tell_ends(ends, f"the keys of {options.role} are replaced and published", to_program=options.json)


def _tell_ends(ends: dict[str, datetime], done: str, *, to_program: bool) -> int:
    if to_program:
        output.say_json(ends)
    else:
        listed = ", ".join(f"{role} {end:%Y-%m-%d}" for role, end in sorted(ends.items(), key=lambda e: e[1]))
        output.say(done, f"valid until: {listed}")
    return 0


def add_device_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument(
        "id", metavar="ID", help="the device's name: letters, digits, dots, dashes, underscores"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write it there, and the root of trust root.json beside it (default: print it)",
    )
    parser.add_argument(
        "--broker", metavar="URL", help="the broker as the device reaches it (default: as we do)"
    )
    parser.add_argument(
        "--camera",
        choices=command.names(CameraKind),
        default=CameraKind.PATTERN.value,
        help="pattern (drawn test pictures, the default), auto (the Pi's own camera, else a webcam), "
        "picamera2, v4l2; the file knows more kinds",
    )
    command.add_json(parser)


def run_device_config(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    wanted = Wanted(options.id, options.broker, CameraKind(options.camera))
    if options.output is None:
        _show_config(workspaces.device_config(workspace, wanted), options)
        return 0
    beside = workspaces.write_device_config(workspace, wanted, options.output)
    if options.json:
        output.say_json(Configured(device=options.id, file=str(options.output), root_of_trust=str(beside)))
        return 0
    output.say(
        f"wrote {options.output}; it needs {beside} beside it on the device",
        f"next, on the device: shoal-agent run --config {options.output.name}",
    )
    return 0


def _show_config(text: str, options: Namespace) -> None:
    if options.json:
        output.say_json(Configured(device=options.id, configuration=text))
    else:
        output.say(text.rstrip())


INIT = Command(
    "init",
    "make a workspace: keys, repository, settings",
    add_init_options,
    run_init,
    INIT_EPILOG,
    also=("device-config", "release"),
)
PUBLISH_EPILOG = """\
examples:
  shoal publish

shoal serve does it by itself when a broker has forgotten, or serves an older plan.
"""
SIGN_EPILOG = """\
examples:
  shoal sign
  shoal sign --renew --offline-keys /mnt/stick/offline

Without --renew it needs the online keys alone; shoal serve does that by itself.
"""
ROTATE_EPILOG = """\
examples:
  shoal rotate-keys rollouts --offline-keys /mnt/stick/offline

Devices follow by themselves, those too that were switched off meanwhile; the old keys sign for nobody from
then on.
"""
DEVICE_EPILOG = """\
examples:
  shoal device-config pi-1 -o device/pi-1.toml
  shoal device-config pi-1 --camera auto --broker mqtt://192.168.1.10:1883 -o device/pi-1.toml
  shoal device-config pi-1 | less

For a fleet whose broker asks who somebody is: shoal enrol, which makes certificate, seal and this file.
"""
PUBLISH = Command(
    "publish",
    "publish everything again, for instance after the broker lost its memory",
    add_publish_options,
    run_publish,
    PUBLISH_EPILOG,
    also=("serve", "sign"),
)
SIGN = Command(
    "sign",
    "sign the timestamp afresh and publish it, so that devices go on trusting: daily, weekly at least",
    add_sign_options,
    run_sign,
    SIGN_EPILOG,
    also=("serve", "rotate-keys"),
)
ROTATE = Command(
    "rotate-keys",
    "replace the keys of a role, for instance stolen ones",
    add_rotate_options,
    run_rotate,
    ROTATE_EPILOG,
    also=("sign",),
)
DEVICE_CONFIG = Command(
    "device-config",
    "write the configuration of one device",
    add_device_options,
    run_device_config,
    DEVICE_EPILOG,
    also=("enrol",),
)
