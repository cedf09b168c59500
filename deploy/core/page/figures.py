"""A fleet and its controller in figures for Prometheus. Labels are bounded: no device has one of its own."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from agent.core.telemetry.families import Family, counter, gauge, info
from agent.wire.reports import CAMERA_OUT, Phase
from deploy.core.page.series import Classes, Collected, Drift
from deploy.core.page.words import Brief, FleetNow, Row
from deploy.core.rollouts.tally import Standing
from deploy.core.rollouts.words import Verdict

VALUES_MAX: Final = 50
"""Of a label; the most frequent, the others together as OTHERS."""
ROLLOUTS_MAX: Final = 10
"""The newest; those that go on are among them."""
OTHERS: Final = "other"
NONE: Final = "none"
STATES: Final = ("waiting", "running", "paused", "going-back", "completed", "reverted")


def of_fleet(
    now: FleetNow, rollouts: Iterable[Brief], lines: int, expires: Mapping[str, datetime]
) -> Iterator[Family]:
    """
    Args:
        now: the fleet.
        rollouts: all of them, in any order.
        lines: of the ledger.
        expires: when each role of the signed metadata runs out.
    """
    yield gauge("shoal_fleet_broker_up", "Whether the broker is connected", [({}, float(now.broker.up))])
    yield gauge(
        "shoal_fleet_controller_up",
        "Whether a controller runs that carries orders out",
        [({}, float(now.controller.runs))],
    )
    yield counter("shoal_fleet_ledger_lines", "Decisions and events in the ledger", [({}, float(lines))])
    yield gauge(
        "shoal_fleet_metadata_expires_timestamp_seconds",
        "When what is signed runs out, by role",
        [({"role": role}, at.timestamp()) for role, at in sorted(expires.items())],
    )
    yield from _of_devices(now)
    yield from _of_rows(now.rows)
    newest = sorted(rollouts, key=lambda brief: (brief.outcome is not None, -brief.started_at.timestamp()))
    yield from _of_rollouts(newest[:ROLLOUTS_MAX])


def _of_devices(now: FleetNow) -> Iterator[Family]:
    counts = now.counts
    yield gauge(
        "shoal_fleet_devices",
        "Devices, by whether they are there",
        [({"presence": "online"}, float(counts.online)), ({"presence": "offline"}, float(counts.offline))],
    )
    yield gauge(
        "shoal_fleet_devices_standing",
        "Devices as the gates of rollouts count them",
        [({"standing": each}, float(counts.standings.get(each, 0))) for each in Standing],
    )
    yield gauge(
        "shoal_fleet_devices_cause",
        "Devices by what holds them, or how far they have come; shoal why explains each",
        [({"cause": code}, float(n)) for code, n in counts.codes.items()],
    )


def _of_rows(rows: Iterable[Row]) -> Iterator[Family]:
    every = tuple(rows)
    yield _by("release", "Pipelines by the release that serves", (row.running or NONE for row in every))
    yield _by("hardware", "Pipelines by hardware class", (row.hardware or NONE for row in every))
    yield _by("delegate", "Pipelines by what computes", (row.delegate or NONE for row in every))
    phases = Counter(row.phase for row in every)
    yield gauge(
        "shoal_fleet_pipelines_phase",
        "Pipelines by the phase of their update",
        [({"phase": str(phase)}, float(phases[phase])) for phase in Phase],
    )
    states = {
        "degraded": sum(bool(row.degraded) for row in every),
        "paused": sum(row.paused for row in every),
        "camera-out": sum(row.camera in CAMERA_OUT for row in every),
    }
    yield gauge(
        "shoal_fleet_pipelines_hindered",
        "Pipelines that serve less than they should",
        [({"by": by}, float(n)) for by, n in states.items()],
    )


def _by(name: str, words: str, values: Iterable[str]) -> Family:
    counted = Counter(values)
    told = dict(counted.most_common(VALUES_MAX))
    if rest := counted.total() - sum(told.values()):
        told[OTHERS] = told.get(OTHERS, 0) + rest
    samples = [({name: value}, float(n)) for value, n in sorted(told.items())]
    return gauge(f"shoal_fleet_pipelines_{name}", words, samples)


def _of_rollouts(briefs: list[Brief]) -> Iterator[Family]:
    def labelled(brief: Brief) -> dict[str, str]:
        return {"rollout": brief.name, "stream": brief.stream}

    yield info(
        "shoal_fleet_rollout",
        "What the newest rollouts bring",
        [{**labelled(brief), "release": brief.release, "stable": brief.stable} for brief in briefs],
    )
    yield gauge(
        "shoal_fleet_rollout_state",
        "1 for the state that a rollout is in",
        [
            ({**labelled(brief), "state": state}, float(brief.state == state))
            for brief in briefs
            for state in STATES
        ],
    )
    yield gauge(
        "shoal_fleet_rollout_verdict",
        "1 for what the gate of a rollout that goes on said last",
        [
            ({**labelled(brief), "verdict": str(verdict)}, float(brief.verdict is verdict))
            for brief in briefs
            if brief.outcome is None
            for verdict in Verdict
        ],
    )
    yield gauge(
        "shoal_fleet_rollout_wave",
        "The wave that is out, from 1; 0: none",
        [(labelled(brief), float(brief.wave + 1)) for brief in briefs],
    )
    yield gauge(
        "shoal_fleet_rollout_waves", "All of them", [(labelled(b), float(len(b.waves))) for b in briefs]
    )
    yield gauge(
        "shoal_fleet_rollout_exposed",
        "Devices that the waves so far let in",
        [(labelled(brief), float(brief.exposed)) for brief in briefs],
    )


def of_collection(told: Collected) -> Iterator[Family]:
    """How the collection of telemetry fares."""
    yield counter("shoal_telemetry_messages", "Messages of telemetry that came", [({}, told.messages)])
    yield counter(
        "shoal_telemetry_overrun",
        "Messages that came faster than they could be read, and were lost",
        [({}, told.overrun)],
    )
    yield counter(
        "shoal_telemetry_missing",
        "Windows that lie between those that came: lost in the broker or while a device was cut off",
        [({}, told.missing)],
    )
    yield gauge("shoal_telemetry_backlog", "Messages that wait to be read", [({}, told.backlog)])
    yield gauge("shoal_telemetry_devices", "Devices of which windows are kept", [({}, told.devices)])
    yield counter("shoal_series_failures", "Times that the disk refused measurements", [({}, told.unkept)])
    yield gauge("shoal_series_bytes", "Measurements over time on the disk", [({}, told.bytes)])


def of_drifts(drifts: Iterable[Classes]) -> Iterator[Family]:
    """The last day of each release against its first."""
    every = tuple(drifts)
    yield gauge(
        "shoal_fleet_class_drift_psi",
        "Population stability index of the labels of the last day against the release's first",
        [({"release": one.release or OTHERS}, one.psi_whole) for one in every],
    )
    yield gauge(
        "shoal_fleet_class_drifted",
        "Whether that is large, and more than chance",
        [({"release": one.release or OTHERS}, float(one.drift is Drift.DRIFTED)) for one in every],
    )
