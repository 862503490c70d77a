"""What reading and computing cost on this machine, learnt from what was done."""

from dataclasses import dataclass

WEIGHT = 0.3
"""How much the last measurement counts against those before."""


@dataclass(slots=True)
class Speeds:
    """Guesses on the side of computing, until something was measured."""

    copied_bytes: float = 1e9  # a second
    computed_tokens: float = 2000.0  # a second

    def learn_copy(self, size: int, seconds: float) -> None:
        if seconds > 0:
            self.copied_bytes += WEIGHT * (size / seconds - self.copied_bytes)

    def learn_computing(self, tokens: int, seconds: float) -> None:
        if seconds > 0:
            self.computed_tokens += WEIGHT * (tokens / seconds - self.computed_tokens)

    def pays(self, tokens: int, size: int, disk_bytes: float | None = None) -> bool:
        """Whether `size` bytes are read in less than half of the time that computing takes."""
        reading = size / self.copied_bytes + (size / disk_bytes if disk_bytes else 0.0)
        return reading < tokens / self.computed_tokens / 2
