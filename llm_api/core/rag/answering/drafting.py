"""A question that a passage answers, written by a model."""

from typing import Final

from llm_api.core.llm.backend import Backend
from llm_api.core.llm.types import ChatPrompt, GenerationRequest, Message, Sampling
from llm_api.core.rag.answering.asking import ask, in_one_line

MAX_TOKENS: Final = 48

_TASK: Final = (
    "Write one question that the text answers, as somebody would ask it who has not seen the text:"
    " in words of their own, and so specific that hardly any other text answers it. Do not mention"
    " the text, and do not answer. Write the question alone, in one line, in the text's language."
)


async def draft_question(backend: Backend, passage: str) -> str | None:
    """None where the model writes no whole question."""
    prompt = ChatPrompt((Message("system", _TASK), Message("user", passage)))
    request = GenerationRequest(prompt, MAX_TOKENS, Sampling(temperature=0), stop=("\n",))
    completion = await ask(backend, request, "a question could not be drafted")
    if completion is None:
        return None
    question = in_one_line(completion.text)
    is_whole = completion.finished.reason == "stop" and len(question.split()) > 2
    return question if is_whole else None
