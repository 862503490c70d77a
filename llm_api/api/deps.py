"""Who may have what of the services: a caller what its key may use, the server itself all of it.

Routes get the services of one caller: the models of its key, in its scope, with its tokens counted.
They get them in no other way, so none can forget to ask.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar, cast

from fastapi import Depends, FastAPI, Request
from starlette.datastructures import Headers

from llm_api.api.document_search import with_document_search
from llm_api.api.request_facts import RequestFacts, facts_of
from llm_api.core.access.caller import Caller
from llm_api.core.access.documents import documents_of
from llm_api.core.access.key_book import KeyAdministration
from llm_api.core.access.metered import MeteredBackend, MeteredEmbedder, MeteredReranker
from llm_api.core.access.usage import UsageReport
from llm_api.core.embeddings.embedder import Embedder, EmbedderCard
from llm_api.core.embeddings.embedder_registry import EmbedderRegistry
from llm_api.core.embeddings.on_demand import EmbedderState
from llm_api.core.embeddings.reranker import Reranker
from llm_api.core.errors import ModelForbiddenError, ModelNotFoundError, UnsupportedParameterError
from llm_api.core.files.files import FileService, OwnedFiles
from llm_api.core.files.uploads import OwnedUploads
from llm_api.core.functions.runner import Functions
from llm_api.core.llm.administration.administration import ModelAdministration
from llm_api.core.llm.backend import Backend, ModelCard
from llm_api.core.llm.observation import ForgottenPrefixes, KeptPrefixes, Observation
from llm_api.core.llm.prompt.volatile import VolatileLine
from llm_api.core.llm.residency.plan import ModelState
from llm_api.core.llm.types import JSON, RequestContext
from llm_api.core.rag.loaders.file_loader import FileLoader
from llm_api.core.rag.retrieval import Retrieval
from llm_api.core.state.records import UsageDay
from llm_api.core.state.state import State
from llm_api.core.utils.model_names import meant
from llm_api.core.utils.sealing import Sealer
from llm_api.core.vector_stores.access import StoreAccess

if TYPE_CHECKING:
    from llm_api.core.state.opened import OwnedState

Found = TypeVar("Found", Backend, Embedder, Reranker)


class Models(Protocol):
    """The models that can be asked for by name."""

    def cards(self) -> Sequence[ModelCard]: ...

    def state(self, model_id: str) -> ModelState:
        """Whether the model of this id, which exists, is in memory."""
        ...

    def is_pinned(self, model_id: str) -> bool:
        """Whether the model of this id, which exists, stays in memory until it is unloaded."""
        ...

    def resolve(self, name: str) -> Backend:
        """The backend that serves this id or alias. Raises ModelNotFoundError."""
        ...

    def observe(self) -> Iterable[tuple[str, Observation]]:
        """What the models show of themselves, each with its id."""
        ...


class KeptPrefixCache(Protocol):
    """The computed prefixes that are kept outside the models."""

    async def look(self, most: int) -> KeptPrefixes:
        """What there is, at most so many, those used last first."""
        ...

    async def forget(self, key: str | None) -> ForgottenPrefixes:
        """Delete those of one key, or of all; pinned ones stay."""
        ...


class RequestLog(Protocol):
    """Where requests are written down. Neither waits nor raises."""

    @property
    def dropped(self) -> int:
        """How many records were never written."""
        ...

    @property
    def problem(self) -> str | None:
        """Why nothing is written at present; None while all is well."""
        ...

    def append(self, record: Mapping[str, object]) -> None: ...


class SharedServices(Protocol):
    """What is the same for all callers. `started_at` is in Unix seconds."""

    @property
    def functions(self) -> Functions:
        """What everybody may call who may call functions."""
        ...

    @property
    def mcp_allowed_urls(self) -> Collection[str]:
        """The MCP servers that requests may name."""
        ...

    @property
    def loader(self) -> FileLoader:
        """What reads files that come inside a request."""
        ...

    @property
    def sealer(self) -> Sealer:
        """What encrypts that clients are to send back."""
        ...

    @property
    def request_log(self) -> RequestLog: ...

    @property
    def logs_content(self) -> bool:
        """Whether prompts and answers belong into the request log."""
        ...

    @property
    def configuration(self) -> Mapping[str, JSON]:
        """The settings in force, without any secret."""
        ...

    @property
    def generate_max_tokens(self) -> int:
        """What `POST /generate` may be asked for at most."""
        ...

    @property
    def serves_unknown_models(self) -> bool:
        """Whether a name that means no model is served by the default one."""
        ...

    @property
    def volatile_lines(self) -> Sequence[VolatileLine]:
        """Lines of system prompts that go behind the prefix which is kept."""
        ...

    @property
    def strict_parameters(self) -> bool:
        """Whether an unknown field of a request is refused."""
        ...

    @property
    def started_at(self) -> float: ...

    @property
    def is_ready(self) -> bool:
        """Whether a generation would be accepted now."""
        ...


class WholeServices(SharedServices, Protocol):
    """All services, for the server itself: `assembly.services.Services` fulfils this."""

    @property
    def models(self) -> Models: ...

    @property
    def administration(self) -> ModelAdministration: ...

    @property
    def embedders(self) -> EmbedderRegistry: ...

    @property
    def reranker(self) -> Reranker | None: ...

    @property
    def retrieval(self) -> Retrieval | None: ...

    @property
    def state(self) -> State: ...

    @property
    def files(self) -> FileService: ...

    @property
    def keys(self) -> KeyAdministration: ...

    @property
    def usage(self) -> UsageReport: ...

    @property
    def prefixes(self) -> KeptPrefixCache: ...


def set_services(app: FastAPI, services: WholeServices) -> None:
    """Give the application what its routes are served from."""
    app.state.services = services


def services_of(app: FastAPI) -> WholeServices:
    """The services of a running application."""
    return cast(WholeServices, app.state.services)


@dataclass(frozen=True, slots=True)
class KeyedModels:
    """The models that one caller may use.

    `_facts` take note of a name that means none of them, where the first model serves any.
    """

    _models: Models
    _caller: Caller
    _facts: RequestFacts
    _serves_unknown: bool

    def cards(self) -> list[ModelCard]:
        return [card for card in self._models.cards() if _permits(self._caller, card)]

    def state(self, model_id: str) -> ModelState:
        return self._models.state(model_id)

    def is_pinned(self, model_id: str) -> bool:
        return self._models.is_pinned(model_id)

    def card(self, name: str | None) -> ModelCard:
        """What is known of a model by id or alias, or of the first. Raises as `resolve`."""
        return self._resolve(name).card

    def resolve(self, name: str | None, context: RequestContext) -> Backend:
        """The backend of this id or alias, or of the first model; its tokens are counted.

        Raises ModelNotFoundError, ModelForbiddenError.
        """
        return MeteredBackend(self._resolve(name), self._caller, context)

    def _resolve(self, name: str | None) -> Backend:
        if name is None:
            return self._first()
        try:
            return _resolved(self._models.resolve, name, self._caller)
        except (ModelNotFoundError, ModelForbiddenError):
            if not self._serves_unknown:
                raise
        self._facts.unknown_model = name
        return self._first()

    def _first(self) -> Backend:
        name = next((card.id for card in self.cards()), None)
        if name is None:
            raise ModelNotFoundError("There is no model that this request may use.", param="model")
        return _resolved(self._models.resolve, name, self._caller)


@dataclass(frozen=True, slots=True)
class KeyedEmbedders:
    """The embedding models that one caller may use."""

    _embedders: EmbedderRegistry
    _caller: Caller

    def cards(self) -> list[EmbedderCard]:
        return [card for card in self._embedders.cards() if _permits(self._caller, card)]

    def state(self, model_id: str) -> EmbedderState:
        return self._embedders.state(model_id)

    def resolve(self, name: str) -> Embedder:
        """The embedder of this id or alias; its tokens are counted.

        Raises ModelNotFoundError, ModelForbiddenError.
        """
        embedder = _resolved(self._embedders.resolve, name, self._caller)
        return MeteredEmbedder(embedder, self._caller)


@dataclass(frozen=True, slots=True)
class CallerServices:
    """The services as one caller gets them."""

    _services: WholeServices
    caller: Caller
    _may_be_cached: bool
    _facts: RequestFacts

    def context(self, *, is_streamed: bool, is_repeatable: bool) -> RequestContext:
        """Who asks, and how. Answers of documents and functions, which change, do not repeat."""
        return RequestContext(
            scope=self.caller.key.sharing_scope,
            is_whole=not is_streamed,
            may_be_cached=is_repeatable and self._may_be_cached,
        )

    @property
    def shared(self) -> SharedServices:
        return self._services

    def administration(self) -> ModelAdministration:
        """What may be done to models. Raises PermissionDeniedError without the scope `admin`."""
        self.caller.require("admin")
        return self._services.administration

    def all_models(self) -> Models:
        """Every model, and what it shows of itself. Raises as `administration`."""
        self.caller.require("admin")
        return self._services.models

    def kept_prefixes(self) -> KeptPrefixCache:
        """The computed prefixes of all keys. Raises as `administration`."""
        self.caller.require("admin")
        return self._services.prefixes

    def keys(self) -> KeyAdministration:
        """What may be done to keys. Raises PermissionDeniedError without the scope `admin`."""
        self.caller.require("admin")
        return self._services.keys

    def usage(self) -> UsageReport:
        """What all keys have used. Raises PermissionDeniedError without the scope `admin`."""
        self.caller.require("admin")
        return self._services.usage

    async def own_usage(self, days: int) -> Sequence[UsageDay]:
        """What this key has used in the last days."""
        return await self._services.usage.of(self.owner, days)

    @property
    def counts_usage(self) -> bool:
        """Whether it is counted at all what keys use."""
        return self._services.usage.is_counted

    @property
    def models(self) -> KeyedModels:
        serves_unknown = self._services.serves_unknown_models
        return KeyedModels(self._services.models, self.caller, self._facts, serves_unknown)

    @property
    def embedders(self) -> KeyedEmbedders:
        return KeyedEmbedders(self._services.embedders, self.caller)

    def reranker(self, name: str | None) -> Reranker:
        """The model that judges texts, which `name` means; its tokens are counted.

        Raises UnsupportedParameterError on a server without one, ModelNotFoundError,
        ModelForbiddenError.
        """
        reranker = self._services.reranker
        if reranker is None:
            raise UnsupportedParameterError(
                "This server has no reranking model: set RERANK_MODEL, or send 'mode': 'embedding'"
                " to compare the texts by their embeddings.",
                param="model",
            )

        def named(wanted: str) -> Reranker:
            card = reranker.card
            if meant(wanted, {card.id: card.aliases}) is None:
                raise ModelNotFoundError(
                    f"The reranking model `{wanted}` does not exist or you do not have access to"
                    f" it. Known: `{card.id}`.",
                    param="model",
                )
            return reranker

        return MeteredReranker(_resolved(named, name or reranker.card.id, self.caller), self.caller)

    @property
    def functions(self) -> Functions:
        """The functions that this caller may call: the search of documents, if it may search."""
        shared = self._services.functions
        if self._services.retrieval is None or "rag" not in self.caller.key.scopes:
            return shared
        return with_document_search(shared, self.retrieval())

    @property
    def owner(self) -> str:
        """Whose is what this caller stores: its key's identity."""
        return self.caller.key.name

    @property
    def keeps_responses(self) -> bool:
        """Whether a response may be stored, or be made in the background."""
        return self._services.state.keeps_responses

    async def state(self) -> "OwnedState":
        """What this caller has stored. Raises StateUnavailableError, StateError."""
        return await self._services.state.of(self.owner)

    @property
    def aligning_embedder(self) -> Embedder | None:
        """What compares an answer with sources that its request brings; None where there is none.

        Its tokens are counted.
        """
        retrieval = self._services.retrieval
        return None if retrieval is None else MeteredEmbedder(retrieval.embedder, self.caller)

    def files(self) -> OwnedFiles:
        """The files of this caller. Raises PermissionDeniedError without the scope `rag`."""
        self.caller.require("rag")
        return self._services.files.of(self.owner)

    def uploads(self) -> OwnedUploads:
        """The files that come in parts. Raises as `files`."""
        return OwnedUploads(self.files().service, self.owner)

    @property
    def has_documents(self) -> bool:
        """Whether this server can keep documents."""
        return self._services.retrieval is not None

    def vector_stores(self) -> StoreAccess:
        """The collections as OpenAI's clients see them. Raises as `retrieval`."""
        return StoreAccess(self.retrieval(), self._services.state, self.files(), self.owner)

    def retrieval(self) -> Retrieval:
        """The documents that this caller's key may see, which is the only way to any.

        Raises ModelNotFoundError on a server that cannot keep any.
        """
        retrieval = self._services.retrieval
        if retrieval is None:
            raise ModelNotFoundError(
                "Documents need an embedding model (EMBEDDING_BACKEND), and with several WORKERS a"
                " Qdrant server that all of them share (QDRANT_URL); here is none."
            )
        return documents_of(self.caller, retrieval)


def _permits(caller: Caller, card: ModelCard | EmbedderCard) -> bool:
    return caller.may_use((card.id, *card.aliases))


def _resolved(resolve: Callable[[str], Found], name: str, caller: Caller) -> Found:
    """What serves the name. A key of certain models cannot tell a foreign name from an unknown."""
    try:
        found = resolve(name)
    except ModelNotFoundError:
        if caller.key.models is None:
            raise
    else:
        if _permits(caller, found.card):
            return found
    raise ModelForbiddenError(
        f"The model `{name}` does not exist or this API key has no access to it.", param="model"
    )


async def get_services(request: Request) -> CallerServices:
    """The services that answer this request, for the caller that the gate has identified."""
    # A coroutine, since FastAPI would call a plain function in a thread: 0.1 ms for every request.
    return services_for(request)


def services_for(request: Request) -> CallerServices:
    """As `get_services`."""
    caller = cast(Caller, request.state.caller)
    may_be_cached = _may_be_cached(request.headers)
    facts = facts_of(request.scope)
    return CallerServices(services_of(request.app), caller, may_be_cached, facts)


def _may_be_cached(headers: Headers) -> bool:
    """Whether the answer may be kept, and be a kept one: unless `Cache-Control` is `no-store`."""
    directives = ",".join(headers.getlist("cache-control")).lower().split(",")
    return "no-store" not in map(str.strip, directives)


Services = Annotated[CallerServices, Depends(get_services)]


async def get_retrieval(services: Services) -> Retrieval:
    """The documents that this request is about."""
    return services.retrieval()


DocumentService = Annotated[Retrieval, Depends(get_retrieval)]
