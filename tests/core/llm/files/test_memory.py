import pytest

from llm_api.core.llm.files.gguf import GGUFModel
from llm_api.core.llm.files.memory import (
    Need,
    Room,
    Wishes,
    choose_room,
    in_words,
    need,
    what_fits,
)

GB = 1_000_000_000


def model(context: int | None, size: int = 4 * GB, kv_elements: int = 65_536) -> GGUFModel:
    """By default 131 kB for each token, as with a model of 7 billion parameters."""
    return GGUFModel(
        "llama", None, "Q4_K_M", 0, context, True, size, kv_elements_per_token=kv_elements
    )


def wishes(
    context: int | None = None, parallel: int = 8, pool: int | None = None, kv_type: str = "f16"
) -> Wishes:
    return Wishes(context, parallel, pool, kv_type)


SMALL = model(8192, 98_000_000, 11_520)


@pytest.mark.parametrize(
    ("given", "said", "free", "room"),
    [
        # What is said holds, whatever there is.
        (SMALL, wishes(2048), 0, Room(2048, 16_384, is_shared=False)),
        (SMALL, wishes(2048, pool=4096), 0, Room(2048, 4096, is_shared=True)),
        (SMALL, wishes(pool=4096), 20 * GB, Room(4096, 4096, is_shared=True)),
        (SMALL, wishes(pool=65_536), 20 * GB, Room(8192, 65_536, is_shared=True)),
        # What it was trained for, in no more room than 2,048 for each, or one whole context.
        (SMALL, wishes(), 20 * GB, Room(8192, 16_384, is_shared=True)),
        (SMALL, wishes(parallel=1), 20 * GB, Room(8192, 8192, is_shared=False)),
        (model(2048), wishes(), 20 * GB, Room(2048, 16_384, is_shared=False)),
        (model(None), wishes(), 20 * GB, Room(2048, 16_384, is_shared=False)),
        (model(131_072, 98_000_000, 5000), wishes(), 20 * GB, Room(131_072, 131_072, True)),
        # As far as a quarter of what is free goes, and never nothing.
        (model(32_768), wishes(), 20 * GB, Room(28_160, 28_160, is_shared=True)),
        (model(32_768), wishes(), 8 * GB, Room(5632, 5632, is_shared=True)),
        (model(32_768), wishes(kv_type="q8_0"), 8 * GB, Room(10_496, 10_496, is_shared=True)),
        (model(32_768), wishes(), 5 * GB, Room(2048, 2048, is_shared=True)),
        (model(32_768), wishes(), 1 * GB, Room(512, 512, is_shared=True)),
    ],
)
def test_room_is_what_is_said_or_a_share_of_what_is_free(
    given: GGUFModel, said: Wishes, free: int, room: Room
) -> None:
    assert choose_room(given, said, free) == room


def test_all_that_is_taken_is_said() -> None:
    room = Room(8192, 16_384, is_shared=True)
    needed = need(SMALL, room, "f16")
    assert needed == Need(98_000_000, 16_384 * 23_040, 24_900_000 + 16_384 * 3072)
    assert in_words(needed, room) == (
        "about 551 MB of memory: weights 98 MB, 16384 KV tokens 377 MB, steps 75 MB"
    )


def test_mapped_weights_may_leave_memory_and_nothing_else_may() -> None:
    needed = Need(4 * GB, 2 * GB, 1 * GB)
    assert needed.fits(total=8 * GB, free=3 * GB, uses_mmap=True)
    assert not needed.fits(total=8 * GB, free=3 * GB, uses_mmap=False)
    assert not needed.fits(total=8 * GB, free=2 * GB, uses_mmap=True)
    assert not needed.fits(total=6 * GB, free=6 * GB, uses_mmap=True)


@pytest.mark.parametrize(
    ("said", "free", "settings"),
    [
        (wishes(100_000_000), 20 * GB, "CONTEXT_LENGTH=14656"),
        (wishes(8192), 6 * GB, "CONTEXT_LENGTH=1600"),
        (wishes(8192), 4.5 * GB, "CONTEXT_LENGTH=2048 and PARALLEL=1"),
        (wishes(8192, pool=99_999), 6 * GB, "CONTEXT_LENGTH=1600 and no KV_TOKENS"),
        (wishes(8192, parallel=1), 4.27 * GB, "CONTEXT_LENGTH=512 and KV_CACHE_TYPE=q8_0"),
        (wishes(8192), 4 * GB, "a smaller model, or a smaller quantisation of it"),
    ],
)
def test_the_settings_that_fit_do_fit(said: Wishes, free: float, settings: str) -> None:
    assert what_fits(model(32_768), said, int(free)) == settings
