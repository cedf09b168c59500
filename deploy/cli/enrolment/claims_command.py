"""`shoal claims`: devices from one image, each of which claims an identity of its own."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from deploy.adapters.secret_files import write_secret
from deploy.assemble.desk import workspaces
from deploy.assemble.desk.session import connected
from deploy.assemble.enrolment import claiming
from deploy.assemble.enrolment.claiming import WantedToken
from deploy.cli import command, output
from deploy.cli.command import Command, Group
from deploy.cli.enrolment.enrol_command import tell_broker
from deploy.core import names
from deploy.core.device_config import CameraKind
from deploy.core.enrolment import orders
from deploy.core.enrolment.claims import Asked, Grant
from deploy.core.refusal import Refused


def add_new_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument("--devices", type=int, required=True, metavar="N", help="how many may come with it")
    parser.add_argument(
        "--days", type=float, default=90.0, metavar="D", help="days that it is good for (default: 90)"
    )
    parser.add_argument(
        "--tag", action="append", default=[], metavar="T", help="for all of them; may be given again"
    )
    parser.add_argument("--broker", metavar="URL", help="as the devices reach it (default: as we do)")
    parser.add_argument(
        "--camera",
        choices=command.names(CameraKind),
        default=CameraKind.AUTO.value,
        help="default: auto, the Pi's own camera, else a webcam",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="for the files of the image's /etc/shoal"
    )
    command.add_json(parser)


def run_new(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    wanted = WantedToken(
        devices=options.devices,
        days=options.days,
        tags=tuple(options.tag),
        url=options.broker,
        camera=CameraKind(options.camera),
    )
    grant, image = claiming.make_token(workspace, wanted)
    for name, content in image.files.items():
        write_secret(options.out / name, content)
    if options.json:
        output.say_json({"token": grant.name, "ends": grant.ends, "folder": str(options.out)})
    else:
        output.say(
            f"token {grant.name}: for {grant.devices_max} devices, until {grant.ends:%Y-%m-%d}",
            f"copy {options.out} to /etc/shoal of the image (owner root, group shoal, mode 0640)",
            "each device that starts from it asks for an identity: shoal claims list",
        )
    return 0


def add_list_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    command.add_json(parser)


def run_list(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    with connected(workspace) as session:
        found = claiming.waiting(workspace, session)
    known = claiming.tokens(workspace)
    if options.json:
        output.say_json({
            "waiting": [_shown(asked) for asked in found.asked],
            "refused": found.refused,
            "tokens": [_token(grant) for grant in known],
        })  # fmt: skip
        return 0
    rows = [tuple(_shown(asked).values()) for asked in found.asked]
    output.say(
        *([output.Table(("CLAIM", "TOKEN", "HOST", "MACHINE", "ASKED"), rows)] if rows else ["nobody waits"])
    )
    for words in found.refused:
        output.note(output.printable(words))
    if known:
        headings = ("TOKEN", "CAME", "OF", "UNTIL", "STATE")
        output.say("", output.Table(headings, [tuple(_token(grant).values()) for grant in known]))
    return 0


def _shown(asked: Asked) -> dict[str, str]:
    """The host's name is whatever it says."""
    document = asked.document
    return {
        "claim": asked.name,
        "token": asked.grant.name,
        "host": output.printable(document.host) or "-",
        "machine": output.printable(document.machine) or "-",
        "asked": f"{document.at:%Y-%m-%d %H:%M}",
    }


def _token(grant: Grant) -> dict[str, str]:
    return {
        "token": grant.name,
        "came": str(len(grant.accepted)),
        "of": str(grant.devices_max),
        "until": f"{grant.ends:%Y-%m-%d}",
        "state": "revoked" if grant.revoked else "good",
    }


def add_accept_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument("claim", nargs="?", metavar="CLAIM", help="its name, or how it begins")
    parser.add_argument("--all", action="store_true", help="everybody whose token is good")
    parser.add_argument("--as", dest="device", metavar="DEVICE", help="its id (default: pi- and the claim)")
    parser.add_argument("--tag", action="append", default=[], metavar="T", help="beside those of its token")
    command.add_json(parser)


def run_accept(options: Namespace) -> int:
    if bool(options.claim) == options.all or (options.all and (options.device or options.tag)):
        raise Refused("name one claim, with --as and --tag as you like, or say --all")
    workspace = workspaces.find(options.workspace)
    with connected(workspace) as session:
        if options.all:
            members = claiming.accept_all(workspace, session)
        else:
            asked = _one(claiming.waiting(workspace, session).asked, options.claim)
            device = orders.new_id(options.device or asked.suggested)
            members = (claiming.accept(workspace, session, asked, device, options.tag),)
    if options.json:
        output.say_json(members)
    else:
        output.say(
            *(f"{member.id} belongs to the fleet" for member in members) if members else ("nobody waits",)
        )
    return 0


def _one(waiting: tuple[Asked, ...], name: str) -> Asked:
    found = [asked for asked in waiting if asked.name.startswith(name)]
    if len(found) != 1:
        near = names.nearest(name, (asked.name for asked in waiting))
        raise Refused(f"{len(found)} claims begin with {name!r}{near}")
    return found[0]


def add_revoke_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument("token", metavar="TOKEN", help="its name, as shoal claims list shows it")
    command.add_json(parser)


def run_revoke(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    claiming.revoke_token(workspace, options.token)
    if options.json:
        output.say_json({"token": options.token, "state": "revoked"})
        return 0
    output.say(
        f"token {options.token} is good for nobody any more; who came with it stays",
        f"  until the broker knows, its holders can still connect, and ask in vain: {tell_broker(workspace)}",
    )
    return 0


NEW_EPILOG = """\
examples:
  shoal claims new --devices 50 --tag hall-3 --out image-etc-shoal
"""
LIST_EPILOG = """\
examples:
  shoal claims list
  shoal claims list --json | jq -r '.waiting[].claim'
"""
ACCEPT_EPILOG = """\
examples:
  shoal claims accept 7f3a --as pi-7 --tag line-3
  shoal claims accept --all
"""
REVOKE_EPILOG = """\
examples:
  shoal claims revoke 9f2c41d07a3b5e68
"""

GROUP = Group(
    "claims",
    "devices from one image, each of which claims an identity of its own",
    (
        Command(
            "new",
            "make a token, and the files of an image",
            add_new_options,
            run_new,
            NEW_EPILOG,
            also=("claims list", "enrol"),
        ),
        Command(
            "list",
            "list who waits, and what became of the tokens",
            add_list_options,
            run_list,
            LIST_EPILOG,
            also=("claims accept",),
        ),
        Command(
            "accept",
            "give a device that waits its identity",
            add_accept_options,
            run_accept,
            ACCEPT_EPILOG,
            also=("claims list", "members"),
        ),
        Command("revoke", "end a token", add_revoke_options, run_revoke, REVOKE_EPILOG, also=("revoke",)),
    ),
)
