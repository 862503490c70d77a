"""A model on another server that speaks OpenAI's protocol. Knows neither routing nor retries."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import httpx2

from llm_api.core.errors import InvalidRequestError, UnsupportedParameterError
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.openai_answers import AnswerReader
from llm_api.core.llm.backends.openai_flavours import FLAVOURS, Fields, FlavourName
from llm_api.core.llm.backends.openai_requests import to_wire
from llm_api.core.llm.backends.server_sent import ServerSentEvent
from llm_api.core.llm.backends.told_progress import PARAMETER, ToldProgress
from llm_api.core.llm.backends.upstream_backend import (
    UpstreamBackend,
    UpstreamClient,
    UpstreamOptions,
)
from llm_api.core.llm.capabilities import read_alone
from llm_api.core.llm.output.dialect import new_call_id
from llm_api.core.llm.types import ChatPrompt, Event, GenerationRequest, Started

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenAIOptions:
    """`upstream.url` is the base URL that an OpenAI client would be given; a bare host gets /v1."""

    upstream: UpstreamOptions
    flavour: FlavourName = "openai"


class OpenAIBackend(UpstreamBackend):
    """Asks the server for every answer as a stream. Made by `open_openai`."""

    def __init__(
        self,
        card: ModelCard,
        options: OpenAIOptions,
        client: UpstreamClient,
        new_id: Callable[[], str],
    ) -> None:
        self._flavour = FLAVOURS[options.flavour]
        super().__init__(card, client, self._flavour.health_path)
        self._model = options.upstream.model
        self._new_id = new_id
        self._takes_tools: bool | None = None
        self._tells_progress: bool | None = self._flavour.tells_progress or None

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """`Started` comes with the first word on the answer, or on how far the prompt is read."""
        self._card.capabilities.check(request)
        request, ignored = read_alone(request, self._flavour.reads_variable)
        if isinstance(request.prompt, ChatPrompt) and request.prompt.tools:
            await self._check_tools()
        path, body = to_wire(request, self._model, self._flavour)
        told = ToldProgress(request.journey, request.max_tokens)
        reader = AnswerReader(
            self._client.server, request.top_logprobs or 0, self._new_id, _must_call(request), told
        )
        is_started = False
        async with AsyncExitStack() as stack:
            stack.callback(request.journey.leave)
            events = await self._asked(stack, path, body)
            async for event in events:
                if event.data == "[DONE]":
                    continue  # to the end of the body: only then is the connection free again
                with self._client.understood:
                    deltas = reader.read(event.data)
                if not is_started and (deltas or told.has_begun):
                    is_started = True
                    yield Started(None, ignored=ignored)
                told.write(len(deltas))
                for delta in deltas:
                    yield delta
        finished = reader.finished()
        if not is_started:
            yield Started(None, ignored=ignored)
        if reader.usage is None:
            log.warning("%s tells no usage: 0 tokens are reported", self._client.server)
        for delta in reader.end():
            yield delta
        yield finished

    async def _asked(
        self, stack: AsyncExitStack, path: str, body: Fields
    ) -> AsyncIterator[ServerSentEvent]:
        """The answer, which ends with `stack`. It tells progress where the server can.

        That is known of its kind; of one of ourselves by the first answer, as an older one may
        refuse to be asked.
        """
        if self._tells_progress:
            try:
                return await stack.enter_async_context(
                    self._client.events(path, body | {PARAMETER: True})
                )
            except InvalidRequestError as error:
                if error.param != PARAMETER:
                    raise
                self._tells_progress = False
        events = await stack.enter_async_context(self._client.events(path, body))
        if self._tells_progress is None and self._client.is_ours:
            self._tells_progress = True
        return events

    async def _check_tools(self) -> None:
        """Raises UnsupportedParameterError where tools would be left out without a word.

        llama-server does so if the model's template has no place for them. Asks once.
        """
        if self._flavour.template_path is not None and self._takes_tools is None:
            props = await self._client.get(self._flavour.template_path)
            caps = props.get("chat_template_caps") if isinstance(props, dict) else None
            # Older servers do not tell.
            self._takes_tools = (
                not isinstance(caps, dict) or caps.get("supports_tools") is not False
            )
        if self._takes_tools is False:
            raise UnsupportedParameterError(
                "The parameter 'tools' is not available: the model's chat template has no place"
                " for them.",
                param="tools",
            )


async def open_openai(
    card: ModelCard, options: OpenAIOptions, new_id: Callable[[], str] = new_call_id
) -> OpenAIBackend:
    """Prepare to ask the server, which need not answer yet. `new_id` names calls without an id."""
    flavour = FLAVOURS[options.flavour]
    upstream = options.upstream
    headers = {"authorization": f"Bearer {upstream.api_key}"} if upstream.api_key else {}
    client = UpstreamClient(_base(upstream.url), upstream, headers, flavour.key_name)
    known = replace(card, backend=options.flavour, capabilities=flavour.capabilities)
    return OpenAIBackend(known, options, client, new_id)


def _must_call(request: GenerationRequest) -> bool:
    return request.tool_choice is not None and request.tool_choice.mode == "required"


def _base(url: str) -> str:
    return f"{url.rstrip('/')}/v1" if httpx2.URL(url).path == "/" else url
