"""`shoal simulate`: a rollout over a fleet that exists only here, of real device code over a real broker."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from statistics import quantiles
from typing import Final

from agent.wire.errors import ConfigError, StoreFailed
from deploy.cli import output
from deploy.cli.command import Command, add_json
from deploy.simulation import picture, run, scenario
from deploy.simulation.outcome import Ran
from deploy.simulation.run import Request

NOT_AS_EXPECTED: Final = 1
DEVICES_MAX: Final = 20_000

EPILOG = f"""\
scenarios that come with it: {", ".join(scenario.shipped())}

Every device is the agent itself: signatures, topics, downloads, trial, probation and reports are its own
code; only camera, runtime, host and socket are made up. The controller is the one of shoal serve.

exit codes: 0 it went as the scenario expects; 1 it did not, or something failed; 78 a file or an option
must change
"""


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--devices", type=_count, default=1000, metavar="N", help="how many (default: 1000)")
    parser.add_argument(
        "--scenario", default="silent-deaths", metavar="NAME|FILE", help="what befalls them (see below)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="who it befalls (default: 0)")
    parser.add_argument(
        "--runs", type=_count, default=1, metavar="N", help="so many, each with the next seed (default: 1)"
    )
    parser.add_argument("--broker", metavar="URL", help="one that runs already (default: one of its own)")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the course of the last run")
    add_json(parser)


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= DEVICES_MAX:
        raise ArgumentTypeError(f"{text!r}: use a number from 1 to {DEVICES_MAX}")
    return number


def _run(options: Namespace) -> int:
    told = scenario.read(options.scenario)
    runs = []
    for seed in range(options.seed, options.seed + options.runs):
        ran = run.run(Request(told, options.devices, seed, options.broker), output.note)
        runs.append(ran)
        if not options.json:
            output.say(*picture.lines(ran))
    if options.json:
        output.say_json(runs[0] if options.runs == 1 else runs)
    elif options.runs > 1:
        output.say(*_together(runs))
    if options.plot is not None:
        _draw(options.plot, runs[-1])
    return NOT_AS_EXPECTED if any(ran.failures for ran in runs) else 0


def _together(runs: list[Ran]) -> list[str]:
    """What many runs come to."""
    exposed, seconds = sorted(ran.exposed for ran in runs), sorted(ran.rollout_s for ran in runs)
    failed = [str(ran.seed) for ran in runs if ran.failures]
    reach = f"exposed p50 {_percentile(exposed, 50):g}, p99 {_percentile(exposed, 99):g}, most {exposed[-1]}"
    took = f"seconds p50 {_percentile(seconds, 50):.1f}, most {seconds[-1]:.1f}"
    verdict = f"not as expected: seeds {', '.join(failed)}" if failed else "all of them went as expected"
    return [f"{len(runs)} runs: {reach}; {took}", verdict]


def _percentile(ordered: list[int] | list[float], percent: int) -> float:
    return quantiles(ordered, n=100, method="inclusive")[percent - 1]


def _draw(path: Path, ran: Ran) -> None:
    """
    Raises:
        ConfigError: it is to be something else than an SVG.
        StoreFailed: the file cannot be written.
    """
    if path.suffix != ".svg":
        raise ConfigError(f"--plot {path}: it is an SVG, name it so")
    try:
        path.write_text(picture.svg(ran))
    except OSError as error:
        raise StoreFailed(f"--plot {path}: {error.strerror}") from error


COMMAND: Final = Command(
    "simulate", "run a rollout over a fleet of simulated devices", _options, _run, epilog=EPILOG
)
