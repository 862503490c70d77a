"""Where a request stands in its engine, and when its answer will begin. Only reads.

Called on any thread: of a step in progress it may see one half, which is near enough for people.
"""

from collections.abc import Sequence as Items

from llm_api.core.llm.engine.job import TokenJob
from llm_api.core.llm.engine.pace import EnginePace
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.engine.slots import Slot
from llm_api.core.llm.observation import SlotStatus
from llm_api.core.llm.progress import Progress, RequestState


class Outlook:
    """What can be said of the requests of an engine with this many places, at its pace."""

    def __init__(self, pace: EnginePace, parallel: int) -> None:
        self._pace = pace
        self._parallel = parallel

    def progress(
        self, job: TokenJob, waiting: Items[Sequence], running: Items[Sequence], now: float
    ) -> Progress:
        """How far a request is. `waiting` are in the order of admission."""
        sequence = job.sequence
        prompt, written = sequence.prompt_length, sequence.output_length
        admitted, first_token = job.admitted, job.first_token
        state = _state(job)
        is_writing = state == "writing"
        read = prompt if is_writing else min(sequence.computed, prompt)
        read_seconds = (first_token or now) - admitted if admitted else 0.0
        written_seconds = now - first_token if first_token else 0.0
        place = _place(sequence, waiting) if state == "waiting" else 0
        own = _speed(read - sequence.cached, read_seconds)
        speed = _speed(written, written_seconds) if is_writing else own or self._pace.read_speed
        ahead = 0 if own else _read_before(sequence, running)
        return Progress(
            sequence=sequence.id,
            state=state,
            prompt_tokens=prompt,
            cached_tokens=sequence.cached,
            read_tokens=read,
            written_tokens=written,
            most_tokens=sequence.limit - prompt,
            place_in_queue=place,
            waited_seconds=(admitted or now) - job.submitted,
            read_seconds=read_seconds,
            written_seconds=written_seconds,
            tokens_per_second=speed,
            seconds_left=None
            if is_writing or not speed
            else self.wait_seconds(place, len(running)) + (ahead + prompt - read) / speed,
        )

    def wait_seconds(self, place: int, running: int) -> float:
        """How long until the request in this place of the queue is admitted, about."""
        places = place - max(0, self._parallel - running)
        return max(0, places) * self._pace.service_seconds / self._parallel


def slot_status(slot: Slot, sequence: Sequence | None) -> SlotStatus:
    """What stands in a slot. `sequence` owns it."""
    resident = len(slot.tokens)
    prompt = min(resident, slot.prompt_length)
    if sequence is None:
        return SlotStatus(slot.index, None, 0, prompt, resident - prompt, 0)
    shared = min(sequence.cached, prompt)
    unread = max(0, sequence.prompt_length - resident)
    return SlotStatus(slot.index, sequence.id, shared, prompt - shared, resident - prompt, unread)


def _state(job: TokenJob) -> RequestState:
    if job.first_token:
        return "writing"
    return "reading" if job.admitted or job.sequence.was_admitted else "waiting"


def _place(sequence: Sequence, waiting: Items[Sequence]) -> int:
    """Behind all others where it is still on its way to the queue."""
    others = (place for place, one in enumerate(waiting, 1) if one is sequence)
    return next(others, len(waiting) + 1)


def _read_before(sequence: Sequence, running: Items[Sequence]) -> int:
    """Tokens of prompts that are read before this one is begun: those of earlier requests."""
    return sum(one.pending for one in running if one.id < sequence.id and not one.is_decoding)


def _speed(tokens: int, seconds: float) -> float | None:
    return tokens / seconds if tokens > 0 and seconds > 0 else None
