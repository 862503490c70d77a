"""A: one stream at a time. B: eight at once."""

import asyncio
from collections.abc import Sequence

from scripts.bench.contestants import BARE, LLAMA_SERVER_NAME
from scripts.bench.requests import Desk
from scripts.bench.scenarios.scenario import (
    BareJob,
    Claim,
    Sample,
    Scenario,
    Turn,
    sample,
    tokens_per_second,
)

PROMPT_TOKENS = 128
ANSWER_TOKENS = 128
STREAMS = 8
REPETITIONS = 3
"""Of scenario A in one turn, one after the other."""

SPEED = "tokens/s"


def _single_prompts(desk: Desk, round_number: int) -> Sequence[Sequence[str]]:
    return [
        [desk.text(PROMPT_TOKENS, "A", round_number, repetition)]
        for repetition in range(REPETITIONS)
    ]


def _many_prompts(desk: Desk, round_number: int) -> Sequence[Sequence[str]]:
    return [[desk.text(PROMPT_TOKENS, "B", round_number, stream) for stream in range(STREAMS)]]


async def _one_at_a_time(turn: Turn) -> Sample:
    prompts = _single_prompts(turn.desk, turn.round_number)
    answers = [await turn.desk.complete(prompt, ANSWER_TOKENS) for (prompt,) in prompts]
    seconds = sum(answer.ended - answer.sent for answer in answers)
    return sample(answers, {SPEED: sum(answer.tokens for answer in answers) / seconds})


async def _all_at_once(turn: Turn) -> Sample:
    (prompts,) = _many_prompts(turn.desk, turn.round_number)
    answers = await asyncio.gather(
        *(turn.desk.complete(prompt, ANSWER_TOKENS) for prompt in prompts)
    )
    return sample(answers, {SPEED: tokens_per_second(answers)})


ONE_STREAM = Scenario(
    key="A",
    title="one stream at a time, 128 tokens in, 128 out",
    measure=_one_at_a_time,
    claims=(
        Claim(SPEED, "tokens/s", "at least", 0.97, 1.05, against=LLAMA_SERVER_NAME),
        Claim(SPEED, "tokens/s", "at least", 0.95, 1.05, against=BARE),
    ),
    bare=BareJob(_single_prompts, ANSWER_TOKENS),
)

EIGHT_STREAMS = Scenario(
    key="B",
    title="8 streams at once, distinct prompts of 128 tokens, 128 out",
    measure=_all_at_once,
    claims=(
        Claim(SPEED, "tokens/s", "at least", 1.0, 1.10, against=LLAMA_SERVER_NAME),
        Claim(SPEED, "tokens/s", "at least", 0.92, 1.15, against=BARE),
    ),
    bare=BareJob(_many_prompts, ANSWER_TOKENS),
)
