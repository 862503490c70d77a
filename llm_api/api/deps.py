"""What the routes need from the service, said as protocols: `services.Services` fulfils them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Protocol, cast

from fastapi import Depends, FastAPI, Request

from llm_api.core.embeddings.embedder import Embedder, EmbedderCard
from llm_api.core.embeddings.on_demand import EmbedderState
from llm_api.core.errors import ModelNotFoundError
from llm_api.core.functions.opening import Functions
from llm_api.core.llm.backend import Backend, ModelCard
from llm_api.core.llm.residency import ModelState
from llm_api.core.llm.types import JSON
from llm_api.core.rag.retrieval import Retrieval


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


def set_services(app: FastAPI, services: ApiServices) -> None:
    """Give the application what its routes are served from."""
    app.state.services = services


def services_of(app: FastAPI) -> ApiServices:
    """The services of a running application."""
    return cast(ApiServices, app.state.services)


async def get_services(request: Request) -> ApiServices:
    """The services that answer this request."""
    # A coroutine, since FastAPI would call a plain function in a thread: 0.1 ms for every request.
    return services_of(request.app)


def backend_of(services: ApiServices, model: str | None) -> Backend:
    """The backend of this model, or of the first. Raises ModelNotFoundError."""
    return services.models.resolve(services.models.cards()[0].id if model is None else model)


Services = Annotated[ApiServices, Depends(get_services)]


def retrieval_of(services: ApiServices) -> Retrieval:
    """Raises ModelNotFoundError on a server without an embedding model."""
    if services.retrieval is None:
        raise ModelNotFoundError(
            "Documents need an embedding model, and this server has none: see EMBEDDING_BACKEND."
        )
    return services.retrieval


async def get_retrieval(services: Services) -> Retrieval:
    """The documents that this request is about."""
    return retrieval_of(services)


DocumentService = Annotated[Retrieval, Depends(get_retrieval)]
