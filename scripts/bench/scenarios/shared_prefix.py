"""C: many requests with one long system prompt. E: the next turn of a long conversation."""

import asyncio

from scripts.bench.answer import Answer
from scripts.bench.contestants import LLAMA_SERVER_NAME
from scripts.bench.requests import Message
from scripts.bench.scenarios.scenario import Claim, Sample, Scenario, Turn, sample

REQUESTS = 16
AT_A_TIME = 8
SYSTEM_TOKENS = 700
QUESTION_TOKENS = 16
ANSWER_TOKENS = 24

HISTORY_TURNS = 4
HISTORY_TOKENS = 150
"""Of each of the two messages of a past turn."""

WALL = "seconds"
FIRST = "first turn, ms to first token"
FOLLOW_UP = "follow-up, ms to first token"
SHARE = "follow-up / first turn"


async def _one_system_prompt(turn: Turn) -> Sample:
    desk, number = turn.desk, turn.round_number
    system = desk.text(SYSTEM_TOKENS, "C", number)
    places = asyncio.Semaphore(AT_A_TIME)

    async def ask(index: int) -> Answer:
        question = desk.text(QUESTION_TOKENS, "C", number, index)
        async with places:
            return await (
                await desk.chat(
                    [_message("system", system), _message("user", question)], ANSWER_TOKENS
                )
            ).answer()

    answers = await asyncio.gather(*(ask(index) for index in range(REQUESTS)))
    wall = max(answer.ended for answer in answers) - min(answer.sent for answer in answers)
    return sample(answers, {WALL: wall})


async def _next_turn(turn: Turn) -> Sample:
    desk, number = turn.desk, turn.round_number
    messages = [_message("system", desk.text(32, "E", number))]
    for past in range(HISTORY_TURNS):
        messages += [
            _message(role, desk.text(HISTORY_TOKENS, "E", number, past, role))
            for role in ("user", "assistant")
        ]
    messages.append(_message("user", desk.text(QUESTION_TOKENS, "E", number, "first")))
    first = await (await desk.chat(messages, ANSWER_TOKENS)).answer()
    messages.append(_message("assistant", first.text))
    messages.append(_message("user", desk.text(QUESTION_TOKENS, "E", number, "follow-up")))
    follow_up = await (await desk.chat(messages, ANSWER_TOKENS)).answer()
    before, after = first.seconds_to_first_token, follow_up.seconds_to_first_token
    figures = {}
    if before is not None and after is not None:
        figures = {SHARE: after / before, FIRST: 1000 * before, FOLLOW_UP: 1000 * after}
    return sample([first, follow_up], figures)


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


ONE_SYSTEM_PROMPT = Scenario(
    key="C",
    title="16 requests, 8 at a time, one system prompt of 700 tokens, 24 out",
    measure=_one_system_prompt,
    claims=(Claim(WALL, "s", "at most", 1 / 4, 1 / 8, against=LLAMA_SERVER_NAME),),
)

FOLLOW_UP_TURN = Scenario(
    key="E",
    title="follow-up turn of a conversation of 1,250 tokens",
    measure=_next_turn,
    claims=(Claim(SHARE, "of the first turn's time to first token", "at most", 1 / 5, 1 / 20),),
)
