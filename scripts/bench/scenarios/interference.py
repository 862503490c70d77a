"""D: a long prompt arrives while streams run."""

import asyncio

from scripts.bench.client import InFlight
from scripts.bench.contestants import LLAMA_SERVER_NAME
from scripts.bench.scenarios.scenario import Claim, Sample, Scenario, Turn, sample
from scripts.bench.statistics import gaps_within, percentile

STREAMS = 4
PROMPT_TOKENS = 32
ANSWER_TOKENS = 400
LONG_PROMPT_TOKENS = 1500
LONG_ANSWER_TOKENS = 16
RUNNING_AFTER_ARRIVALS = 24
"""A stream counts as running once so many pieces have come."""

GAP = "p99 gap, ms"
WORST = "worst gap, ms"
LONG_WAIT = "long prompt, ms to first token"


async def _long_prompt_arrives(turn: Turn) -> Sample:
    """Gaps count from the long request's sending to its first token, where these overlap."""
    desk, number = turn.desk, turn.round_number
    running = [
        await desk.completion(desk.text(PROMPT_TOKENS, "D", number, stream), ANSWER_TOKENS)
        for stream in range(STREAMS)
    ]
    await _until_running(running)
    long = await desk.complete(
        desk.text(LONG_PROMPT_TOKENS, "D", number, "long"), LONG_ANSWER_TOKENS
    )
    answers = await asyncio.gather(*(stream.answer() for stream in running))
    end = long.text_times[0] if long.text_times else long.ended
    gaps = [gap for answer in answers for gap in gaps_within(answer.text_times, long.sent, end)]
    figures = {}
    if gaps and long.text_times:
        figures = {
            GAP: 1000 * percentile(gaps, 99),
            WORST: 1000 * max(gaps),
            LONG_WAIT: 1000 * (end - long.sent),
        }
    return sample([*answers, long], figures)


async def _until_running(streams: list[InFlight]) -> None:
    """A stream that has ended is not waited for."""
    while any(
        len(stream.arrivals) < RUNNING_AFTER_ARRIVALS and not stream.has_ended for stream in streams
    ):
        await asyncio.sleep(0.01)


LONG_PROMPT = Scenario(
    key="D",
    title="a prompt of 1,500 tokens arrives while 4 streams run",
    measure=_long_prompt_arrives,
    claims=(Claim(GAP, "ms", "at most", 1 / 2, 1 / 4, against=LLAMA_SERVER_NAME),),
)
