"""Frames that tell how far a request is, among those of a stream whose answer has not begun.

The journeys of the answers are looked at between two frames, so nothing of it costs a stream that
nobody asked it of, nor any stream once its answer has begun.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

import anyio

from llm_api.core.llm.progress import Journey, Progress


@dataclass(frozen=True, slots=True)
class Telling:
    """When progress is told: after so long without an answer, and then every so often.

    Where it `is_asked` for, also once at the beginning, and once when all of the prompt is read.
    """

    after_seconds: float
    every_seconds: float
    is_asked: bool = False


ASKED: Final = Telling(0.25, 0.25, is_asked=True)
"""As llama-server tells it, which does after each of its batches."""

UNASKED: Final = Telling(1.0, 1.0)
"""For clients that take no harm, and have waited for a second."""


async def with_progress(
    frames: AsyncGenerator[bytes, None],
    journeys: Sequence[Journey],
    telling: Telling,
    write: Callable[[Progress], bytes],
) -> AsyncGenerator[bytes, None]:
    """The same frames, and behind the first one those that `write` makes. Closes `frames`.

    Told is what has changed, of the answer that is behind the others. A backend that does not say
    how far it is has none.
    """
    async with aclosing(frames):
        teller = _Teller(journeys, write)
        first = await anext(frames, b"")
        yield first
        if telling.is_asked and (shown := teller.fresh()):
            yield shown
        async with aclosing(_ahead(frames, telling)) as ahead:
            async for frame in ahead:
                if frame is None:
                    if shown := teller.fresh():
                        yield shown
                    continue
                has_begun = teller.has_begun
                if has_begun and telling.is_asked and (shown := teller.complete()):
                    yield shown
                yield frame
                if has_begun:
                    break
        async for frame in frames:
            yield frame


def progress_note(journeys: Sequence[Journey]) -> str:
    """What a comment says while an answer has not begun, for people who look at the stream."""
    looked = [journey.progress() for journey in journeys]
    one = next((one for one in looked if one is not None and one.state != "writing"), None)
    if one is None:
        return "ping"
    said = f"{one.read_tokens} of {one.prompt_tokens} tokens are read"
    if one.place_in_queue:
        said = f"place {one.place_in_queue} in the queue"
    left = "" if one.seconds_left is None else f", about {one.seconds_left:.0f} s are left"
    return f"progress: {said}{left}"


async def _ahead(
    frames: AsyncGenerator[bytes, None], telling: Telling
) -> AsyncGenerator[bytes | None, None]:
    """Each frame as it comes, and None whenever it is time to tell something meanwhile."""
    pending: asyncio.Task[bytes | None] | None = None
    seconds = telling.after_seconds
    try:
        while True:
            pending = pending or asyncio.create_task(_next(frames))
            await asyncio.wait((pending,), timeout=seconds)
            if not pending.done():
                seconds = telling.every_seconds
                yield None
                continue
            frame, pending = pending.result(), None
            if frame is None:
                return
            yield frame
    finally:
        if pending is not None:
            pending.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.gather(pending, return_exceptions=True)


async def _next(frames: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(frames, None)


class _Teller:
    """What was told last, and what there is to tell now."""

    def __init__(self, journeys: Sequence[Journey], write: Callable[[Progress], bytes]) -> None:
        self._journeys = journeys
        self._write = write
        self._last: tuple[int, int] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether an answer is being written, or nobody says that none is."""
        told = self._told()
        return not told or any(one.state == "writing" for one in told)

    def fresh(self) -> bytes:
        """The frame of where the request is; none where that was told last."""
        waiting = [one for one in self._told() if one.state != "writing"]
        if not waiting:
            return b""
        return self._frame(min(waiting, key=lambda one: one.read_tokens))

    def complete(self) -> bytes:
        """The frame of a prompt that was read to its end."""
        writing = next((one for one in self._told() if one.state == "writing"), None)
        if writing is None:
            return b""
        read = replace(writing, seconds_left=0.0, tokens_per_second=_read_speed(writing))
        return self._frame(read)

    def _frame(self, progress: Progress) -> bytes:
        told = (progress.read_tokens, progress.place_in_queue)
        if told == self._last:
            return b""
        self._last = told
        return self._write(progress)

    def _told(self) -> list[Progress]:
        looked = (journey.progress() for journey in self._journeys)
        return [one for one in looked if one is not None]


def _read_speed(progress: Progress) -> float | None:
    computed = progress.read_tokens - progress.cached_tokens
    return computed / progress.read_seconds if progress.read_seconds > 0 else None
