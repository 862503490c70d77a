"""The official Python SDK on Messages: whole, streamed, calls, thoughts, a schema, citations."""

import os

from anthropic import Anthropic, NotFoundError
from anthropic.types import (
    DocumentBlockParam,
    MessageParam,
    TextBlock,
    TextBlockParam,
    ThinkingBlock,
    ToolParam,
    ToolUseBlock,
)
from pydantic import BaseModel

MODEL = os.environ["MODEL"]
ROOM = 4096
WEATHER: ToolParam = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
ASKED: MessageParam = {"role": "user", "content": "The weather in Oslo and in Rome?"}
NOTE = "The lighthouse was built in 1871. Its keeper is Tobias Lund."
RIVER: list[MessageParam] = [{"role": "user", "content": "Name a river."}]


class Weather(BaseModel):
    city: str
    degrees: int


def whole_and_streamed(client: Anthropic) -> None:
    whole = client.messages.create(model=MODEL, max_tokens=ROOM, messages=RIVER)
    [said] = whole.content
    assert isinstance(said, TextBlock), said
    assert "user: Name a river." in said.text, said.text
    assert whole.stop_reason == "end_turn", whole.stop_reason
    with client.messages.stream(model=MODEL, max_tokens=ROOM, messages=RIVER) as stream:
        deltas = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert deltas == said.text, deltas
    assert [block.type for block in final.content] == ["text"], final.content
    assert final.usage.output_tokens == whole.usage.output_tokens > 0, final.usage


def calls(client: Anthropic) -> None:
    first = client.messages.create(model=MODEL, max_tokens=ROOM, messages=[ASKED], tools=[WEATHER])
    assert first.stop_reason == "tool_use", first.stop_reason
    made = [block for block in first.content if isinstance(block, ToolUseBlock)]
    assert [block.input for block in made] == [{"city": "Oslo"}, {"city": "Rome"}], made
    turns: list[MessageParam] = [
        ASKED,
        {"role": "assistant", "content": first.content},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": block.id, "content": f"{block.name} {at}"}
                for at, block in enumerate(made)
            ],
        },
    ]
    with client.messages.stream(
        model=MODEL, max_tokens=ROOM, messages=turns, tools=[WEATHER]
    ) as stream:
        text = stream.get_final_text()
    assert "weather 0 | weather 1" in text, text


def calls_in_a_stream(client: Anthropic) -> None:
    with client.messages.stream(
        model=MODEL, max_tokens=ROOM, messages=[ASKED], tools=[WEATHER]
    ) as stream:
        pieces = "".join(event.partial_json for event in stream if event.type == "input_json")
        final = stream.get_final_message()
    made = [block.input for block in final.content if isinstance(block, ToolUseBlock)]
    assert made == [{"city": "Oslo"}, {"city": "Rome"}], made
    assert pieces == '{"city": "Oslo"}{"city": "Rome"}', pieces


def thoughts(client: Anthropic) -> None:
    """They come back with their signature; one that was changed is refused."""
    first = client.messages.create(
        model=MODEL,
        max_tokens=ROOM,
        messages=[ASKED],
        tools=[WEATHER],
        thinking={"type": "enabled", "budget_tokens": 1024},
    )
    thought, call, *_ = first.content
    assert isinstance(thought, ThinkingBlock), thought
    assert thought.thinking == "Step 1 is to call weather.", thought
    assert isinstance(call, ToolUseBlock), call
    results: MessageParam = {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": block.id, "content": "rain"}
            for block in first.content
            if isinstance(block, ToolUseBlock)
        ],
    }
    turns: list[MessageParam] = [ASKED, {"role": "assistant", "content": first.content}, results]
    second = client.messages.create(model=MODEL, max_tokens=ROOM, messages=turns, tools=[WEATHER])
    [said] = second.content
    assert isinstance(said, TextBlock), said
    assert "1 thoughts known" in said.text, said.text


def a_schema(client: Anthropic) -> None:
    parsed = client.messages.parse(
        model=MODEL,
        max_tokens=ROOM,
        messages=[{"role": "user", "content": "Oslo's weather as an object."}],
        output_format=Weather,
    )
    assert parsed.parsed_output == Weather(city="Oslo", degrees=7), parsed.parsed_output


def citations(client: Anthropic) -> None:
    document: DocumentBlockParam = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": NOTE},
        "title": "A note",
        "citations": {"enabled": True},
    }
    question: TextBlockParam = {"type": "text", "text": "Who keeps the lighthouse?"}
    turns: list[MessageParam] = [{"role": "user", "content": [document, question]}]
    whole = client.messages.create(model=MODEL, max_tokens=ROOM, messages=turns)
    with client.messages.stream(model=MODEL, max_tokens=ROOM, messages=turns) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        texts = [block for block in message.content if isinstance(block, TextBlock)]
        assert "".join(block.text for block in texts) == "Its keeper is Tobias Lund.", texts
        [cited] = [one for block in texts for one in block.citations or ()]
        assert cited.type == "char_location", cited
        assert NOTE[cited.start_char_index : cited.end_char_index] == cited.cited_text, cited
        assert (cited.document_index, cited.document_title) == (0, "A note"), cited


def tokens_and_models(client: Anthropic) -> None:
    short = client.messages.count_tokens(model=MODEL, messages=RIVER)
    long = client.messages.count_tokens(model=MODEL, messages=RIVER, system="Be brief. " * 50)
    assert 0 < short.input_tokens < long.input_tokens, (short, long)
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).type == "model"


def errors(client: Anthropic) -> None:
    failed: NotFoundError | None = None
    try:
        client.messages.create(model="nobody", max_tokens=ROOM, messages=RIVER)
    except NotFoundError as error:
        failed = error
    assert failed is not None
    assert failed.type == "not_found_error", failed.body
    assert failed.request_id, failed.response.headers


def main() -> None:
    base_url, key = os.environ["ROOT_URL"], os.environ["API_KEY"]
    with Anthropic(base_url=base_url, api_key=key, max_retries=0) as client:
        for step in (
            whole_and_streamed,
            calls,
            calls_in_a_stream,
            thoughts,
            a_schema,
            citations,
            tokens_and_models,
            errors,
        ):
            step(client)
            print(step.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
