"""A question made several, by a model: other wordings, an answer as it may stand, or its parts.

Off unless a request asks for it: it costs an answer of the model before the search begins, and what
it brings depends on the model.
"""

import re
from collections.abc import Mapping
from typing import Final

from llm_api.core.llm.backend import Backend
from llm_api.core.llm.types import ChatPrompt, GenerationRequest, Message, Sampling
from llm_api.core.rag.answering.asking import ask
from llm_api.core.rag.retrieve import Expansion

MAX_TOKENS: Final = 96
MAX_QUERIES: Final = 4
MAX_CHARACTERS: Final = 600
"""Of a question that is shown, and of each that is written."""

_TASKS: Final[Mapping[Expansion, str]] = {
    "wordings": (
        "Write three other wordings of the question, as different in their words as they can be"
        " while they ask the same. One in each line, nothing else, in the question's language."
    ),
    "answer": (
        "Write a passage of two sentences that answers the question, as it would stand in the text"
        " that somebody looks for. Nothing else, in the question's language."
    ),
    "parts": (
        "The question may ask several things at once. Write each of them as a question that can be"
        " understood by itself, one in each line, at most four, nothing else, in the question's"
        " language. Where it asks one thing alone, repeat it."
    ),
}
_MARKS: Final = re.compile(r"^\s*(?:[-*\u2022]|\(?\d{1,2}[.):])\s*")


async def expand(backend: Backend, question: str, expansion: Expansion) -> list[str]:
    """What to search for beside the question; nothing where the model fails."""
    prompt = ChatPrompt(
        (Message("system", _TASKS[expansion]), Message("user", question[:MAX_CHARACTERS]))
    )
    request = GenerationRequest(prompt, MAX_TOKENS, Sampling(temperature=0))
    completion = await ask(backend, request, "a question is searched for as it stands")
    return [] if completion is None else written(completion.text, question, expansion)


def written(text: str, question: str, expansion: Expansion) -> list[str]:
    """The queries in what a model has written, without the question itself. Pure."""
    if expansion == "answer":
        lines = [" ".join(text.split())]
    else:
        lines = [_MARKS.sub("", line).strip("\"' ") for line in text.splitlines()]
    found = dict.fromkeys(line[:MAX_CHARACTERS] for line in lines if len(line.split()) > 1)
    return [line for line in found if line.lower() != question.strip().lower()][:MAX_QUERIES]
