"""Models for an administrator: loaded, unloaded, pulled, deleted. All of it takes scope `admin`."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from llm_api.api.deps import CallerServices, Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.administration import to_deleted_model, to_model_pull
from llm_api.api.mapping.models import to_embedding_model, to_model
from llm_api.api.models.administration import (
    DeletedModelAnswer,
    LoadModel,
    ModelPull,
    ModelPullList,
    PullModel,
    UnloadModel,
)
from llm_api.api.models.models import Model
from llm_api.core.embeddings.embedder import EmbedderCard
from llm_api.core.errors import InvalidRequestError, ModelInUseError

router = APIRouter(prefix="/v1/models", tags=["Models"], responses=ERROR_RESPONSES)
orders = APIRouter(route_class=JSONBodyRoute)

PullId = Annotated[str, Path(max_length=128)]


@orders.post("/load", summary="Load a model", response_model_exclude_unset=True)
async def load_model(request: Request, body: LoadModel, services: Services) -> Model:
    """Answers when the model is in memory. A client that leaves does not end a load under way."""
    administration = services.administration()
    if (embedder := _embedder(body.model, services)) is not None:
        opening = services.embedders.resolve(embedder.id).token_counter()
        await until_disconnect(request, opening)
        return to_embedding_model(embedder, services.embedders.state(embedder.id))
    loading = administration.load(body.model, is_pinned=body.pinned)
    card = await until_disconnect(request, loading)
    return to_model(card, services.models.state(card.id), services.models.is_pinned(card.id))


@orders.post("/unload", summary="Unload a model", response_model_exclude_unset=True)
async def unload_model(request: Request, body: UnloadModel, services: Services) -> Model:
    """Answers when the model has left memory, pinned or not: once it has given its answers.

    Where they take longer than 30 seconds, it stays (409). The next request loads it again.
    """
    administration = services.administration()
    if (embedder := _embedder(body.model, services)) is not None:
        raise InvalidRequestError(
            f"The embedding model `{embedder.id}` stays in memory until the server ends.",
            param="model",
        )
    card = await until_disconnect(request, administration.unload(body.model))
    return to_model(card, services.models.state(card.id), services.models.is_pinned(card.id))


@orders.post(
    "/pull",
    summary="Fetch a model from the hub",
    status_code=HTTPStatus.ACCEPTED,
    response_model=ModelPull,
)
async def pull_model(request: Request, body: PullModel, services: Services) -> Response:
    """Look the model up, and begin to fetch it: the answer's Location tells how far it is.

    It is served as soon as it is here, without a restart. A pull that is under way is not begun
    twice; one that is cut goes on where it stopped, after a restart as well. What the hub does not
    have is 404 with what it has; what does not fit on the disk is 507.
    """
    pulling = services.administration().pull(body.model)
    pull, _ = await until_disconnect(request, pulling)
    location = {"location": f"/v1/models/pull/{pull.id}"}
    answer = to_model_pull(pull).to_json()
    return Response(answer, HTTPStatus.ACCEPTED, location, "application/json")


router.include_router(orders)


@router.get("/pull", summary="List pulls")
async def list_pulls(services: Services) -> ModelPullList:
    """The pulls that have not ended, and the last that have."""
    pulls = services.administration().pulls.all()
    return ModelPullList(object="list", data=[to_model_pull(pull) for pull in pulls])


@router.get("/pull/{pull_id}", summary="See how far a pull is")
async def retrieve_pull(pull_id: PullId, services: Services) -> ModelPull:
    """Its state, bytes and speed."""
    return to_model_pull(services.administration().pulls.get(pull_id))


@router.post("/pull/{pull_id}/cancel", summary="Cancel a pull")
async def cancel_pull(pull_id: PullId, services: Services) -> ModelPull:
    """What has arrived stays for the next pull. A pull that has ended stays as it is."""
    return to_model_pull(await services.administration().pulls.cancel(pull_id))


@router.delete("/{model:path}", summary="Delete a model, or a name that was given to one")
async def delete_model(
    model: Annotated[str, Path(max_length=512)], services: Services
) -> DeletedModelAnswer:
    """Delete a model that was pulled, or another in the models folder by its path there.

    Refused (409) while it is in memory, and where the server's settings name it.
    """
    administration = services.administration()
    if (embedder := _embedder(model, services)) is not None:
        raise ModelInUseError(f"`{embedder.id}` is the embedding model of this server's settings.")
    return to_deleted_model(await administration.delete(model))


def _embedder(name: str, services: CallerServices) -> EmbedderCard | None:
    """The embedding model of exactly this id or alias."""
    cards = services.embedders.cards()
    return next((card for card in cards if name in (card.id, *card.aliases)), None)
