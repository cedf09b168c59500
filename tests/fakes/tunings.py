from agent.core.serving.tuning import Tuning


class MemoryTunings:
    """`Tunings` that outlive nothing."""

    def __init__(self, known: tuple[Tuning, ...] = ()) -> None:
        self.known = known

    def load(self) -> tuple[Tuning, ...]:
        return self.known

    def save(self, tunings: tuple[Tuning, ...]) -> None:
        self.known = tunings
