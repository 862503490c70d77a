"""LangChain's ChatAnthropic: whole, streamed, tools, a schema, thoughts, tokens."""

import os

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from pydantic import BaseModel, SecretStr


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


def two_turns(model: ChatAnthropic) -> None:
    turns: list[BaseMessage] = [SystemMessage("Be brief."), HumanMessage("My name is Ada.")]
    turns += [model.invoke(turns), HumanMessage("Who am I?")]
    answer = model.invoke(turns)
    assert "user: My name is Ada." in answer.text, answer.text
    streamed = "".join(chunk.text for chunk in model.stream(turns))
    assert streamed == answer.text, streamed
    assert answer.usage_metadata is not None


def calls(model: ChatAnthropic) -> None:
    able = model.bind_tools([weather])
    turns: list[BaseMessage] = [HumanMessage("The weather in Oslo and in Rome?")]
    first = able.invoke(turns)
    assert isinstance(first, AIMessage)
    results = [weather.invoke(call) for call in first.tool_calls]
    answer = able.invoke([*turns, first, *results])
    assert "rain in Oslo | rain in Rome" in answer.text, answer.text


def a_schema(model: ChatAnthropic) -> None:
    able = model.with_structured_output(Weather, method="json_schema")
    parsed = able.invoke("Oslo's weather as an object.")
    assert parsed == Weather(city="Oslo", degrees=7), parsed


def tokens(model: ChatAnthropic) -> None:
    assert model.get_num_tokens_from_messages([HumanMessage("Hello.")], tools=[weather]) > 0


def main() -> None:
    model = ChatAnthropic(
        base_url=os.environ["ROOT_URL"],
        api_key=SecretStr(os.environ["API_KEY"]),
        model=os.environ["MODEL"],
        max_tokens=4096,
        thinking={"type": "enabled", "budget_tokens": 1024},
        max_retries=0,
    )
    for step in (two_turns, calls, a_schema, tokens):
        step(model)
        print(step.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
