"""The models that run on this server's own engine: their files, options and room in memory."""

import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from llm_api.assembly.pins import pinned_prompts
from llm_api.config.chosen_backends import ChosenBackend
from llm_api.config.chosen_models import ChosenModel, ChosenModels
from llm_api.config.settings import ConfigurationError, Settings
from llm_api.core.errors import DownloadError, ModelFileError
from llm_api.core.llm.administration.book import PulledModel
from llm_api.core.llm.backend import GenerationDefaults, ModelCard
from llm_api.core.llm.backends.llama import LlamaOptions, open_llama
from llm_api.core.llm.capabilities import ADAPTABLE, EVERYTHING
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.llama_model import AdapterFile, ModelOptions
from llm_api.core.llm.engine.llama_runner import ContextOptions
from llm_api.core.llm.files.gguf import MTP_UNUSED, GGUFModel
from llm_api.core.llm.files.installed import resolve_model
from llm_api.core.llm.files.memory import (
    Need,
    Room,
    Wishes,
    choose_room,
    in_words,
    need,
    what_fits,
)
from llm_api.core.llm.files.parts import read_model
from llm_api.core.llm.files.tuned import find_tuned, read_record
from llm_api.core.llm.prefix_cache.prefix_cache import PrefixCache
from llm_api.core.llm.residency.keeper import KeptModel
from llm_api.core.llm.tuning.doctor import has_fast_kernel
from llm_api.core.llm.types import Adapter
from llm_api.core.utils.machine import format_bytes, gpu_vendors, memory, physical_cores

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model on its verified file, and the room that its requests get. `needed` is an estimate.

    `source` is the file that was named, `path` the one that is run: it, or weights kept beside it.
    """

    card: ModelCard
    source: Path
    path: Path
    options: LlamaOptions
    room: Room
    needed: Need
    loads_at_startup: bool

    @property
    def size_bytes(self) -> int:
        """What it is taken to need in memory."""
        return self.needed.total

    def kept(self, compute: ComputeThread, prefixes: PrefixCache | None = None) -> KeptModel:
        """How to open it, computing on this thread, which owns `prefixes`."""
        open_model = partial(open_llama, self.path, self.card, self.options, compute, prefixes)
        return KeptModel(self.card, open_model, self.size_bytes, self.loads_at_startup)


def find_models(chosen: ChosenModels) -> tuple[FoundModel, ...]:
    """Those that are llama.cpp's on their verified files, fetched if they have to be. Blocks.

    Raises ModelFileError or DownloadError where there is no such file, ConfigurationError where a
    model cannot fit into memory, or models are larger than the memory they may take.
    """
    if not chosen.gguf:
        return ()
    total, free = memory()
    free = min(free, chosen.memory_bytes or free)
    models = []
    for choice in chosen.gguf:
        model = _find_model(choice, total, free)
        if choice.loads_at_startup:
            free = max(0, free - model.size_bytes)
        models.append(model)
    if chosen.memory_bytes is not None:
        _check_room(chosen.gguf, models, chosen.memory_bytes)
    return tuple(models)


def find_pulled_model(
    pulled: PulledModel, path: Path, settings: Settings, memory_bytes: int | None, to_come: int
) -> FoundModel:
    """A model that was pulled, on its file, with the room that the settings give any. Blocks.

    `to_come` are the bytes of models that are being loaded. Raises ModelFileError,
    ConfigurationError where it cannot fit into memory.
    """
    source = {"model_path": path, "model_repo_id": None, "model_filename": None}
    source |= {"draft_model": None}
    own = settings.model_copy(update={**source, "model_aliases": pulled.aliases})
    chosen = ChosenModel(pulled.id, "", False, own, ChosenBackend("llama"))
    total, free = memory()
    model = _find_model(chosen, total, max(0, min(free, memory_bytes or free) - to_come))
    if memory_bytes is not None:
        _check_room((chosen,), (model,), memory_bytes)
    return model


def wishes_of(settings: Settings) -> Wishes:
    """What the settings say of a model's room."""
    return Wishes(
        settings.context_length, settings.parallel, settings.kv_tokens, settings.kv_cache_type
    )


def _find_model(chosen: ChosenModel, total: int, free: int) -> FoundModel:
    settings = chosen.settings
    try:
        source, file = resolve_model(
            model_path=settings.model_path,
            repo_id=settings.model_repo_id,
            filename=settings.model_filename,
            models_dir=settings.models_dir,
        )
    except (ModelFileError, DownloadError) as error:
        if chosen.place:
            raise type(error)(f"{chosen.place}: {error.message}") from error
        raise
    path, file = _weights(source, file, settings, free)
    draft = None if settings.draft_model is None else read_model(settings.draft_model)
    room = choose_room(file, wishes_of(settings), free - (draft.size_bytes if draft else 0))
    card = ModelCard(
        id=chosen.name or source.stem,
        created=int(source.stat().st_mtime),
        owned_by="llm_api",
        context_length=room.context_length,
        aliases=settings.model_aliases,
        defaults=GenerationDefaults(settings.max_tokens, settings.temperature),
        capabilities=ADAPTABLE if chosen.adapters else EVERYTHING,
        file=file,
        adapters=tuple(Adapter(one.name, one.scale) for one in chosen.adapters),
        weights=path.name,
    )
    loaded = sum(one.path.stat().st_size for one in chosen.adapters)
    needed = replace(need(file, room, settings.kv_cache_type, draft), adapters=loaded)
    is_on_gpu = settings.gpu_layers != 0 and gpu_vendors()
    if not is_on_gpu and not needed.fits(total, free, uses_mmap=settings.mmap):
        raise ConfigurationError(
            f"{chosen.place or card.id}: needs {in_words(needed, room)}; {format_bytes(free)} are"
            f" free: set {what_fits(file, wishes_of(settings), free - needed.draft)}, or end other"
            " programs"
        )
    options = _llama_options(chosen, room)
    if settings.mtp and settings.draft_model is None and file.has_mtp:
        options = replace(options, model=replace(options.model, has_mtp=file.can_use_mtp))
        if file.has_unused_mtp:
            log.info("%s: %s", card.id, MTP_UNUSED)
    return FoundModel(card, source, path, options, room, needed, chosen.loads_at_startup)


def _weights(
    source: Path, file: GGUFModel, settings: Settings, free: int
) -> tuple[Path, GGUFModel]:
    """What is run for a file: weights kept beside it if there are any that fit, and what they are.

    Fast, and no reason to fail: what cannot be read is left alone.
    """
    if settings.weights == "original" or (settings.gpu_layers and gpu_vendors()):
        return source, file
    tuned = find_tuned(source, settings.models_dir)
    if tuned is None:
        _offer(source, file, settings)
        return source, file
    path, record = tuned
    try:
        read = read_model(path)
    except ModelFileError as error:
        log.warning("%s is run as it is: %s", source.name, error.message)
        return source, file
    if read.size_bytes > free > file.size_bytes:
        log.info("%s is run as it is: memory is short for %s", source.name, path.name)
        return source, file
    log.info("%s is run for %s: %s", path, source.name, record.told)
    return path, read


def _offer(source: Path, file: GGUFModel, settings: Settings) -> None:
    """Say once a start that there may be faster weights, where nobody has looked for them."""
    features = frozenset({"NEON"} if platform.machine() in ("aarch64", "arm64") else ())
    if has_fast_kernel(features, file.quantisation) or read_record(source, settings.models_dir):
        return
    log.info(
        "%s has no fast kernel on this CPU: `llm-api models optimize --auto` looks for weights that"
        " are faster and as good",
        file.quantisation,
    )


def _llama_options(chosen: ChosenModel, room: Room) -> LlamaOptions:
    settings = chosen.settings
    adapters = tuple(AdapterFile(one.name, one.path) for one in chosen.adapters)
    return LlamaOptions(
        context_length=room.context_length,
        parallel=settings.parallel,
        max_queue=settings.max_queue,
        context=ContextOptions(
            threads=settings.n_threads or physical_cores(),
            adapts_threads=settings.n_threads is None,
            flash_attention=settings.flash_attention,
            kv_cache_type=settings.kv_cache_type,
        ),
        kv_tokens=room.kv_tokens if room.is_shared else None,
        shares_prefixes_publicly=settings.public_prefixes,
        draft_tokens=settings.draft_tokens,
        pinned=pinned_prompts(settings),
        draft_model=settings.draft_model,
        model=replace(model_options(settings), adapters=adapters),
    )


def model_options(settings: Settings) -> ModelOptions:
    """Where the settings put a model's weights."""
    return ModelOptions(
        gpu_layers=settings.gpu_layers,
        main_gpu=settings.main_gpu,
        tensor_split=settings.tensor_split,
        use_mmap=settings.mmap,
        use_mlock=settings.mlock,
    )


def _check_room(
    chosen: tuple[ChosenModel, ...], models: Sequence[FoundModel], memory_bytes: int
) -> None:
    """Raises ConfigurationError where a model could never be loaded, or not all at the start."""
    room = format_bytes(memory_bytes)
    for choice, model in zip(chosen, models, strict=True):
        if model.size_bytes > memory_bytes:
            raise ConfigurationError(
                f"{choice.place or 'MODEL_MEMORY'}: {model.card.id} needs about"
                f" {format_bytes(model.size_bytes)} of memory, and models may take {room};"
                " lower context_length, parallel or kv_tokens, or allow more"
            )
    at_startup = sum(model.size_bytes for model in models if model.loads_at_startup)
    if at_startup > memory_bytes:
        raise ConfigurationError(
            f"the models that are loaded at the start need about {format_bytes(at_startup)} of"
            f" memory, and models may take {room}; load fewer of them, or allow more"
        )
