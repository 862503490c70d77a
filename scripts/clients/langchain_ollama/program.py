"""LangChain's ChatOllama: whole, streamed, tools, a schema, thoughts."""

import os

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama
from pydantic import BaseModel


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


def two_turns(model: ChatOllama) -> None:
    turns: list[BaseMessage] = [HumanMessage("My name is Ada.")]
    turns += [model.invoke(turns), HumanMessage("Who am I?")]
    answer = model.invoke(turns)
    assert "user: My name is Ada." in answer.text, answer.text
    streamed = "".join(chunk.text for chunk in model.stream(turns))
    assert streamed == answer.text, streamed
    assert answer.usage_metadata is not None


def calls(model: ChatOllama) -> None:
    able = model.bind_tools([weather])
    turns: list[BaseMessage] = [HumanMessage("The weather in Oslo and in Rome?")]
    first = able.invoke(turns)
    assert isinstance(first, AIMessage)
    results = [weather.invoke(call) for call in first.tool_calls]
    answer = able.invoke([*turns, first, *results])
    assert "rain in Oslo | rain in Rome" in answer.text, answer.text


def thoughts(model: ChatOllama) -> None:
    able = ChatOllama(
        base_url=os.environ["ROOT_URL"], model=os.environ["MODEL"], reasoning=True
    ).bind_tools([weather])
    first = able.invoke("The weather in Oslo and in Rome?")
    thought = first.additional_kwargs["reasoning_content"]
    assert thought == "Step 1 is to call weather.", thought


def a_schema(model: ChatOllama) -> None:
    parsed = model.with_structured_output(Weather).invoke("Oslo's weather as an object.")
    assert parsed == Weather(city="Oslo", degrees=7), parsed


def main() -> None:
    model = ChatOllama(
        base_url=os.environ["ROOT_URL"], model=os.environ["MODEL"], temperature=0, num_predict=200
    )
    for step in (two_turns, calls, thoughts, a_schema):
        step(model)
        print(step.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
