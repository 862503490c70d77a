"""A short text that a model writes for a search, which goes on where the model fails."""

import logging

from llm_api.core.errors import LLMAPIError
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.choices import fan_out
from llm_api.core.llm.collect import Completion, collect
from llm_api.core.llm.types import GenerationRequest

log = logging.getLogger(__name__)


async def ask(backend: Backend, request: GenerationRequest, otherwise: str) -> Completion | None:
    """None where the model fails: the log says why, and what is done `otherwise`."""
    try:
        (completion,) = await collect(fan_out(backend, [request]), choices=1)
    except LLMAPIError as error:
        log.warning("%s: %s", otherwise, error.message)
        return None
    return completion


def in_one_line(text: str) -> str:
    """The words of a question, without the quotation marks around it. Pure."""
    return " ".join(text.split()).strip("\"' ")
