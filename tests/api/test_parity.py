"""One conversation through every door: the same prompt goes in, the same answer comes out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import httpx2
import pytest

from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    Finished,
    FinishReason,
    GenerationRequest,
    Message,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolSpec,
    Usage,
)
from scripts.clients.whole import whole_answer
from tests.doors import DOORS, Answer, Conversation, Door
from tests.fakes import MODEL_ID, FakeBackend, Step

ASKED = Message("user", "The weather in Oslo?")
CITY: dict[str, JSON] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
WEATHER = ToolSpec("weather", "The weather in a city.", CITY)
CALL = ToolCall("call_1", "weather", '{"city": "Oslo"}')
CALLED = (
    Message("assistant", "Let me see.", tool_calls=(CALL,)),
    Message("tool", "rain", tool_call_id="call_1"),
)
USAGE = Usage(prompt_tokens=11, completion_tokens=4, cached_tokens=3)
SPOKEN = TextDelta("It "), TextDelta("rains.")
CALLS = (
    ToolCallStarted(0, "call_a", "weather"),
    ToolCallDelta(0, '{"city": '),
    ToolCallDelta(0, '"Oslo"}'),
    ToolCallStarted(1, "call_b", "weather"),
    ToolCallDelta(1, '{"city": "Rome"}'),
)
CALLED_FOR = (("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"}))


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked, what the model does, and what every door has to tell of it."""

    name: str
    conversation: Conversation
    steps: Sequence[Step]
    answer: Answer
    reason: FinishReason = "stop"

    def __str__(self) -> str:
        return self.name

    def script(self, _: GenerationRequest) -> list[Step]:
        return [Started(USAGE.prompt_tokens), *self.steps, Finished(self.reason, USAGE)]


SAID = Answer("It rains.", prompt_tokens=11, completion_tokens=4)
CASES = [
    Case("text", Conversation((ASKED,), system="Be brief."), SPOKEN, SAID),
    Case("stop string", Conversation((ASKED,), stop=("END",)), SPOKEN, SAID),
    Case("nothing", Conversation((ASKED,)), (), replace(SAID, text="")),
    Case(
        "length",
        Conversation((ASKED,), max_tokens=4),
        SPOKEN,
        replace(SAID, is_cut=True),
        "length",
    ),
    Case(
        "calls",
        Conversation((ASKED,), tools=(WEATHER,)),
        CALLS,
        replace(SAID, text="", calls=CALLED_FOR),
        "tool_calls",
    ),
    Case("results", Conversation((ASKED, *CALLED), tools=(WEATHER,)), SPOKEN, SAID),
    Case(
        "thought",
        Conversation((ASKED,), max_tokens=2048, thinks=True),
        (ReasoningDelta("Rain "), ReasoningDelta("it is."), *SPOKEN),
        replace(SAID, thought="Rain it is."),
    ),
    Case(
        "thought, text and calls",
        Conversation((ASKED,), tools=(WEATHER,), max_tokens=2048, thinks=True),
        (ReasoningDelta("Ask."), *SPOKEN, *CALLS),
        replace(SAID, thought="Ask.", calls=CALLED_FOR),
        "tool_calls",
    ),
]
THROUGH = [
    pytest.param(door, case, id=f"{door}-{case}")
    for door in DOORS
    for case in CASES
    if door.has_stop or not case.conversation.stop
]


async def ask(
    client: httpx2.AsyncClient, door: Door, conversation: Conversation, is_streamed: bool
) -> Answer:
    body = {"model": MODEL_ID, **door.write(conversation), "stream": is_streamed}
    if is_streamed and door.name == "chat":
        body["stream_options"] = {"include_usage": True}
    response = await client.post(door.path, json=body)
    assert response.status_code == 200, response.text
    return door.read(whole_answer(response.text))


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("door", "case"), THROUGH)
async def test_every_door_gives_the_same_answer(
    client: httpx2.AsyncClient, backend: FakeBackend, door: Door, case: Case, is_streamed: bool
) -> None:
    backend.script = case.script
    assert await ask(client, door, case.conversation, is_streamed) == case.answer
    [request] = backend.requests
    check_request(request, case.conversation)


def check_request(request: GenerationRequest, conversation: Conversation) -> None:
    """The backend was asked for just this conversation, whatever the door called its parts."""
    assert isinstance(request.prompt, ChatPrompt)
    system = [Message("system", conversation.system)] if conversation.system else []
    assert [bare(one) for one in request.prompt.messages] == [
        bare(one) for one in (*system, *conversation.messages)
    ]
    assert [tool.name for tool in request.prompt.tools] == [one.name for one in conversation.tools]
    assert [tool.schema for tool in request.prompt.tools] == [
        tool.schema for tool in conversation.tools
    ]
    assert (request.stop, request.max_tokens) == (conversation.stop, conversation.max_tokens)
    assert request.sampling.temperature == 0


def bare(message: Message) -> tuple[str, str, list[tuple[str, object]]]:
    """Without ids and names, which not every door has."""
    calls = [(call.name, json.loads(call.arguments)) for call in message.tool_calls]
    return message.role, message.content, calls
