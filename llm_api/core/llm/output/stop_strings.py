"""Finds stop strings in text that arrives in pieces."""

from collections.abc import Sequence


class StopStrings:
    """Holds back only what may still become a stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""

    def feed(self, text: str) -> tuple[str, bool]:
        """Text that is safe to show, and whether a stop string was found right behind it."""
        self._held += text
        # The stop string that is complete first ends the text, however the text was cut into
        # pieces; of two that end together, the one that begins first.
        found = [
            (start + len(stop), start)
            for stop in self._stops
            if (start := self._held.find(stop)) >= 0
        ]
        if found:
            _, start = min(found)
            shown, self._held = self._held[:start], ""
            return shown, True
        safe = len(self._held) - self._longest_beginning()
        shown, self._held = self._held[:safe], self._held[safe:]
        return shown, False

    def flush(self) -> str:
        """What is still held back when the answer ends: it was no stop string after all."""
        shown, self._held = self._held, ""
        return shown

    def _longest_beginning(self) -> int:
        """Length of the longest end of the held text with which a stop string begins."""
        return max((_overlap(self._held, stop) for stop in self._stops), default=0)


def _overlap(text: str, stop: str) -> int:
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
