import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from llm_api.core.errors import (
    InvalidRequestError,
    LLMAPIError,
    OverloadedError,
    UnavailableError,
    UpstreamError,
    UpstreamTimeoutError,
)
from llm_api.core.llm.capabilities import Capabilities
from llm_api.core.llm.gateway.routing.replica import Replica
from llm_api.core.llm.gateway.routing.routed import RoutedBackend, Routing, RoutingLimits
from llm_api.core.llm.observation import EngineStatus, ReplicaStatus
from llm_api.core.llm.progress import Journey, Progress
from llm_api.core.llm.types import (
    ChatPrompt,
    Event,
    Finished,
    GenerationRequest,
    Message,
    ReasoningDelta,
    RequestContext,
    SampledLogprob,
    ServedBy,
    Started,
    TextDelta,
    TextPrompt,
    TokenLogprob,
    ToolCallStarted,
    Usage,
)
from llm_api.core.utils.distribution import Distribution
from tests.core.llm.fake_models import ClosableBackend
from tests.core.llm.gateway.routing.fakes import (
    HELLO,
    FakeClock,
    Plan,
    events_of,
    plan,
    replica,
    text_of,
)
from tests.fakes import CARD, FakeBackend, Step, spoken

BROKEN = UpstreamError("broken")


@asynccontextmanager
async def routed(
    replicas: Sequence[Replica],
    clock: FakeClock | None = None,
    limits: RoutingLimits | None = None,
) -> AsyncGenerator[RoutedBackend, None]:
    async with aclosing(RoutedBackend(CARD, replicas, limits, clock or FakeClock())) as backend:
        yield backend
    assert [one.running for one in replicas] == [0] * len(replicas)


async def test_the_turns_of_conversations_go_each_to_one_replica_unless_only_load_counts() -> None:
    """Twenty conversations of three turns, one after another."""
    expected: dict[Routing, int] = {"prefix": 0, "least_busy": 20}
    for routing, most_movers in expected.items():
        both = [replica(plan("a")), replica(plan("b"))]
        movers = 0
        async with aclosing(
            RoutedBackend(CARD, both, clock=FakeClock(), routing=routing)
        ) as backend:
            for number in range(20):
                turns = [Message("user", f"question {number}")]
                answered = set()
                for _ in range(3):
                    events = await events_of(
                        backend, GenerationRequest(ChatPrompt(tuple(turns)), 5)
                    )
                    assert isinstance(events[0], Started)
                    answered.add(events[0].served_by)
                    turns += [Message("assistant", text_of(events)), Message("user", "and then?")]
                movers += len(answered) > 1
        assert movers == most_movers


async def test_a_conversation_whose_replica_fails_goes_on_elsewhere() -> None:
    for number in range(8):
        request = GenerationRequest(TextPrompt(f"text {number}"), 5)
        ill, well = plan("a", [BROKEN]), plan("b")
        async with routed([replica(ill), replica(well)]) as backend:
            assert text_of(await events_of(backend, request)) == "Hello world!"


async def test_started_says_which_kind_of_backend_answers() -> None:
    async with routed([replica(plan("a"))]) as backend:
        assert (await events_of(backend))[0] == Started(5, ServedBy("kind-a"))


@pytest.mark.parametrize(
    "failure", [UnavailableError("gone"), OverloadedError("busy", retry_after_seconds=1), BROKEN]
)
async def test_what_fails_before_the_first_token_is_tried_on_another_replica(
    failure: LLMAPIError,
) -> None:
    first, second = plan("a", [Started(5), failure]), plan("b")
    async with routed([replica(first), replica(second)]) as backend:
        events = await events_of(backend)
    assert [event for event in events if isinstance(event, Started)] == [
        Started(5, ServedBy("kind-b"))
    ]
    assert text_of(events) == "Hello world!"


READING = Progress(1, "reading", 900, 100, 300, 0, 64)


@dataclass
class Telling(Plan):
    """A replica that says how far it is."""

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        request.journey.follow(lambda: READING)
        async with aclosing(super().generate(request)) as events:
            async for event in events:
                yield event


def telling(name: str, *steps: Sequence[Step]) -> Telling:
    return Telling(card=plan(name).card, steps=list(steps))


async def test_an_answer_that_was_shown_to_begin_goes_on_elsewhere() -> None:
    first, second = telling("a", [Started(5), BROKEN]), telling("b", [Started(5), BROKEN])
    both = [replica(first), replica(second), replica(plan("c"))]
    async with routed(both) as backend:
        events = await events_of(backend, replace(HELLO, journey=Journey()))
    assert events[0] == Started(5, ServedBy("kind-a"))
    assert not any(isinstance(event, Started) for event in events[1:])
    assert text_of(events) == "Hello world!"


async def test_an_answer_that_was_shown_to_begin_must_have_its_first_token_in_time() -> None:
    limits = RoutingLimits(first_token_seconds=0.05)
    async with routed([replica(telling("a", [Started(5), 60.0]))], limits=limits) as backend:
        request = replace(HELLO, journey=Journey())
        async with aclosing(backend.generate(request)) as events:
            assert isinstance(await anext(events), Started)
            with pytest.raises(UpstreamTimeoutError):
                await anext(events)


@pytest.mark.parametrize(
    "context", [RequestContext(is_whole=True), RequestContext(has_stand_in=True)]
)
async def test_where_all_may_come_from_elsewhere_nothing_is_shown_before_the_first_token(
    context: RequestContext,
) -> None:
    silent = telling("a", [Started(5), 60.0])
    async with routed([replica(silent)]) as backend:
        request = replace(HELLO, context=context, journey=Journey())
        waiting = asyncio.create_task(anext(backend.generate(request)))
        _, pending = await asyncio.wait((waiting,), timeout=0.05)
        assert pending
        assert request.journey.progress() == READING
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_each_replica_is_tried_once_and_the_last_failure_is_told() -> None:
    first, second = plan("a", [UpstreamError("first")]), plan("b", [UpstreamError("second")])
    async with routed([replica(first), replica(second)]) as backend:
        with pytest.raises(UpstreamError, match="second"):
            await events_of(backend)
    assert (len(first.requests), len(second.requests)) == (1, 1)


async def test_a_refused_request_is_tried_nowhere_else() -> None:
    second = plan("b")
    async with routed([replica(plan("a", [InvalidRequestError("no")])), replica(second)]) as both:
        with pytest.raises(InvalidRequestError):
            await events_of(both)
    assert second.requests == []


async def seen_until(failure: type[LLMAPIError], backend: RoutedBackend) -> list[Event]:
    """The events before the failure."""
    seen = []
    try:
        async for event in backend.generate(HELLO):
            seen.append(event)  # noqa: PERF401 - what came before the failure counts
    except failure:
        return seen
    raise AssertionError("did not fail")


async def test_a_failure_after_the_first_token_is_the_caller_s_to_know() -> None:
    first, second = plan("a", [Started(5), TextDelta("Hel"), BROKEN]), plan("b")
    async with routed([replica(first), replica(second)]) as backend:
        seen = await seen_until(UpstreamError, backend)
    assert text_of(seen) == "Hel"
    assert second.requests == []


async def test_an_answer_wanted_as_a_whole_is_begun_anew_whenever_it_fails() -> None:
    first, second = plan("a", [Started(5), TextDelta("Hel"), BROKEN]), plan("b")
    async with routed([replica(first), replica(second)]) as backend:
        events = await events_of(backend, replace(HELLO, context=RequestContext(is_whole=True)))
    assert events[0] == Started(5, ServedBy("kind-b"))
    assert text_of(events) == "Hello world!"


async def test_the_texts_of_an_answer_wanted_as_a_whole_come_as_one() -> None:
    candidates = [SampledLogprob(TokenLogprob(text, -0.5), ()) for text in (b"a", b"b", b"c")]
    call = ToolCallStarted(0, "call_1", "look")
    deltas: list[Event] = [
        ReasoningDelta("why"),
        *(TextDelta(one.chosen.data.decode(), (one,)) for one in candidates[:2]),
        call,
        TextDelta("c", (candidates[2],)),
    ]
    script = [Started(5), *deltas, Finished("stop", Usage(5, 4))]
    whole = replace(HELLO, context=RequestContext(is_whole=True))
    async with routed([replica(plan("a", script))]) as backend:
        events = await events_of(backend, whole)
    texts = [TextDelta("ab", tuple(candidates[:2])), TextDelta("c", (candidates[2],))]
    assert events[1:] == [ReasoningDelta("why"), texts[0], call, texts[1], script[-1]]
    assert whole.meter.tokens == 9


async def test_leaving_an_answer_wanted_as_a_whole_ends_it() -> None:
    endless = plan("a", [Started(5), TextDelta("Hel"), 60.0])
    async with routed([replica(endless)]) as backend:
        whole = replace(HELLO, context=RequestContext(is_whole=True))
        waiting = asyncio.create_task(events_of(backend, whole))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert len(endless.aborted) == 1
        assert whole.meter.tokens == 5 + 1, "its prompt, and the piece that nobody saw"


async def test_it_can_do_what_all_of_its_replicas_can() -> None:
    can = [
        Capabilities(frozenset({"chat", "tools"}), frozenset({"seed"})),
        Capabilities(frozenset({"chat", "json"}), frozenset({"seed", "top_p"})),
    ]
    sources = [FakeBackend(card=replace(CARD, backend="vllm", capabilities=one)) for one in can]
    async with routed([replica(one) for one in sources]) as backend:
        assert backend.card.backend == "vllm"
        assert backend.card.capabilities == Capabilities(frozenset({"chat"}), frozenset({"seed"}))


@pytest.mark.parametrize("steps", [[], [Started(5)]])
async def test_an_answer_that_ends_before_it_began_is_tried_elsewhere(steps: list[Step]) -> None:
    async with routed([replica(plan("a", steps)), replica(plan("b"))]) as backend:
        assert text_of(await events_of(backend)) == "Hello world!"


async def test_a_replica_that_fails_in_a_row_is_left_alone_until_its_pause_is_over() -> None:
    clock = FakeClock()
    ill, well = plan("a", [BROKEN], [Started(5), TextDelta("x"), BROKEN]), plan("b")
    async with routed([replica(ill, weight=100), replica(well)], clock) as backend:
        await events_of(backend)
        with pytest.raises(UpstreamError):
            await events_of(backend)
        for _ in range(5):
            await events_of(backend)
        assert len(ill.requests) == 2
        clock.now += 1
        await events_of(backend)
        assert len(ill.requests) == 3


async def test_while_every_replica_rests_the_caller_is_told_for_how_long() -> None:
    clock = FakeClock()
    async with routed([replica(plan("a", [BROKEN], [BROKEN]))], clock) as backend:
        for _ in range(2):
            with pytest.raises(UpstreamError):
                await events_of(backend)
        with pytest.raises(UnavailableError) as caught:
            await events_of(backend)
        assert caught.value.retry_after_seconds == 1
        clock.now += 1
        assert text_of(await events_of(backend)) == "Hello world!"


@pytest.mark.parametrize(
    "failure", [OverloadedError("busy", retry_after_seconds=1), InvalidRequestError("no")]
)
async def test_a_busy_replica_is_not_ill_and_neither_is_one_that_refuses(
    failure: LLMAPIError,
) -> None:
    one = replica(plan("a", *[[failure]] * 5))
    async with routed([one]) as backend:
        for _ in range(5):
            with pytest.raises(type(failure)):
                await events_of(backend)
    assert one.breaker.is_closed


async def test_a_caller_who_leaves_ends_the_answer_and_says_nothing_of_the_replica() -> None:
    source = plan("a", [BROKEN], spoken("one", "two"), [BROKEN])
    one = replica(source)
    async with routed([one]) as backend:
        with pytest.raises(UpstreamError):
            await events_of(backend)
        async with aclosing(backend.generate(HELLO)) as events:
            await anext(events)
            await anext(events)
            assert one.running == 1
        assert (source.aborted, one.running) == ([HELLO], 0)
        with pytest.raises(UpstreamError):
            await events_of(backend)
        assert not one.breaker.is_closed


async def test_a_trial_whose_caller_leaves_is_left_to_the_next() -> None:
    clock = FakeClock()
    async with routed(
        [replica(plan("a", [BROKEN], [BROKEN], [Started(5), 9.0]))], clock
    ) as backend:
        for _ in range(2):
            with pytest.raises(UpstreamError):
                await events_of(backend)
        clock.now += 1
        waiting = asyncio.create_task(events_of(backend))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert text_of(await events_of(backend)) == "Hello world!"


async def test_a_replica_without_a_first_token_in_time_gives_way_and_counts_as_failed() -> None:
    silence: list[Step] = [Started(5), 60.0]
    silent = plan("a", silence, silence)
    one = replica(silent, weight=100)
    limits = RoutingLimits(first_token_seconds=0.01)
    async with routed([one, replica(plan("b"))], limits=limits) as backend:
        for _ in range(2):
            assert text_of(await events_of(backend)) == "Hello world!"
    assert len(silent.aborted) == 2
    assert not one.breaker.is_closed


async def test_an_answer_that_takes_too_long_as_a_whole_is_cut_with_an_error() -> None:
    endless, other = plan("a", spoken(*["more"] * 100, pause_seconds=0.005)), plan("b")
    one, limits = replica(endless), RoutingLimits(total_seconds=0.05)
    async with routed([one, replica(other)], limits=limits) as backend:
        assert await seen_until(UpstreamTimeoutError, backend)
    assert (len(endless.aborted), other.requests) == (1, [])
    assert one.breaker.is_closed


async def test_closing_a_limited_answer_closes_its_source() -> None:
    source = plan("a")
    async with (
        routed([replica(source)], limits=RoutingLimits(total_seconds=5)) as backend,
        aclosing(backend.generate(HELLO)) as events,
    ):
        await anext(events)
    assert source.aborted == [HELLO]


async def test_closing_it_closes_every_replica() -> None:
    closed = []

    class Closable(Plan):
        async def aclose(self) -> None:
            closed.append(self.card.id)
            raise RuntimeError("cannot")

    backends = [Closable(card=CARD), Closable(card=CARD)]
    backend = RoutedBackend(CARD, [replica(one) for one in backends])
    with pytest.raises(RuntimeError):
        await backend.aclose()
    assert len(closed) == 2


@pytest.mark.parametrize("seed", range(10))
async def test_a_random_walk_of_failures_leaks_no_count_and_mixes_no_answers(seed: int) -> None:
    walk, clock = random.Random(seed), FakeClock()

    def script() -> list[Step]:
        said: list[Step] = [Started(1), *(TextDelta(f"{part}") for part in range(3))]
        said.append(Finished("stop", Usage(1, 3)))
        cut = walk.randrange(len(said) + 3)
        failure = walk.choice(
            [BROKEN, InvalidRequestError("no"), OverloadedError("busy", retry_after_seconds=1)]
        )
        return [*said[:cut], failure] if cut < len(said) else said

    backends = [plan(name, *(script() for _ in range(400))) for name in "abc"]
    replicas = [replica(one, weight) for one, weight in zip(backends, (1, 2, 5), strict=True)]

    async def ask(backend: RoutedBackend) -> None:
        patience = walk.randrange(1, 8)
        seen = []
        try:
            async with aclosing(backend.generate(HELLO)) as events:
                async for event in events:
                    seen.append(event)
                    await asyncio.sleep(0)
                    if len(seen) == patience:
                        return
        except LLMAPIError:
            pass
        finally:
            # One answer, from its beginning, without gaps, whatever was tried before it.
            assert [type(event) for event in seen[:1]] in ([], [Started])
            assert "012".startswith(text_of(seen))

    async with routed(replicas, clock) as backend:
        for _ in range(60):
            clock.now += walk.random()
            tasks = [asyncio.create_task(ask(backend)) for _ in range(walk.randrange(1, 5))]
            for _ in range(walk.randrange(6)):
                await asyncio.sleep(0)
            if walk.random() < 0.3:
                tasks[0].cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert not [one for one in results if isinstance(one, Exception)]
            assert [one.running for one in replicas] == [0, 0, 0]
        clock.now += 100
        for source in backends:
            source.steps.clear()
        assert text_of(await events_of(backend)) == "Hello world!"


async def test_replicas_show_how_they_are_and_what_is_inside_them() -> None:
    clock = FakeClock()
    ill = replica(plan("a", [BROKEN], [BROKEN]))
    status = EngineStatus(0, 0, Distribution(()), Distribution(()), 0, None)
    well = replica(ClosableBackend(card=replace(CARD, id="b"), observations=[status]))
    async with routed([ill, well], clock) as backend:
        for _ in range(3):
            await events_of(backend)
        async with aclosing(backend.generate(HELLO)) as events:
            await anext(events)
            assert list(backend.observe()) == [
                ReplicaStatus("a", is_well=False, running=0),
                ReplicaStatus("b", is_well=True, running=1),
                status,
            ]
