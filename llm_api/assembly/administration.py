"""Models pulled while the server runs: opened on its own engine, as its settings have it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from llm_api.assembly.embedders import embedder_file
from llm_api.assembly.local_models import FoundModel, find_pulled_model
from llm_api.assembly.plan import Plan
from llm_api.core.llm.administration.administration import (
    AdministrationOptions,
    ModelAdministration,
)
from llm_api.core.llm.administration.book import ModelBook, PulledModel
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.prefix_cache.prefix_cache import PrefixCache
from llm_api.core.llm.residency.keeper import KeptModel
from llm_api.core.llm.residency.model_registry import ModelRegistry


@asynccontextmanager
async def open_administration(
    planned: Plan,
    files: Sequence[FoundModel],
    compute: ComputeThread,
    models: ModelRegistry,
    book: ModelBook,
    prefixes: PrefixCache,
) -> AsyncGenerator[ModelAdministration, None]:
    """What serves the models that were pulled, and pulls further ones. `files` are the plan's."""
    settings = planned.settings

    def kept(model: PulledModel, file: Path) -> KeptModel:
        to_come = sum(
            one.size_bytes
            for one in files
            if one.loads_at_startup and models.state(one.card.id) != "loaded"
        )
        found = find_pulled_model(model, file, settings, planned.models.memory_bytes, to_come)
        return found.kept(compute, prefixes)

    options = AdministrationOptions(
        settings.models_dir, _named_files(planned, files), may_pull=settings.workers == 1
    )
    administration = ModelAdministration(models, book, options, kept)
    async with administration.running():
        yield administration


def _named_files(planned: Plan, files: Sequence[FoundModel]) -> Mapping[Path, str]:
    """The files that the settings name, which are deleted by nobody, and what they serve."""
    named = {found.source.resolve(): found.card.id for found in files}
    if (file := embedder_file(planned.settings)) is not None:
        named[file.resolve()] = planned.settings.embedding_model_name
    return named
