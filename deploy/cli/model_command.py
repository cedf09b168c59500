"""`shoal model`: models to begin with."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from msgspec import Struct

from agent.wire.documents import Delegate
from deploy.assemble.desk import workspaces
from deploy.cli import command, output
from deploy.cli.command import Command, Group
from deploy.cli.factory.number_options import above
from deploy.flows import fetch_model
from deploy.flows.fetch_model import Wanted
from deploy.ports.registry import RegisteredModel

LIST_EPILOG = """\
examples:
  shoal model list
  shoal model list --json | jq -r '.[].name'
"""
FETCH_EPILOG = """\
examples:
  shoal model fetch efficientnet_lite0
  shoal model fetch mobilenet_v2 --to models/ --only cpu

What ships with Shoal needs no network. A file that is there already and has the right SHA-256 stays.
"""


class Listed(Struct, frozen=True, kw_only=True):
    name: str
    description: str
    licence: str
    shipped: bool
    files: dict[str, str]
    """File name to SHA-256."""
    length: int


def run_list(options: Namespace) -> int:
    models = workspaces.open_registry().models()
    if options.json:
        output.say_json([_listed(model) for model in models])
        return 0
    rows = [_cells(model) for model in models]
    output.say(output.Table(("NAME", "FROM", "MB", "LICENCE", "WHAT"), rows))
    return 0


def _listed(model: RegisteredModel) -> Listed:
    return Listed(
        name=model.name,
        description=model.description,
        licence=model.licence,
        shipped=model.shipped,
        files={file.name: file.digest for file in model.files},
        length=sum(file.length for file in model.files),
    )


def _cells(model: RegisteredModel) -> tuple[str, ...]:
    megabytes = sum(file.length for file in model.files) / 1e6
    place = "shipped" if model.shipped else "fetched"
    return model.name, place, f"{megabytes:.1f}", model.licence, model.description


def add_fetch_options(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="one of shoal model list")
    parser.add_argument(
        "--to", type=Path, default=Path(), metavar="DIR", help="the folder (default: this one)"
    )
    parser.add_argument(
        "--timeout",
        type=above(0.0, 3600.0),
        default=30.0,
        metavar="S",
        help="seconds that each file may take (default: 30)",
    )
    parser.add_argument(
        "--only",
        choices=command.names(Delegate),
        metavar="{cpu,edgetpu}",
        help="only the file for this (default: all of the model's files)",
    )
    command.add_json(parser)


def run_fetch(options: Namespace) -> int:
    with output.progress(f"fetching {options.name}") as on_bytes:
        wanted = Wanted(options.to, options.timeout, Delegate(options.only) if options.only else None)
        paths = fetch_model.fetch_model(workspaces.open_registry(), options.name, wanted, on_bytes)
    if options.json:
        output.say_json([str(path) for path in paths])
    else:
        output.say(*(str(path) for path in paths))
    return 0


GROUP = Group(
    "model",
    "models to begin with",
    (
        Command(
            "list",
            "list the models that ship with Shoal or can be fetched",
            command.add_json,
            run_list,
            LIST_EPILOG,
            also=("model fetch",),
        ),
        Command(
            "fetch",
            "bring a model into a folder, checked against its SHA-256",
            add_fetch_options,
            run_fetch,
            FETCH_EPILOG,
            also=("model list", "release"),
        ),
    ),
)
