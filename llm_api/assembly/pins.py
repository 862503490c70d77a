"""What `PINNED_PROMPTS` names: texts, and chats as clients send them, with their tools."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from llm_api.api.mapping.chat import to_chat_requests, to_messages
from llm_api.api.mapping.tools import to_server_functions, to_tools
from llm_api.api.models.chat import ChatCompletionRequest
from llm_api.config.settings import ConfigurationError, Settings
from llm_api.core.errors import LLMAPIError
from llm_api.core.functions.runner import Functions
from llm_api.core.llm.backend import GenerationDefaults
from llm_api.core.llm.prefix_cache.stored import PINNED_SCOPE
from llm_api.core.llm.residency.model_registry import ModelRegistry
from llm_api.core.llm.types import ChatPrompt, RequestContext

log = logging.getLogger(__name__)


Named: TypeAlias = tuple[str, Settings]
"""The id of a model, and the settings that hold for it."""


def pinned_prompts(settings: Settings) -> tuple[ChatPrompt, ...]:
    """What every load of a model computes: all but what names the server's own functions. Blocks.

    Raises ConfigurationError for a file that cannot be read.
    """
    return tuple(prompt for body, prompt in _read(settings) if body.server_tools is None)


@asynccontextmanager
async def pinning_functions(
    named: Sequence[Named], models: ModelRegistry, functions: Functions
) -> AsyncGenerator[None, None]:
    """Inside, pinned chats that name the server's own functions are computed, beside requests.

    Once, as these functions were found. Raises as `pinned_prompts`.
    """
    chats = await asyncio.to_thread(_with_functions, named)
    if not chats:
        yield
        return
    pinning = asyncio.create_task(_pin_all(chats, models, functions))
    try:
        yield
    finally:
        pinning.cancel()
        await asyncio.wait((pinning,))


async def _pin_all(
    chats: Sequence[tuple[str, ChatCompletionRequest]], models: ModelRegistry, functions: Functions
) -> None:
    for model, body in chats:
        try:
            wanted = to_server_functions(body.server_tools, functions.catalog)
            [request, *_] = to_chat_requests(body, GenerationDefaults(), wanted)
            request = replace(request, max_tokens=1, context=RequestContext(PINNED_SCOPE))
            async with aclosing(models.resolve(model).generate(request)) as events:
                async for _ in events:
                    pass
        except LLMAPIError as error:
            log.warning("PINNED_PROMPTS: functions are not kept: %s", error.message)


def _with_functions(named: Sequence[Named]) -> list[tuple[str, ChatCompletionRequest]]:
    return [
        (model, body)
        for model, settings in named
        for body, _ in _read(settings)
        if body.server_tools is not None
    ]


def _read(settings: Settings) -> Iterator[tuple[ChatCompletionRequest, ChatPrompt]]:
    """Each chat, and its prompt without functions of the server."""
    for name in settings.pinned_prompts:
        path = Path(name).expanduser()
        try:
            text = path.read_text(encoding="utf-8")
            said = json.loads(text) if path.suffix == ".json" else _of_text(text)
            if isinstance(said, dict):
                said.setdefault("model", "pinned")  # each model computes it
            body = ChatCompletionRequest.model_validate(said)
            yield body, ChatPrompt(to_messages(body.messages), tools=to_tools(body).specs)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"PINNED_PROMPTS: {name}: {error}") from error
        except LLMAPIError as error:
            raise ConfigurationError(f"PINNED_PROMPTS: {name}: {error.message}") from error


def _of_text(text: str) -> dict[str, object]:
    return {"messages": [{"role": "system", "content": text}]}
