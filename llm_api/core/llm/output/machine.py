"""From token bytes to text deltas: whole characters, nothing of a stop string, logprobs in step."""

import codecs
from collections import deque
from collections.abc import Sequence

from llm_api.core.llm.output.stop_strings import StopStrings
from llm_api.core.llm.types import SampledLogprob, TextDelta


class OutputMachine:
    """The text of one answer while its tokens arrive.

    ```
    bytes ──► UTF-8 decoder ──► stop strings ──► delta
              holds half a      holds what may
              character         become a stop
    ```
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stops = StopStrings(stops)
        self._decoded = 0  # characters
        self._shown = 0
        # Log-probabilities not handed out yet, with the position at which their token begins.
        self._pending: deque[tuple[int, SampledLogprob]] = deque()
        self.has_stopped = False

    def feed(self, data: bytes, logprob: SampledLogprob | None) -> TextDelta | None:
        """Take in one token. None where nothing can be shown yet."""
        if logprob is not None:
            self._pending.append((self._decoded, logprob))
        text = self._decoder.decode(data)
        self._decoded += len(text)
        shown, self.has_stopped = self._stops.feed(text)
        return self._delta(shown)

    def flush(self) -> TextDelta | None:
        """The rest, where the answer ends without a stop string. Half a character is dropped."""
        delta = self._delta(self._stops.flush())
        rest = tuple(logprob for _, logprob in self._pending)
        self._pending.clear()
        if not rest:
            return delta
        return TextDelta(delta.text if delta else "", (delta.logprobs if delta else ()) + rest)

    def _delta(self, shown: str) -> TextDelta | None:
        self._shown += len(shown)
        logprobs = []
        while self._pending and self._pending[0][0] < self._shown:
            logprobs.append(self._pending.popleft()[1])
        if not shown:
            return None
        return TextDelta(shown, tuple(logprobs))
