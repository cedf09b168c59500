import asyncio
import logging
import secrets
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from agent.core.commands import Memory
from agent.loops.commands import WAITING_MAX, Commands, Reach
from agent.loops.telling.post import Post
from agent.wire import codec, topics
from agent.wire.commands import (
    ENVELOPE_MAX_BYTES,
    IN_WORDS,
    Answer,
    Check,
    Checked,
    Command,
    Frame,
    FrameSent,
    Lines,
    Log,
    Look,
    Looked,
    Paced,
    Pause,
    Refusal,
    Resume,
)
from agent.wire.errors import CameraFailed, Unavailable, Untrusted
from agent.wire.topics import ANSWER, COMMAND, FRAME, DeviceId, sha256
from tests.fakes.clock import FakeClock
from tests.fakes.hands import JPEG, CommandTrust, MemoryOnly, ScriptedHands, ScriptedMachine
from tests.fakes.link import MemoryBroker, MemoryLink

ROOT, DEVICE = topics.root("shoal/home"), DeviceId("pi")
DEADLINE_S = 5.0


class House:
    def __init__(self, memory=None, per_minute=50) -> None:
        self.clock, self.trust, self.broker = FakeClock(), CommandTrust(), MemoryBroker()
        self.memory = memory or MemoryOnly()
        self.hands = {"main": ScriptedHands(), "door": ScriptedHands()}
        self._answered = asyncio.Event()
        link, ear = MemoryLink(self.broker), MemoryLink(self.broker)
        link.open(lambda _: None)
        ear.open(lambda _: None)
        ear.subscribe([ROOT.device(ANSWER, DEVICE)], ANSWER.qos, lambda _: self._answered.set())
        self.commands = Commands(
            link=link,
            post=Post(link),
            trust=self.trust,
            memory=self.memory,
            clock=self.clock,
            reach=Reach(DEVICE, ROOT, self.hands, ScriptedMachine()),
            per_minute=per_minute,
        )

    def command(self, action, **others):
        now = self.clock.now()
        return Command(
            id=secrets.token_hex(16),
            device=DEVICE,
            issued_at=now,
            expires_at=now + timedelta(seconds=60),
            action=action,
            **others,
        )

    def send(self, content):
        self.broker.publish(ROOT.device(COMMAND, DEVICE), content)

    def answers(self):
        topic = ROOT.device(ANSWER, DEVICE)
        return [codec.decode(o.payload, Answer) for o in self.broker.published if o.topic == topic]

    async def ask(self, *commands):
        """The answers so far, once these have been answered too."""
        wanted = len(self.answers()) + len(commands)
        for command in commands:
            self.send(codec.encode(command))
        return await self.answered(wanted)

    async def answered(self, count):
        async with asyncio.timeout(DEADLINE_S):
            while len(self.answers()) < count:
                self._answered.clear()
                await self._answered.wait()
        return self.answers()

    async def quiet(self):
        """Everything that was sent has been looked at: each takes a few turns of the loop."""
        for _ in range(500):
            await asyncio.sleep(0)


@asynccontextmanager
async def running(**options):
    house = House(**options)
    house.commands.listen()
    task = asyncio.create_task(house.commands.run())
    try:
        yield house
    finally:
        task.cancel()
        await asyncio.wait({task})


def test_every_command_is_done_and_answered():
    async def run():
        async with running() as house:
            cases = {
                Log(lines=2): Lines(lines=("line 0", "line 1")),
                Check(): Checked(status=0, findings=()),
                Look(): Looked(delegate="cpu", delegate_reason="there is no other"),
                Pause(): Paced(paused=True),
                Resume(): Paced(paused=False),
            }
            for action, result in cases.items():
                command = house.command(action, pipeline="door")
                answer = (await house.ask(command))[-1]
                assert answer == Answer(id=command.id, at=house.clock.now(), pipeline="door", result=result)
            assert house.hands["door"].paused == [True, False]
            assert house.hands["main"].paused == []

    asyncio.run(run())


def test_a_frame_is_published_before_the_answer_that_names_it():
    async def run():
        async with running() as house:
            (answer,) = await house.ask(house.command(Frame(side_px=99), pipeline="door"))
            assert isinstance(answer.result, FrameSent)
            assert (answer.result.digest, answer.result.height_px) == (sha256(JPEG), 99)
            frame, told = house.broker.published[-2:]
            assert (frame.topic, frame.payload) == (ROOT.device(FRAME, DEVICE, "door"), JPEG)
            assert not frame.retain
            assert told.topic == ROOT.device(ANSWER, DEVICE)

    asyncio.run(run())


def test_what_cannot_be_done_is_answered_with_its_reason_and_the_next_command_is_obeyed():
    async def run():
        async with running() as house:
            house.hands["main"].fault = CameraFailed("no frame yet")
            failed, fine = await house.ask(house.command(Frame()), house.command(Pause()))
            assert (failed.refused, failed.detail) == (
                Refusal.FAILED,
                f"{IN_WORDS[Refusal.FAILED]} (no frame yet)",
            )
            assert fine.result == Paced(paused=True)

    asyncio.run(run())


def test_a_second_command_of_a_kind_waits_for_nobody_and_a_duplicate_is_passed_over():
    async def run():
        async with running() as house:
            house.hands["main"].open.clear()
            first = house.command(Look())
            house.send(codec.encode(first))
            house.send(codec.encode(first))
            busy, other = await house.ask(house.command(Look()), house.command(Look(), pipeline="door"))
            assert (busy.refused, other.refused) == (Refusal.BUSY, None)
            house.hands["main"].open.set()
            last = (await house.answered(3))[-1]
            assert (last.id, last.refused) == (first.id, None)
            assert (await house.ask(first))[-1].refused is Refusal.REPLAYED

    asyncio.run(run())


def test_more_than_so_many_a_minute_are_refused_until_the_minute_is_over():
    async def run():
        async with running(per_minute=2) as house:
            await house.ask(house.command(Pause()), house.command(Resume()))
            answers = await house.ask(house.command(Pause()))
            assert [answer.refused for answer in answers] == [None, None, Refusal.TOO_MANY]
            house.clock.advance(61)
            assert (await house.ask(house.command(Pause())))[-1].refused is None
            house.commands.allow(1)
            assert (await house.ask(house.command(Pause())))[-1].refused is Refusal.TOO_MANY

    asyncio.run(run())


def test_refusals_are_answered_only_so_often():
    async def run():
        async with running(per_minute=3) as house:
            for _ in range(10):
                house.send(codec.encode(house.command(Pause(), pipeline="nowhere")))
            await house.answered(3)
            await house.quiet()
            assert [answer.refused for answer in house.answers()] == [Refusal.NO_SUCH_PIPELINE] * 3

    asyncio.run(run())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda house: house.clock.set_synchronized(to=False), Refusal.CLOCK),
        (lambda house: setattr(house.trust, "stale", "it expired"), Refusal.STALE),
        (lambda house: setattr(house.memory, "full", True), Refusal.STORE_FAILED),
        (lambda house: setattr(house.memory, "memory", None), Refusal.EXPIRED),
    ],
)
def test_what_cannot_be_judged_is_not_obeyed(spoil, reason):
    async def run():
        async with running() as house:
            spoil(house)
            (answer,) = await house.ask(house.command(Pause()))
            assert answer.refused is reason
            assert house.hands["main"].paused == []

    asyncio.run(run())


def test_a_command_is_on_disk_before_it_is_obeyed():
    async def run():
        async with running() as house:
            command = house.command(Pause())
            house.hands["main"].pause = lambda **_: seen.append(house.memory.memory)
            await house.ask(command)
            assert seen == [Memory(ids={command.id: command.expires_at})]

    seen: list[Memory] = []
    asyncio.run(run())


def test_a_signed_payload_that_is_no_command_is_answered_without_an_id():
    async def run():
        async with running() as house:
            house.send(b'{"schema": 9}')
            (answer,) = await house.answered(1)
            assert (answer.id, answer.refused) == (None, Refusal.UNREADABLE)

    asyncio.run(run())


def test_what_nobody_signed_costs_one_line_a_minute_and_no_answer(caplog):
    async def run():
        async with running() as house:
            house.trust.fault = Untrusted("not signed")
            for _ in range(5):
                house.send(b"x" * (ENVELOPE_MAX_BYTES + 1))
                house.send(b"{}")
            await house.quiet()
            assert house.answers() == []

    with caplog.at_level(logging.INFO):
        asyncio.run(run())
    assert [record.message for record in caplog.records] == ["command.ignored"]


def test_a_flood_does_not_pile_up():
    async def run():
        async with running() as house:
            house.trust.fault = Unavailable("nothing verified yet")
            for _ in range(20 * WAITING_MAX):
                house.send(b"{}")
            await asyncio.sleep(0)
            assert house.commands._arrived.qsize() <= WAITING_MAX

    asyncio.run(run())


def test_a_command_that_comes_before_the_keys_are_known_waits_for_them():
    async def run():
        async with running() as house:
            house.trust.fault = Unavailable("nothing verified yet")
            house.send(codec.encode(house.command(Pause())))
            await house.quiet()
            assert house.answers() == []
            house.trust.fault = None
            assert (await house.answered(1))[0].refused is None

    asyncio.run(run())


def test_a_deaf_device_hears_nothing_until_it_listens_again():
    async def run():
        async with running() as house:
            house.commands.deafen()
            house.send(codec.encode(house.command(Pause())))
            house.commands.listen()
            (answer,) = await house.ask(house.command(Resume()))
            assert answer.result == Paced(paused=False)

    asyncio.run(run())


def test_a_frame_that_was_asked_for_before_commands_were_switched_off_does_not_leave():
    async def run():
        async with running() as house:
            house.hands["main"].open.clear()
            house.send(codec.encode(house.command(Frame())))
            await house.quiet()
            house.send(codec.encode(house.command(Frame(), pipeline="door")))
            house.commands.deafen()
            house.hands["main"].open.set()
            (answer,) = await house.answered(1)
            assert answer.refused is Refusal.FAILED
            assert "switched off" in answer.detail
            await house.quiet()
            frames = {ROOT.device(FRAME, DEVICE, name) for name in house.hands}
            assert not [sent for sent in house.broker.published if sent.topic in frames]
            assert len(house.answers()) == 1, "what had arrived is not obeyed"

    asyncio.run(run())
