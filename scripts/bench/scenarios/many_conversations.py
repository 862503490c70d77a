"""T: more conversations than slots, in turn: each comes back after all the others."""

from statistics import median

from scripts.bench.contestants import LLAMA_SERVER_NAME, OURS
from scripts.bench.requests import Message
from scripts.bench.scenarios.scenario import Claim, Sample, Scenario, Turn, sample

CONVERSATIONS = 32
PROMPT_TOKENS = 1000
QUESTION_TOKENS = 16
ANSWER_TOKENS = 8

FIRST = "first turn, median ms to first token"
NEXT = "next turn, median ms to first token"


async def _in_turn(turn: Turn) -> Sample:
    desk, number = turn.desk, turn.round_number
    count = CONVERSATIONS // 3 if turn.is_quick else CONVERSATIONS  # more than slots in any case
    talks: list[list[Message]] = [
        [{"role": "user", "content": desk.text(PROMPT_TOKENS, "T", number, index)}]
        for index in range(count)
    ]
    answers, times = [], {}
    for name in (FIRST, NEXT):
        waits = []
        for index, talk in enumerate(talks):
            answer = await (await desk.chat(talk, ANSWER_TOKENS)).answer()
            answers.append(answer)
            if answer.seconds_to_first_token is not None:
                waits.append(1000 * answer.seconds_to_first_token)
            question = desk.text(QUESTION_TOKENS, "T", number, index, name)
            talk += [
                {"role": "assistant", "content": answer.text},
                {"role": "user", "content": question},
            ]
        if waits:
            times[name] = median(waits)
    return sample(answers, times)


CONVERSATIONS_IN_TURN = Scenario(
    key="T",
    title="next turns of 32 conversations of 1,000 tokens over 8 slots",
    measure=_in_turn,
    claims=(Claim(NEXT, "ms", "at most", 1.0, 0.5, against=LLAMA_SERVER_NAME),),
    contestants=(OURS, LLAMA_SERVER_NAME),
    most_rounds=1,
)
