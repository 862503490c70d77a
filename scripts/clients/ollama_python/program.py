"""Ollama's official Python library: chat, calls, a schema, a prompt, and what is there."""

import os
from http import HTTPStatus

from ollama import ChatResponse, Client, Message, ResponseError
from pydantic import BaseModel

MODEL = os.environ["MODEL"]
RIVER = [Message(role="user", content="Name a river.")]
ASKED = Message(role="user", content="The weather in Oslo and in Rome?")


class Weather(BaseModel):
    city: str
    degrees: int


def weather(city: str) -> str:
    """The weather in a city.

    Args:
      city: Its name.
    """
    return f"rain in {city}"


def whole_and_streamed(client: Client) -> None:
    whole = client.chat(MODEL, RIVER)
    text = whole.message.content or ""
    assert "user: Name a river." in text, text
    parts = list(client.chat(MODEL, RIVER, stream=True, keep_alive="5m"))
    assert "".join(part.message.content or "" for part in parts) == text, parts
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True], parts
    last = parts[-1]
    assert (last.done_reason, last.eval_count) == ("stop", whole.eval_count), last
    assert (last.total_duration or 0) > 0, last


def calls(client: Client) -> None:
    for is_streamed in (False, True):
        turns = [ASKED]
        first = _answer(client, turns, is_streamed)
        made = first.tool_calls or []
        assert [call.function.arguments for call in made] == [{"city": "Oslo"}, {"city": "Rome"}]
        assert first.thinking == "Step 1 is to call weather.", first
        turns.append(first)
        for call in made:
            result = weather(**call.function.arguments)
            turns.append(Message(role="tool", content=result, tool_name=call.function.name))
        last = _answer(client, turns, is_streamed).content or ""
        assert "rain in Oslo | rain in Rome" in last, last


def _answer(client: Client, turns: list[Message], is_streamed: bool) -> Message:
    """One turn. Of a stream, its pieces put together."""
    if not is_streamed:
        return client.chat(MODEL, turns, tools=[weather], think=True).message
    parts: list[ChatResponse] = list(
        client.chat(MODEL, turns, tools=[weather], think=True, stream=True)
    )
    messages = [part.message for part in parts]
    return Message(
        role="assistant",
        content="".join(one.content or "" for one in messages),
        thinking="".join(one.thinking or "" for one in messages),
        tool_calls=[call for one in messages for call in one.tool_calls or []],
    )


def a_schema(client: Client) -> None:
    asked = Message(role="user", content="Oslo's weather as an object.")
    answer = client.chat(MODEL, [asked], format=Weather.model_json_schema())
    parsed = Weather.model_validate_json(answer.message.content or "")
    assert parsed == Weather(city="Oslo", degrees=7), parsed


def a_prompt(client: Client) -> None:
    prompt = "Name a river."
    whole = client.generate(MODEL, prompt, options={"temperature": 0}).response or ""
    assert "user: Name a river." in whole, whole
    parts = client.generate(MODEL, prompt, stream=True)
    assert "".join(part.response or "" for part in parts) == whole


def models(client: Client) -> None:
    assert f"{MODEL}:latest" in [model.model for model in client.list().models]
    assert "tools" in (client.show(MODEL).capabilities or [])
    assert client.chat(f"{MODEL}:latest", RIVER).done
    client.ps()


def errors(client: Client) -> None:
    failed: ResponseError | None = None
    try:
        client.chat("nobody", RIVER)
    except ResponseError as error:
        failed = error
    assert failed is not None
    assert failed.status_code == HTTPStatus.NOT_FOUND, failed
    assert "nobody" in failed.error, failed


def main() -> None:
    client = Client(host=os.environ["ROOT_URL"])
    for step in (whole_and_streamed, calls, a_schema, a_prompt, models, errors):
        step(client)
        print(step.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
