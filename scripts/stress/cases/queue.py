"""More requests at once than there is room for."""

import asyncio
from collections import Counter

from scripts.stress.case import MAX_QUEUE, MODEL, PARALLEL, Case, Outcome, Target
from scripts.stress.talk import CHAT, ask, chat

TOO_MANY = 10
SECONDS = 60.0


async def run(target: Target) -> Outcome:
    """All on connections of their own. Fewer answers than there is room for are a failure, too."""
    room = PARALLEL + MAX_QUEUE
    requests = [
        ask(target.port, CHAT, chat(MODEL, f"Tell me {number}.", 64, ignore_eos=True))
        for number in range(room + TOO_MANY)
    ]
    async with asyncio.timeout(SECONDS):
        replies = await asyncio.gather(*requests, return_exceptions=True)
    seen = Counter(
        type(reply).__name__ if isinstance(reply, BaseException) else str(reply.status)
        for reply in replies
    )
    happened = ", ".join(f"{count} x {name}" for name, count in sorted(seen.items()))
    return Outcome(happened, seen.keys() == {"200", "429"} and seen["200"] >= room)


CASE = Case("queue", "room for 20, 30 at once: 200 or 429, no reset, no hang", run)
