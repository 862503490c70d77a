"""What an administrator does to models while they are served. Knows no HTTP and no settings.

Loads and unloads them, pulls further ones, deletes those that it may, and gives them names.
What it deletes lies in the models folder, and is no file that the settings name.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from glob import escape
from pathlib import Path
from typing import Final

from llm_api.core.errors import (
    InvalidRequestError,
    LLMAPIError,
    ModelFileError,
    ModelInUseError,
    ModelNotFoundError,
    without_folders,
)
from llm_api.core.llm.administration.book import (
    BegunPull,
    BookContents,
    ModelBook,
    PulledModel,
)
from llm_api.core.llm.administration.pulls import Pull, Pulls
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.files.installed import remove_model
from llm_api.core.llm.files.parts import part_names
from llm_api.core.llm.residency.keeper import KeptModel
from llm_api.core.llm.residency.model_registry import ModelRegistry

log = logging.getLogger(__name__)

UNLOAD_SECONDS: Final = 30.0
"""How long an unload waits for the answers that the model is giving."""
MAX_ALIASES: Final = 1000
_ALIAS: Final = re.compile(r"[\w][\w./:@+-]{0,199}", re.ASCII)
_PART: Final = re.compile(r"-\d{5}-of-\d{5}$")

Kept = Callable[[PulledModel, Path], KeptModel]
"""How a pulled model on its file is served. Blocks. Raises LLMAPIError where it cannot be."""


@dataclass(frozen=True, slots=True)
class AdministrationOptions:
    """`named_files` are the ids of what the settings serve, by the resolved paths of its files.

    Without `may_pull`, because several processes would each load a model, none is fetched.
    """

    models_dir: Path
    named_files: Mapping[Path, str]
    may_pull: bool


@dataclass(frozen=True, slots=True)
class DeletedModel:
    """What is gone: a model and the bytes of its files, or only a name."""

    id: str
    freed_bytes: int = 0


class ModelAdministration:
    """Belongs to the event loop of its models. `running()` must be entered."""

    def __init__(
        self, models: ModelRegistry, book: ModelBook, options: AdministrationOptions, kept: Kept
    ) -> None:
        self._models = models
        self._book = book
        self._options = options
        self._kept = kept
        self._served: dict[str, KeptModel] = {}
        self._pulls = Pulls(book, options.models_dir, self._serve_pulled)
        self._changing = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Serves the models that were pulled before, and goes on with pulls that have not ended."""
        may_pull = self._options.may_pull
        for model in self._book.contents().models.values() if may_pull else ():
            try:
                await self._serve(model)
            except LLMAPIError as error:
                log.warning("%s, which was pulled, is not served: %s", model.id, error.message)
        async with self._pulls.running(goes_on=may_pull):
            yield

    @property
    def pulls(self) -> Pulls:
        """To look at pulls, to follow and to cancel them."""
        return self._pulls

    async def pull(self, name: str) -> tuple[Pull, bool]:
        """As `Pulls.start`. Raises InvalidRequestError where no further model can run here."""
        if not self._options.may_pull:
            raise InvalidRequestError(
                "A pulled model runs in the server's own process, of which there may be one:"
                " set WORKERS=1.",
                param="model",
            )
        return await self._pulls.start(name)

    async def load(self, name: str, *, is_pinned: bool = False) -> ModelCard:
        """Return when the model is in memory; pinned it stays there until it is unloaded.

        Raises ModelNotFoundError, UnavailableError with what is in the way.
        """
        model_id = self._models.resolve(name).card.id
        await self._models.load(model_id, is_pinned=is_pinned)
        return self._models.resolve(model_id).card

    async def unload(self, name: str, wait_seconds: float = UNLOAD_SECONDS) -> ModelCard:
        """Return when the model has left memory: once its answers have ended, pinned or not.

        Raises ModelNotFoundError; ModelInUseError where they take too long; InvalidRequestError
        where it takes none.
        """
        card = self._models.resolve(name).card
        await self._models.unload(card.id, wait_seconds)
        return card

    async def name(self, source: str, alias: str) -> None:
        """Give a model a further name, for all processes. A name that was given goes over to it.

        Raises ModelNotFoundError; InvalidRequestError for what can be no name, or is one already.
        """
        model_id = self._models.resolve(source).card.id
        if _ALIAS.fullmatch(alias) is None:
            raise InvalidRequestError(
                "A name has up to 200 letters, digits and . / : @ + - _ between them.",
                param="destination",
            )
        if self._models.is_named(alias):
            raise InvalidRequestError(
                f"`{alias}` is the name of a model already.", param="destination"
            )

        def named(known: BookContents) -> BookContents:
            if len(known.aliases) >= MAX_ALIASES:
                raise InvalidRequestError("Enough names are given; delete some.")
            return replace(known, aliases={**known.aliases, alias: model_id})

        await self._book.change(named)

    async def delete(self, name: str, *, unloads: bool = False) -> DeletedModel:
        """Delete a name that was given, or a model with its files.

        A model is one that was pulled, or, as `models list` names it, another in the models folder.
        With `unloads` one that was pulled is unloaded first, as `unload` does.

        Raises ModelNotFoundError; ModelInUseError for one that is in memory, that the settings
        name, or that is being pulled.
        """
        async with self._changing:
            known = self._book.contents()
            if name in known.aliases:
                await self._book.change(lambda now: _without_names(now, {name}))
                return DeletedModel(name)
            for model in known.models.values():
                if name in (model.id, *model.aliases):
                    return await self._delete_pulled(model, unloads)
            if self._models.is_named(name):
                raise ModelInUseError(
                    f"The model `{name}` is one that this server's settings name; take it out of"
                    " them first."
                )
            return DeletedModel(name, await self._remove(name))

    async def _delete_pulled(self, model: PulledModel, unloads: bool) -> DeletedModel:
        if served := self._served.get(model.id):
            if unloads:
                await self._models.unload(model.id, UNLOAD_SECONDS)
            self._models.remove(model.id)
            del self._served[model.id]
        try:
            freed = await self._remove(_place(model))
        except ModelNotFoundError:
            freed = 0  # somebody has deleted the file: forget the model as well
        except LLMAPIError:
            if served is not None:
                self._add(served)
            raise
        await self._book.change(lambda now: _without_model(now, model.id))
        return DeletedModel(model.id, freed)

    async def _remove(self, place: str) -> int:
        """Delete the files of a model by its place in the models folder; the bytes freed."""
        file = await asyncio.to_thread((self._options.models_dir / place).resolve)
        if (served := self._options.named_files.get(file)) is not None:
            raise ModelInUseError(f"`{served}`, which the settings name, is served from that file.")
        for pull in self._pulls.all():
            arrives = await asyncio.to_thread((self._options.models_dir / _place(pull)).resolve)
            if not pull.has_ended and arrives == file:
                raise ModelInUseError(f"`{place}` is being pulled; cancel that first.")
        try:
            return await asyncio.to_thread(_remove, place, self._options.models_dir)
        except OSError as error:
            raise ModelFileError(f"{place} could not be deleted: {error.strerror}.") from error

    async def _serve_pulled(self, pulled: BegunPull) -> str:
        """Serve a model that has just arrived, now and after a restart. Its id."""
        async with self._changing:
            file = self._options.models_dir / _place(pulled)
            named = self._options.named_files.get(await asyncio.to_thread(file.resolve))
            if named is not None:
                return named
            known = {
                (one.repo_id, one.filename): one for one in self._book.contents().models.values()
            }
            model = known.get((pulled.repo_id, pulled.filename)) or self._as_model(pulled)
            await self._book.change(partial(_with_model, model=model))
            await self._serve(model)
            return model.id

    async def _serve(self, model: PulledModel) -> None:
        """Serve a model that the book knows, unless it is served. Raises LLMAPIError."""
        if model.id in self._served:
            return
        file = self._options.models_dir / _place(model)
        kept = await asyncio.to_thread(self._kept, model, file)
        if self._models.is_named(kept.card.id):
            raise ModelInUseError(f"The settings name another model `{kept.card.id}`.")
        self._add(kept)

    def _add(self, kept: KeptModel) -> None:
        self._models.add(kept)
        self._served[kept.card.id] = kept

    def _as_model(self, pulled: BegunPull) -> PulledModel:
        """The id is the name of its file, as everywhere; with its repository if that is taken."""
        given = self._book.contents().aliases

        def is_free(name: str) -> bool:
            return not (self._models.is_named(name) or name in given)

        stem = _PART.sub("", Path(pulled.filename).stem)
        whole = f"{pulled.repo_id}/{pulled.filename}"
        names = (stem, f"{pulled.repo_id}/{stem}", whole, pulled.id)
        own = next(filter(is_free, names))
        aliases = tuple(one for one in (whole, pulled.name) if one != own and is_free(one))
        return PulledModel(own, pulled.repo_id, pulled.filename, tuple(dict.fromkeys(aliases)))


def _place(model: PulledModel | BegunPull | Pull) -> str:
    """Where its file lies in the models folder, as `models list` names it."""
    return f"{model.repo_id.replace('/', '--')}/{model.filename}"


def _remove(place: str, models_dir: Path) -> int:
    path = models_dir / place
    if not place.endswith(".gguf") or not path.is_file():
        raise ModelNotFoundError(
            f"There is no model `{place}` that could be deleted.", param="model"
        )
    try:
        files = [path.with_name(part) for part in part_names(path.name)]
        files += [one for file in files for one in path.parent.glob(f".{escape(file.name)}.*")]
        freed = sum(file.lstat().st_size for file in files if file.is_file())
        remove_model(place, models_dir)
    except ModelFileError as error:
        raise InvalidRequestError(without_folders(error.message), param="model") from error
    return freed


def _with_model(known: BookContents, model: PulledModel) -> BookContents:
    return replace(known, models={**known.models, model.id: model})


def _without_model(known: BookContents, model_id: str) -> BookContents:
    names = {name for name, meant in known.aliases.items() if meant == model_id}
    models = {id: one for id, one in known.models.items() if id != model_id}
    return replace(_without_names(known, names), models=models)


def _without_names(known: BookContents, names: set[str]) -> BookContents:
    kept = {name: meant for name, meant in known.aliases.items() if name not in names}
    return replace(known, aliases=kept)
