"""The broker of a simulation, which a scenario may kill."""

import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from deploy.adapters.broker_local import BrokerKind, LocalBroker, mosquitto_defaults, start_broker
from deploy.simulation.scenario import Broker

log = logging.getLogger(__name__)


class OwnBroker:
    def __init__(self, folder: Path, told: Broker) -> None:
        """
        Raises:
            ConfigError: no broker is installed.
            PortError: it did not start.
        """
        self._folder, self._told = folder, told
        self._stack = contextlib.ExitStack()
        # A broker ends with the thread that started it, and whoever brings it back may end earlier.
        self._starter = self._stack.enter_context(ThreadPoolExecutor(1, "broker"))
        self.broker = self._start(None, None)
        self._killed = self._back = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, kind: BrokerKind | None, port: int | None) -> LocalBroker:
        settings = None
        if self._told.as_it_comes:
            kind, settings = BrokerKind.MOSQUITTO, mosquitto_defaults
        starting = start_broker(self._folder, kind=kind, port=port, settings=settings)
        return self._starter.submit(self._stack.enter_context, starting).result()

    def follow(self, since_s: float) -> None:
        """Kill it and bring it back when the scenario says so; it keeps its folder and its port.

        Raises:
            PortError: it did not start again.
        """
        told = self._told
        if told.killed_at_s is None:
            return
        if not self._killed and since_s >= told.killed_at_s:
            self._killed = True
            self.broker.process.kill()
            log.info("broker.killed")
        if self._killed and not self._back and since_s >= told.killed_at_s + told.away_s:
            self._back = True
            self.broker = self._start(self.broker.kind, self.broker.port)
            log.info("broker.started-again")
