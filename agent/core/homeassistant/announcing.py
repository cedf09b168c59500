"""The message by which a device announces itself, and what is remembered of those before it."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from agent.core.homeassistant.entities import STATE, Scene, entities
from agent.wire.homeassistant import Announcement, Availability, Component, Device, Origin, Removed
from agent.wire.topics import MODEL, STATUS, House


class Announced(Struct, frozen=True, kw_only=True):
    """What stands on brokers, or may: on disk before it is said, so that it can be taken back."""

    topics: tuple[str, ...] = ()
    """Retained messages of ours."""
    components: dict[str, str] = {}
    """The platform of everything that was ever in the announcement, by its key."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """How the device presents itself."""

    name: str
    model: str = ""
    agent: str = ""
    area: str = ""


def announcement(
    scene: Scene, portrait: Portrait, pipelines: Sequence[str], before: Announced
) -> Announcement:
    """With everything taken away that was announced before and is no more."""
    present = _components(scene, pipelines)
    gone = {key: Removed(platform=name) for key, name in before.components.items() if key not in present}
    return Announcement(
        device=Device(
            identifiers=(f"shoal-{scene.object_id}",),
            name=portrait.name,
            manufacturer="Shoal",
            model=portrait.model,
            serial_number=scene.device,
            sw_version=portrait.agent,
            suggested_area=portrait.area,
            configuration_url=scene.page,
        ),
        origin=Origin(name="shoal", sw_version=portrait.agent),
        availability=(Availability(topic=scene.root.device(STATUS, scene.device), value_template=STATE),),
        components=present | gone,
    )


def encode(message: Announcement) -> bytes:
    return msgspec.json.encode(message)


def remembered(scene: Scene, house: House, pipelines: Sequence[str], before: Announced) -> Announced:
    """What stands on brokers once the announcement is out."""
    own = (
        house.announcement(scene.object_id),
        *(scene.root.device(MODEL, scene.device, pipeline) for pipeline in pipelines),
    )
    platforms = {key: _platform(each) for key, each in _components(scene, pipelines).items()}
    return Announced(topics=own, components=before.components | platforms)


def _components(scene: Scene, pipelines: Sequence[str]) -> dict[str, Component]:
    found: dict[str, Component] = {}
    for pipeline in pipelines:
        found |= entities(scene, pipeline)
    return found


def _platform(component: Component) -> str:
    if isinstance(component, Removed):
        return component.platform
    tag = component.__struct_config__.tag
    assert isinstance(tag, str)
    return tag
