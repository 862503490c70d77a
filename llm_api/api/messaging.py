"""From a request for a message to its answer, whole or streamed, by one fold of its events."""

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import uuid4

from fastapi import Request, Response

from llm_api.api.answers import Generation, failure_in_mid_stream, noted_events, started
from llm_api.api.deps import CallerServices
from llm_api.api.disconnect import until_disconnect
from llm_api.api.file_search import OpenedSearch, open_search
from llm_api.api.given_files import GivenFiles
from llm_api.api.mapping.anthropic.fold import MessageFold, MessageWriting
from llm_api.api.mapping.anthropic.generation import (
    check_parameters,
    ignored_parameters,
    to_chat_prompt,
    to_generation_request,
)
from llm_api.api.mapping.anthropic.signatures import Signatures
from llm_api.api.mapping.anthropic.tools import MessageTools, to_message_tools
from llm_api.api.mapping.anthropic.turns import TurnReader, file_documents
from llm_api.api.mapping.tools import to_server_functions
from llm_api.api.models.anthropic.blocks import Base64Source, FileSource
from llm_api.api.models.anthropic.message import MessageEvent
from llm_api.api.models.anthropic.parameters import CreateMessage, PromptParameters
from llm_api.api.models.anthropic.tools import SearchTool
from llm_api.api.origin import AnswerOrigin, origin, unenforced
from llm_api.api.progress_frames import UNASKED
from llm_api.api.request_facts import facts_of
from llm_api.api.stream_forms import MESSAGE_EVENTS
from llm_api.core.embeddings.embedder import Embedder
from llm_api.core.errors import InvalidRequestError, UnreadableFileError
from llm_api.core.function_loop import FunctionLoop
from llm_api.core.functions.types import Function
from llm_api.core.llm.backend import Backend
from llm_api.core.llm.choices import ChoiceEvent
from llm_api.core.llm.collect import cut_short
from llm_api.core.llm.progress import Progress
from llm_api.core.llm.types import ChatPrompt, Finished, Started
from llm_api.core.rag.answering.citations import CitationMode
from llm_api.core.rag.answering.citing import CitingBackend
from llm_api.core.rag.answering.given import GivenSource, given_pages

IGNORED_TOOLS_HEADER: Final = "x-ignored-tools"
_LARGE_CHARACTERS: Final = 50_000
"""Sources longer than this are cut into sentences in a thread."""


@dataclass(frozen=True, slots=True)
class AskedPrompt:
    """What the model is shown, and what is known of it beside."""

    prompt: ChatPrompt
    reader: TurnReader
    tools: MessageTools
    functions: Sequence[Function]
    search: OpenedSearch | None

    citations: CitationMode
    embedder: Embedder | None

    def over(self, backend: Backend) -> Backend:
        """The backend, citing what is to be cited."""
        given = self.reader.given
        if not given.are_cited:
            return backend
        return CitingBackend(backend, given, self.embedder, self.citations)


async def asked_prompt(
    request: Request, body: PromptParameters, services: CallerServices
) -> AskedPrompt:
    """Reads the conversation and its tools. Notes what of them is ignored; raises what is wrong."""
    check_parameters(body)
    if body.server_tools:
        services.caller.require("functions")
    catalog = services.shared.functions.catalog
    functions: Sequence[Function] = to_server_functions(body.server_tools, catalog)
    search = await _search(body, services)
    if search is not None:
        functions = (*functions, search.function)
    tools = to_message_tools(body, functions)
    signatures = Signatures(services.shared.sealer, services.owner)
    files = await _read_files(body, GivenFiles(services.shared.loader, services.files))
    reader = TurnReader(signatures, files)
    read = partial(reader.read, body.system, body.messages)
    messages = await asyncio.to_thread(read) if await _is_large(request) else read()
    facts_of(request.scope).ignored.note(reader.ignored)
    if search is not None and reader.given.are_cited:
        raise InvalidRequestError(
            "Citations are of the documents that a request brings, or of those that 'file_search'"
            " finds: leave out the tool, or 'citations' of the documents.",
            param="tools",
        )
    prompt = to_chat_prompt(body, messages, tools.offered)
    mode = body.citations or "both"
    embedder = services.aligning_embedder
    return AskedPrompt(prompt, reader, tools, functions, search, mode, embedder)


async def _search(body: PromptParameters, services: CallerServices) -> OpenedSearch | None:
    for index, tool in enumerate(body.tools or []):
        if isinstance(tool, SearchTool):
            return await open_search(tool, f"tools[{index}]", services)
    return None


async def _is_large(request: Request) -> bool:
    return len(await request.body()) > _LARGE_CHARACTERS


async def prepare(request: Request, body: CreateMessage, services: CallerServices) -> "Messaging":
    """All that it takes to answer. Raises what is wrong with the request."""
    asked = await asked_prompt(request, body, services)
    is_repeatable = not (asked.functions or asked.reader.given.are_cited)
    context = services.context(is_streamed=body.is_streamed, is_repeatable=is_repeatable)
    model = services.models.resolve(body.model, context)
    backend = asked.over(model)
    own = services.shared.functions
    if asked.search is not None:
        backend = asked.search.over(backend, asked.functions, own)
    elif asked.functions:
        backend = FunctionLoop(backend, asked.functions, own.runner, own.max_rounds)
    wanted = to_generation_request(body, asked.prompt, asked.tools.offered, model.card)
    facts_of(request.scope).ignored.note(ignored_parameters(body, model.card))
    hides = body.thinking is not None and body.thinking.display == "omitted"
    writing = MessageWriting(
        id=f"msg_{uuid4().hex}",
        max_tokens=body.max_tokens,
        is_streamed=body.is_streamed,
        sign=partial(asked.reader.signatures.sign, is_shown=not hides),
        hides_thought=hides,
        links=asked.reader.links,
    )
    ignored = asked.tools.ignored
    headers = {IGNORED_TOOLS_HEADER: ", ".join(ignored)} if ignored else {}
    generation = Generation(context, backend, [wanted], telling=UNASKED)
    return Messaging(request, generation, MessageFold(writing), headers)


@dataclass(frozen=True, slots=True)
class Messaging:
    """One message on its way. `headers` are what is told of it beside who gave it."""

    request: Request
    generation: Generation
    fold: MessageFold
    headers: Mapping[str, str]

    async def answer(self) -> Response:
        """The HTTP answer. Raises what the backend refuses, before the first header of a stream.

        Aborts the generation when the client disconnects.
        """
        if not self.generation.context.is_whole:
            return await self._streamed()
        by, broken = await until_disconnect(self.request, self._whole())
        body = self.fold.message(by.model).to_json()
        headers = {**by.headers, **broken, **self.headers}
        return Response(body, headers=headers, media_type="application/json")

    async def _whole(self) -> tuple[AnswerOrigin, Mapping[str, str]]:
        """Folds all of it; who answered, and the header that tells what is not held to."""
        card = self.generation.backend.card
        by, broken = origin(card, [None]), dict[str, str]()
        async with aclosing(noted_events(self.request, self.generation)) as events:
            async for choice_event in events:
                event = choice_event.event
                self.fold.take(event)
                if isinstance(event, Started):
                    by = origin(card, [event.served_by])
                elif isinstance(event, Finished):
                    broken = unenforced(event.unenforced)
        return by, broken

    async def _streamed(self) -> Response:
        early, events, by = await started(self.request, self.generation)
        first = [made for one in early for made in self.fold.take(one.event)]
        return MESSAGE_EVENTS.response(
            self.generation.told(
                self._frames([self.fold.opening(by.model), *first], events), self._progress_frame
            ),
            events,
            self.request.app.state.ping_seconds,
            {**by.headers, **self.headers},
        )

    def _progress_frame(self, progress: Progress) -> bytes:
        return MESSAGE_EVENTS.frame(self.fold.progress(progress))

    async def _frames(
        self, first: Sequence[MessageEvent], events: AsyncIterator[ChoiceEvent]
    ) -> AsyncGenerator[bytes, None]:
        """The frames of the whole stream; an error in it is its last frame."""
        has_ended = False
        try:
            yield _written(first)
            async for choice_event in events:
                if frames := _written(self.fold.take(choice_event.event)):
                    yield frames
                has_ended = isinstance(choice_event.event, Finished)
            if not has_ended:
                raise cut_short()
        except Exception as error:  # noqa: BLE001 - the border: the client must not take the cut for the end
            yield MESSAGE_EVENTS.error(failure_in_mid_stream(self.request, error))


def _written(events: Sequence[MessageEvent]) -> bytes:
    return b"".join(map(MESSAGE_EVENTS.frame, events))


async def _read_files(body: PromptParameters, given: GivenFiles) -> dict[str, GivenSource]:
    """The texts of the documents that are files, by the paths of their blocks.

    Raises InvalidRequestError, UnreadableFileError, StoredFileNotFoundError with the path.
    """
    read: dict[str, GivenSource] = {}
    for path, block, source in file_documents(body.messages):
        if isinstance(source, FileSource):
            file, data = await given.read(source.file_id, f"{path}.source.file_id")
            name, charset, title = file.filename, file.charset, file.filename
        else:
            data, name, charset, title = _decoded(source, path), "document.pdf", "", ""
        try:
            loaded = await given.loader.load(data, name, charset)
        except UnreadableFileError as error:
            error.param = path
            raise
        title = block.title or loaded.title or title
        read[path] = given_pages(loaded.text, loaded.sections, title, block.context or "")
    return read


def _decoded(source: Base64Source, path: str) -> bytes:
    """Raises InvalidRequestError for what is no PDF."""
    param = f"{path}.source.data"
    try:
        data = base64.b64decode(source.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError(f"'{param}' is no base64.", param=param) from error
    if source.media_type != "application/pdf" or not data.lstrip().startswith(b"%PDF-"):
        raise InvalidRequestError(
            f"'{path}.source' is no PDF; other files can be sent as text.", param=f"{path}.source"
        )
    return data
