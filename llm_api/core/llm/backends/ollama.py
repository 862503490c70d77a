"""Models that Ollama runs, through its own protocol."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.ollama_answers import OllamaReader
from llm_api.core.llm.backends.ollama_requests import (
    CAPABILITIES,
    OllamaModel,
    reads_variable,
    to_body,
)
from llm_api.core.llm.backends.upstream_backend import (
    UpstreamBackend,
    UpstreamClient,
    UpstreamOptions,
    answer_events,
)
from llm_api.core.llm.capabilities import naming, read_alone
from llm_api.core.llm.types import Event, GenerationRequest

KEY_NAME: Final = "OLLAMA_API_KEY"


class OllamaBackend(UpstreamBackend):
    """Generates with one model of an Ollama server. Made by `open_ollama`."""

    def __init__(self, card: ModelCard, client: UpstreamClient, model: OllamaModel) -> None:
        super().__init__(card, client, "api/version")
        self._model = model

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        self._card.capabilities.check(request)
        request, ignored = read_alone(request, reads_variable)
        path, body = to_body(request, self._model)
        is_parallel = request.tool_choice is None or request.tool_choice.is_parallel
        reader = OllamaReader(self._client.server, max_calls=None if is_parallel else 1)
        async with (
            self._client.lines(path, body) as lines,
            aclosing(answer_events(self._client, lines, reader.read)) as events,
        ):
            async for event in events:
                yield naming(event, ignored)


async def open_ollama(card: ModelCard, options: UpstreamOptions) -> OllamaBackend:
    """Prepare to ask the server, which need not answer yet.

    Where the card knows a context length, Ollama is told to use it (`num_ctx`), and reloads a model
    that is loaded with another; else Ollama's own applies. Neither a prompt nor an answer is cut
    silently to fit.
    """
    headers = {"authorization": f"Bearer {options.api_key}"} if options.api_key else {}
    advice = f"`ollama pull {options.model}` fetches it"
    client = UpstreamClient(options.url, options, headers, KEY_NAME, advice)
    model = OllamaModel(options.model, card.context_length)
    return OllamaBackend(replace(card, backend="ollama", capabilities=CAPABILITIES), client, model)
