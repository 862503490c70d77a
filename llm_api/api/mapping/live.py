"""Live requests and engines, domain to wire. Pure, but for the clock that is handed in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from llm_api.api.live_requests import EndedRequest, LiveRequest
from llm_api.api.models import live as wire
from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.observation import (
    EngineDetail,
    EngineStatus,
    Observation,
    ReplicaStatus,
    SlotStatus,
    TierStatus,
)
from llm_api.core.llm.residency.plan import ModelState


@dataclass(frozen=True, slots=True)
class WatchedModel:
    """A model, and what it shows of itself."""

    card: ModelCard
    state: ModelState
    is_pinned: bool
    observations: Sequence[Observation]


def to_live_request(request: LiveRequest, now: datetime) -> wire.LiveRequest:
    """How far a request is. Of several answers, the numbers are those of the one it turns on."""
    facts, told, state = request.facts, request.progress(), request.state
    one = next((one for one in told if one.state == state), None)
    return wire.LiveRequest(
        id=facts.id,
        object="request",
        path=request.path,
        model=facts.model,
        key=request.key_name,
        state=state,
        streamed=facts.is_streamed,
        created=int(facts.received.timestamp()),
        age_seconds=round((now - facts.received).total_seconds(), 3),
        place_in_queue=0 if one is None else one.place_in_queue,
        prompt_tokens=None if one is None else one.prompt_tokens,
        cached_tokens=0 if one is None else one.cached_tokens,
        read_tokens=0 if one is None else one.read_tokens,
        left_tokens=0 if one is None else one.prompt_tokens - one.read_tokens,
        written_tokens=sum(each.written_tokens for each in told),
        max_tokens=None if one is None else one.most_tokens,
        tokens_per_second=rounded(None if one is None else one.tokens_per_second),
        seconds_left=rounded(None if one is None else one.seconds_left),
        waited_seconds=0.0 if one is None else round(one.waited_seconds, 3),
        read_seconds=0.0 if one is None else round(one.read_seconds, 3),
        written_seconds=0.0 if one is None else round(one.written_seconds, 3),
    )


def to_ended_request(request: EndedRequest) -> wire.EndedRequest:
    """The journey of a request that has ended."""
    usage, timings = request.usage, request.timings
    return wire.EndedRequest(
        id=request.id,
        path=request.path,
        model=request.model,
        key=request.key_name,
        status=request.status,
        ended=round(request.received.timestamp() + request.seconds, 3),
        waited_seconds=rounded(None if timings is None else timings.queue_seconds),
        read_seconds=rounded(None if timings is None else timings.prefill_seconds),
        written_seconds=rounded(None if timings is None else timings.decode_seconds),
        prompt_tokens=None if usage is None else usage.prompt_tokens,
        cached_tokens=None if usage is None else usage.cached_tokens,
        completion_tokens=None if usage is None else usage.completion_tokens,
    )


def to_queue(requests: Iterable[LiveRequest]) -> list[wire.KeyQueue]:
    """The requests by their key, in the order in which the keys came."""
    queues: dict[str | None, wire.KeyQueue] = {}
    for request in requests:
        key = request.key_name
        queue = queues.setdefault(key, wire.KeyQueue(key=key, waiting=0, reading=0, writing=0))
        match request.state:
            case "waiting":
                queue.waiting += 1
            case "reading":
                queue.reading += 1
            case "writing":
                queue.writing += 1
    return list(queues.values())


def to_watched_model(model: WatchedModel, requests: Iterable[LiveRequest]) -> wire.WatchedModel:
    """A model with its engine. `requests` are those in it, among others."""
    card = model.card
    engines = [one for one in model.observations if isinstance(one, EngineStatus)]
    ids = {
        progress.sequence: one.facts.id
        for one in requests
        if one.facts.model == card.id
        for progress in one.progress()
    }
    return wire.WatchedModel(
        id=card.id,
        backend=card.backend,
        state=model.state,
        pinned=model.is_pinned,
        size_bytes=None if card.file is None else card.file.size_bytes,
        context_length=card.context_length,
        engine=_engine(engines[0], ids) if engines else None,
        replicas=[
            wire.ReplicaState(name=one.name, is_well=one.is_well, running=one.running)
            for one in model.observations
            if isinstance(one, ReplicaStatus)
        ],
    )


def _engine(status: EngineStatus, ids: dict[int, str]) -> wire.EngineState | None:
    if status.look is None:
        return None
    detail, kv = status.look(), status.kv
    return wire.EngineState(
        running=status.running,
        waiting=status.waiting,
        parallel=detail.parallel,
        capacity=detail.capacity,
        preemptions=status.preemptions,
        read_tokens_per_second=rounded(detail.read_speed),
        written_tokens_per_second=rounded(detail.write_speed),
        kv=None
        if kv is None
        else wire.EngineKV(running=kv.running, reusable=kv.reusable, free=kv.free),
        tiers=[_tier(tier) for tier in status.tiers],
        drafts=[
            wire.EngineDrafts(
                kind=one.kind, drafted=one.drafted, accepted=one.accepted, is_on=one.is_on
            )
            for one in status.drafts
        ],
        slots=[_slot(slot, ids) for slot in detail.slots],
        history=_history(detail),
    )


def _tier(tier: TierStatus) -> wire.EngineTier:
    return wire.EngineTier(
        tier=tier.name,
        tokens=tier.tokens,
        bytes=tier.bytes,
        limit_bytes=tier.room_bytes,
        prefixes=tier.prefixes,
        hits=tier.hits,
        restored_tokens=tier.restored_tokens,
    )


def _slot(slot: SlotStatus, ids: dict[int, str]) -> wire.EngineSlot:
    if slot.sequence is None:
        kept = slot.prompt + slot.answer
        runs = [wire.SlotRun(kind="kept", tokens=kept)] if kept else []
        return wire.EngineSlot(index=slot.index, state="idle", request=None, runs=runs)
    runs = [
        wire.SlotRun(kind="shared", tokens=slot.shared),
        wire.SlotRun(kind="prompt", tokens=slot.prompt),
        wire.SlotRun(kind="unread", tokens=slot.unread),
        wire.SlotRun(kind="answer", tokens=slot.answer),
    ]
    return wire.EngineSlot(
        index=slot.index,
        state="reading" if slot.unread > 1 else "writing",  # the last one is left to a decode step
        request=ids.get(slot.sequence),
        runs=[run for run in runs if run.tokens],
    )


def _history(detail: EngineDetail) -> wire.EngineHistory:
    return wire.EngineHistory(
        read_tokens=[one.read_tokens for one in detail.seconds],
        written_tokens=[one.written_tokens for one in detail.seconds],
        steps=[one.steps for one in detail.seconds],
        sequences=[one.sequences for one in detail.seconds],
    )


def rounded(value: float | None) -> float | None:
    """To thousandths."""
    return None if value is None else round(value, 3)
