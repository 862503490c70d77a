"""Models with every kind of memory that llama.cpp has, behind the real runner and engine.

Whatever else goes on, a request is answered as on a server that has never seen another one.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from llm_api.core.llm.backend import ModelCard
from llm_api.core.llm.backends.engine_backend import EngineBackend
from llm_api.core.llm.backends.llama import LlamaOptions, open_llama
from llm_api.core.llm.choices import fan_out
from llm_api.core.llm.collect import collect
from llm_api.core.llm.engine.compute_thread import ComputeThread
from llm_api.core.llm.engine.llama_model import LlamaModel, ModelOptions
from llm_api.core.llm.engine.llama_runner import ContextOptions, ContextSize, LlamaRunner
from llm_api.core.llm.engine.plan import StepPlan, TokenSpan, TrimSlot
from llm_api.core.llm.engine.runner import DrawingRules, NoRoomError
from llm_api.core.llm.engine.scheduler import Scheduler, SchedulerLimits
from llm_api.core.llm.engine.sequence import Sequence
from llm_api.core.llm.engine.slots import SlotTable
from llm_api.core.llm.types import GenerationRequest, Sampling, TextDelta, TokenPrompt
from tests.core.llm.tiny_models import (
    CONTROL_TOKENS,
    HYBRID,
    PLAIN,
    RECURRENT,
    SLIDING_WINDOW,
    WINDOW,
    byte_token,
)

CONTEXT = 256
PARALLEL = 4
CLEAR_LEAD = 0.004
"""Log-probability between the best two tokens that no order of additions bridges: the largest
difference seen between two ways to compute one text is 0.001."""

# Flash attention adds up in 16 bits, and differences of 0.01 come of that.
OPTIONS = LlamaOptions(CONTEXT, PARALLEL, max_queue=64, context=ContextOptions(1, "off"))
BYTES_ONLY = tuple((token, -100.0) for token in range(len(CONTROL_TOKENS)))
GREEDY = Sampling(temperature=0, logit_bias=BYTES_ONLY)

MODELS = {
    "plain": PLAIN,
    "recurrent": RECURRENT,
    "hybrid": HYBRID,
    "sliding window": SLIDING_WINDOW,
}
CUTTABLE = {"plain", "sliding window"}


@dataclass(frozen=True, slots=True)
class Answer:
    tokens: list[int]
    leads: list[float]
    """How much more likely each token was than the next best one, as a log-probability."""
    cached_tokens: int


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {kind: model.write(folder) for kind, model in MODELS.items()}


@pytest.fixture(params=MODELS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(files: dict[str, Path], kind: str) -> Path:
    return files[kind]


@asynccontextmanager
async def open_backend(
    path: Path, options: LlamaOptions = OPTIONS
) -> AsyncGenerator[EngineBackend, None]:
    card = ModelCard("tiny", 0, "tests", CONTEXT)
    async with (
        aclosing(ComputeThread()) as compute,
        aclosing(await open_llama(path, card, options, compute)) as backend,
    ):
        yield backend


@contextmanager
def open_runner(path: Path, kv_tokens: int = CONTEXT) -> Iterator[LlamaRunner]:
    size = ContextSize(kv_tokens, slots=8, step_tokens=512, outputs=8)
    runner = LlamaRunner(LlamaModel(path, ModelOptions()), size, OPTIONS.context)
    try:
        yield runner
    finally:
        runner.shut_down()


def prompt(seed: int, length: int) -> list[int]:
    return [byte_token(byte) for byte in random.Random(seed).randbytes(length)]


def request_for(tokens: list[int], max_tokens: int) -> GenerationRequest:
    return GenerationRequest(
        TokenPrompt(tuple(tokens)), max_tokens, GREEDY, top_logprobs=2, ignore_eos=True
    )


async def ask(backend: EngineBackend, tokens: list[int], max_tokens: int = 24) -> Answer:
    [completion] = await collect(fan_out(backend, [request_for(tokens, max_tokens)]), 1)
    sampled = completion.logprobs
    return Answer(
        [byte_token(item.chosen.data[0]) for item in sampled],
        [item.top[0].logprob - item.top[1].logprob for item in sampled],
        completion.finished.usage.cached_tokens,
    )


async def assert_as_alone(path: Path, tokens: list[int], answer: Answer) -> None:
    """The answer is the one that a fresh backend gives.

    It is compared up to the first token that is a toss-up: arithmetic may choose either there.
    """
    async with open_backend(path) as fresh:
        alone = await ask(fresh, tokens, len(answer.tokens))
    is_clear = [lead > CLEAR_LEAD for lead in alone.leads]
    length = is_clear.index(False) if False in is_clear else len(is_clear)
    assert length > 0, "this prompt decides nothing: choose another one"
    assert answer.tokens[:length] == alone.tokens[:length]


def test_kv_is_cut_where_llama_cpp_can_cut_it(path: Path, kind: str) -> None:
    with open_runner(path) as runner:
        assert runner.can_trim == (kind in CUTTABLE)


async def test_what_stands_in_the_middle_of_a_prompt_matters(path: Path) -> None:
    """Else no test here could tell a wrong state from the right one."""
    tokens = prompt(1, 80)
    changed = [*tokens[:30], *prompt(2, 10), *tokens[40:]]
    async with open_backend(path) as one, open_backend(path) as other:
        answers = [await ask(one, tokens), await ask(other, changed)]
    assert answers[0].tokens != answers[1].tokens


async def test_the_same_prompt_again_gets_the_same_text(path: Path) -> None:
    tokens = prompt(3, 100)
    async with open_backend(path) as backend:
        for _ in range(3):
            await assert_as_alone(path, tokens, await ask(backend, tokens))


async def test_a_follow_up_finds_all_of_the_conversation(path: Path) -> None:
    tokens = prompt(4, 40)
    async with open_backend(path) as backend:
        for turn in range(3):
            answer = await ask(backend, tokens)
            await assert_as_alone(path, tokens, answer)
            assert answer.cached_tokens == (len(tokens) - 1 - 10 if turn else 0)
            tokens = [*tokens, *answer.tokens, *prompt(5 + turn, 10)]


async def test_a_prompt_that_shares_a_part_gets_its_own_text(path: Path, kind: str) -> None:
    tokens = prompt(8, 100)
    async with open_backend(path) as backend:
        await ask(backend, tokens)
        for length in (70, 99, 40):
            other = [*tokens[:length], *prompt(length, 20)]
            answer = await ask(backend, other)
            await assert_as_alone(path, other, answer)
            assert answer.cached_tokens == (length if kind in CUTTABLE else 0)
        await assert_as_alone(path, tokens, await ask(backend, tokens))


async def test_live_requests_with_a_common_prefix_do_not_cross(path: Path) -> None:
    common = prompt(9, 80)
    prompts = [[*common, *prompt(20 + n, 5 * n)] for n in range(PARALLEL)] + [common] * 2
    async with open_backend(path) as backend:
        answers = await asyncio.gather(*(ask(backend, tokens) for tokens in prompts))
        for tokens, answer in zip(prompts, answers, strict=True):
            await assert_as_alone(path, tokens, answer)


async def test_more_requests_than_slots_evict_and_answer_right(path: Path) -> None:
    prompts = [prompt(30 + n, 30 + n) for n in range(18)]
    async with open_backend(path) as backend:
        answers = await asyncio.gather(*(ask(backend, tokens, 8) for tokens in prompts))
        again = await ask(backend, prompts[0], 8)
        backend._engine._scheduler.check_integrity()
    assert again.tokens == answers[0].tokens
    for tokens, answer in zip(prompts, answers, strict=True):
        await assert_as_alone(path, tokens, answer)


async def test_a_prompt_after_its_aborted_answer_gets_the_whole_text(path: Path) -> None:
    tokens = prompt(50, 60)
    async with open_backend(path) as backend:
        for events_before in (1, 7):
            async with aclosing(backend.generate(request_for(tokens, 150))) as events:
                deltas = 0
                async for event in events:
                    deltas += isinstance(event, TextDelta)
                    if deltas == events_before:
                        break
            await assert_as_alone(path, tokens, await ask(backend, tokens))


@pytest.mark.parametrize("length", [WINDOW, 2 * WINDOW, 5 * WINDOW + 3, 9 * WINDOW])
async def test_a_prefix_several_windows_long_can_be_cut_anywhere(
    files: dict[str, Path], length: int
) -> None:
    """llama.cpp takes the cells of tokens that have left the window, if it is let.

    | cells 0 to 100 | to 283   | to 484   | to 511 |
    |----------------|----------|----------|--------|
    | evicted        | `tokens` | stranger | free   |

    What comes last is longer than the first hole, and has to spare what lies behind it.
    """
    path = files["sliding window"]
    tokens = prompt(60, 10 * WINDOW)
    other = [*tokens[:length], *prompt(65, 5)]
    async with open_backend(path, replace(OPTIONS, kv_tokens=2 * CONTEXT)) as backend:
        await ask(backend, prompt(61, 100), 2)
        await ask(backend, tokens, 24)
        await ask(backend, prompt(62, 200), 2)
        await ask(backend, prompt(63, 115), 2)
        answer = await ask(backend, other)
    assert answer.cached_tokens == length
    await assert_as_alone(path, other, answer)


async def test_preempted_sequences_resume_with_the_same_text(path: Path) -> None:
    prompts = [prompt(70 + n, 60) for n in range(PARALLEL)]
    async with open_backend(path, replace(OPTIONS, kv_tokens=CONTEXT)) as backend:
        answers = await asyncio.gather(*(ask(backend, tokens, 80) for tokens in prompts))
        scheduler = backend._engine._scheduler
        assert isinstance(scheduler, Scheduler)
        assert scheduler.preemption_count > 0
        scheduler.check_integrity()
    for tokens, answer in zip(prompts, answers, strict=True):
        assert len(answer.tokens) == 80
        await assert_as_alone(path, tokens, answer)


def run(runner: LlamaRunner, prompts: list[list[int]], length: int) -> list[Sequence]:
    """Answer prompts that are there before the first step, without a thread."""
    limits = SchedulerLimits(PARALLEL, 512, 128, runner.can_trim)
    scheduler = Scheduler(SlotTable(8, runner.cell_count), limits)
    sequences = [
        Sequence(number, list(tokens), len(tokens), len(tokens) + length)
        for number, tokens in enumerate(prompts)
    ]
    for sequence in sequences:
        runner.open(sequence.id, DrawingRules(GREEDY), tuple(sequence.tokens))
        scheduler.add(sequence)
    while scheduler.has_work:
        plan = scheduler.plan()
        drawn = runner.execute(plan)
        tokens = {key: [one.token for one in several] for key, several in drawn.items()}
        scheduler.commit(plan, tokens)
        scheduler.check_integrity()
    return sequences


async def test_requests_for_one_prompt_prefill_it_once(path: Path) -> None:
    tokens = prompt(80, 100)
    with open_runner(path, 4 * CONTEXT) as runner:
        sequences = run(runner, [tokens] * PARALLEL, 24)
    assert [sequence.cached for sequence in sequences] == [0, 99, 99, 99]
    for sequence in sequences:
        await assert_as_alone(path, tokens, Answer(sequence.tokens[100:], [], 0))


async def test_a_copied_state_lives_on_apart_from_its_source(path: Path) -> None:
    tokens = prompt(81, 60)
    prompts = [tokens, [*tokens, *prompt(82, 30)], [*tokens, *prompt(83, 50)]]
    with open_runner(path, 4 * CONTEXT) as runner:
        sequences = run(runner, prompts, 24)
    assert [sequence.cached >= 59 for sequence in sequences] == [False, True, True]
    for tokens, sequence in zip(prompts, sequences, strict=True):
        await assert_as_alone(path, tokens, Answer(sequence.tokens[len(tokens) :], [], 0))


def span(slot: int, tokens: list[int]) -> TokenSpan:
    return TokenSpan(sequence_id=slot, slot=slot, start=0, tokens=tuple(tokens), samples=True)


def test_no_room_leaves_the_memory_as_it_was(path: Path, kind: str) -> None:
    """A recurrent state takes the same room for every length: there it never happens."""
    resident, too_much = prompt(90, 200), prompt(91, 100)
    with open_runner(path) as runner:
        for sequence_id in range(2):
            runner.open(sequence_id, DrawingRules(GREEDY), ())
        first = runner.execute(StepPlan(spans=(span(0, resident),)))[0][0].token
        if kind == "recurrent":
            assert runner.execute(StepPlan(spans=(span(1, too_much),)))
            return
        following = TokenSpan(0, 0, len(resident), (first,), samples=True)
        with pytest.raises(NoRoomError):
            runner.execute(StepPlan(spans=(following, span(1, too_much))))
        after_refusal = runner.execute(StepPlan(spans=(following,)))
        runner.execute(StepPlan((TrimSlot(0, 0),), (span(1, too_much),)))
    with open_runner(path) as runner:
        runner.open(0, DrawingRules(GREEDY), ())
        runner.execute(StepPlan(spans=(span(0, resident),)))
        assert runner.execute(StepPlan(spans=(following,))) == after_refusal


def test_a_model_file_is_the_same_every_time(tmp_path: Path) -> None:
    assert PLAIN.write(tmp_path).read_bytes() == PLAIN.write(tmp_path).read_bytes()
