"""Reads our documents with Home Assistant's own code; run by its Python, with the folder of the documents.

Prints what its schemas complain of, a line each, and what it has looked at, to the error output.
"""

import asyncio
import importlib
import json
import logging
import sys
import tempfile
from pathlib import Path

import voluptuous
from homeassistant.components.mqtt import discovery
from homeassistant.components.mqtt.schemas import SHARED_OPTIONS
from homeassistant.components.mqtt.update import MQTT_JSON_UPDATE_SCHEMA
from homeassistant.core import HomeAssistant
from homeassistant.helpers import frame


def strict(platform: str) -> voluptuous.Schema:
    """Its schema of what is configured by hand, which refuses a key that it does not know."""
    return importlib.import_module(f"homeassistant.components.mqtt.{platform}").PLATFORM_SCHEMA_MODERN


def judge(what: str, schema: voluptuous.Schema, document: object) -> None:
    try:
        schema(document)
    except voluptuous.Invalid as fault:
        print(f"{what}: {fault}")
    print(what, file=sys.stderr)


async def main(folder: Path) -> None:
    # Templates are compiled as a running one compiles them.
    frame.async_setup(HomeAssistant(tempfile.gettempdir()))
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    announced = json.loads((folder / "announcement.json").read_text())
    judge("announcement", discovery.DEVICE_DISCOVERY_SCHEMA, json.loads(json.dumps(announced)))
    shared = {key: announced[key] for key in SHARED_OPTIONS if key in announced}
    for key, component in announced["components"].items():
        platform = component.pop("platform")
        if component:
            whole = component | shared | {"device": announced["device"], "origin": announced["origin"]}
            judge(key, strict(platform), whole)
            judge(f"{key} as discovered", discovery_schema(platform), whole)
    for number, model in enumerate(json.loads((folder / "models.json").read_text())):
        judge(f"model {number}", MQTT_JSON_UPDATE_SCHEMA, model)
    spoilt = json.loads((folder / "models.json").read_text())[0]
    for what, change in (("a key more", {"phase": "idle"}), ("a null string", {"title": None})):
        try:
            MQTT_JSON_UPDATE_SCHEMA(spoilt | change)
        except voluptuous.Invalid:
            continue
        print(f"{what} is taken: nothing was validated")


def discovery_schema(platform: str) -> voluptuous.Schema:
    return importlib.import_module(f"homeassistant.components.mqtt.{platform}").DISCOVERY_SCHEMA


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
