"""`shoal simulate`: a rollout over a fleet that exists only here, of real device code over a real broker."""

import textwrap
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from typing import Final

from agent.wire.errors import ConfigError, PortError, StoreFailed
from deploy.cli import output
from deploy.cli.command import Command, add_json
from deploy.simulation import picture, run, scenario
from deploy.simulation.outcome import Ran
from deploy.simulation.run import Request

NOT_AS_EXPECTED: Final = 1
DEVICES_MAX: Final = 20_000

EPILOG = f"""\
examples:
  shoal simulate --devices 200 --scenario silent-deaths --plot course.svg
  shoal simulate --devices 1000 --scenario my.toml --runs 20 --json

scenarios that come with it:
{textwrap.fill(", ".join(scenario.shipped()), 100, initial_indent="  ", subsequent_indent="  ")}

Every device is the agent itself: signatures, topics, downloads, trial, probation and reports are its own
code; only camera, runtime, host and socket are made up. The controller is the one of shoal serve.

exit status: 0 it went as the scenario expects; 1 it did not, or something failed; 78 a file or an option
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
    runs, lost = [], []
    for seed in range(options.seed, options.seed + options.runs):
        try:
            runs.append(run.run(Request(told, options.devices, seed, options.broker), output.note))
        except PortError as error:
            if options.runs == 1:
                raise
            lost.append(seed)
            output.complain(f"seed {seed} came to no end: {error}")
            continue
        if not options.json:
            output.say(*picture.lines(runs[-1]))
    if options.json:
        output.say_json(runs[0] if options.runs == 1 else runs)
    elif options.runs > 1:
        output.say(*_together(runs, lost))
    if options.plot is not None and runs:
        _draw(options.plot, runs[-1])
    return NOT_AS_EXPECTED if lost or any(ran.failures for ran in runs) else 0


def _together(runs: list[Ran], lost: list[int]) -> Iterator[str]:
    """What many runs come to."""
    ended = Counter("not ended" if ran.outcome is None else ran.outcome.value for ran in runs)
    yield f"{len(runs)} runs: " + ", ".join(f"{count} {outcome}" for outcome, count in ended.most_common())
    if runs:
        exposed = sorted(ran.exposed for ran in runs)
        p50, p99 = _percentile(exposed, 50), _percentile(exposed, 99)
        yield f"  exposed          p50 {p50:g}, p99 {p99:g}, most {exposed[-1]}"
    yield from _spread("time to detect", [ran.detect_s for ran in runs])
    yield from _spread("time to revert", [ran.revert_s for ran in runs])
    failed = ", ".join(str(ran.seed) for ran in runs if ran.failures)
    yield f"  not as expected: seeds {failed}" if failed else "  all of them as the scenario expects"
    if lost:
        yield f"  came to no end: seeds {', '.join(map(str, lost))}"


def _spread(name: str, seconds: list[float | None]) -> Iterator[str]:
    told = sorted(each for each in seconds if each is not None)
    if told:
        p50, p99 = _percentile(told, 50), _percentile(told, 99)
        yield f"  {name}   p50 {p50:.1f} s, p99 {p99:.1f} s, most {told[-1]:.1f} s (of {len(told)} runs)"


def _percentile(ordered: list[int] | list[float], percent: int) -> float:
    if len(ordered) == 1:
        return ordered[0]
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
