"""The real model gives one answer to one conversation, through whichever door."""

import httpx2
import pytest

from llm_api.core.llm.types import Message
from scripts.clients.whole import whole_answer
from tests.doors import DOORS, Answer, Conversation, Door
from tests.served.conftest import MODEL

TURNS = (
    Message("user", "Name a river."),
    Message("assistant", "The Rhine."),
    Message("user", "Tell me a long story about it."),
)
CASES = {
    "cut": Conversation(TURNS, system="You tell stories.", max_tokens=12),
    "stopped": Conversation(TURNS, system="You tell stories.", stop=(" river",)),
}


def ask(http: httpx2.Client, door: Door, conversation: Conversation, is_streamed: bool) -> Answer:
    body = {"model": MODEL, **door.write(conversation), "stream": is_streamed}
    if is_streamed and door.name == "chat":
        body["stream_options"] = {"include_usage": True}
    response = http.post(door.path, json=body)
    assert response.status_code == 200, response.text
    return door.read(whole_answer(response.text))


@pytest.mark.parametrize("name", CASES)
def test_greedy_answers_are_the_same_through_every_door(http: httpx2.Client, name: str) -> None:
    conversation = CASES[name]
    answers = {
        (door.name, is_streamed): ask(http, door, conversation, is_streamed)
        for door in DOORS
        if door.has_stop or not conversation.stop
        for is_streamed in (False, True)
    }
    first = answers["chat", False]
    assert first.text
    assert first.is_cut == (name == "cut")
    assert answers == dict.fromkeys(answers, first)
