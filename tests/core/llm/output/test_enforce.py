"""What is prepared for a request, and what a request without demands is spared."""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from llm_api.core.errors import InvalidRequestError, OverloadedError
from llm_api.core.llm.output.dialect import recognise
from llm_api.core.llm.output.enforce import OutputEnforcer
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    ChoiceFormat,
    GenerationRequest,
    GrammarFormat,
    Message,
    OutputFormat,
    RegexFormat,
    RequestContext,
    ToolChoice,
    ToolSpec,
)
from tests.costs import least_seconds


class EchoCompiler:
    """Compiles a grammar to itself."""

    def compile(self, grammar: str, param: str) -> str:
        return grammar

    def to_lark(self, grammar: str, param: str) -> str:
        return grammar

    def check_schema(self, schema: Mapping[str, JSON], param: str) -> None:
        """Every schema is good."""

    def why_refused(self, schema: JSON) -> str:
        return ""


class HeldCompiler(EchoCompiler):
    """Compiles no grammar that holds `holds` before it is `released`."""

    def __init__(self) -> None:
        self.holds = ""
        self.compiling = 0
        self.released = threading.Event()

    def compile(self, grammar: str, param: str) -> str:
        if self.holds in grammar:
            self.compiling += 1
            self.released.wait(60)
        return grammar


class SlowCompiler(EchoCompiler):
    """Needs a while to check a schema."""

    checked = 0

    def why_refused(self, schema: JSON) -> str:
        time.sleep(0.02)
        self.checked += 1
        return ""


DIALECT = recognise("{{ messages }}", {})


@pytest.fixture
def held() -> Iterator[HeldCompiler]:
    compiler = HeldCompiler()
    yield compiler
    compiler.released.set()


def asking(output_format: OutputFormat | None = None, scope: str = "") -> GenerationRequest:
    prompt = ChatPrompt((Message("user", "Hi"),))
    return GenerationRequest(prompt, 8, output_format=output_format, context=RequestContext(scope))


@contextmanager
def busy_threads() -> Iterator[None]:
    """The loop's only thread is held while the block lasts."""
    released = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        threads.submit(released.wait)
        try:
            yield
        finally:
            released.set()


async def test_a_request_without_demands_waits_for_no_thread() -> None:
    with busy_threads():
        prepared = await asyncio.wait_for(
            OutputEnforcer(DIALECT, EchoCompiler()).prepare(asking(), ""), 10
        )
    assert prepared.constraint is None


async def test_a_form_is_compiled() -> None:
    prepared = await OutputEnforcer(DIALECT, EchoCompiler()).prepare(
        asking(ChoiceFormat(("yes", "no"))), ""
    )
    assert '"yes" | "no"' in str(prepared.constraint)


async def test_what_takes_too_long_is_refused_by_name(held: HeldCompiler) -> None:
    hasty = OutputEnforcer(DIALECT, held, compile_seconds=0.05)
    with pytest.raises(InvalidRequestError, match="too long") as raised:
        await hasty.prepare(asking(ChoiceFormat(("yes",))), "")
    assert raised.value.param == "guided_choice"


async def test_one_key_compiles_two_grammars_at_a_time_though_they_were_given_up(
    held: HeldCompiler,
) -> None:
    enforcer = OutputEnforcer(DIALECT, held, compile_seconds=0.1)
    bombs = [enforcer.prepare(asking(ChoiceFormat(("yes",)), scope="greedy"), "") for _ in range(8)]
    refusals = await asyncio.gather(*bombs, return_exceptions=True)
    assert held.compiling == 2
    assert {type(refusal) for refusal in refusals} == {InvalidRequestError, OverloadedError}
    held.released.set()
    prepared = await enforcer.prepare(asking(ChoiceFormat(("yes",)), scope="greedy"), "")
    assert prepared.constraint is not None


async def test_other_keys_compile_meanwhile(held: HeldCompiler) -> None:
    enforcer = OutputEnforcer(DIALECT, held, compile_seconds=0.1)
    bombs = [enforcer.prepare(asking(ChoiceFormat(("bomb",)), scope="greedy"), "") for _ in "1234"]
    await asyncio.gather(*bombs, return_exceptions=True)
    held.holds = "bomb"
    prepared = await enforcer.prepare(asking(ChoiceFormat(("no",)), scope="modest"), "")
    assert '"no"' in str(prepared.constraint)


async def test_the_other_work_of_the_process_is_not_kept_waiting(held: HeldCompiler) -> None:
    with busy_threads():
        prepared = await OutputEnforcer(DIALECT, EchoCompiler()).prepare(
            asking(ChoiceFormat(("yes", "no"))), ""
        )
    assert prepared.constraint is not None


async def test_many_tools_stop_being_checked_when_the_time_is_up() -> None:
    slow = SlowCompiler()
    hasty = OutputEnforcer(DIALECT, slow, compile_seconds=0.1)
    tools = tuple(ToolSpec(f"tool_{number}") for number in range(100))
    prompt = ChatPrompt((Message("user", "Hi"),), tools=tools)
    choice = ToolChoice("auto", frozenset(tool.name for tool in tools))
    with pytest.raises(InvalidRequestError, match=r"'tools' .* too long"):
        await hasty.prepare(GenerationRequest(prompt, 8, tool_choice=choice), "")
    await asyncio.sleep(0.2)
    checked = slow.checked
    await asyncio.sleep(0.1)
    assert slow.checked == checked < 20


@pytest.mark.parametrize(
    "output_format",
    [
        RegexFormat("a" * 10_000_000),
        ChoiceFormat(("a" * 5_000_000, "b")),
        ChoiceFormat(tuple(map(str, range(100_000)))),
        GrammarFormat("start: " + "a" * 10_000_000),
    ],
    ids=["regex", "long choice", "many choices", "grammar"],
)
async def test_what_is_too_large_is_refused_at_once(output_format: OutputFormat) -> None:
    async def refused() -> None:
        with pytest.raises(InvalidRequestError, match="too large"):
            await OutputEnforcer(DIALECT, EchoCompiler()).prepare(asking(output_format), "")

    assert await least_seconds(refused) < 1


async def test_tools_that_are_too_large_together_are_refused() -> None:
    words: JSON = {"enum": ["x" * 100_000]}
    tools = tuple(
        ToolSpec(f"tool_{number}", "", {"properties": {"a": words}}) for number in range(6)
    )
    prompt = ChatPrompt((Message("user", "Hi"),), tools=tools)
    choice = ToolChoice("auto", frozenset(tool.name for tool in tools))
    with pytest.raises(InvalidRequestError, match=r"'tools' .* too large"):
        await OutputEnforcer(DIALECT, EchoCompiler()).prepare(
            GenerationRequest(prompt, 8, tool_choice=choice), ""
        )
