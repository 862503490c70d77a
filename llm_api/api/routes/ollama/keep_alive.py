"""Models that a request of Ollama's form wants in memory for ever, or no longer.

Other keys than an administrator's decide nothing about a memory that they share: theirs is ignored
by name, and so is any other time, which MODEL_IDLE_SECONDS says for all.
"""

from contextlib import suppress

from fastapi import Request
from starlette.background import BackgroundTask

from llm_api.api.deps import CallerServices
from llm_api.api.mapping.ollama.keep_alive import to_seconds
from llm_api.api.models.ollama.options import ModelRequest
from llm_api.api.request_facts import facts_of
from llm_api.core.errors import LLMAPIError, PermissionDeniedError

_UNLOAD_SECONDS = 5.0
"""How long the answers of others may take to end before the model stays after all."""


async def kept(
    request: Request, body: ModelRequest, services: CallerServices
) -> BackgroundTask | None:
    """Keep the model in memory if that is asked; what is to be done after the answer.

    Raises InvalidRequestError for a time that is none, UnavailableError for a failed load.
    """
    seconds = None if body.keep_alive is None else to_seconds(body.keep_alive)
    if seconds is None:
        return None
    try:
        administration = services.administration()
    except PermissionDeniedError:
        seconds = 1
    else:
        if seconds < 0:
            await administration.load(services.models.card(body.model).id, is_pinned=True)
            return None
        if seconds == 0:
            return BackgroundTask(unload, body.model, services)
    facts_of(request.scope).ignored.note(["keep_alive"])
    return None


async def unload(model: str, services: CallerServices) -> None:
    """Free the model unless others still use it. Raises PermissionDeniedError."""
    administration = services.administration()
    with suppress(LLMAPIError):
        await administration.unload(services.models.card(model).id, _UNLOAD_SECONDS)
