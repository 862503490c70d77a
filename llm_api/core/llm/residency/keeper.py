"""Keeps models in memory as `residency` says: one task opens and closes all of them.

That task is the only loader, so two requests for one model cause one load, and two loads never run
at the same time. Everything else here runs on the same event loop and only tells it what happened.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

from llm_api.core.errors import (
    LLMAPIError,
    ModelInUseError,
    ModelNotFoundError,
    UnavailableError,
    without_folders,
)
from llm_api.core.llm.backend import Backend, ModelCard, OwnedBackend
from llm_api.core.llm.observation import Observation
from llm_api.core.llm.residency.plan import (
    Load,
    ModelState,
    Refuse,
    Residency,
    ResidencyLimits,
    Rest,
    Unload,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptModel:
    """A model that `open` loads. `size_bytes` is what it is taken to need in memory.

    `card` is what can be said of it before; what has been loaded knows better.
    """

    card: ModelCard
    open: Callable[[], Coroutine[Any, Any, OwnedBackend]]
    size_bytes: int = 0
    loads_at_startup: bool = False


class TimerHandle(Protocol):
    def cancel(self) -> None: ...


class Timer(Protocol):
    """The part of an event loop that knows time, in seconds."""

    def time(self) -> float: ...
    def call_later(self, delay: float, callback: Callable[[], None], /) -> TimerHandle: ...


class ModelKeeper:
    """Lends loaded models to requests. Open it on the event loop that they come from."""

    def __init__(
        self, models: Sequence[KeptModel], limits: ResidencyLimits, timer: Timer | None = None
    ) -> None:
        self._models = {model.card.id: model for model in models}
        self._cards = {model.card.id: model.card for model in models}
        sizes = {model.card.id: model.size_bytes for model in models}
        self._residency = Residency(sizes, limits)
        self._timer = timer or asyncio.get_running_loop()
        self._backends: dict[str, OwnedBackend] = {}
        self._loads: dict[str, asyncio.Future[OwnedBackend]] = {}  # that somebody waits for
        self._changed = asyncio.Event()
        self._freed = asyncio.Event()  # set, and replaced, when a model has left memory
        self._is_closing = False
        self._task: asyncio.Task[None] | None = None
        if models:
            self._begin()

    def state(self, model_id: str) -> ModelState:
        return self._residency.state(model_id)

    def card(self, model_id: str) -> ModelCard:
        return self._cards[model_id]

    @property
    def is_ready(self) -> bool:
        """Whether every model that is loaded at the start answers."""
        return not self._is_closing and all(
            self._residency.answers(model_id)
            for model_id, model in self._models.items()
            if model.loads_at_startup
        )

    async def load_startup_models(self) -> None:
        """Wait until every model that is loaded at the start is. Raises what a load raised."""
        for model_id, model in self._models.items():
            if model.loads_at_startup:
                try:
                    async with self.borrow(model_id):
                        pass
                except UnavailableError as error:
                    raise error.__cause__ or error from None

    @asynccontextmanager
    async def borrow(self, model_id: str) -> AsyncGenerator[Backend, None]:
        """The loaded model, kept until the block ends. Waits for a load.

        Raises UnavailableError where it cannot be loaded, or while other models in use leave
        no room for it, or once the keeper is closed; ModelNotFoundError once it is removed.
        """
        if self._is_closing:
            raise _stopping()
        if model_id not in self._models:
            raise ModelNotFoundError(f"The model `{model_id}` has been deleted.", param="model")
        ticket = self._residency.ask(model_id, self._timer.time())
        self._changed.set()
        try:
            if self._residency.is_granted(model_id, ticket):
                backend = self._backends[model_id]
            else:
                # Shielded, because the others who wait for this load share it.
                backend = await asyncio.shield(self._load_of(model_id))
            yield backend
        finally:
            self._residency.leave(model_id, ticket, self._timer.time())
            self._changed.set()

    def add(self, model: KeptModel) -> None:
        """A further model, which is loaded when it is asked for."""
        model_id = model.card.id
        self._models[model_id], self._cards[model_id] = model, model.card
        self._residency.add(model_id, model.size_bytes)
        self._begin()

    def remove(self, model_id: str) -> None:
        """Forget a model that is not in memory. Raises ModelInUseError.

        Its card stays: a request that has found the model before may still look at it.
        """
        self._residency.remove(model_id)
        del self._models[model_id]

    def pin(self, model_id: str) -> None:
        """Keep a model in memory until somebody asks to unload it."""
        self._residency.pin(model_id)

    def is_pinned(self, model_id: str) -> bool:
        return self._residency.is_pinned(model_id)

    async def unload(self, model_id: str, wait_seconds: float) -> None:
        """Free the model when nobody uses it any more, pinned or not.

        Raises ModelInUseError where that does not come within `wait_seconds`: then it stays.
        """
        try:
            async with asyncio.timeout(wait_seconds):
                while self._residency.let_go(model_id):
                    self._changed.set()
                    await self._freed.wait()
        except TimeoutError:
            count = self._residency.answering(model_id)
            raise ModelInUseError(
                f"The model `{model_id}` still answers {count} requests after"
                f" {wait_seconds:g} seconds, and stays in memory; try again later."
            ) from None
        finally:
            if model_id in self._models:
                self._residency.let_go(model_id, is_to_go=False)

    def observe(self) -> Iterator[tuple[str, Observation]]:
        """What every model in memory shows, with its id."""
        for model_id, backend in self._backends.items():
            for observation in backend.observe():
                yield model_id, observation

    async def aclose(self) -> None:
        """Free every model. Waits for a load under way: llama.cpp cannot be stopped in one."""
        self._is_closing = True
        for model_id in list(self._loads):
            self._answer(model_id, _stopping())
        self._changed.set()
        if self._task is not None:
            await asyncio.shield(self._task)

    def _begin(self) -> None:
        """The task that loads, once there is something to load."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="model-keeper")

    def _load_of(self, model_id: str) -> asyncio.Future[OwnedBackend]:
        if model_id not in self._loads:
            self._loads[model_id] = asyncio.get_running_loop().create_future()
        return self._loads[model_id]

    def _answer(self, model_id: str, answer: OwnedBackend | UnavailableError) -> None:
        """Tell everybody who waits for this model, if anybody does."""
        load = self._loads.pop(model_id, None)
        if load is None:
            return
        if isinstance(answer, UnavailableError):
            load.set_exception(answer)
            load.exception()  # seen, even if all who waited have left
        else:
            load.set_result(answer)

    async def _run(self) -> None:
        while not self._is_closing:
            match self._residency.next_step(self._timer.time()):
                case Load(model_id):
                    await self._load(model_id)
                case Unload(model_id):
                    await self._unload(model_id)
                    log.info("%s is unloaded", model_id)
                case Refuse(model_id):
                    self._answer(model_id, _no_room(model_id))
                case Rest(until):
                    await self._rest(until)
                case other:
                    assert_never(other)
        for model_id in list(self._backends):
            await self._unload(model_id)

    async def _load(self, model_id: str) -> None:
        began = self._timer.time()
        try:
            backend = await self._models[model_id].open()
        except Exception as error:  # noqa: BLE001 - the border: the next load must find this task
            self._fail(model_id, error)
            return
        now = self._timer.time()
        log.debug("%s is loaded after %.1f seconds", model_id, now - began)
        self._backends[model_id] = backend
        self._cards[model_id] = backend.card
        self._residency.loaded(model_id, now)
        self._answer(model_id, backend)

    def _fail(self, model_id: str, error: Exception) -> None:
        if isinstance(error, LLMAPIError):
            reason = error.message
        else:
            reason = "the server's log says why."
            log.error("loading %s failed", model_id, exc_info=error)
        # At the start the terminal says it.
        if not self._models[model_id].loads_at_startup:
            log.warning("%s could not be loaded: %s", model_id, reason)
        message = f"The model `{model_id}` could not be loaded: {without_folders(reason)}"
        pause = self._residency.failed(model_id, message, self._timer.time())
        unavailable = UnavailableError(message, retry_after_seconds=pause)
        unavailable.__cause__ = error
        self._answer(model_id, unavailable)

    async def _unload(self, model_id: str) -> None:
        try:
            await self._backends.pop(model_id).aclose()
        except Exception:
            log.exception("freeing %s failed", model_id)
        self._residency.unloaded(model_id)
        freed, self._freed = self._freed, asyncio.Event()
        freed.set()

    async def _rest(self, until: float | None) -> None:
        # Nothing awaits between the step and this line, so no change is lost.
        self._changed.clear()
        if until is None:
            await self._changed.wait()
            return
        handle = self._timer.call_later(until - self._timer.time(), self._changed.set)
        try:
            await self._changed.wait()
        finally:
            handle.cancel()


def _stopping() -> UnavailableError:
    return UnavailableError("The server is stopping.")


def _no_room(model_id: str) -> UnavailableError:
    return UnavailableError(
        f"The model `{model_id}` is not in memory, and the models in use leave no room for it;"
        " try again, or ask one of them.",
        retry_after_seconds=10.0,
    )
