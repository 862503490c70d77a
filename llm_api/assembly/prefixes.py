"""The prefixes that are kept in RAM and on disk: how much room they have, how long they stay."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

from llm_api.api.policy import Access
from llm_api.assembly.local_models import FoundModel
from llm_api.config.settings import Settings
from llm_api.core.errors import PermissionDeniedError
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.files.memory import room_for_prefixes
from llm_api.core.llm.prefix_cache.prefix_cache import CacheLimits, PrefixCache
from llm_api.core.llm.prefix_cache.state_file import StateFileError
from llm_api.core.llm.prefix_cache.state_folder import StateFolder
from llm_api.core.llm.prefix_cache.stored import PINNED_SCOPE, key_of
from llm_api.core.utils.machine import memory

log = logging.getLogger(__name__)

FINISHING_SECONDS: Final = 5.0
"""How long the end of the server waits for states to be written."""

SWEEP_SECONDS: Final = 60.0
"""How often prefixes are deleted that are too old, or whose key is gone."""

HOUR_SECONDS: Final = 3600.0


@asynccontextmanager
async def open_prefixes(
    settings: Settings, files: Sequence[FoundModel], compute: ComputeThread, access: Access
) -> AsyncGenerator[PrefixCache, None]:
    """The cache of all models of this server. Close the models first: they leave it their prefixes.

    A folder that cannot be used is one line of log, and nothing is kept on disk.
    """
    cache = await asyncio.to_thread(_open, settings, files, compute)
    if not cache.ram.room:
        yield cache
        return
    leaves = partial(is_gone, access, settings.public_prefixes)
    await _drop_those_of(leaves, cache, compute)
    sweep = asyncio.create_task(_sweep(cache, compute, leaves))
    try:
        yield cache
    finally:
        sweep.cancel()
        with suppress(asyncio.CancelledError):
            await sweep
        await _finish(cache, compute)


def _open(settings: Settings, files: Sequence[FoundModel], compute: ComputeThread) -> PrefixCache:
    ram = _ram(settings, files)
    limits = CacheLimits(ram, settings.kv_cache_disk, settings.kv_cache_hours * HOUR_SECONDS)
    folder = None
    if settings.kv_cache_dir is not None and ram:
        try:
            folder = StateFolder(settings.kv_cache_dir)
        except (StateFileError, OSError) as error:
            log.warning("KV_CACHE_DIR: nothing is kept on disk: %s", error)
    cache = PrefixCache(limits, folder, compute.post)
    cache.find_files()
    return cache


def _ram(settings: Settings, files: Sequence[FoundModel]) -> int:
    """Bytes. Without a model that computes here, none."""
    if settings.kv_cache_ram is not None or not files:
        return settings.kv_cache_ram or 0
    return room_for_prefixes(memory()[1], sum(one.size_bytes for one in files))


async def _sweep(cache: PrefixCache, compute: ComputeThread, leaves: Callable[[str], bool]) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        await _drop_those_of(leaves, cache, compute)
        await compute.run(cache.expire)


async def _drop_those_of(
    leaves: Callable[[str], bool], cache: PrefixCache, compute: ComputeThread
) -> None:
    """Delete the prefixes of these owners. Keys are asked for here, on the event loop."""
    owners = await compute.run(lambda: {stored.owner for stored in cache.index})
    gone = set(filter(leaves, owners))
    if gone:
        await compute.run(lambda: cache.forget(gone.__contains__))


async def _finish(cache: PrefixCache, compute: ComputeThread) -> None:
    """Have what is in RAM written, for as long as the end may take."""
    cache.hurry(is_hurried=True)
    is_settled = asyncio.Event()
    compute.post(partial(cache.settle, partial(_tell, asyncio.get_running_loop(), is_settled)))
    with suppress(TimeoutError):
        await asyncio.wait_for(is_settled.wait(), FINISHING_SECONDS)
    await asyncio.to_thread(cache.close)


def _tell(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(event.set)


def is_gone(access: Access, is_public: bool, owner: str) -> bool:
    """Whether the key of this owner has been revoked, or reaches other documents now."""
    if owner == PINNED_SCOPE or (is_public and not owner):
        return False
    name = key_of(owner)
    try:
        return access.caller(name).key.sharing_scope != owner
    except PermissionDeniedError:
        return True
