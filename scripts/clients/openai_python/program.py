"""The official Python SDK: whole, streamed, calls, a schema, what is stored, the background."""

import os
import time
from typing import Literal

from openai import OpenAI
from openai.types.responses import FileSearchToolParam, FunctionToolParam, Response
from openai.types.responses.response_input_param import FunctionCallOutput
from pydantic import BaseModel

MODEL = os.environ["MODEL"]
WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


SEARCH: FileSearchToolParam = {
    "type": "file_search",
    "vector_store_ids": [],
    "max_num_results": 3,
    "filters": {"type": "eq", "key": "lang", "value": "en"},
}
KEEPER = "The lighthouse is kept by Tobias Lund."


class Weather(BaseModel):
    city: str
    degrees: int


def whole_and_streamed(client: OpenAI) -> None:
    whole = client.responses.create(model=MODEL, input="Name a river.", store=False)
    assert "user: Name a river." in whole.output_text, whole.output_text
    with client.responses.stream(model=MODEL, input="Name a river.", store=False) as stream:
        deltas = "".join(
            event.delta for event in stream if event.type == "response.output_text.delta"
        )
        final = stream.get_final_response()
    assert deltas == final.output_text == whole.output_text


def calls(client: OpenAI) -> None:
    first = client.responses.create(
        model=MODEL, input="The weather in Oslo and in Rome?", tools=[WEATHER]
    )
    made = [item for item in first.output if item.type == "function_call"]
    assert [item.arguments for item in made] == ['{"city": "Oslo"}', '{"city": "Rome"}']
    outputs: list[FunctionCallOutput] = [
        {"type": "function_call_output", "call_id": item.call_id, "output": f"{item.name} {at}"}
        for at, item in enumerate(made)
    ]
    second = client.responses.create(
        model=MODEL, previous_response_id=first.id, input=[*outputs], tools=[WEATHER]
    )
    assert "weather 0 | weather 1" in second.output_text, second.output_text


def a_schema(client: OpenAI) -> None:
    parsed = client.responses.parse(
        model=MODEL, input="Oslo's weather as an object.", text_format=Weather, store=False
    )
    assert parsed.output_parsed == Weather(city="Oslo", degrees=7)


def stored(client: OpenAI) -> None:
    first = client.responses.create(model=MODEL, input="My name is Ada.")
    assert client.responses.retrieve(first.id).output_text == first.output_text
    assert len(client.responses.input_items.list(first.id).data) == 1
    second = client.responses.create(model=MODEL, input="Who am I?", previous_response_id=first.id)
    assert "user: My name is Ada." in second.output_text, second.output_text
    client.responses.delete(first.id)


def a_conversation(client: OpenAI) -> None:
    conversation = client.conversations.create()
    _, answer = [
        client.responses.create(model=MODEL, input=text, conversation=conversation.id)
        for text in ("My name is Ada.", "Who am I?")
    ]
    assert "user: My name is Ada." in answer.output_text, answer.output_text
    items = client.conversations.items.list(conversation.id, order="asc").data
    assert [getattr(item, "role", None) for item in items] == ["user", "assistant"] * 2
    client.conversations.delete(conversation.id)


def a_search(client: OpenAI) -> None:
    store = client.vector_stores.create(name="lighthouses")
    file = client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id,
        file=("keeper.txt", KEEPER.encode()),
        attributes={"lang": "en"},
        poll_interval_ms=50,
    )
    assert file.status == "completed", file.last_error
    search: FileSearchToolParam = {**SEARCH, "vector_store_ids": [store.id]}
    with client.responses.stream(
        model=MODEL,
        input="Look up the keeper of the lighthouse.",
        tools=[search],
        tool_choice={"type": "file_search"},
        include=["file_search_call.results"],
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert "response.file_search_call.searching" in kinds
    assert "response.output_text.annotation.added" in kinds
    check_search(final, file.id)
    whole = client.responses.create(
        model=MODEL,
        input="Who keeps the lighthouse?",
        tools=[search],
        include=["file_search_call.results"],
    )
    check_search(whole, file.id)
    again = client.responses.create(
        model=MODEL, input="Name a river.", previous_response_id=whole.id, store=False
    )
    assert "user: Name a river." in again.output_text, again.output_text


def check_search(response: Response, file_id: str) -> None:
    [search] = [item for item in response.output if item.type == "file_search_call"]
    assert [one.text for one in search.results or []] == [KEEPER], search
    assert response.output_text == "Its keeper is Tobias Lund.", response.output_text
    [message] = [item for item in response.output if item.type == "message"]
    [part] = message.content
    assert part.type == "output_text"
    [citation] = part.annotations
    assert citation.type == "file_citation"
    assert (citation.file_id, citation.filename) == (file_id, "keeper.txt"), citation


def in_the_background(client: OpenAI) -> None:
    queued = client.responses.create(model=MODEL, input="Name a river.", background=True)
    pending: tuple[Literal["queued", "in_progress"], ...] = ("queued", "in_progress")
    response: Response = queued
    while response.status in pending:
        time.sleep(0.1)
        response = client.responses.retrieve(queued.id)
    assert response.status == "completed", response.status
    with client.responses.retrieve(queued.id, stream=True, starting_after=1) as stream:
        numbers = [event.sequence_number for event in stream]
    assert numbers == list(range(2, len(numbers) + 2)), numbers


def main() -> None:
    base_url, key = os.environ["BASE_URL"], os.environ["API_KEY"]
    with OpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        for step in (
            whole_and_streamed,
            calls,
            a_schema,
            stored,
            a_conversation,
            in_the_background,
            a_search,
        ):
            step(client)
            print(step.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
