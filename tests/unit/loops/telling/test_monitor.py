import asyncio
import threading

from agent.core.telemetry.vitals import CpuTime, Gauges, HotRule, Watch
from agent.loops.telling.monitor import PERIOD_MAX_S, STALE_PERIODS, Monitor, Sources
from agent.wire.reports import Throttling, Vitals
from tests.fakes.clock import FakeClock
from tests.fakes.host import ScriptedHost

FULL = Gauges(
    soc_c=55.5,
    tpu_c=40.0,
    throttled_bits=0x50000,
    cpu=CpuTime(100, 1000),
    memory_available_bytes=1_000,
    disk_free_bytes=2_000,
)


class Scene:
    def __init__(self, *readings: Gauges, sources: Sources | None = None) -> None:
        self.clock = FakeClock()
        self.host = ScriptedHost(*readings)
        self.monitor = Monitor(self.host, self.clock, Watch(HotRule()), sources or Sources(), 10.0)
        self.events: list[tuple[str, dict[str, str | int | float]]] = []
        self.monitor.bind(lambda name, fields: self.events.append((name, fields)))

    def take(self, *readings: Gauges) -> None:
        for gauges in readings:
            self.clock.advance(2.0)
            self.monitor.take(gauges, synchronized=self.clock.synchronized())


def test_a_window_tells_everything_that_the_host_does() -> None:
    scene = Scene(
        sources=Sources(outbox_messages=lambda: 3, outbox_dropped=lambda: 1, broker_ms=lambda: 12.5)
    )
    window = scene.monitor.window()
    scene.take(FULL, Gauges(**{**fields(FULL), "cpu": CpuTime(150, 1200)}))
    assert window.close().vitals == Vitals(
        soc_c=55.5,
        tpu_c=40.0,
        now=Throttling(),
        since_boot=Throttling(under_voltage=True, throttled=True),
        cpu_share=0.25,
        memory_available_bytes=1_000,
        disk_free_bytes=2_000,
        outbox_messages=3,
        outbox_dropped=1,
        broker_ms=12.5,
        clock_synchronized=True,
    )


def fields(gauges: Gauges) -> dict[str, object]:
    return {name: getattr(gauges, name) for name in Gauges.__slots__}


def test_before_the_first_reading_nothing_is_known() -> None:
    assert Scene(FULL).monitor.window().close().vitals == Vitals()


def test_a_window_in_which_the_soc_throttled_says_so_and_the_next_does_not() -> None:
    scene = Scene()
    one, other = scene.monitor.window(), scene.monitor.window()
    scene.take(Gauges(throttled_bits=0), Gauges(throttled_bits=0x40000), Gauges(throttled_bits=0x40000))
    assert one.close().throttled
    scene.take(Gauges(throttled_bits=0x40000))
    assert not one.close().throttled
    assert other.close().throttled


def test_each_window_has_its_own_share_of_the_cpu() -> None:
    scene = Scene()
    window = scene.monitor.window()
    scene.take(Gauges(cpu=CpuTime(0, 0)), Gauges(cpu=CpuTime(50, 100)))
    assert window.close().vitals.cpu_share == 0.5
    scene.take(Gauges(cpu=CpuTime(60, 200)))
    assert window.close().vitals.cpu_share == 0.1
    assert window.close().vitals.cpu_share is None


def test_what_begins_and_ends_is_an_event_with_the_duration() -> None:
    scene = Scene()
    scene.take(
        Gauges(soc_c=60.0, throttled_bits=0),
        Gauges(soc_c=81.0, throttled_bits=0x40004),
        *[Gauges(soc_c=65.0, throttled_bits=0x40000)] * 5,
    )
    assert scene.events == [
        ("soc.throttled", {"bits": "0x40004", "soc_c": 81.0}),
        ("soc.hot", {"soc_c": 81.0}),
        ("soc.cool", {"lasted_s": 2.0}),
        ("soc.unthrottled", {"lasted_s": 0.0}),
    ]


def test_a_reading_that_has_become_old_is_told_no_longer() -> None:
    scene = Scene()
    window = scene.monitor.window()
    scene.take(Gauges(soc_c=50.0))
    scene.clock.advance(STALE_PERIODS * PERIOD_MAX_S)
    assert window.close().vitals.soc_c is None


def test_readings_are_taken_on_a_thread_and_heard_on_the_loop() -> None:
    heard: list[tuple[Gauges, bool]] = []
    read_on: list[int] = []

    class Host(ScriptedHost):
        def read(self) -> Gauges:
            read_on.append(threading.get_ident())
            return super().read()

    async def story() -> None:
        monitor = Monitor(Host(FULL), FakeClock(), Watch(HotRule()), Sources(), 1.0)
        twice = asyncio.Event()

        def listen(gauges: Gauges) -> None:
            heard.append((gauges, threading.get_ident() == here))
            if len(heard) == 2:
                twice.set()

        monitor.listen(listen)
        here = threading.get_ident()
        reading = asyncio.create_task(monitor.run())
        async with asyncio.timeout(5):
            await twice.wait()
        reading.cancel()
        await asyncio.wait([reading])

    asyncio.run(story())
    assert heard == [(FULL, True)] * 2
    assert threading.get_ident() not in read_on
