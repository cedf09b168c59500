"""What is shown before a rollout is what then happens, device for device."""

import random
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from agent.core.update import admission
from agent.core.update.admission import Admitted, Device, Role
from agent.wire.documents import (
    Artifact,
    Chunk,
    Delegate,
    Dtype,
    Golden,
    InputContract,
    Manifest,
    OutputContract,
    Variant,
)
from agent.wire.reports import Capabilities, Phase, Report, Running
from agent.wire.topics import DeviceId, sha256
from deploy.core.rollouts import detection, orders, starting
from deploy.core.rollouts.approvals import Person
from deploy.core.rollouts.orders import Subject
from deploy.core.rollouts.picture import Picture, Seen
from deploy.core.rollouts.preview import full_bytes, lacking, of_release, preview
from deploy.core.rollouts.starting import Asked
from deploy.core.rollouts.state import Fleet
from deploy.core.rollouts.words import GatePolicy, Policy
from tests.fakes.rollouts import CANDIDATE

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
ANN = Person("ann", "a drill")
WAVES = ("1", "5%", "7", "25%", "100%")


def some_fleet(rng: random.Random, count: int) -> Picture:
    devices = [
        Seen(
            id=DeviceId(f"pi-{n:04}"),
            hardware=rng.choice(["cpu", "cpu", "edgetpu", "pi3", ""]),
            tags=tuple(rng.sample(["line-3", "north", "test"], rng.randrange(3))),
            online=rng.random() < 0.8,
            known=rng.random() < 0.9,
        )
        for n in range(count)
    ]
    return Picture(at=NOW, devices=tuple(devices))


def decided(plan, picture: Picture) -> set[DeviceId]:
    """By the devices themselves, from the plan alone."""
    return {
        seen.id
        for seen in picture.devices
        if seen.hardware
        and admission.admit(
            plan, -1, Device(seen.id, seen.hardware, "1", frozenset(seen.tags)), clock_trusted=True
        )
        == Admitted(CANDIDATE, Role.CANDIDATE)
    }


@pytest.mark.parametrize("count", [8, 20, 400])
def test_what_is_shown_is_what_then_happens_device_for_device(count):
    picture = some_fleet(random.Random(count), count)
    asked = Asked("main", CANDIDATE, WAVES, tuple("abcdefgh"), match=("tag!=test", "hardware=cpu,edgetpu"))
    fleet, files = Fleet(), frozenset({CANDIDATE.manifest})
    shown = preview(
        starting.prepare(fleet, picture, asked, None, lambda _: files), picture, None, lambda _: 5
    )
    again = replace_salts(asked, shown.order.salt)
    order = starting.prepare(fleet, picture, again, None, lambda _: files)
    assert order == shown.order
    fleet = starting.after(fleet, starting.start(fleet, picture, order, None, ANN), picture)
    inside: set[DeviceId] = set()
    for wave in shown.waves:
        now = decided(fleet.rollouts[order.rollout].plan, picture)
        assert {joining.device for joining in wave.joining} == now - inside
        assert (wave.devices, wave.download_bytes) == (len(now), 5 * len(now - inside))
        inside = now
        entries = orders.force(Subject(fleet, picture, order.rollout, None), ANN)
        fleet = starting.after(fleet, entries, picture)
    ids = {seen.id for seen in picture.devices}
    assert ids == inside | set(shown.never) | set(shown.unmatched) | set(shown.unknown)


def replace_salts(asked: Asked, salt: str) -> Asked:
    return Asked(asked.stream, asked.release, asked.waves, (salt,), asked.match)


def test_a_wave_tells_how_long_it_takes_at_the_cap_and_what_it_can_show():
    picture = Picture(
        at=NOW,
        devices=tuple(Seen(id=DeviceId(f"pi-{n:03}"), hardware="cpu", online=n > 9) for n in range(110)),
    )
    policy = Policy(spread_s=60.0, rate_bytes_s=1000.0, approve=("100%",), gate=GatePolicy(failed_max=0))
    asked = Asked("main", CANDIDATE, ("1", "100%"), tuple("abcd"), policy=policy)
    order = starting.prepare(Fleet(), picture, asked, None, lambda _: frozenset())
    one, everybody = preview(order, picture, None, lambda _: 5_000).waves
    assert (one.online, one.seconds, one.signatures) == (1, 65.0, 0)
    assert one.sees_share == pytest.approx(0.95)
    assert one.misses_share == pytest.approx(0.05)
    assert (everybody.devices, everybody.online, everybody.signatures) == (110, 100, 1)
    assert everybody.sees_share == pytest.approx(0.0616, abs=1e-4)


@pytest.mark.parametrize(
    ("n", "allowed", "sees", "misses"),
    [
        (1, 0, 0.95, 0.05),
        (10, 0, 1 - 0.05 ** (1 / 10), 1 - 0.95 ** (1 / 10)),
        (59, 0, 1 - 0.05 ** (1 / 59), 1 - 0.95 ** (1 / 59)),
        # Clopper and Pearson, 1934, one-sided: 2 of 100, and 20 of 1,000
        (100, 2, 0.06162, 0.00823),
        (1000, 20, 0.02893, 0.01418),
        (0, 0, None, 1.0),
        (3, 3, None, 1.0),
    ],
)
def test_the_smallest_share_that_is_seen_and_the_largest_that_is_overlooked(n, allowed, sees, misses):
    assert detection.sees(n, allowed) == (None if sees is None else pytest.approx(sees, abs=1e-4))
    assert detection.misses(n, allowed) == pytest.approx(misses, abs=1e-4)


def artifact(*pieces: str) -> Artifact:
    chunks = tuple(Chunk(sha256(piece.encode()), 1_000) for piece in pieces)
    return Artifact(digest=sha256("".join(pieces).encode()), length=1_000 * len(pieces), chunks=chunks)


def manifest(version: str, cpu: Artifact, tpu: Artifact) -> Manifest:
    return Manifest(
        name="birds",
        version=version,
        variants=(
            Variant(artifact=tpu, file="a_edgetpu.tflite", delegate=Delegate.EDGETPU),
            Variant(artifact=cpu, file="a.tflite", delegate=Delegate.CPU),
        ),
        input=InputContract(height_px=4, width_px=4, channels=3, dtype=Dtype.UINT8),
        output=OutputContract(classes=2, dtype=Dtype.UINT8),
        labels=None,
        golden=Golden(artifact=artifact("golden"), tolerance=0.1),
    )


def test_a_device_downloads_what_it_lacks():
    old = manifest("1", artifact("a", "b", "c"), artifact("x", "y"))
    new = manifest("2", artifact("a", "b", "d"), artifact("x", "z"))
    digest = sha256(b"manifest of 1")
    running = Running(name="birds", version="1", manifest=digest, digest=old.variants[1].artifact.digest)
    plain = Seen(id=DeviceId("pi"), hardware="cpu")
    report = Report(device=plain.id, at=NOW, phase=Phase.IDLE, active=running)
    tpu = replace(report, capabilities=Capabilities(hardware="edgetpu", edgetpu=("usb:0",)))

    def known(named):
        return old if named == digest else None

    assert full_bytes(new) == 6_000
    assert lacking(new, plain, known) == 4_000
    assert lacking(new, replace(plain, report=report), known) == 1_000
    assert lacking(new, replace(plain, hardware="edgetpu", report=tpu), known) == 2_000
    assert lacking(new, replace(plain, report=report), lambda _: None) == 4_000


@pytest.mark.parametrize(
    ("runtime", "held"),
    [("tflite-runtime 2.14.0", True), ("ai-edge-litert 2.3.0", False), ("", False)],
)
def test_devices_whose_runtime_is_too_old_are_named_before_anything_is_published(runtime, held):
    needy = manifest("1", artifact("a"), artifact("x"))
    variant = replace(
        needy.variants[1], minimum_runtime="2.17.0", runtime_reason="FULLY_CONNECTED version 12"
    )
    needy = replace(needy, variants=(variant,), evaluation={"top1": 0.9})
    report = Report(
        device=DeviceId("pi-1"), at=NOW, phase=Phase.IDLE, capabilities=Capabilities(runtime=runtime)
    )
    seen = Seen(id=DeviceId("pi-1"), hardware="cpu", online=True, known=True, report=report)
    outside = replace(seen, id=DeviceId("pi-2"), tags=("test",))
    picture = Picture(at=NOW, devices=(seen, outside))
    asked = Asked("main", CANDIDATE, ("100%",), ("a",), match=("tag!=test",))
    order = starting.prepare(Fleet(), picture, asked, None, lambda _: frozenset({CANDIDATE.manifest}))

    shown = of_release(preview(order, picture, None, lambda _: 5), needy, picture)

    assert [each.device for each in shown.barred] == (["pi-1"] if held else [])
    assert all("needs runtime 2.17.0 (FULLY_CONNECTED version 12)" in each.detail for each in shown.barred)
    assert shown.evaluation == {"top1": 0.9}
