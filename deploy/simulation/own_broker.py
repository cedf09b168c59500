"""The broker of a simulation, which a scenario may kill."""

import contextlib
import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.adapters.broker_local import start_broker
from deploy.simulation.scenario import Broker

log = logging.getLogger(__name__)


class OwnBroker:
    def __init__(self, folder: Path) -> None:
        """
        Raises:
            ConfigError: no broker is installed.
            PortError: it did not start.
        """
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self.broker = self._stack.enter_context(start_broker(folder))
        self._killed = self._back = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def follow(self, told: Broker, since_s: float) -> None:
        """Kill it and bring it back when the scenario says so; it keeps its folder and its port.

        Raises:
            PortError: it did not start again.
        """
        if told.killed_at_s is None:
            return
        if not self._killed and since_s >= told.killed_at_s:
            self._killed = True
            self.broker.process.kill()
            log.info("broker.killed")
        if self._killed and not self._back and since_s >= told.killed_at_s + told.away_s:
            self._back = True
            started = start_broker(self._folder, kind=self.broker.kind, port=self.broker.port)
            self.broker = self._stack.enter_context(started)
            log.info("broker.started-again")
