"""Which backend serves a model's name, and which models are in memory."""

from collections.abc import Sequence

from llm_api.core.errors import ModelNotFoundError
from llm_api.core.llm.backend import Backend, ModelCard
from llm_api.core.llm.backends.on_demand import OnDemandBackend
from llm_api.core.llm.keeper import KeptModel, ModelKeeper, Timer
from llm_api.core.llm.residency import ModelState, ResidencyLimits


class ModelRegistry:
    """Models by id and alias. Owns them: closing it frees them. Begins to load nothing by itself.

    Names are distinct; where they are not, an id wins over an alias, and the first over the next.
    """

    def __init__(
        self,
        models: Sequence[KeptModel],
        limits: ResidencyLimits | None = None,
        timer: Timer | None = None,
    ) -> None:
        self._keeper = ModelKeeper(models, limits or ResidencyLimits(), timer)
        self._backends = {
            model.card.id: OnDemandBackend(model.card, self._keeper) for model in models
        }
        self._by_name = dict(self._backends)
        for backend in self._backends.values():
            for alias in backend.card.aliases:
                self._by_name.setdefault(alias, backend)

    def cards(self) -> list[ModelCard]:
        return [backend.card for backend in self._backends.values()]

    def state(self, model_id: str) -> ModelState:
        """Whether the model of this id, which exists, is in memory."""
        return self._keeper.state(model_id)

    def resolve(self, name: str) -> Backend:
        """The backend of this id or alias, exactly. Raises ModelNotFoundError."""
        backend = self._by_name.get(name)
        if backend is None:
            known = ", ".join(f"`{known}`" for known in self._by_name)
            raise ModelNotFoundError(
                f"The model `{name}` does not exist or you do not have access to it."
                f" Known models: {known}.",
                param="model",
            )
        return backend

    @property
    def is_ready(self) -> bool:
        """Whether every model that is loaded at the start answers."""
        return self._keeper.is_ready

    async def load_startup_models(self) -> None:
        """Wait until every model that is loaded at the start is. Raises what a load raised."""
        await self._keeper.load_startup_models()

    async def aclose(self) -> None:
        await self._keeper.aclose()
