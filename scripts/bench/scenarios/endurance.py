"""F: thousands of short requests; what stays behind in memory and in descriptors."""

import asyncio

from scripts.bench.answer import Answer
from scripts.bench.scenarios.scenario import (
    OURS_ALONE,
    Claim,
    Sample,
    Scenario,
    Turn,
    sample,
)

REQUESTS = 2000
QUICK_REQUESTS = 200
WARM_UP_REQUESTS = 200
"""Buffers, caches and code paths that a server fills once are no leak."""

AT_A_TIME = 8
PROMPT_TOKENS = 8
ANSWER_TOKENS = 4

MEMORY = "resident memory grown, MB"
DESCRIPTORS = "descriptors grown"


async def _many_short(turn: Turn) -> Sample:
    """Half of them streamed, half whole, each prompt different."""
    await _ask(turn, "warm-up", WARM_UP_REQUESTS)
    memory, descriptors = turn.server.resident_bytes(), turn.server.descriptors()
    answers = await _ask(turn, "measured", QUICK_REQUESTS if turn.is_quick else REQUESTS)
    await asyncio.sleep(1)  # for connections to be closed on the server's side too
    return sample(
        answers,
        {
            MEMORY: (turn.server.resident_bytes() - memory) / 1e6,
            DESCRIPTORS: float(turn.server.descriptors() - descriptors),
        },
    )


async def _ask(turn: Turn, phase: str, count: int) -> list[Answer]:
    places = asyncio.Semaphore(AT_A_TIME)

    async def one(index: int) -> Answer:
        content = turn.desk.text(PROMPT_TOKENS, "F", phase, index)
        async with places:
            in_flight = await turn.desk.chat(
                [{"role": "user", "content": content}],
                ANSWER_TOKENS,
                is_streamed=index % 2 == 0,
            )
            return await in_flight.answer()

    return await asyncio.gather(*(one(index) for index in range(count)))


SHORT_REQUESTS = Scenario(
    key="F",
    title="2,000 short requests, 8 at a time",
    measure=_many_short,
    claims=(
        Claim(MEMORY, "MB", "at most", 20.0, 0.0),
        Claim(DESCRIPTORS, "descriptors", "at most", 0.0, 0.0),
    ),
    contestants=OURS_ALONE,
    most_rounds=1,
)
