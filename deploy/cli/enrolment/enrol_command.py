"""`shoal enrol`, `shoal revoke` and `shoal members`: who belongs to the fleet."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from msgspec import Struct

from agent.wire.documents import Delegate
from agent.wire.topics import DeviceId
from deploy.adapters.secret_files import write_secret
from deploy.adapters.whole_file import make_folder
from deploy.adapters.workspace import Workspace
from deploy.assemble.desk import workspaces
from deploy.assemble.enrolment import broker_files, enrolling, homes, membership
from deploy.assemble.enrolment.enrolling import Made, Wanted
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.core.device_config import CameraKind
from deploy.core.enrolment import parcel
from deploy.core.rollouts.state import Member

ENROL_EPILOG = """\
examples:
  shoal enrol pi-7 --tag line-3                 the device, its secrets, and the line to paste there
  shoal enrol pi-7 --tag line-4 --keep-keys     other tags, the same secrets
"""


class Answer(Struct, frozen=True, kw_only=True):
    device: str
    tags: tuple[str, ...]
    credential: str
    script: str
    void_certificates: int


def add_enrol_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument(
        "device", metavar="DEVICE", help="its name: letters, digits, dots, dashes, underscores"
    )
    tags = parser.add_mutually_exclusive_group()
    tags.add_argument(
        "--tag",
        action="append",
        dest="tags",
        metavar="T",
        help="for --match 'tag=T'; may be given again (default: those that it has)",
    )
    tags.add_argument("--no-tags", action="store_const", dest="tags", const=[], help="take its tags away")
    parser.add_argument(
        "--hardware",
        default="",
        choices=[each.value for each in Delegate],
        help="as far as it is known before it reports",
    )
    parser.add_argument(
        "--password", action="store_true", help="a password for the broker, instead of a certificate"
    )
    parser.add_argument(
        "--keep-keys", action="store_true", help="only tags or settings change; the device keeps its secrets"
    )
    parser.add_argument(
        "--broker", metavar="URL", help="the broker as the device reaches it (default: as we do)"
    )
    parser.add_argument(
        "--camera",
        choices=command.names(CameraKind),
        default=CameraKind.AUTO.value,
        help="default: auto, the Pi's own camera, else a webcam",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write the device's files there, each by itself (default: one script, enrolled/DEVICE.sh)",
    )
    parser.add_argument("--why", default="", metavar="WORDS", help="for the ledger")
    command.add_json(parser)


def run_enrol(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    wanted = Wanted(
        device=options.device,
        tags=None if options.tags is None else tuple(options.tags),
        hardware=options.hardware,
        url=options.broker,
        camera=CameraKind(options.camera),
        password=options.password,
        why=options.why,
    )
    # Before anything is decided: with its first member a fleet stops believing all others.
    make_folder(_folder(workspace, options.out), 0o700)
    made = (enrolling.change_tags if options.keep_keys else enrolling.enrol)(workspace, wanted)
    script = _write(workspace, made, options.out)
    if options.json:
        answer = Answer(
            device=made.member.id,
            tags=made.member.tags,
            credential=made.credential,
            script=str(script),
            void_certificates=made.void,
        )
        output.say_json(answer)
    else:
        output.say(*_said(made, script, workspace))
    return 0


def _folder(workspace: Workspace, out: Path | None) -> Path:
    return workspace.folder / "enrolled" if out is None else out


def _write(workspace: Workspace, made: Made, out: Path | None) -> Path:
    """The script; with `out`, beside the files themselves."""
    script = _folder(workspace, out) / (f"{made.member.id}.sh" if out is None else "install.sh")
    if out is not None:
        for name, content in made.parcel.files.items():
            write_secret(out / name, content)
    write_secret(script, parcel.script(made.parcel).encode())
    write_secret(script.with_suffix(".line"), f"{parcel.paste(made.parcel)}\n".encode())
    return script


def _said(made: Made, script: Path, workspace: Workspace) -> list[str]:
    device, tags = made.member.id, made.member.tags
    lines = [f"{device} belongs to the fleet" + (f", with the tags {', '.join(tags)}" if tags else "")]
    lines += _about(made, workspace)
    return [
        *lines,
        "next, where shoal-agent is installed there, from here:",
        f"  {parcel.over_ssh(str(script), device)}",
        f"or paste on the device the one line that stands in {script.with_suffix('.line')}",
        "both files hold the device's secrets: delete them when it has them",
    ]


def _about(made: Made, workspace: Workspace) -> list[str]:
    lines = []
    if not made.credential:
        lines.append("  the broker is not encrypted and asks nobody who he is: only its reports are sealed")
    elif made.credential != "password":
        lines.append("  its certificate lasts two years; shoal enrol makes the next one")
    if made.void or made.credential == "password":
        lines.append(f"  the broker must learn of it: {tell_broker(workspace)}")
    return lines


def tell_broker(workspace: Workspace) -> str:
    """What a person does so that the broker knows, too."""
    folder = broker_files.folder(workspace)
    if folder.is_dir():
        return f"sudo sh {folder}/install on its machine"
    return "shoal broker-config writes what a Mosquitto needs; any other is told in its own way"


def add_revoke_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument("device", metavar="DEVICE", help="the id of one device")
    parser.add_argument("--why", required=True, metavar="WORDS", help="for the ledger")
    command.add_json(parser)


def run_revoke(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    gone = enrolling.revoke(workspace, options.device, options.why)
    left = homes.forget(workspace, DeviceId(options.device))
    if options.json:
        output.say_json({"device": options.device, "void_certificates": gone, "left_in_homes": left})
        return 0
    output.say(
        f"{options.device} is expelled: what it reports is not believed, and no rollout counts it",
        f"  until the broker knows it can still connect: {tell_broker(workspace)}",
        "  the models that it has stay on it; reports that it left on the broker stay there, unheeded",
        *([] if left is None else [f"  a Home Assistant may go on showing it: {left}"]),
    )
    return 0


def add_members_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    command.add_json(parser)


def run_members(options: Namespace) -> int:
    found = membership.read_fleet(workspaces.find(options.workspace)).members
    members = tuple(found[device] for device in sorted(found))
    if options.json:
        output.say_json(members)
    elif members:
        output.say(output.Table(("DEVICE", "TAGS", "HARDWARE", "CREDENTIAL"), [_cells(m) for m in members]))
    else:
        output.say("nobody is enrolled yet, so every device is believed: shoal enrol DEVICE")
    return 0


def _cells(member: Member) -> tuple[str, ...]:
    shown = member.credential if member.credential in {"", "password"} else f"sha256 {member.credential[:16]}"
    return (
        member.id,
        ",".join(member.tags) or "-",
        member.hardware or "-",
        "expelled" if member.expelled else shown or "none",
    )


ENROL = Command(
    "enrol",
    "take a device into the fleet",
    add_enrol_options,
    run_enrol,
    ENROL_EPILOG,
    also=("members", "revoke", "claims new", "broker-config"),
)
REVOKE_EPILOG = """\
examples:
  shoal revoke pi-7 --why 'stolen from hall 3'

Its certificate is void once the broker has learnt of it; the answer says how that is done.

A Home Assistant forgets a device that announced itself under its own id and the prefix homeassistant.
One with another object_id or prefix is deleted in Home Assistant, which takes what it announced off the
broker itself.
"""
MEMBERS_EPILOG = """\
examples:
  shoal members
  shoal members --json | jq -r '.[].id'
"""
REVOKE = Command(
    "revoke",
    "expel a device from the fleet",
    add_revoke_options,
    run_revoke,
    REVOKE_EPILOG,
    also=("enrol", "members", "broker-config"),
)
MEMBERS = Command(
    "members",
    "list who was ever enrolled",
    add_members_options,
    run_members,
    MEMBERS_EPILOG,
    also=("devices", "enrol"),
)
