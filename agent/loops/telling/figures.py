"""Keeps count of what pipelines tell, for whoever reads their figures."""

from agent.core.telemetry.figures import Figures
from agent.wire.ipc import Predicted
from agent.wire.reports import Ended, Event, Report, Telemetry


class Counting:
    """Of one pipeline; see `agent.ports.onlooker.Onlooker`. Windows tell it all that frames could."""

    def __init__(self, pipeline: str, report: Report) -> None:
        self.figures = Figures(pipeline, report)

    def saw(self, seen: Predicted, name: str, version: str, delegate: str) -> None:
        pass

    def told(self, report: Report) -> None:
        self.figures.report = report

    def measured(self, telemetry: Telemetry) -> None:
        self.figures.measured(telemetry)

    def happened(self, event: Event) -> None:
        pass

    def ended(self, ended: Ended) -> None:
        pass
