"""What is told of a pipeline's worker: who serves, why less than was promised, and whose fault an end was."""

import logging

from agent.loops.telling.reporter import Reporter
from agent.loops.telling.service import Service
from agent.ports.children import Died, Guilty, Happening, Lost, Returned, StoodIn, Worker
from agent.wire.ipc import Serving
from agent.wire.reasons import Reason

log = logging.getLogger(__name__)


class WorkerNews:
    def __init__(self, worker: Worker, reporter: Reporter, service: Service, requirement: str = "") -> None:
        """
        Args:
            worker: whose happenings are heard.
            reporter: tells them.
            service: weighs them.
            requirement: in words, what the configuration asks for and this host lacks; else empty.

        Once the loop runs, `require` says the first word.
        """
        self._worker, self._reporter, self._service = worker, reporter, service
        self._requirement, self._why = requirement, ""
        worker.watch(self.hear)

    def require(self, requirement: str) -> None:
        """The hardware has changed, and with it what is lacking."""
        self._requirement = requirement
        self._reporter.degrade(self._why or requirement)

    def hear(self, happening: Happening) -> None:
        match happening:
            case Died(how, counts):
                self._service.crashed(self._worker.restarts, how, blamed=counts)
            case Guilty(how):
                self._service.blame(Reason.WORKER_CRASHED, how)
            case StoodIn(serving, degraded):
                self._service.suspend()
                self._serves(serving)
                self._degrade(degraded)
            case Lost(why, stands_in):
                self._reporter.event("edgetpu.lost", {"why": why})
                if not stands_in:
                    self._service.blame(Reason.NEEDS_EDGETPU, why)
            case Returned(serving, lost_s):
                self._service.resume()
                self._serves(serving)
                self._degrade("")
                if lost_s is not None:
                    log.info("edgetpu.back", extra={"lost_s": round(lost_s, 1)})
                    self._reporter.event("edgetpu.back", {"lost_s": round(lost_s, 1)})

    def _degrade(self, why: str) -> None:
        self._why = why
        self._reporter.degrade(why or self._requirement)

    def _serves(self, serving: Serving | None) -> None:
        if serving is not None:
            self._reporter.serving(serving)
