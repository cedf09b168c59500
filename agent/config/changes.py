"""What a changed file asks of a running agent: what takes effect at once, and what only a restart can do."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from agent.config.lines import Key
from agent.config.sections import Settings
from agent.core.redaction import shown_url

SAFE = frozenset({"emission", "thermal", "commands", "web", "log"})
"""Sections that whoever obeys them can be given anew."""
SAFE_KEYS = frozenset({("outbox", "drain_per_s"), ("telemetry", "window_s")})


@dataclass(frozen=True, slots=True)
class Change:
    key: str
    before: str
    after: str

    @property
    def words(self) -> str:
        return f"{self.key} {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class Changes:
    settings: Settings
    """What runs from now on: the old settings with the safe changes."""
    applied: tuple[Change, ...]
    restart: tuple[Change, ...]
    """What the file wants beyond that, and the running agent does not do."""

    @property
    def words(self) -> str:
        """One sentence for the log and for the operator."""
        if not self.applied and not self.restart:
            return "nothing changed"
        applied = f"now: {_list(self.applied)}" if self.applied else "nothing took effect"
        return f"{applied}; after a restart: {_list(self.restart)}" if self.restart else applied


def compare(running: Settings, wanted: Settings) -> Changes:
    """What becomes of the running settings when the file now says `wanted`."""
    others = frozenset(running.pipeline.keys() ^ wanted.pipeline.keys())
    differing = list(_differing(_flat(running, others), _flat(wanted, others)))
    return Changes(
        settings=_merged(running, wanted),
        applied=tuple(change for key, change in differing if is_safe(key)),
        restart=tuple(change for key, change in differing if not is_safe(key)),
    )


def is_safe(key: Key) -> bool:
    """Whether a running agent can take another value for this key without a restart."""
    if key[0] == "pipeline":
        return len(key) > 2 and key[2] == "emission"
    return key[0] in SAFE or key[:2] in SAFE_KEYS


def _merged(running: Settings, wanted: Settings) -> Settings:
    """A pipeline that came or went is a matter for a restart."""
    replace = msgspec.structs.replace
    return replace(
        running,
        **{name: getattr(wanted, name) for name in SAFE},
        outbox=replace(running.outbox, drain_per_s=wanted.outbox.drain_per_s),
        telemetry=replace(running.telemetry, window_s=wanted.telemetry.window_s),
        pipeline={
            name: replace(further, emission=wanted.pipeline[name].emission)
            if name in wanted.pipeline
            else further
            for name, further in running.pipeline.items()
        },
    )


def _flat(settings: Settings, others: frozenset[str]) -> dict[Key, object]:
    """Every setting. A section that a pipeline takes from the device counts as its own: a change of the one
    is one of both. A pipeline that only one side has (`others`) is one setting, its being there.
    """
    pipelines = {
        name: msgspec.structs.replace(
            further,
            runtime=further.runtime or settings.runtime,
            emission=further.emission or settings.emission,
        )
        for name, further in settings.pipeline.items()
        if name not in others
    }
    spelled_out = msgspec.structs.replace(settings, pipeline=pipelines)
    flat = dict(_leaves(msgspec.to_builtins(spelled_out), ()))
    return flat | {("pipeline", name): True for name in settings.pipeline.keys() & others}


def _leaves(value: object, key: Key) -> Iterator[tuple[Key, object]]:
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _leaves(below, (*key, name))
    else:
        yield key, value


def _differing(running: dict[Key, object], wanted: dict[Key, object]) -> Iterator[tuple[Key, Change]]:
    for key in dict.fromkeys((*running, *wanted)):
        before, after = running.get(key), wanted.get(key)
        if before != after:
            yield key, Change(".".join(key), _shown(key, before), _shown(key, after))


def _shown(key: Key, value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        whole_pipeline = key[0] == "pipeline" and len(key) == 2
        return "there" if whole_pipeline else str(value).lower()
    return repr(shown_url(value) if key[-1] == "url" and isinstance(value, str) else value)


def _list(changes: tuple[Change, ...]) -> str:
    return ", ".join(change.words for change in changes)
