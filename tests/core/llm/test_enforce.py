"""What is prepared for a request, and what a request without demands is spared."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.enforce import OutputEnforcer
from llm_api.core.llm.output.dialect import recognise
from llm_api.core.llm.types import (
    JSON,
    ChatPrompt,
    ChoiceFormat,
    GenerationRequest,
    Message,
    OutputFormat,
)


class EchoCompiler:
    """Compiles a grammar to itself."""

    def compile(self, grammar: str, param: str) -> str:
        return grammar

    def to_lark(self, grammar: str, param: str) -> str:
        return grammar

    def check_schema(self, schema: Mapping[str, JSON], param: str) -> None:
        """Every schema is good."""


DIALECT = recognise("{{ messages }}", {})
ENFORCER = OutputEnforcer(DIALECT, EchoCompiler())


def asking(output_format: OutputFormat | None = None) -> GenerationRequest:
    prompt = ChatPrompt((Message("user", "Hi"),))
    return GenerationRequest(prompt, 8, output_format=output_format)


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
        prepared = await asyncio.wait_for(ENFORCER.prepare(asking(), ""), 1)
    assert prepared.constraint is None


async def test_a_form_is_compiled() -> None:
    prepared = await ENFORCER.prepare(asking(ChoiceFormat(("yes", "no"))), "")
    assert '"yes" | "no"' in str(prepared.constraint)


async def test_what_takes_too_long_is_refused_by_name() -> None:
    hasty = OutputEnforcer(DIALECT, EchoCompiler(), compile_seconds=0.01)
    with busy_threads(), pytest.raises(InvalidRequestError, match="too long") as raised:
        await hasty.prepare(asking(ChoiceFormat(("yes",))), "")
    assert raised.value.param == "guided_choice"
