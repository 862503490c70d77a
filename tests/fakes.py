"""A backend that plays a script, and services around it. For tests of whatever sits in front."""

import asyncio
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias, TypeVar
from uuid import uuid4

from cryptography.fernet import Fernet

from llm_api.core.access.key_book import KeyAdministration
from llm_api.core.access.usage import UsageReport
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.embeddings.reranker import Reranker
from llm_api.core.errors import InvalidRequestError, ModelNotFoundError
from llm_api.core.files.files import FileService
from llm_api.core.files.opened import new_files
from llm_api.core.files.options import FileOptions
from llm_api.core.functions.catalog import FunctionCatalog
from llm_api.core.functions.runner import FunctionRunner, Functions
from llm_api.core.llm.administration.administration import (
    AdministrationOptions,
    ModelAdministration,
)
from llm_api.core.llm.administration.book import ModelBook, PulledModel
from llm_api.core.llm.backend import Backend, ModelCard
from llm_api.core.llm.observation import Observation
from llm_api.core.llm.prefix_cache.inventory import Inventory
from llm_api.core.llm.prefix_cache.prefix_cache import PrefixCache
from llm_api.core.llm.prompt.volatile import VolatileLine
from llm_api.core.llm.residency.keeper import KeptModel
from llm_api.core.llm.residency.model_registry import ModelRegistry
from llm_api.core.llm.residency.plan import ModelState
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    Event,
    Finished,
    FinishReason,
    GenerationRequest,
    MarkedText,
    SampledLogprob,
    Started,
    TextDelta,
    Tokenized,
    TokenLogprob,
    Usage,
)
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.state.options import StateOptions
from llm_api.core.state.state import State
from llm_api.core.utils.sealing import Sealer

MODEL_ID = "SmolLM2-135M-Instruct.Q4_1"
ALIAS = "default"

CARD = ModelCard(
    id=MODEL_ID,
    created=1_700_000_000,
    owned_by="llm_api",
    context_length=2048,
    aliases=(ALIAS,),
)

Step: TypeAlias = Event | float | Exception
"""An event to yield, seconds to wait, or an error to raise."""

T = TypeVar("T")
Script: TypeAlias = Callable[[GenerationRequest], Iterable[Step]]


def spoken(
    *texts: str, reason: FinishReason = "stop", prompt_tokens: int = 5, pause_seconds: float = 0
) -> list[Step]:
    """A script that says these texts, one token each, with a pause before each."""
    steps: list[Step] = [Started(prompt_tokens)]
    for text in texts:
        steps += [float(pause_seconds), TextDelta(text)] if pause_seconds else [TextDelta(text)]
    return [*steps, Finished(reason, Usage(prompt_tokens, len(texts), cached_tokens=2))]


def spoken_until(event: threading.Event) -> Iterator[Step]:
    """A script that says words until something has happened, then ends."""
    first, word, last = spoken("word ")
    yield first
    while not event.is_set():
        yield from (word, 0.01)
    yield last


def sampled(data: bytes, logprob: float = -0.5, *others: tuple[bytes, float]) -> SampledLogprob:
    """A token with its log-probability; the candidates are itself and `others`."""
    chosen = TokenLogprob(data, logprob)
    return SampledLogprob(chosen, (chosen, *(TokenLogprob(*other) for other in others)))


def hello(_: GenerationRequest) -> Sequence[Step]:
    return spoken("Hello", " world", "!")


def endless(_: GenerationRequest) -> Sequence[Step]:
    return spoken(*["more "] * 10_000, pause_seconds=0.02)


@dataclass
class FakeBackend:
    """Plays `script` for every request.

    Remembers the requests, which of them ran to the end of the script, and which were closed
    from outside before that.
    """

    script: Script = hello
    card: ModelCard = CARD
    requests: list[GenerationRequest] = field(default_factory=list)
    aborted: list[GenerationRequest] = field(default_factory=list)
    completed: list[GenerationRequest] = field(default_factory=list)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        is_over = False
        try:
            for step in self.script(request):
                match step:
                    case Exception():
                        is_over = True
                        raise step
                    case float():
                        await asyncio.sleep(step)
                    case event:
                        yield event
            is_over = True
            self.completed.append(request)
        finally:
            if not is_over:
                self.aborted.append(request)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def tokenize(self, text: MarkedText | ChatPrompt) -> Tokenized:
        """One token for each character; control tokens have 0, and a conversation an opening."""
        if isinstance(text, ChatPrompt):
            said = "".join(one.content for one in text.messages)
            ids = (0, *map(ord, said))
        else:
            said = text.text
            ids = (*[0] * text.adds_special, *map(ord, said))
        return Tokenized(ids, tuple(b"<s>" if one == 0 else chr(one).encode() for one in ids), said)

    async def detokenize(self, ids: Sequence[int]) -> str:
        if any(one > sys.maxunicode for one in ids):
            raise InvalidRequestError("A token is not in the vocabulary.", param="tokens")
        return "".join("<s>" if one == 0 else chr(one) for one in ids)

    def observe(self) -> Iterator[Observation]:
        return iter(())

    async def aclose(self) -> None:
        """Nothing to free."""


@dataclass
class FakeModels:
    backends: Sequence[Backend]
    states: dict[str, ModelState] = field(default_factory=dict)
    observations: list[tuple[str, Observation]] = field(default_factory=list)

    def cards(self) -> list[ModelCard]:
        return [backend.card for backend in self.backends]

    def state(self, model_id: str) -> ModelState:
        return self.states.get(model_id, "loaded")

    def is_pinned(self, model_id: str) -> bool:
        return False

    def observe(self) -> list[tuple[str, Observation]]:
        return self.observations

    def resolve(self, name: str) -> Backend:
        for backend in self.backends:
            if name in (backend.card.id, *backend.card.aliases):
                return backend
        known = ", ".join(card.id for card in self.cards())
        raise ModelNotFoundError(
            f"The model `{name}` does not exist or you do not have access to it. "
            f"This server has: {known}.",
            param="model",
        )


def no_functions() -> Functions:
    """An empty catalog, to be filled by a test."""
    runner = FunctionRunner(timeout_seconds=5, result_bytes=1024)
    return Functions(FunctionCatalog(), runner, max_rounds=3)


@dataclass
class FakeRequestLog:
    """Keeps the records as they are."""

    records: list[Mapping[str, object]] = field(default_factory=list)
    problem: str | None = None
    dropped: int = 0

    def append(self, record: Mapping[str, object]) -> None:
        self.records.append(record)


@dataclass
class FakeServices:
    models: FakeModels
    embedders: EmbedderRegistry
    functions: Functions = field(default_factory=no_functions)
    retrieval: Retrieval | None = None
    state: State = field(default_factory=lambda: State(StateOptions(Path("no-state"))))
    keys: KeyAdministration = field(default_factory=KeyAdministration)
    reranker: Reranker | None = None
    mcp_allowed_urls: tuple[str, ...] = ()
    loader: FileLoader = field(default_factory=FileLoader)
    sealer: Sealer = field(
        default_factory=lambda: Sealer(Path("no-key"), [Fernet.generate_key().decode()])
    )
    request_log: FakeRequestLog = field(default_factory=FakeRequestLog)
    logs_content: bool = False
    configuration: Mapping[str, JSON] = field(
        default_factory=lambda: {"settings": {}, "models": {}, "mcp_servers": {}}
    )
    generate_max_tokens: int = 200
    strict_parameters: bool = True
    serves_unknown_models: bool = False
    volatile_lines: tuple[VolatileLine, ...] = ()
    started_at: float = 1_700_000_000.0
    is_ready: bool = True
    models_dir: Path = field(default_factory=lambda: Path(tempfile.gettempdir(), uuid4().hex))
    may_pull: bool = True
    prefix_cache: PrefixCache = field(default_factory=PrefixCache)

    @cached_property
    def prefixes(self) -> Inventory:
        return Inventory(self.prefix_cache, _at_once)

    @cached_property
    def usage(self) -> UsageReport:
        return UsageReport(None, self.state)

    @cached_property
    def files(self) -> FileService:
        return new_files(FileOptions(self.state._options.folder / "files"), self.state)

    @cached_property
    def administration(self) -> ModelAdministration:
        """Of models that take no memory, and are not those of `models`: so it needs no task."""
        owned = [one for one in self.models.backends if isinstance(one, FakeBackend)]
        book = ModelBook(self.models_dir / "models.json")
        options = AdministrationOptions(self.models_dir, {}, may_pull=self.may_pull)
        return ModelAdministration(ModelRegistry(owned), book, options, _kept)


async def _at_once(function: Callable[[], T]) -> T:
    return function()


def _kept(model: PulledModel, _file: Path) -> KeptModel:
    raise ValueError(f"{model.id} was pulled in a test that pulls nothing")
