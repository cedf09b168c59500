"""The entities of one pipeline: which, where they read, and by what template.

Templates are Jinja2 over `value_json`, and give `None` where the device does not tell: Home Assistant shows
unknown then. No prediction has a label while nothing reaches the floor, and not every host has sensors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from agent.wire.homeassistant import (
    PAYLOAD_INSTALL,
    Availability,
    BinarySensor,
    Component,
    Image,
    Sensor,
    Update,
)
from agent.wire.topics import (
    FRAME,
    INSTALL,
    MAIN,
    MODEL,
    PREDICTION,
    REPORT,
    STATUS,
    TELEMETRY,
    Channel,
    DeviceId,
    Root,
)

DIAGNOSTIC: Final = "diagnostic"
MEASUREMENT: Final = "measurement"
PROBLEM: Final = "problem"
EXPIRE_MIN_S: Final = 120
EXPIRE_TIMES: Final = 3
"""So often may what is told in a rhythm be missing."""

STATE: Final = "{{ value_json.state }}"
SERVING: Final = "{{ 'offline' if value_json.paused else 'online' }}"
PAUSED: Final = "{{ 'ON' if value_json.paused else 'OFF' }}"
LABEL: Final = (
    "{% if value_json.predictions %}{% set label = (value_json.predictions | first).label | trim %}"
    "{{ '\"%s\"' | format(label) if label in ('', 'None', 'unknown', 'unavailable') else label[:255] }}"
    "{% else %}None{% endif %}"
)
"""A state has at most 255 letters. What would read as a state of no label stands in quotation marks."""
RANKING: Final = (
    "{{ {'model': value_json.model, 'version': value_json.version, 'delegate': value_json.delegate, "
    "'predictions': value_json.predictions} | to_json }}"
)
CONFIDENCE: Final = (
    "{{ ((value_json.predictions | first).score * 100) | round(1) if value_json.predictions else None }}"
)
P95: Final = (
    "{{ value_json.latency_ms.invoke.p95 "
    "if value_json.predictions and value_json.latency_ms.invoke is defined else None }}"
)
FPS: Final = "{{ value_json.fps | round(2) }}"
SOC: Final = "{{ value_json.vitals.soc_c if value_json.vitals else None }}"
_TOLD: Final = "value_json.vitals and value_json.vitals.now"
THROTTLED: Final = f"{{{{ 'ON' if value_json.throttled else ('OFF' if {_TOLD} else None) }}}}"
UNDER_VOLTAGE: Final = (
    f"{{{{ ('ON' if value_json.vitals.now.under_voltage else 'OFF') if ({_TOLD}) else None }}}}"
)
CAMERA: Final = (
    "{{ ('OFF' if value_json.camera.state in ('live', 'opening') else 'ON') if value_json.camera else None }}"
)
CAMERA_WHY: Final = "{{ (value_json.camera or {}) | to_json }}"
DEGRADED: Final = "{{ 'ON' if value_json.degraded else 'OFF' }}"
DEGRADED_WHY: Final = "{{ {'why': value_json.degraded} | to_json }}"


@dataclass(frozen=True, slots=True)
class Scene:
    """Whose entities they are."""

    root: Root
    device: DeviceId
    object_id: str
    window_s: float
    """Of telemetry."""
    pictures: bool
    """Whether frames leave the device."""
    silent_s: Mapping[str, float] = field(default_factory=dict)
    """By pipeline: how long it says nothing of what it sees while all is well. Not there: any time."""
    page: str = ""
    """The address of the device's page."""


def entities(scene: Scene, pipeline: str) -> dict[str, Component]:
    """By the keys of the announcement. What is of the host is told by the main pipeline."""
    return _Entities(scene, pipeline).all()


@dataclass(frozen=True, slots=True)
class _Entities:
    scene: Scene
    pipeline: str

    def all(self) -> dict[str, Component]:
        found = self._seen() | self._fares() | {"model": self._model()}
        if self.scene.pictures:
            found["img"] = self._image()
        if self.pipeline == MAIN:
            found |= self._host()
            return found
        return {f"{self.pipeline}_{key}": component for key, component in found.items()}

    def _seen(self) -> dict[str, Component]:
        """A label that was seen before a pause, or is old, is none that is seen."""
        topic = self._topic(PREDICTION)
        present = (
            Availability(topic=self.scene.root.device(STATUS, self.scene.device), value_template=STATE),
            Availability(topic=self._topic(REPORT), value_template=SERVING),
        )
        silent_s = self.scene.silent_s.get(self.pipeline)
        expire_s = None if silent_s is None else _expire_s(silent_s)
        return {
            "top1": Sensor(
                unique_id=self._unique("top1"),
                name=self._named("Top label"),
                icon="mdi:tag",
                state_topic=topic,
                value_template=LABEL,
                json_attributes_topic=topic,
                json_attributes_template=RANKING,
                availability=present,
                availability_mode="all",
                expire_after=expire_s,
            ),
            "conf": Sensor(
                unique_id=self._unique("conf"),
                name=self._named("Confidence"),
                icon="mdi:percent",
                state_topic=topic,
                value_template=CONFIDENCE,
                unit_of_measurement="%",
                state_class=MEASUREMENT,
                suggested_display_precision=1,
                availability=present,
                availability_mode="all",
                expire_after=expire_s,
            ),
        }

    def _fares(self) -> dict[str, Component]:
        report = self._topic(REPORT)
        return {
            "p95": self._measured(
                "p95", "Inference p95", P95, "ms", device_class="duration", precision=2, icon="mdi:timer"
            ),
            "fps": self._measured("fps", "Frame rate", FPS, "fps", precision=1, icon="mdi:speedometer"),
            "cam": BinarySensor(
                unique_id=self._unique("cam"),
                name=self._named("Camera problem"),
                device_class=PROBLEM,
                entity_category=DIAGNOSTIC,
                state_topic=report,
                value_template=CAMERA,
                json_attributes_topic=report,
                json_attributes_template=CAMERA_WHY,
            ),
            "paus": BinarySensor(
                unique_id=self._unique("paus"),
                name=self._named("Paused"),
                icon="mdi:pause-circle",
                entity_category=DIAGNOSTIC,
                state_topic=report,
                value_template=PAUSED,
            ),
            "degr": BinarySensor(
                unique_id=self._unique("degr"),
                name=self._named("Degraded"),
                device_class=PROBLEM,
                entity_category=DIAGNOSTIC,
                state_topic=report,
                value_template=DEGRADED,
                json_attributes_topic=report,
                json_attributes_template=DEGRADED_WHY,
            ),
        }

    def _host(self) -> dict[str, Component]:
        return {
            "temp": self._measured(
                "soc", "SoC temperature", SOC, "°C", device_class="temperature", precision=1
            ),
            "thr": self._strained("thr", "Throttled", THROTTLED),
            "volt": self._strained("volt", "Under-voltage", UNDER_VOLTAGE),
        }

    def _measured(
        self,
        key: str,
        name: str,
        template: str,
        unit: str,
        *,
        precision: int,
        device_class: str = "",
        icon: str = "",
    ) -> Sensor:
        return Sensor(
            unique_id=self._unique(key),
            name=self._named(name),
            icon=icon,
            device_class=device_class,
            entity_category=DIAGNOSTIC,
            state_topic=self._topic(TELEMETRY),
            value_template=template,
            unit_of_measurement=unit,
            state_class=MEASUREMENT,
            suggested_display_precision=precision,
            expire_after=_expire_s(self.scene.window_s),
        )

    def _strained(self, key: str, name: str, template: str) -> BinarySensor:
        return BinarySensor(
            unique_id=self._unique(key),
            name=self._named(name),
            device_class=PROBLEM,
            entity_category=DIAGNOSTIC,
            state_topic=self._topic(TELEMETRY),
            value_template=template,
            expire_after=_expire_s(self.scene.window_s),
        )

    def _image(self) -> Image:
        return Image(
            unique_id=self._unique("img"),
            name=self._named("Last frame"),
            image_topic=self._topic(FRAME),
            content_type="image/jpeg",
        )

    def _model(self) -> Update:
        return Update(
            unique_id=self._unique("model"),
            name=self._named("Model"),
            device_class="firmware",
            title=self._named("Model"),
            state_topic=self._topic(MODEL),
            command_topic=self._topic(INSTALL),
            payload_install=PAYLOAD_INSTALL,
            release_url=self.scene.page,
        )

    def _topic(self, channel: Channel) -> str:
        return self.scene.root.device(channel, self.scene.device, self.pipeline)

    def _unique(self, key: str) -> str:
        of = "" if self.pipeline == MAIN else f"{self.pipeline}_"
        return f"shoal_{self.scene.object_id}_{of}{key}"

    def _named(self, name: str) -> str:
        return name if self.pipeline == MAIN else f"{self.pipeline} {name[0].lower()}{name[1:]}"


def _expire_s(rhythm_s: float) -> int:
    return max(EXPIRE_MIN_S, round(EXPIRE_TIMES * rhythm_s))
