"""What Ollama says of its models and of itself: `/api/tags`, `/api/show`, `/api/ps`, and others."""

from typing import Final

from fastapi import APIRouter, Request

from llm_api.api.deps import Services
from llm_api.api.docs import OLLAMA_ERRORS
from llm_api.api.mapping.generation import required
from llm_api.api.mapping.ollama.listing import NEVER, to_listed, to_running, to_shown
from llm_api.api.models.ollama.listing import (
    Running,
    Shown,
    ShowRequest,
    Tags,
    Version,
)
from llm_api.api.routes.ollama.door import OllamaRoute
from llm_api.core.embeddings.embedder import EmbedderCard
from llm_api.core.llm.backend import ModelCard
from llm_api.core.utils.model_names import meant

OLLAMA_VERSION: Final = "0.12.6"
"""The version whose API this is: some clients refuse older ones."""

router = APIRouter(prefix="/api", tags=["Ollama"], responses=OLLAMA_ERRORS)
_bodies = APIRouter(route_class=OllamaRoute)


@router.get("/tags", summary="List the models")
async def list_tags(services: Services) -> Tags:
    """Every model by each of its names, with a tag: those that generate, then those that embed."""
    return Tags(models=[listed for card in _cards(services) for listed in to_listed(card)])


@_bodies.post("/show", summary="Describe one model")
async def show(body: ShowRequest, services: Services) -> Shown:
    """A model by any name it answers to: what it can do, its template, its file's header."""
    name = required(body.model or body.name, "model")
    cards = {card.id: card for card in _cards(services)}
    found = meant(name, {id: card.aliases for id, card in cards.items()})
    return to_shown(cards.get(found or "") or services.models.card(name))


@router.get("/ps", summary="List the models in memory")
async def running(services: Services) -> Running:
    """What is in memory, and until when."""
    models = [
        to_running(card, 0 if card.file is None else card.file.size_bytes, NEVER)
        for card in services.models.cards()
        if services.models.state(card.id) == "loaded"
    ]
    models += [
        to_running(card, 0, NEVER)
        for card in services.embedders.cards()
        if services.embedders.state(card.id) == "loaded"
    ]
    return Running(models=models)


@router.get("/version", summary="Tell the version")
async def version(request: Request) -> Version:
    """The version of Ollama whose API this is, and this server's own."""
    return Version(version=OLLAMA_VERSION, server=f"llm_api {request.app.version}")


router.include_router(_bodies)


def _cards(services: Services) -> list[ModelCard | EmbedderCard]:
    return [*services.models.cards(), *services.embedders.cards()]
