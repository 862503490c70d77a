"""A follow-up made a question that can be searched for, by the model that will answer it."""

from collections.abc import Sequence
from dataclasses import replace

from llm_api.core.llm.backend import Backend
from llm_api.core.llm.types import (
    ChatPrompt,
    Finished,
    GenerationRequest,
    Message,
    Sampling,
)
from llm_api.core.rag.answering.asking import ask, in_one_line
from llm_api.core.rag.answering.follow_up import is_faithful

MAX_TOKENS = 64
MAX_TURNS = 4
MAX_CHARACTERS = 600
"""Of a turn, for it is about what is talked of: longer ones are shown from their beginning."""

_TASK = (
    "Rewrite the last question so that it can be understood without the conversation: replace"
    " words such as 'it' or 'that' by what they stand for, and add what is left out. Keep its"
    " language. Do not answer it. Write the question alone, in one line."
)


async def rewrite(
    backend: Backend, history: Sequence[Message], question: str, like: GenerationRequest
) -> tuple[str, Finished | None]:
    """The question by itself, or as it is where the model fails; and what the model took.

    The model is asked with the template variables of `like`.
    """
    said = [turn for turn in history if turn.role in ("user", "assistant") and turn.content]
    request = _request(said[-MAX_TURNS:], question, like)
    completion = await ask(backend, request, "a question is searched for as it stands")
    if completion is None:
        return question, None
    rewritten = in_one_line(completion.text)
    is_whole = completion.finished.reason == "stop"
    is_taken = is_whole and is_faithful(rewritten, question, [turn.content for turn in said])
    return (rewritten if is_taken else question), completion.finished


def _request(turns: Sequence[Message], question: str, like: GenerationRequest) -> GenerationRequest:
    asked = Message("user", question)
    lines = [f"{turn.role}: {turn.content[:MAX_CHARACTERS]}" for turn in (*turns, asked)]
    prompt = ChatPrompt((Message("system", _TASK), Message("user", "\n".join(lines))))
    if isinstance(like.prompt, ChatPrompt):
        prompt = replace(prompt, variables=like.prompt.variables)
    return GenerationRequest(prompt, MAX_TOKENS, Sampling(temperature=0), stop=("\n",))
