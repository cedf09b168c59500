"""`shoal-agent worker`, `canary`, `feeder`, `edgetpu`: started by the supervisor, never by people, so that
`--help` does not list them. Their one argument, where they have one, is JSON; they speak `agent.wire.ipc` on
standard input and output.
"""

import argparse

import msgspec


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    commands.add_parser("canary").set_defaults(run=_canary)
    for name, run in (("worker", _worker), ("feeder", _feeder), ("edgetpu", _edgetpu)):
        parser = commands.add_parser(name)
        parser.add_argument("settings", metavar="JSON")
        parser.set_defaults(run=run)


def _worker(arguments: argparse.Namespace) -> int:
    from agent.assemble.children import worker  # noqa: PLC0415 - other commands must not pay for it

    return worker.run(msgspec.json.decode(arguments.settings, type=worker.WorkerSettings))


def _feeder(arguments: argparse.Namespace) -> int:
    from agent.assemble.children import feeder  # noqa: PLC0415 - same

    return feeder.run(msgspec.json.decode(arguments.settings, type=feeder.FeederSettings))


def _canary(_: argparse.Namespace) -> int:
    from agent.assemble.children import canary  # noqa: PLC0415 - same

    return canary.run()


def _edgetpu(arguments: argparse.Namespace) -> int:
    from agent.assemble import edgetpu  # noqa: PLC0415 - same

    return edgetpu.run(msgspec.json.decode(arguments.settings, type=edgetpu.LookSettings))
