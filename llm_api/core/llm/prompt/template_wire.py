"""What passes between the server and the process of a chat template.

In goes marshal, which is quick and which the process need not doubt. Out come a mark and a text of
known size: nothing of it is unpickled, so a template that has taken its process over can lie about
the prompt, and do no more to the server.
"""

import json
import marshal
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from itertools import accumulate, pairwise
from struct import Struct
from typing import Final, TypeAlias

from llm_api.core.llm.prompt.carrying import Segment
from llm_api.core.llm.types import ChatPrompt, Message, ToolCall, ToolSpec


@dataclass(frozen=True, slots=True)
class TemplateLimits:
    """What one template may cost. Loading it compiles it and renders some small conversations.

    `wait_seconds` is for an answer of a process that does not get to compute: it is stopped, or
    the machine is busy.
    """

    load_cpu_seconds: float = 3.0
    render_cpu_seconds: float = 1.0
    wait_seconds: float = 10.0
    memory_bytes: int = 512 << 20
    output_characters: int = 32 << 20


_LENGTHS: Final = re.compile(r"\[[-0-9, ]*\]")

SIZE: Final = Struct(">I")
"""Before each message: how many bytes it has."""


class RenderOutcome(Enum):
    """What an answer is; the first byte of it."""

    DONE = b"D"
    REFUSED = b"R"
    """The template called `raise_exception`, with this text."""
    FAILED = b"F"
    """It raised, or is not valid."""
    BROKE_BOUNDS = b"B"
    """It wanted too much; this process is not to be asked again."""


@dataclass(frozen=True, slots=True)
class Loading:
    """The first request: a template, the values of every rendering, and the control tokens."""

    source: str
    special: Mapping[str, str]
    control_texts: frozenset[str]
    now: datetime


@dataclass(frozen=True, slots=True)
class Rendering:
    """Every further request."""

    prompt: ChatPrompt
    now: datetime


Request: TypeAlias = Loading | Rendering


def encode(request: Request) -> bytes:
    """Raises ValueError where a value nests more deeply than can be sent."""
    now = request.now.astimezone()
    time = now.timestamp(), (now.utcoffset() or timedelta()).total_seconds(), now.tzname() or ""
    match request:
        case Loading(source, special, control_texts):
            return marshal.dumps((time, (source, dict(special), control_texts)))
        case Rendering(prompt):
            messages = [
                (
                    *(message.role, message.content, message.name),
                    [(call.id, call.name, call.arguments) for call in message.tool_calls],
                    *(message.tool_call_id, message.reasoning),
                )
                for message in prompt.messages
            ]
            tools = [(tool.name, tool.description, dict(tool.parameters)) for tool in prompt.tools]
            return marshal.dumps((time, (messages, dict(prompt.variables), tools)))


def decode(data: bytes, *, is_first: bool) -> Request:
    """In the process of the template, what `encode` has made."""
    (seconds, offset, zone), fields = marshal.loads(data)  # noqa: S302 - the server's
    now = datetime.fromtimestamp(seconds, timezone(timedelta(seconds=offset), zone))
    if is_first:
        source, special, control_texts = fields
        return Loading(source, special, control_texts, now)
    messages, variables, tools = fields
    turns = tuple(
        Message(role, content, name, tuple(ToolCall(*call) for call in calls), call_id, reasoning)
        for role, content, name, calls, call_id, reasoning in messages
    )
    return Rendering(ChatPrompt(turns, variables, tuple(ToolSpec(*tool) for tool in tools)), now)


def encode_segments(segments: Iterable[Segment]) -> str:
    """The lengths, positive for what is literal, a line break, and the text."""
    listed = list(segments)
    lengths = [len(each.text) if each.is_literal else -len(each.text) for each in listed]
    return f"{json.dumps(lengths)}\n{''.join(each.text for each in listed)}"


def decode_segments(answer: str) -> list[Segment]:
    """Raises ValueError for what `encode_segments` never writes."""
    head, _, text = answer.partition("\n")
    if not _LENGTHS.fullmatch(head):
        raise ValueError("no list of lengths")
    lengths: list[int] = json.loads(head)
    ends = list(accumulate(map(abs, lengths), initial=0))
    if ends[-1] != len(text):
        raise ValueError("an answer of another length")
    return [
        Segment(text[start:end], length > 0)
        for length, (start, end) in zip(lengths, pairwise(ends), strict=True)
    ]
