"""LangChain on Responses: turns by `use_previous_response_id`, tools, a stream, a schema."""

import os

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


def two_turns(model: ChatOpenAI) -> None:
    turns: list[BaseMessage] = [HumanMessage("My name is Ada.")]
    turns += [model.invoke(turns), HumanMessage("Who am I?")]
    answer = model.invoke(turns)
    assert "user: My name is Ada." in answer.text, answer.text
    streamed = "".join(chunk.text for chunk in model.stream(turns))
    assert streamed == answer.text, streamed
    assert answer.usage_metadata is not None


def calls(model: ChatOpenAI) -> None:
    able = model.bind_tools([weather])
    turns: list[BaseMessage] = [HumanMessage("The weather in Oslo and in Rome?")]
    first = able.invoke(turns)
    assert isinstance(first, AIMessage)
    results = [weather.invoke(call) for call in first.tool_calls]
    answer = able.invoke([*turns, first, *results])
    assert "rain in Oslo | rain in Rome" in answer.text, answer.text


def a_search(model: ChatOpenAI) -> None:
    document = {"id": "keeper", "text": "The lighthouse is kept by Tobias Lund."}
    body = {"collection": "lighthouses", "documents": [document]}
    model.root_client.post("/rag/documents", body=body, cast_to=object)
    able = model.bind_tools([{"type": "file_search", "vector_store_ids": ["lighthouses"]}])
    asked: list[BaseMessage] = [HumanMessage("Who keeps the lighthouse?")]
    answer = able.invoke(asked)
    assert answer.text == "Its keeper is Tobias Lund.", answer.text
    [cited] = [
        one
        for block in answer.content_blocks
        if block["type"] == "text"
        for one in block.get("annotations", [])
    ]
    assert cited["type"] == "citation"
    assert cited["title"] == "keeper", cited
    streamed = "".join(chunk.text for chunk in able.stream(asked))
    assert streamed == answer.text, streamed
    again = able.invoke([*asked, answer, HumanMessage("Who keeps the lighthouse?")])
    assert again.text == answer.text, again.text


def a_schema(model: ChatOpenAI) -> None:
    parsed = model.with_structured_output(Weather).invoke("Oslo's weather as an object.")
    assert parsed == Weather(city="Oslo", degrees=7), parsed


def main() -> None:
    model = ChatOpenAI(
        base_url=os.environ["BASE_URL"],
        api_key=SecretStr(os.environ["API_KEY"]),
        model=os.environ["MODEL"],
        use_responses_api=True,
        use_previous_response_id=True,
        max_retries=0,
    )
    for step in (two_turns, calls, a_schema, a_search):
        step(model)
        print(step.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
