"""What a Home Assistant is told, in its own words.

Source: MQTT discovery and the platforms sensor, binary_sensor, image and update of its MQTT integration
(home-assistant/core, components/mqtt), 2024.12 and newer. Fields that are left empty are not sent: its
schemas take no null where they want words.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct

ONLINE: Final = b"online"
"""On its status topic: it has started, and knows nothing yet."""
PAYLOAD_INSTALL: Final = "INSTALL"
NOTHING: Final = "none"
"""A version where no model is: the entity would be unknown without one, and offer nothing to install."""
SUMMARY_CHARS: Final = 255


class Device(Struct, frozen=True, kw_only=True, omit_defaults=True):
    identifiers: tuple[str, ...]
    name: str
    manufacturer: str = ""
    model: str = ""
    serial_number: str = ""
    sw_version: str = ""
    suggested_area: str = ""
    configuration_url: str = ""


class Origin(Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    sw_version: str = ""


class Availability(Struct, frozen=True, kw_only=True):
    topic: str
    value_template: str
    payload_available: str = "online"
    payload_not_available: str = "offline"


class Entity(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="platform"):
    """`platform` is the kind; `state_topic` and the rest of its own follow. An availability of its own takes
    the place of the device's.
    """

    unique_id: str
    name: str
    icon: str = ""
    device_class: str = ""
    entity_category: str = ""
    json_attributes_topic: str = ""
    json_attributes_template: str = ""
    availability: tuple[Availability, ...] = ()
    availability_mode: str = ""


class Sensor(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="sensor"):
    state_topic: str
    value_template: str
    unit_of_measurement: str = ""
    state_class: str = ""
    suggested_display_precision: int | None = None
    expire_after: int | None = None
    """Seconds after which it is unavailable."""


class BinarySensor(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="binary_sensor"):
    state_topic: str
    value_template: str
    expire_after: int | None = None


class Image(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="image"):
    image_topic: str
    content_type: str


class Update(Entity, frozen=True, kw_only=True, omit_defaults=True, tag="update"):
    state_topic: str
    command_topic: str
    payload_install: str
    title: str = ""
    release_url: str = ""


class Removed(Struct, frozen=True, kw_only=True):
    """A component that was announced once, and is no more: only its platform is said."""

    platform: str


Component = Sensor | BinarySensor | Image | Update | Removed


class Announcement(Struct, frozen=True, kw_only=True):
    """One message for the whole device."""

    device: Device
    origin: Origin
    availability: tuple[Availability, ...]
    components: dict[str, Component]


class ModelState(Struct, frozen=True, kw_only=True):
    """Of the update entity. Its schema is strict: one key more, or one null string, and the whole message is
    dropped. Every key is said every time, for what is left out stays as it was.
    """

    installed_version: str
    latest_version: str
    title: str
    release_summary: Annotated[str, Meta(max_length=SUMMARY_CHARS)]
    in_progress: bool
    update_percentage: Annotated[int, Meta(ge=0, le=100)] | None
