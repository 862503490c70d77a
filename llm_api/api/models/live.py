"""What goes on now: live requests, and the engines that work for them."""

from typing import Literal

from pydantic import Field

from llm_api.api.models.base import DEFAULT_MODEL_EXAMPLE, AnswerModel
from llm_api.core.llm.progress import RequestState
from llm_api.core.llm.residency.plan import ModelState

_OF_THIS_WORKER = "Whose it is, with several workers: each knows its own alone; else null."


class LiveRequest(AnswerModel):
    """A request that a model works for. Null is what its backend does not tell (yet)."""

    id: str = Field(description="The `x-request-id` of its answer.")
    object: Literal["request"]
    path: str = Field(examples=["/v1/chat/completions"])
    model: str | None = Field(examples=[DEFAULT_MODEL_EXAMPLE])
    key: str | None = Field(description="The name of its API key; null without keys.")
    state: RequestState = Field(description="`reading`: its prompt is computed.")
    streamed: bool
    created: int = Field(description="Unix seconds.")
    age_seconds: float
    place_in_queue: int = Field(description="1 is admitted next; 0 does not wait.")
    prompt_tokens: int | None
    cached_tokens: int = Field(description="Of the prompt: found, not computed.")
    read_tokens: int = Field(description="Of the prompt: there, the cached ones included.")
    left_tokens: int = Field(description="Of the prompt: still to be read.")
    written_tokens: int = Field(description="Of all its answers.")
    max_tokens: int | None = Field(description="Bound of each answer.")
    tokens_per_second: float | None = Field(
        description="How fast it is read, or written; before it is read, the engine's speed."
    )
    seconds_left: float | None = Field(description="Until its answer begins, about.")
    waited_seconds: float
    read_seconds: float
    written_seconds: float


class LiveRequestList(AnswerModel):
    """The requests of a key, or all of them for the scope `admin`."""

    object: Literal["list"]
    worker: str | None = Field(description=_OF_THIS_WORKER)
    data: list[LiveRequest] = Field(description="The oldest first.")
    has_more: bool


class SlotRun(AnswerModel):
    """Consecutive tokens of a slot."""

    kind: Literal["shared", "prompt", "answer", "unread", "kept"] = Field(
        description="Of the request in it: what of its prompt it found there, what it has computed"
        " itself, its answer, and what is still to be read; of an idle slot, what is `kept`."
    )
    tokens: int


class EngineSlot(AnswerModel):
    """One sequence's place in the KV buffer."""

    index: int
    state: Literal["idle", "reading", "writing"]
    request: str | None = Field(description="The id of the request in it.")
    runs: list[SlotRun] = Field(description="In their order; those without tokens are left out.")


class EngineKV(AnswerModel):
    """Cells of the KV buffer."""

    running: int
    reusable: int
    free: int


class EngineTier(AnswerModel):
    """Prefixes that are kept outside of the KV buffer."""

    tier: str = Field(examples=["ram"])
    tokens: int
    bytes: int
    limit_bytes: int = Field(description="For all models together.")
    prefixes: int
    hits: int = Field(description="Prefixes that were restored instead of computed.")
    restored_tokens: int


class EngineDrafts(AnswerModel):
    """Tokens that are guessed ahead, which the model then checks."""

    kind: str = Field(
        examples=["lookup"],
        description="`lookup`: what an answer repeats; `model`: a draft model, or a model's own MTP"
        " layers.",
    )
    drafted: int = Field(description="Tokens that were guessed.")
    accepted: int = Field(description="Those that were right.")
    is_on: bool = Field(description="Whether it guesses at present.")


class EngineHistory(AnswerModel):
    """The last minute, second by second: the oldest first, the running one last."""

    read_tokens: list[int] = Field(description="Of prompts.")
    written_tokens: list[int]
    steps: list[int]
    sequences: list[int] = Field(description="By `steps`: how many were computed together.")


class EngineState(AnswerModel):
    """The engine of a loaded model."""

    running: int
    waiting: int
    parallel: int = Field(description="Requests that can run together.")
    capacity: int = Field(description="Requests that may run or wait.")
    preemptions: int
    read_tokens_per_second: float | None = Field(description="As learnt, while it reads.")
    written_tokens_per_second: float | None = Field(
        description="Of all answers together, as learnt, while it writes."
    )
    kv: EngineKV | None
    tiers: list[EngineTier]
    drafts: list[EngineDrafts] = Field(description="Those that settings allow.")
    slots: list[EngineSlot]
    history: EngineHistory


class ReplicaState(AnswerModel):
    """One of the equal servers of a model."""

    name: str
    is_well: bool = Field(description="Whether requests go there: its breaker is closed.")
    running: int


class WatchedModel(AnswerModel):
    """A model, and what runs it."""

    id: str = Field(examples=[DEFAULT_MODEL_EXAMPLE])
    backend: str
    state: ModelState
    pinned: bool
    size_bytes: int | None = Field(description="Of its file.")
    context_length: int | None
    engine: EngineState | None = Field(description="Null where it is not loaded, or elsewhere.")
    replicas: list[ReplicaState]


class KeyQueue(AnswerModel):
    """The requests of one key, by what they do."""

    key: str | None
    waiting: int
    reading: int
    writing: int


class EndedRequest(AnswerModel):
    """The journey of a request that has been answered. Null is what nobody told."""

    id: str
    path: str
    model: str | None
    key: str | None
    status: int | None
    ended: float = Field(description="Unix seconds.")
    waited_seconds: float | None
    read_seconds: float | None
    written_seconds: float | None
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None


class EngineSnapshot(AnswerModel):
    """What the server is doing at one moment."""

    object: Literal["engine"]
    time: float = Field(description="Unix seconds.")
    worker: str | None = Field(description=_OF_THIS_WORKER)
    version: str
    uptime_seconds: float
    memory_bytes: int | None = Field(description="Resident, of this process; null if unknown.")
    models: list[WatchedModel]
    queue: list[KeyQueue]
    requests: list[LiveRequest] = Field(description="The oldest first, 200 at most.")
    recent: list[EndedRequest] = Field(description="The last 32, the newest first.")
