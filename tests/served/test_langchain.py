"""LangChain's ChatOpenAI holds a conversation with the real model."""

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.served.conftest import MODEL


def chat_model(served_url: str) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=f"{served_url}/v1",
        api_key=SecretStr("unused"),
        model=MODEL,
        temperature=0,
        max_completion_tokens=24,
    )


def test_a_conversation_with_all_roles(served_url: str) -> None:
    answer = chat_model(served_url).invoke(
        [
            SystemMessage("You are terse."),
            HumanMessage("Hi"),
            AIMessage("Hello."),
            HumanMessage("Name a colour."),
        ]
    )
    assert answer.text
    assert isinstance(answer, AIMessage)
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] > 0


def test_a_stream_says_what_the_whole_answer_says(served_url: str) -> None:
    model = chat_model(served_url)
    chunks = list(model.stream("Name a colour."))
    assert len(chunks) > 3
    assert "".join(chunk.text for chunk in chunks) == model.invoke("Name a colour.").text


async def test_async_and_batch(served_url: str) -> None:
    model = chat_model(served_url)
    answers = await model.abatch(["Name a colour.", "Name a river.", "Name a bird."])
    assert all(answer.text for answer in answers)
