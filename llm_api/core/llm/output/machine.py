"""From token bytes to an answer's deltas: whole characters, nothing of a stop string."""

import codecs
from collections import deque
from collections.abc import Iterator, Sequence

from llm_api.core.llm.output.pieces import Piece, Visible
from llm_api.core.llm.output.reader import OutputReader
from llm_api.core.llm.output.stop_strings import StopStrings
from llm_api.core.llm.types import AnswerDelta, SampledLogprob, TextDelta


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
