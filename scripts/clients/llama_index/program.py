"""LlamaIndex by two of its classes: OpenAILike on chat completions, Ollama on Ollama's chat."""

import os

from llama_index.core.llms import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.tools import FunctionTool
from llama_index.llms.ollama import Ollama
from llama_index.llms.openai_like import OpenAILike


def weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


TURNS = [
    ChatMessage(role="system", content="Be brief."),
    ChatMessage(role="user", content="My name is Ada."),
]
TOOLS = [FunctionTool.from_defaults(weather)]


def talk(model: FunctionCallingLLM) -> None:
    whole = str(model.chat(TURNS).message.content)
    assert "user: My name is Ada." in whole, whole
    streamed = "".join(part.delta or "" for part in model.stream_chat(TURNS))
    assert streamed == whole, streamed
    assert "user: Name a river." in model.complete("Name a river.").text


def calls(model: FunctionCallingLLM) -> None:
    asked = "The weather in Oslo and in Rome?"
    answer = model.chat_with_tools(TOOLS, user_msg=asked, allow_parallel_tool_calls=True)
    made = model.get_tool_calls_from_response(answer)
    assert [call.tool_kwargs for call in made] == [{"city": "Oslo"}, {"city": "Rome"}], made
    results = [
        ChatMessage(
            role="tool",
            content=weather(**call.tool_kwargs),
            additional_kwargs={"tool_call_id": call.tool_id, "tool_name": call.tool_name},
        )
        for call in made
    ]
    turns = [ChatMessage(role="user", content=asked), answer.message, *results]
    last = str(model.chat_with_tools(TOOLS, chat_history=turns).message.content)
    assert "rain in Oslo | rain in Rome" in last, last


def main() -> None:
    name = os.environ["MODEL"]
    models: list[FunctionCallingLLM] = [
        OpenAILike(
            api_base=os.environ["BASE_URL"],
            api_key=os.environ["API_KEY"],
            model=name,
            is_chat_model=True,
            is_function_calling_model=True,
            max_retries=0,
        ),
        Ollama(base_url=os.environ["ROOT_URL"], model=name, request_timeout=60),
    ]
    for model in models:
        for step in (talk, calls):
            step(model)
            print(f"{type(model).__name__}: {step.__name__}", flush=True)


if __name__ == "__main__":
    main()
