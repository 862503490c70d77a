"""Which backend serves a model's name."""

from collections.abc import Iterable

from llm_api.core.errors import ModelNotFoundError
from llm_api.core.llm.backend import Backend, ModelCard


class ModelRegistry:
    """Backends by model id and alias. Owns them: closing it closes them."""

    def __init__(self, backends: Iterable[Backend]) -> None:
        self._backends = {backend.card.id: backend for backend in backends}
        self._by_name = dict(self._backends)
        for backend in self._backends.values():
            for alias in backend.card.aliases:
                self._by_name.setdefault(alias, backend)

    def cards(self) -> list[ModelCard]:
        return [backend.card for backend in self._backends.values()]

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

    async def aclose(self) -> None:
        for backend in self._backends.values():
            await backend.aclose()
