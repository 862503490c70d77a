"""Anthropic's models, through the Messages API."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.claude_answers import ClaudeReader
from llm_api.core.llm.backends.claude_requests import CAPABILITIES, reads_variable, to_body
from llm_api.core.llm.backends.upstream_backend import (
    UpstreamBackend,
    UpstreamClient,
    UpstreamOptions,
    answer_events,
)
from llm_api.core.llm.capabilities import naming, read_alone
from llm_api.core.llm.types import Event, GenerationRequest

KEY_NAME: Final = "CLAUDE_API_KEY"
API_VERSION: Final = "2023-06-01"
"""The next one, 2026-10-21, takes no `temperature`, `top_p` or `top_k` from any model."""


class ClaudeBackend(UpstreamBackend):
    """Generates with one of Anthropic's models. Made by `open_claude`."""

    def __init__(self, card: ModelCard, client: UpstreamClient, model: str) -> None:
        super().__init__(card, client, f"v1/models/{quote(model, safe='')}")
        self._model = model

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        self._card.capabilities.check(request)
        request, ignored = read_alone(request, reads_variable)
        body = to_body(request, self._model)
        reader = ClaudeReader(self._client.server)
        async with (
            self._client.events("v1/messages", body) as sent,
            aclosing(
                answer_events(self._client, sent, lambda event: reader.read(event.data))
            ) as events,
        ):
            async for event in events:
                yield naming(event, ignored)


async def open_claude(card: ModelCard, options: UpstreamOptions) -> ClaudeBackend:
    """Prepare to ask the API, which need not answer yet. `options.url` is without a version.

    Models from 4.7 on refuse every `temperature` but 1, which is their default and is not sent: the
    card's own default should be 1.
    """
    headers = {"anthropic-version": API_VERSION}
    if options.api_key:
        headers["x-api-key"] = options.api_key
    client = UpstreamClient(options.url, options, headers, KEY_NAME)
    return ClaudeBackend(
        replace(card, backend="claude", capabilities=CAPABILITIES), client, options.model
    )
