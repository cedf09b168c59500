from agent.core.telemetry.vitals import Gauges


class ScriptedHost:
    """Gives its readings one after the other, and the last one for ever."""

    def __init__(self, *readings: Gauges) -> None:
        self._readings = list(readings)

    def read(self) -> Gauges:
        return self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]
