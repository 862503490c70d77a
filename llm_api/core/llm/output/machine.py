"""From token bytes to an answer's deltas: whole characters, and nothing of a stop string."""

import codecs
from collections import deque
from collections.abc import Iterator, Sequence

from llm_api.core.llm.output.reader import OutputReader, Piece, Visible
from llm_api.core.llm.types import AnswerDelta, SampledLogprob, TextDelta


class StopStrings:
    """Finds stop strings in text that arrives in pieces. Holds back only what may become one.

    `found` is the one that ended the text; None until then.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found: str | None = None

    def feed(self, text: str) -> tuple[str, bool]:
        """Text that is safe to show, and whether a stop string was found right behind it."""
        if not self._stops:
            return text, False
        self._held += text
        # The stop string that is complete first ends the text, however the text was cut into
        # pieces; of two that end together, the one that begins first.
        found = [
            (start + len(stop), start, stop)
            for stop in self._stops
            if (start := self._held.find(stop)) >= 0
        ]
        if found:
            _, start, self.found = min(found)
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


class OutputMachine:
    """The answer while its tokens arrive.

    ```
    bytes ──► UTF-8 decoder ──► reader ──┬─ text ──► stop strings ──► deltas
              holds half a      holds    │           holds what may     ▲
              character         marks    └─ calls, thoughts ────────────┘
    ```
    Log-probabilities come with the text in which their tokens begin; those of calls and thoughts
    are dropped.
    """

    def __init__(self, reader: OutputReader, stops: Sequence[str]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._reader = reader
        self._stops = StopStrings(stops)
        # Positions count characters of the answer.
        self._decoded = 0
        self._seen = 0  # the text's end that the stop strings were given
        self._shown = 0  # the text's end that was handed out
        # Log-probabilities not handed out yet, with the position at which their token begins.
        self._pending: deque[tuple[int, SampledLogprob]] = deque()
        self._is_stopped = False

    @property
    def has_stopped(self) -> bool:
        """Whether the answer is over, whatever the model says next."""
        return self._is_stopped or self._reader.is_ended

    @property
    def stop_string(self) -> str | None:
        """The stop string that ended the answer, if one did."""
        return self._stops.found

    def feed(self, data: bytes, logprob: SampledLogprob | None) -> list[AnswerDelta]:
        """Take in one token."""
        if logprob is not None:
            self._pending.append((self._decoded, logprob))
        text = self._decoder.decode(data)
        self._decoded += len(text)
        return list(self._deltas(self._reader.feed(text)))

    def flush(self) -> list[AnswerDelta]:
        """The rest, where the answer ends without a stop string. Half a character is dropped."""
        deltas = list(self._deltas(self._reader.flush()))
        if self._is_stopped:
            return deltas
        deltas += self._release()
        if self._seen == self._decoded and self._pending:
            rest = tuple(logprob for _, logprob in self._pending)
            match deltas:
                case [*others, TextDelta(text, logprobs)]:
                    return [*others, TextDelta(text, logprobs + rest)]
                case _:
                    deltas.append(TextDelta("", rest))
        return deltas

    def _deltas(self, pieces: Sequence[Piece]) -> Iterator[AnswerDelta]:
        for piece in pieces:
            if self._is_stopped:
                return
            if not isinstance(piece, Visible):
                yield from self._release()
                yield piece
                continue
            if piece.start != self._seen:
                yield from self._release()
                self._skip_to(piece.start)
            self._seen += len(piece.text)
            shown, self._is_stopped = self._stops.feed(piece.text)
            yield from self._show(shown)

    def _release(self) -> Iterator[AnswerDelta]:
        """What was held back for a stop string: it is over, since no text follows directly."""
        yield from self._show(self._stops.flush())

    def _skip_to(self, position: int) -> None:
        """Forget the tokens that begin before `position`: they were no text."""
        self._seen = self._shown = position
        while self._pending and self._pending[0][0] < position:
            self._pending.popleft()

    def _show(self, text: str) -> Iterator[AnswerDelta]:
        self._shown += len(text)
        logprobs = []
        while self._pending and self._pending[0][0] < self._shown:
            logprobs.append(self._pending.popleft()[1])
        if text:
            yield TextDelta(text, tuple(logprobs))
