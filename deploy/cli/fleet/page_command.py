"""`shoal page`: the fleet's page alone."""

from argparse import SUPPRESS, ArgumentParser, Namespace

from msgspec.structs import replace

from agent.wire.errors import ConfigError
from deploy.adapters.workspace import Workspace
from deploy.assemble.desk import workspaces
from deploy.cli import command, output
from deploy.cli.command import Command
from deploy.page import running

EPILOG = """\
shoal serve runs it by itself, as a child. Alone it serves where no controller runs at the moment, or on
another machine with a copy of the workspace: without keys/online it only shows. What is ordered there stands
in the ledger, and the controller carries it out.

examples:
  shoal page                                 where shoal.toml says, usually http://127.0.0.1:8470/
  shoal page --listen 0.0.0.0:8470           for others too, once there are users: shoal users add NAME
"""


def add_options(parser: ArgumentParser) -> None:
    command.add_workspace(parser)
    parser.add_argument(
        "--listen", metavar="HOST:PORT", help="in the place of [web] listen in shoal.toml; port 0: a free one"
    )
    parser.add_argument("--until-eof", action="store_true", help=SUPPRESS)


def run(options: Namespace) -> int:
    workspace = workspaces.find(options.workspace)
    if options.listen:
        settings = workspace.settings
        web = replace(settings.web, listen=options.listen)
        workspace = Workspace(workspace.folder, replace(settings, web=web))
    if not workspace.settings.web.listen:
        raise ConfigError(f'{workspace.folder}/shoal.toml asks for no page: [web] listen = "127.0.0.1:8470"')
    output.log_to_stderr()
    running.run(workspace, until_eof=options.until_eof, tell=output.note)
    return 0


COMMAND = Command("page", "show the fleet in a browser, and take orders there", add_options, run, EPILOG)
