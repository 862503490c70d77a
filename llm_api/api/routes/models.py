"""Models: what this server can be asked for by name."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from llm_api.api.deps import Services
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.doors import door_of
from llm_api.api.mapping.anthropic.models import DEFAULT_LIMIT, to_model_entry, to_model_page
from llm_api.api.mapping.models import to_embedding_model, to_model
from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE, AnswerModel
from llm_api.api.models.models import Model, ModelList
from llm_api.core.utils.model_names import meant

Limit = Annotated[int, Query(ge=1, le=1000, description="With `anthropic-version`.")]
ModelPath = Annotated[str, Path(examples=[DEFAULT_MODEL_EXAMPLE])]

router = APIRouter(prefix="/v1", tags=["Models"], responses=ERROR_RESPONSES)


@router.get(
    "/models",
    summary="List the models",
    response_model=ModelList,
    response_model_exclude_unset=True,
)
async def list_models(
    request: Request,
    services: Services,
    limit: Limit = DEFAULT_LIMIT,
    after_id: str | None = None,
    before_id: str | None = None,
) -> ModelList | Response:
    """Every model of this server: those that generate, then those that embed.

    With the header `anthropic-version`, those that generate, page by page in Anthropic's form.
    """
    if door_of(request.scope) == "anthropic":
        return _as_json(to_model_page(services.models.cards(), limit, after_id, before_id))
    models, embedders = services.models, services.embedders
    data = [
        to_model(card, models.state(card.id), models.is_pinned(card.id)) for card in models.cards()
    ]
    data += [to_embedding_model(card, embedders.state(card.id)) for card in embedders.cards()]
    return ModelList(object="list", data=data)


@router.get(
    "/models/{model:path}",
    summary="Describe one model",
    response_model=Model,
    response_model_exclude_unset=True,
)
async def retrieve_model(
    request: Request, model: ModelPath, services: Services
) -> Model | Response:
    """A model by any name it answers to. Ids may contain `/`, percent-encoded or not."""
    if door_of(request.scope) == "anthropic":
        return _as_json(to_model_entry(services.models.card(model)))
    models, embedders = services.models, services.embedders
    names = {card.id: card.aliases for card in models.cards()}
    found = meant(model, names | {card.id: card.aliases for card in embedders.cards()})
    for card in embedders.cards():
        if card.id == found:
            return to_embedding_model(card, embedders.state(card.id))
    known = models.card(found or model)
    return to_model(known, models.state(known.id), models.is_pinned(known.id))


def _as_json(answer: AnswerModel) -> Response:
    return Response(answer.to_json(), media_type="application/json")
