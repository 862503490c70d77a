"""Which backend serves a model's name, and which models are in memory."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from itertools import chain

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.backend import Backend, BorrowingBackend, ModelCard, OwnedBackend
from llm_api.core.llm.gateway.routing.fallback import FallbackBackend
from llm_api.core.llm.observation import Observation
from llm_api.core.llm.residency.keeper import KeptModel, ModelKeeper, Timer
from llm_api.core.llm.residency.plan import ModelState, ResidencyLimits
from llm_api.core.llm.types import (
    Adapter,
    ChatPrompt,
    Event,
    GenerationRequest,
    MarkedText,
    Tokenized,
)
from llm_api.core.utils.model_names import meant, unknown_model


class OnDemandBackend:
    """A model that is in memory only while it is asked for; its card is always known.

    Borrows it for every request. The keeper owns the model, and closes it.
    """

    def __init__(self, model_id: str, keeper: ModelKeeper) -> None:
        self._id = model_id
        self._keeper = keeper

    @property
    def card(self) -> ModelCard:
        return self._keeper.card(self._id)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        async with (
            self._keeper.borrow(self._id) as backend,
            aclosing(backend.generate(request)) as events,
        ):
            async for event in events:
                yield event

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        async with self._keeper.borrow(self._id) as backend:
            return await backend.count_tokens(texts)

    async def tokenize(self, text: MarkedText | ChatPrompt) -> Tokenized:
        async with self._keeper.borrow(self._id) as backend:
            return await backend.tokenize(text)

    async def detokenize(self, ids: Sequence[int]) -> str:
        async with self._keeper.borrow(self._id) as backend:
            return await backend.detokenize(ids)


class RenamedBackend(BorrowingBackend):
    """A backend whose card has further names."""

    def __init__(self, backend: Backend, names: Sequence[str]) -> None:
        super().__init__(backend)
        self._names = tuple(names)

    @property
    def card(self) -> ModelCard:
        card = self._backend.card
        return replace(card, aliases=card.aliases + self._names)

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        return self._backend.generate(request)


class AdaptedBackend(BorrowingBackend):
    """A model with one of its adapters, as a model of its own: `model:adapter`."""

    def __init__(self, backend: Backend, adapter: str) -> None:
        super().__init__(backend)
        self._adapter = adapter

    @property
    def card(self) -> ModelCard:
        card = self._backend.card
        abilities = card.capabilities.abilities - {"adapters"}
        return replace(
            card,
            id=f"{card.id}:{self._adapter}",
            aliases=tuple(f"{name}:{self._adapter}" for name in card.aliases if "*" not in name),
            capabilities=replace(card.capabilities, abilities=abilities),
            adapters=(),
        )

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """As `Backend.generate`; refuses adapters beside its own."""
        self.card.capabilities.check(request)
        return self._backend.generate(replace(request, adapters=(Adapter(self._adapter),)))


class ModelRegistry:
    """Models by id and alias. Owns them: closing it frees them. Begins to load nothing by itself.

    A model that is kept is in memory when it is asked for; a backend takes none worth keeping track
    of, and is there from the start. Names are distinct; where they are not, an id wins over an
    alias, and the first over the next. `fallbacks` are ids by the id that they stand in for; none
    leads back to itself. `wrap` makes of each backend the one that is asked in its stead. Each
    adapter of a model is a further model, which is in memory when that one is.

    Models that are added later never change what a name meant before. `given` are names that were
    given to models while they are served, with the ids; it is asked each time.
    """

    def __init__(
        self,
        models: Sequence[KeptModel | OwnedBackend],
        limits: ResidencyLimits | None = None,
        timer: Timer | None = None,
        fallbacks: Mapping[str, Sequence[str]] | None = None,
        wrap: Callable[[Backend], Backend] | None = None,
        given: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        kept = [model for model in models if isinstance(model, KeptModel)]
        self._keeper = ModelKeeper(kept, limits or ResidencyLimits(), timer)
        self._kept = {model.card.id for model in kept}
        self._residents = [model for model in models if not isinstance(model, KeptModel)]
        backends = [self._backend(model) for model in models]
        single = {one.card.id: wrap(one) if wrap else one for one in backends}
        self._backends: dict[str, Backend] = {}
        self._base: dict[str, str] = {}  # of a model with an adapter: the model
        for model_id, backend in single.items():
            self._backends[model_id] = _with_fallbacks(model_id, single, fallbacks or {})
            for adapter in backend.card.adapters:
                adapted = AdaptedBackend(backend, adapter.name)
                if adapted.card.id not in single:
                    self._backends[adapted.card.id] = adapted
                    self._base[adapted.card.id] = model_id
        self._names = {one.card.id: one.card.aliases for one in self._backends.values()}
        self._added: dict[str, tuple[str, ...]] = {}
        self._wrap = wrap
        self._given = given

    def cards(self) -> list[ModelCard]:
        given = self._given()
        return [self._named(model_id, given).card for model_id in self._backends]

    def state(self, model_id: str) -> ModelState:
        """Whether the model of this id, which exists, is in memory."""
        model_id = self._base.get(model_id, model_id)
        return self._keeper.state(model_id) if model_id in self._kept else "loaded"

    def resolve(self, name: str) -> Backend:
        """The backend that a name means (`utils/model_names`). Raises ModelNotFoundError."""
        given = self._given()
        is_given = not self.is_named(name) and given.get(name) in self._backends
        model_id = given[name] if is_given else self._meant(name)
        if model_id is None:
            names = (*self._names, *chain.from_iterable(self._names.values()))
            names += (*self._added, *chain.from_iterable(self._added.values()), *given)
            raise unknown_model(name, names)
        return self._named(model_id, given)

    def is_named(self, name: str) -> bool:
        """Whether a model has exactly this id or alias, apart from names given later."""
        names = self._names | self._added
        return name in names or name in chain.from_iterable(names.values())

    def add(self, model: KeptModel) -> None:
        """A further model, served from now on. Its id is no other's."""
        self._keeper.add(model)
        backend = self._backend(model)
        self._backends[model.card.id] = self._wrap(backend) if self._wrap else backend
        self._added[model.card.id] = model.card.aliases
        self._kept.add(model.card.id)

    def remove(self, model_id: str) -> None:
        """Serve a model that was added no more. Raises ModelInUseError while it is in memory."""
        self._keeper.remove(model_id)
        self._kept.remove(model_id)
        del self._backends[model_id], self._added[model_id]

    async def load(self, model_id: str, *, is_pinned: bool = False) -> None:
        """Return when the model is in memory. Raises UnavailableError where it cannot be."""
        model_id = self._base.get(model_id, model_id)
        if model_id in self._kept:
            async with self._keeper.borrow(model_id):
                if is_pinned:
                    self._keeper.pin(model_id)

    async def unload(self, model_id: str, wait_seconds: float) -> None:
        """Return when the model has left memory, once its answers have ended.

        Raises ModelInUseError where they do not within `wait_seconds`; InvalidRequestError for a
        model that takes no memory here.
        """
        model_id = self._base.get(model_id, model_id)
        if model_id not in self._kept:
            raise InvalidRequestError(
                f"The model `{model_id}` does not run in this server's memory: there is nothing to"
                " unload.",
                param="model",
            )
        await self._keeper.unload(model_id, wait_seconds)

    def is_pinned(self, model_id: str) -> bool:
        """Whether the model of this id, which exists, stays in memory until it is unloaded."""
        model_id = self._base.get(model_id, model_id)
        return model_id in self._kept and self._keeper.is_pinned(model_id)

    @property
    def is_ready(self) -> bool:
        """Whether every model that is loaded at the start answers."""
        return self._keeper.is_ready

    async def load_startup_models(self) -> None:
        """Wait until every model that is loaded at the start is. Raises what a load raised."""
        await self._keeper.load_startup_models()

    def observe(self) -> Iterator[tuple[str, Observation]]:
        """What the models show of themselves, each with its id."""
        yield from self._keeper.observe()
        for backend in self._residents:
            for observation in backend.observe():
                yield backend.card.id, observation

    async def aclose(self) -> None:
        async with AsyncExitStack() as stack:
            for backend in self._residents:
                stack.push_async_callback(backend.aclose)
            await self._keeper.aclose()

    def _meant(self, name: str) -> str | None:
        if any(name == one or name in names for one, names in self._added.items()):
            return meant(name, self._added)
        return meant(name, self._names) or meant(name, self._added)

    def _named(self, model_id: str, given: Mapping[str, str]) -> Backend:
        backend = self._backends[model_id]
        names = [name for name, meant_id in given.items() if meant_id == model_id]
        return RenamedBackend(backend, names) if names else backend

    def _backend(self, model: KeptModel | OwnedBackend) -> Backend:
        return (
            OnDemandBackend(model.card.id, self._keeper) if isinstance(model, KeptModel) else model
        )


def _with_fallbacks(
    model_id: str, single: Mapping[str, Backend], fallbacks: Mapping[str, Sequence[str]]
) -> Backend:
    """The model with those that stand in for it, each with its own."""
    names = fallbacks.get(model_id, ())
    others = [_with_fallbacks(name, single, fallbacks) for name in names]
    return FallbackBackend(single[model_id], others) if others else single[model_id]
