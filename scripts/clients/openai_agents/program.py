"""The Agents SDK: function tools, a handoff, a session on a conversation, a search of files."""

import asyncio
import os
from typing import TypeGuard

from agents import (
    Agent,
    FileSearchTool,
    OpenAIConversationsSession,
    RawResponsesStreamEvent,
    Runner,
    StreamEvent,
    ToolCallItem,
    TResponseInputItem,
    function_tool,
    set_default_openai_client,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from openai.types.responses import ResponseFileSearchToolCall

MODEL = os.environ["MODEL"]


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


async def function_tools(_: AsyncOpenAI) -> None:
    agent = Agent(name="Forecaster", instructions="Call the tool.", model=MODEL, tools=[weather])
    asked = "The weather in Oslo and in Rome?"
    whole = await Runner.run(agent, asked)
    assert "rain in Oslo | rain in Rome" in str(whole.final_output), whole.final_output
    streamed = Runner.run_streamed(agent, asked)
    kinds = [event.type async for event in streamed.stream_events()]
    assert "raw_response_event" in kinds
    assert streamed.final_output == whole.final_output, streamed.final_output


async def a_handoff(_: AsyncOpenAI) -> None:
    spanish = Agent(name="Spanish agent", instructions="Habla.", model=MODEL)
    triage = Agent(name="Triage", instructions="Hand off.", model=MODEL, handoffs=[spanish])
    result = await Runner.run(triage, "Hola, ¿qué tal?")
    assert result.last_agent is spanish, result.last_agent.name


async def a_session(client: AsyncOpenAI) -> None:
    session = OpenAIConversationsSession(openai_client=client)
    agent = Agent(name="Friend", instructions="Remember.", model=MODEL)
    await Runner.run(agent, "My name is Ada.", session=session)
    result = await Runner.run(agent, "Who am I?", session=session)
    assert "user: My name is Ada." in str(result.final_output), result.final_output
    items = await session.get_items()
    assert len(items) == 4, items
    await session.pop_item()
    await session.clear_session()


async def a_search(client: AsyncOpenAI) -> None:
    document = {"id": "keeper", "text": "The lighthouse is kept by Tobias Lund."}
    body = {"collection": "lighthouses", "documents": [document]}
    await client.post("/rag/documents", body=body, cast_to=object)
    search = FileSearchTool(["lighthouses"], max_num_results=3, include_search_results=True)
    agent = Agent(name="Clerk", instructions="Look it up.", model=MODEL, tools=[search])
    whole = await Runner.run(agent, "Who keeps the lighthouse?")
    streamed = Runner.run_streamed(agent, "Who keeps the lighthouse?")
    kinds = [event.data.type async for event in streamed.stream_events() if is_raw(event)]
    assert "response.file_search_call.completed" in kinds
    for result in (whole, streamed):
        assert result.final_output == "Its keeper is Tobias Lund.", result.final_output
        [call] = [item.raw_item for item in result.new_items if isinstance(item, ToolCallItem)]
        assert isinstance(call, ResponseFileSearchToolCall), call
        assert call.results
    asked: TResponseInputItem = {"role": "user", "content": "Who keeps the lighthouse?"}
    again = await Runner.run(agent, [*whole.to_input_list(), asked])
    assert again.final_output == whole.final_output, again.final_output


def is_raw(event: StreamEvent) -> TypeGuard[RawResponsesStreamEvent]:
    return event.type == "raw_response_event"


async def main() -> None:
    set_tracing_disabled(True)
    base_url, key = os.environ["BASE_URL"], os.environ["API_KEY"]
    async with AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        set_default_openai_client(client)
        for step in (function_tools, a_handoff, a_session, a_search):
            await step(client)
            print(step.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
