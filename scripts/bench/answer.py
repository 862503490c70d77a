"""What a server sent for one request, made out of recorded bytes after the clock has stopped.

Parsing happens here and not while the answer arrives, so that the client takes next to nothing
of the processors that the servers compute on.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Arrival:
    """Bytes as the socket gave them, and when, in seconds of `time.perf_counter`."""

    at: float
    data: bytes


@dataclass(slots=True)
class Answer:
    """One answer, streamed or whole. Times are those of `time.perf_counter`."""

    sent: float
    ended: float
    status: int
    text_times: list[float] = field(default_factory=list)
    """When each chunk came that carried text."""
    text: str = ""
    finish_reason: str | None = None
    is_done: bool = False
    """Whether the stream ended in `[DONE]`; of a whole answer, whether it could be read."""
    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None

    @property
    def is_complete(self) -> bool:
        """All that was asked for came. With end-of-text banned, only the limit ends an answer."""
        return self.status == 200 and self.is_done and self.finish_reason == "length"

    @property
    def tokens(self) -> int:
        """As the server counts in its usage; of a server that sends none, the chunks with text."""
        counted = self.completion_tokens
        return len(self.text_times) if counted is None else counted

    @property
    def seconds_to_first_token(self) -> float | None:
        return self.text_times[0] - self.sent if self.text_times else None


def split_response(raw: bytes) -> tuple[int, bytes]:
    """Status and body of an HTTP/1.1 response; status 0 where its head is not whole. Pure."""
    status, _, pieces = _parse(raw)
    return status, b"".join(raw[begin:end] for begin, end in pieces)


def read_answer(sent: float, ended: float, arrivals: Sequence[Arrival]) -> Answer:
    """Read an HTTP/1.1 response. One that breaks off yields what came until then. Pure."""
    raw = b"".join(arrival.data for arrival in arrivals)
    status, head, pieces = _parse(raw)
    answer = Answer(sent, ended, status)
    body = b"".join(raw[begin:end] for begin, end in pieces)
    if b"text/event-stream" in head:
        _read_events(answer, body, _Clock(arrivals, pieces))
    else:
        _read_whole(answer, body)
    return answer


def _parse(raw: bytes) -> tuple[int, bytes, list[tuple[int, int]]]:
    """Status, the head in small letters, and where the pieces of the body lie."""
    head, separator, _ = raw.partition(b"\r\n\r\n")
    words = head.split(maxsplit=2)
    if not separator or len(words) < 2 or not words[1].isdigit():
        return 0, b"", []
    head = head.lower()
    start = len(head) + len(separator)
    is_chunked = b"transfer-encoding: chunked" in head
    return int(words[1]), head, list(_chunks(raw, start)) if is_chunked else [(start, len(raw))]


class _Clock:
    """Tells when the byte at an offset of the body arrived."""

    def __init__(self, arrivals: Sequence[Arrival], pieces: Sequence[tuple[int, int]]) -> None:
        self._raw_ends: list[int] = []
        self._times = [arrival.at for arrival in arrivals]
        total = 0
        for arrival in arrivals:
            total += len(arrival.data)
            self._raw_ends.append(total)
        self._pieces = pieces
        self._body_ends: list[int] = []
        total = 0
        for begin, end in pieces:
            total += end - begin
            self._body_ends.append(total)

    def at(self, body_end: int) -> float:
        """When the body was there up to `body_end`, which is at least 1."""
        piece = bisect_left(self._body_ends, body_end)
        raw_end = self._pieces[piece][1] - (self._body_ends[piece] - body_end)
        return self._times[bisect_left(self._raw_ends, raw_end)]


def _chunks(raw: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Begin and end of the data of every chunk (RFC 9112, 7.1) that is there, cut ones as well."""
    while (line_end := raw.find(b"\r\n", start)) >= 0:
        size = int(raw[start:line_end].split(b";")[0] or b"0", 16)
        if size == 0:
            return
        begin = line_end + 2
        yield begin, min(begin + size, len(raw))
        start = begin + size + 2


def _read_events(answer: Answer, body: bytes, clock: _Clock) -> None:
    start = 0
    for line in body.splitlines(keepends=True):
        start += len(line)
        if line.startswith(b"data:") and line.endswith(b"\n"):
            _read_event(answer, line[5:].strip().decode(), start, clock)


def _read_event(answer: Answer, data: str, body_end: int, clock: _Clock) -> None:
    if data == DONE:
        answer.is_done = True
        return
    chunk = json.loads(data)
    _read_usage(answer, chunk)
    for choice in chunk.get("choices") or ():
        text = choice.get("text") or (choice.get("delta") or {}).get("content")
        if text:
            answer.text += text
            answer.text_times.append(clock.at(body_end))
        answer.finish_reason = choice.get("finish_reason") or answer.finish_reason


def _read_whole(answer: Answer, body: bytes) -> None:
    try:
        content = json.loads(body)
    except ValueError:
        return
    answer.is_done = True
    _read_usage(answer, content)
    for choice in content.get("choices") or ():
        answer.text += choice.get("text") or (choice.get("message") or {}).get("content") or ""
        answer.finish_reason = choice.get("finish_reason")


def _read_usage(answer: Answer, content: dict[str, Any]) -> None:
    if usage := content.get("usage"):
        answer.completion_tokens = usage.get("completion_tokens")
        answer.prompt_tokens = usage.get("prompt_tokens")
        answer.cached_tokens = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
