"""What memory a model needs, and how much room its requests get of what is free. Pure.

An estimate: the weights are as large as their files; the KV buffer is known exactly where the
header has its layout; what llama.cpp computes in grows with the weights and the longest context:
25 to 28 MB with the default model, some hundred with a large one. Weights on a GPU count as
well, and a file that two models share counts twice.
"""

from dataclasses import dataclass
from typing import Final

from llm_api.core.llm.files.gguf import BYTES_OF_32_ELEMENTS, GGUFModel
from llm_api.core.utils.machine import format_bytes

KV_SHARE: Final = 4
"""Without a setting the KV buffer takes this part of what the weights leave free: a quarter."""

PREFIX_SHARE: Final = 4
MOST_FOR_PREFIXES: Final = 8 << 30
"""As llama-server's `--cache-ram`."""

USUAL_TOKENS: Final = 2048
"""Room for each parallel request that suffices for most, and is there without a setting."""

LEAST_TOKENS: Final = 512
UNKNOWN_CONTEXT: Final = 2048
STEP_BYTES: Final = 20_000_000
STEP_BYTES_PER_TOKEN: Final = 3072
"""A step of 512 rows has a mask of 4 bytes, and one of 2, for each token of the context."""

STEP_PART_OF_WEIGHTS: Final = 20


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person said of the room, None where nothing: the settings of these names."""

    context_length: int | None
    parallel: int
    kv_tokens: int | None
    kv_cache_type: str


@dataclass(frozen=True, slots=True)
class Room:
    """`kv_tokens` in all; each request has its own part of them unless they are shared."""

    context_length: int
    kv_tokens: int
    is_shared: bool


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes."""

    weights: int
    kv: int
    step: int
    adapters: int = 0
    draft: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.step + self.adapters + self.draft

    def fits(self, total: int, free: int, *, uses_mmap: bool) -> bool:
        """Whether a machine can bear it. Mapped weights may leave memory, and come back."""
        stays = self.total - (self.weights if uses_mmap else 0)
        return self.total <= total and stays <= free


def room_for_prefixes(free: int, needed: int) -> int:
    """Bytes for prefixes that are kept outside the KV buffer, where a person says nothing.

    A quarter of what the models leave, as memory is needed for more than this.
    """
    return min(max(0, free - needed) // PREFIX_SHARE, MOST_FOR_PREFIXES)


def choose_room(model: GGUFModel, wishes: Wishes, free: int) -> Room:
    """What is said holds; a context that is not, is what the model was trained for.

    As far as a share of the `free` bytes goes.

    Requests have their own parts where parts of that length fit into what is there without a
    setting; else they share it, and a long one takes of it what others leave.
    """
    parallel, said, pool = wishes.parallel, wishes.context_length, wishes.kv_tokens
    if said is not None:
        return Room(said, pool or said * parallel, pool is not None)
    trained = model.context_length or UNKNOWN_CONTEXT
    if pool is not None:
        return Room(min(trained, pool), pool, True)
    fitting = _fitting(model, wishes.kv_cache_type, free)
    pool = min(fitting, max(USUAL_TOKENS * parallel, trained))
    if trained * parallel <= pool:
        return Room(trained, trained * parallel, False)
    return Room(min(trained, pool), pool, True)


def need(model: GGUFModel, room: Room, kv_cache_type: str, draft: GGUFModel | None = None) -> Need:
    """What the model takes with this room, and one that drafts for it, which has as much."""
    longest = room.kv_tokens if room.is_shared else room.context_length
    return Need(
        model.size_bytes,
        model.kv_bytes(room.kv_tokens, kv_cache_type),
        _least_step(model) + STEP_BYTES_PER_TOKEN * longest,
        draft=0 if draft is None else need(draft, room, kv_cache_type).total,
    )


def in_words(needed: Need, room: Room) -> str:
    """What is taken, and what for."""
    return (
        f"about {format_bytes(needed.total)} of memory: weights {format_bytes(needed.weights)},"
        f" {room.kv_tokens} KV tokens {format_bytes(needed.kv)},"
        f" steps {format_bytes(needed.step)}"
        + (f", adapters {format_bytes(needed.adapters)}" if needed.adapters else "")
        + (f", draft model {format_bytes(needed.draft)}" if needed.draft else "")
    )


def what_fits(model: GGUFModel, wishes: Wishes, free: int) -> str:
    """The settings with which the model would fit, or that none would."""
    for kv_cache_type in (wishes.kv_cache_type, "q8_0", "q4_0"):
        for parallel in (wishes.parallel, 1):
            tokens = _tokens(model, kv_cache_type, free) // parallel
            if wishes.context_length is not None:
                longest = min(wishes.context_length, model.context_length or tokens)
                tokens = min(tokens, longest)
            if tokens >= LEAST_TOKENS:
                said = [f"CONTEXT_LENGTH={tokens // 64 * 64}"]
                said += [f"PARALLEL={parallel}"] if parallel != wishes.parallel else []
                is_other = kv_cache_type != wishes.kv_cache_type
                said += [f"KV_CACHE_TYPE={kv_cache_type}"] if is_other else []
                said += ["no KV_TOKENS"] if wishes.kv_tokens is not None else []
                return " and ".join(said)
    return "a smaller model, or a smaller quantisation of it"


def _fitting(model: GGUFModel, kv_cache_type: str, free: int) -> int:
    """Tokens for which a share of what is free has room; at least some, if all of it has."""
    left = max(0, free - model.size_bytes)
    share = _tokens(model, kv_cache_type, model.size_bytes + left // KV_SHARE)
    return max(LEAST_TOKENS, share, min(USUAL_TOKENS, _tokens(model, kv_cache_type, free)))


def _tokens(model: GGUFModel, kv_cache_type: str, free: int) -> int:
    """Tokens of a KV buffer that fit beside the weights, in whole blocks of 256."""
    left = free - model.size_bytes - _least_step(model)
    kv = (model.kv_elements_per_token or 0) * BYTES_OF_32_ELEMENTS[kv_cache_type] // 32
    return max(0, left // (kv + STEP_BYTES_PER_TOKEN)) // 256 * 256


def _least_step(model: GGUFModel) -> int:
    return STEP_BYTES + model.size_bytes // STEP_PART_OF_WEIGHTS
