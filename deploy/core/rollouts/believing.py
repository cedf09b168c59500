"""Which of what came under a device's topics is taken for its own word.

A device that was enrolled with a seal is believed only under its seal, and only forward: a pair (boot,
number) below the highest that was ever believed of it is a replay. Where nothing was ever enrolled there are
no keys to tell anybody apart, and every device is believed; where something was, one that was not is none.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from agent.wire import codec
from agent.wire.codec import MAX_BYTES
from agent.wire.errors import Malformed, TooLarge, WireError
from agent.wire.reports import Presence, Report, Status
from agent.wire.seal import SEAL_BYTES, unseal
from agent.wire.topics import MAIN, REPORT, SHARDS, STATUS, Address, DeviceId, Root, shard
from deploy.core.rollouts.picture import Picture, Seen, Told, present
from deploy.core.rollouts.state import Member
from deploy.core.rollouts.tally import is_freed

Mark = tuple[int, int]
"""(boot, number)."""
KeyOf = Callable[[DeviceId], bytes | None]
REFUSED_MAX: Final = 200
"""Devices that are named; a flood of forged ids must not fill the memory."""
PIPELINES_MAX: Final = 32
"""Of one device besides `main`: what it calls them is its own to say."""
CONTENT_MAX_BYTES: Final = MAX_BYTES[Report] + SEAL_BYTES
"""More is not even looked at."""


@dataclass(slots=True)
class Believer:
    """Takes messages in any order, and keeps what each device was last believed to say.

    The work for a message does not grow with the fleet.
    """

    root: Root
    key_of: KeyOf
    members: Mapping[DeviceId, Member] = field(default_factory=dict)
    marks: dict[DeviceId, Mark] = field(default_factory=dict)
    """Highest believed; who has one is expected to be found again."""
    moved: dict[DeviceId, Mark] = field(default_factory=dict)
    """Marks that are not kept yet."""
    counted: frozenset[DeviceId] | None = None
    """Who was there when the rollout that is under way began, where nobody is enrolled; None: no matter."""
    _seen: dict[DeviceId, Seen] = field(default_factory=dict)
    _heard: set[DeviceId] = field(default_factory=set)
    """Those of which something was there at the last reading, or came after it."""
    _refused: dict[DeviceId, str] = field(default_factory=dict)
    _unnamed: int = 0
    _sorted: tuple[DeviceId, ...] | None = None
    _shards: dict[DeviceId, str] = field(default_factory=dict)

    def remember(self, devices: Iterable[Seen]) -> None:
        """What was believed before this program began: what the broker lost since does not undo it."""
        for seen in devices:
            self._put(self._as_member(seen))

    def enrol(self, members: Mapping[DeviceId, Member]) -> None:
        """From now on these are the members."""
        if members == self.members:
            return
        self.members = members
        self._refused.clear()
        self._unnamed = 0
        for seen in tuple(self._seen.values()):
            self._put(self._as_member(seen))

    def count_in(self, counted: frozenset[DeviceId] | None) -> None:
        """From now on these were there when the rollout began: anybody can invent others."""
        if counted == self.counted:
            return
        self.counted = counted
        for seen in tuple(self._seen.values()):
            self._put(seen)

    def begin_reading(self) -> None:
        """All that stands on the broker is about to come."""
        self._heard.clear()

    def take(self, topic: str, content: bytes, at: datetime) -> bool:
        """Whether anything is known now that was not before. `at` is our clock.

        Topics that are not Shoal's are none of ours to judge, and a cleared one says nothing.
        """
        try:
            address = self.root.parse(topic)
        except Malformed:
            return False
        device = address.device
        if device is None or not content:
            return False
        try:
            return self._told(topic, address, content, device, at)
        except WireError as error:
            self._refuse(device, str(error))
            return False

    def picture(self, at: datetime, missing: Iterable[str] = ()) -> Picture:
        """What is believed now. Of expelled devices nothing is shown."""
        if self._sorted is None:
            self._sorted = tuple(sorted(self._seen))
        devices = tuple(present(self._seen[device], at) for device in self._sorted)
        return Picture(
            at=at, devices=devices, missing=(*missing, *self._withheld()), refused=self._refusals()
        )

    def _told(self, topic: str, address: Address, content: bytes, device: DeviceId, at: datetime) -> bool:
        document = self._unsealed(topic, content, device)
        self._heard.add(device)
        if address.channel is STATUS:
            return self._status(codec.decode(document, Status), device, at)
        if address.channel is REPORT:
            return self._report(codec.decode(document, Report), device, address.pipeline, at)
        return False

    def _unsealed(self, topic: str, content: bytes, device: DeviceId) -> bytes:
        member = self.members.get(device)
        if member is None:
            if self.members:
                raise Malformed(f"{device} was never enrolled: shoal enrol {device}")
            return content
        if member.expelled:
            raise Malformed(f"{device} was expelled, and speaks still")
        if len(content) > CONTENT_MAX_BYTES:
            raise TooLarge(f"{device} sends {len(content)} bytes, at most {CONTENT_MAX_BYTES} are read")
        if not member.sealed:
            return content
        key = self.key_of(device)
        if key is None:
            raise Malformed(f"{device} seals what it tells, but its key is not here: shoal enrol {device}")
        return unseal(topic, content, key)

    def _status(self, status: Status, device: DeviceId, at: datetime) -> bool:
        known = self._known(device)
        boot, _ = self.marks.get(device, (0, 0))
        if self._ordered(device) and status.boot < boot:
            raise Malformed(
                f"{device} has a status of boot {status.boot}, and was heard in boot {boot}: it was replayed"
            )
        online = status.state is Presence.ONLINE
        left = not online and (status.goodbye or known.left)
        if online == known.online:
            news = device not in self._seen or present(known, at) != known
            self._believe(msgspec.structs.replace(_beaten(known, status, at), left=left))
            return news
        told = msgspec.structs.replace(
            _beaten(known, status, at),
            online=online,
            left=left,
            gone_at=None if online or not known.online else at,
            free_at=at if online and self._comes(device) else known.free_at,
        )
        return self._believe(told)

    def _comes(self, device: DeviceId) -> bool:
        """Whether it was not there all along: seen away before, or never heard of."""
        return device in self._seen or device not in self.marks

    def _report(self, report: Report, device: DeviceId, pipeline: str, at: datetime) -> bool:
        if report.device != device or report.pipeline != pipeline:
            raise Malformed(f"{device} has a report of {report.device[:64]}, pipeline {report.pipeline[:64]}")
        known = self._known(device)
        before = _told(known, pipeline)
        if before is not None and before.report == report:
            return False
        if before is None and pipeline != MAIN and len(known.further) >= PIPELINES_MAX:
            raise Malformed(
                f"{device} tells of more than {PIPELINES_MAX} pipelines: {pipeline} is one too many"
            )
        self._require_newer(report, before)
        self._advance(_marked(device, pipeline), (report.boot, report.number))
        # What lay on the broker when this program began again was heard when it was heard first.
        again = before is not None and before.report.at == report.at
        fresh = Told(
            report=report,
            heard_at=before.heard_at if before is not None and again else at,
            free_at=_freed_at(known if pipeline == MAIN else before, report, at),
        )
        return self._believe(_telling(self._equipped(known, report), pipeline, fresh))

    def _equipped(self, known: Seen, report: Report) -> Seen:
        member = self.members.get(report.device)
        tags = report.capabilities.tags if member is None else member.tags or report.capabilities.tags
        return msgspec.structs.replace(known, hardware=report.capabilities.hardware, tags=tags)

    def _require_newer(self, report: Report, before: Told | None) -> None:
        device = report.device
        if not self._ordered(device):
            return
        said = (report.boot, report.number)
        mark = self.marks.get(_marked(device, report.pipeline), (0, 0))
        if said < mark:
            raise Malformed(
                f"{device} has a report {said[0]}.{said[1]}, and {mark[0]}.{mark[1]} was heard of it: "
                "it was replayed, or the device was set up anew (shoal enrol it again)"
            )
        if before is not None and said == (before.report.boot, before.report.number):
            raise Malformed(f"{device} has two reports {said[0]}.{said[1]}: somebody else has its key")

    def _ordered(self, device: DeviceId) -> bool:
        """Without a seal, whoever can replay can as well write a higher number."""
        member = self.members.get(device)
        return member is not None and member.sealed

    def _advance(self, device: DeviceId, mark: Mark) -> None:
        if mark > self.marks.get(device, (-1, -1)):
            self.marks[device] = self.moved[device] = mark

    def _known(self, device: DeviceId) -> Seen:
        return self._seen.get(device) or self._as_member(Seen(id=device))

    def _as_member(self, seen: Seen) -> Seen:
        """What was enrolled counts where the device has not spoken yet."""
        member = self.members.get(seen.id)
        if member is None:
            return seen
        return msgspec.structs.replace(
            seen, hardware=seen.hardware or member.hardware, tags=member.tags or seen.tags
        )

    def _believe(self, seen: Seen) -> bool:
        """As it has just said itself: what was not believed before is no more to be told."""
        self._refused.pop(seen.id, None)
        return self._put(seen)

    def _put(self, seen: Seen) -> bool:
        if self._gone(seen.id):
            self._sorted = None if self._seen.pop(seen.id, None) else self._sorted
            return False
        before = self._seen.get(seen.id)
        known = seen.id in self.members or self.counted is None or seen.id in self.counted
        if known != seen.known:
            seen = msgspec.structs.replace(seen, known=known)
        self._seen[seen.id] = seen
        if before is None:
            self._sorted = None
        return before != seen

    def _gone(self, device: DeviceId) -> bool:
        member = self.members.get(device)
        return member.expelled if member is not None else bool(self.members)

    def _refuse(self, device: DeviceId, words: str) -> None:
        if device in self._refused or len(self._refused) < REFUSED_MAX:
            self._refused[device] = words
        else:
            self._unnamed += 1

    def _refusals(self) -> tuple[str, ...]:
        more = (f"{self._unnamed} more messages were not believed",) if self._unnamed else ()
        return (*(self._refused[device] for device in sorted(self._refused)), *more)

    def _withheld(self) -> tuple[str, ...]:
        """Shards in which most of those who were heard before have left nothing. A device that was away
        already when a broker lost its memory cannot say so again.
        """
        expected = dict.fromkeys(SHARDS, 0)
        found = dict.fromkeys(SHARDS, 0)
        for device in self.marks:
            seen = self._seen.get(device)
            excused = seen is not None and not seen.online and device not in self._heard
            if "/" not in device and not excused and not self._gone(device):
                place = self._shards.get(device) or self._shards.setdefault(device, shard(device))
                expected[place] += 1
                found[place] += device in self._heard
        return tuple(
            f"shard {each}: of {expected[each]} devices that were heard there before, the broker has word of "
            f"{found[each]}: it lost or withholds the others, or they are not believed (shoal devices names "
            "them; shoal revoke those that are gone for good)"
            for each in SHARDS
            if 2 * found[each] < expected[each]
        )


def _marked(device: DeviceId, pipeline: str) -> DeviceId:
    """The name under which the mark of a pipeline is kept: its numbers count for themselves."""
    return device if pipeline == MAIN else DeviceId(f"{device}/{pipeline}")


def _told(seen: Seen, pipeline: str) -> Told | None:
    if pipeline != MAIN:
        return next((told for told in seen.further if told.report.pipeline == pipeline), None)
    if seen.report is None or seen.heard_at is None:
        return None
    return Told(report=seen.report, heard_at=seen.heard_at, free_at=seen.free_at)


def _freed_at(before: Seen | Told | None, now: Report, at: datetime) -> datetime | None:
    if before is None:
        return None
    return at if is_freed(before.report, now) else before.free_at


def _telling(seen: Seen, pipeline: str, told: Told) -> Seen:
    if pipeline == MAIN:
        return msgspec.structs.replace(seen, report=told.report, heard_at=told.heard_at, free_at=told.free_at)
    others = [each for each in seen.further if each.report.pipeline != pipeline]
    ordered = sorted([*others, told], key=lambda each: each.report.pipeline)
    return msgspec.structs.replace(seen, further=tuple(ordered))


def _beaten(known: Seen, status: Status, at: datetime) -> Seen:
    """With its newest sign of life. The first word of a device may have lain on the broker for long."""
    if status.state is not Presence.ONLINE or status.at is None or status.at == known.said_at:
        return known
    beat_at = at if known.said_at is not None else min(at, status.at)
    return msgspec.structs.replace(known, said_at=status.at, beat_at=beat_at, beat_s=status.beat_s)
