"""What the routes need from the service, said as protocols: `services.Services` fulfils them.

Routes get it as one caller may use it: with the models of its key, in its scope, and counted. As
they get it in no other way, none can forget to ask.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeVar, cast

from fastapi import Depends, FastAPI, Request

from llm_api.core.access.caller import Caller
from llm_api.core.access.metered import MeteredBackend, MeteredEmbedder
from llm_api.core.embeddings.embedder import Embedder, EmbedderCard
from llm_api.core.embeddings.on_demand import EmbedderState
from llm_api.core.errors import ModelForbiddenError, ModelNotFoundError
from llm_api.core.functions.runner import Functions
from llm_api.core.llm.backend import Backend, ModelCard
from llm_api.core.llm.observation import Observation
from llm_api.core.llm.residency.plan import ModelState
from llm_api.core.llm.types import JSON
from llm_api.core.rag.retrieval import Retrieval

Found = TypeVar("Found", Backend, Embedder)


class ModelCatalog(Protocol):
    """The models that can be asked for by name."""

    def cards(self) -> Sequence[ModelCard]: ...

    def state(self, model_id: str) -> ModelState:
        """Whether the model of this id, which exists, is in memory."""
        ...

    def resolve(self, name: str) -> Backend:
        """The backend that serves this id or alias. Raises ModelNotFoundError."""
        ...


class EmbedderCatalog(Protocol):
    """The embedding models that can be asked for by name."""

    def cards(self) -> Sequence[EmbedderCard]: ...

    def state(self, model_id: str) -> EmbedderState:
        """Whether the model of this id, which exists, is in memory."""
        ...

    def resolve(self, name: str) -> Embedder:
        """The embedder that serves this id or alias. Raises ModelNotFoundError."""
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


class ApiServices(Protocol):
    """What `app.state.services` has to offer. `started_at` is in Unix seconds."""

    @property
    def models(self) -> ModelCatalog: ...

    @property
    def functions(self) -> Functions: ...

    @property
    def embedders(self) -> EmbedderCatalog: ...

    @property
    def retrieval(self) -> Retrieval | None: ...

    @property
    def request_log(self) -> RequestLog: ...

    @property
    def logs_content(self) -> bool:
        """Whether prompts and answers belong into the request log."""
        ...

    @property
    def configuration(self) -> Mapping[str, JSON]:
        """The settings that hold, without any secret."""
        ...

    @property
    def generate_max_tokens(self) -> int:
        """What `POST /generate` may be asked for at most."""
        ...

    @property
    def started_at(self) -> float: ...

    @property
    def is_ready(self) -> bool:
        """Whether a generation would be accepted now."""
        ...


class ObservableModels(ModelCatalog, Protocol):
    """All models, as who watches over the server sees them."""

    def observe(self) -> Iterable[tuple[str, Observation]]:
        """What the models show of themselves, each with its id."""
        ...


class WholeServices(ApiServices, Protocol):
    """The services as no caller gets them."""

    @property
    def models(self) -> ObservableModels: ...


def set_services(app: FastAPI, services: WholeServices) -> None:
    """Give the application what its routes are served from."""
    app.state.services = services


def services_of(app: FastAPI) -> WholeServices:
    """The services of a running application."""
    return cast(WholeServices, app.state.services)


@dataclass(frozen=True, slots=True)
class KeyedModels:
    """The models that one caller may use."""

    models: ModelCatalog
    caller: Caller

    def cards(self) -> list[ModelCard]:
        return [card for card in self.models.cards() if _permits(self.caller, card)]

    def state(self, model_id: str) -> ModelState:
        return self.models.state(model_id)

    def resolve(self, name: str) -> Backend:
        """As `ModelCatalog.resolve`. Raises ModelForbiddenError, too."""
        backend = _resolved(self.models.resolve, name, self.caller)
        return MeteredBackend(backend, self.caller)


@dataclass(frozen=True, slots=True)
class KeyedEmbedders:
    """The embedding models that one caller may use."""

    embedders: EmbedderCatalog
    caller: Caller

    def cards(self) -> list[EmbedderCard]:
        return [card for card in self.embedders.cards() if _permits(self.caller, card)]

    def state(self, model_id: str) -> EmbedderState:
        return self.embedders.state(model_id)

    def resolve(self, name: str) -> Embedder:
        """As `EmbedderCatalog.resolve`. Raises ModelForbiddenError, too."""
        embedder = _resolved(self.embedders.resolve, name, self.caller)
        return MeteredEmbedder(embedder, self.caller)


@dataclass(frozen=True, slots=True)
class KeyedServices:
    """The services of one caller."""

    services: ApiServices
    caller: Caller

    @property
    def models(self) -> KeyedModels:
        return KeyedModels(self.services.models, self.caller)

    @property
    def functions(self) -> Functions:
        return self.services.functions

    @property
    def embedders(self) -> KeyedEmbedders:
        return KeyedEmbedders(self.services.embedders, self.caller)

    @property
    def retrieval(self) -> Retrieval | None:
        retrieval = self.services.retrieval
        if retrieval is None:
            return None
        return retrieval.through(MeteredEmbedder(retrieval.embedder, self.caller))

    @property
    def request_log(self) -> RequestLog:
        return self.services.request_log

    @property
    def logs_content(self) -> bool:
        return self.services.logs_content

    @property
    def configuration(self) -> Mapping[str, JSON]:
        return self.services.configuration

    @property
    def generate_max_tokens(self) -> int:
        return self.services.generate_max_tokens

    @property
    def started_at(self) -> float:
        return self.services.started_at

    @property
    def is_ready(self) -> bool:
        return self.services.is_ready


def _permits(caller: Caller, card: ModelCard | EmbedderCard) -> bool:
    return caller.may_use((card.id, *card.aliases))


def _resolved(resolve: Callable[[str], Found], name: str, caller: Caller) -> Found:
    """What serves the name. To a key of certain models, a foreign name is as good as unknown."""
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


def caller_of(request: Request) -> Caller:
    """Whose request this is, as the middleware has found out."""
    return cast(Caller, request.state.caller)


async def get_services(request: Request) -> ApiServices:
    """The services that answer this request: as much of them as its key may use."""
    # A coroutine, since FastAPI would call a plain function in a thread: 0.1 ms for every request.
    return KeyedServices(services_of(request.app), caller_of(request))


def backend_of(services: ApiServices, model: str | None) -> Backend:
    """The backend of this model, or of the first. Raises ModelNotFoundError."""
    if model is None:
        model = next((card.id for card in services.models.cards()), None)
    if model is None:
        raise ModelNotFoundError("There is no model that this request may use.", param="model")
    return services.models.resolve(model)


Services = Annotated[ApiServices, Depends(get_services)]


def retrieval_of(services: ApiServices) -> Retrieval:
    """Raises ModelNotFoundError on a server that cannot keep documents."""
    retrieval = services.retrieval
    if retrieval is None:
        raise ModelNotFoundError(
            "Documents need an embedding model (EMBEDDING_BACKEND), and with several WORKERS a"
            " Qdrant server that all of them share (QDRANT_URL); here is none."
        )
    return retrieval


async def get_retrieval(services: Services) -> Retrieval:
    """The documents that this request is about."""
    return retrieval_of(services)


DocumentService = Annotated[Retrieval, Depends(get_retrieval)]
