"""What the gateway has to do itself for one request, and what is left for the backend."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from llm_api.core.errors import UnsupportedParameterError
from llm_api.core.llm.capabilities import FORMAT_ABILITIES, Ability
from llm_api.core.llm.gateway.emulation.checks import (
    CallCheck,
    CheckedFormat,
    FormatCheck,
    format_check,
)
from llm_api.core.llm.gateway.emulation.prompts import as_plain_text, demand, instruction
from llm_api.core.llm.output.format_size import check_format_size
from llm_api.core.llm.types import ChatPrompt, GenerationRequest, ToolSpec

EMULATED: Final[frozenset[Ability]] = frozenset(
    {"tools", "required_tools", "json", "regex", "choice"}
)


@dataclass(frozen=True, slots=True)
class Needs:
    """What of a request a backend cannot do and a gateway can: calls, a format of the answer."""

    prompt: ChatPrompt
    calls: bool
    output_format: CheckedFormat | None


@dataclass(frozen=True, slots=True)
class EmulationPlan:
    """`request` is for the backend, with `prompt`. Its answer may call `tools`, and is checked.

    `format_check` is for text, where there are no calls.
    """

    request: GenerationRequest
    prompt: ChatPrompt
    tools: tuple[ToolSpec, ...]
    is_required: bool
    is_parallel: bool
    call_check: CallCheck
    format_check: FormatCheck | None


def find_needs(request: GenerationRequest, abilities: Collection[Ability]) -> Needs | None:
    """None where the backend can do it all, or it is no conversation."""
    if not isinstance(request.prompt, ChatPrompt):
        return None
    calls = _speaks_of_calls(request.prompt) and not _can_call(request, abilities)
    wanted = request.output_format if isinstance(request.output_format, CheckedFormat) else None
    if wanted is not None and FORMAT_ABILITIES[type(wanted)] in abilities:
        wanted = wanted if calls and request.prompt.tools else None  # it would forbid calls
    return Needs(request.prompt, calls, wanted) if calls or wanted is not None else None


def make_plan(request: GenerationRequest, needs: Needs) -> EmulationPlan:
    """Blocks. Raises InvalidRequestError for schemas that cannot be checked."""
    if request.top_logprobs is not None:
        raise UnsupportedParameterError(
            "The parameter 'logprobs' is not available with this model's backend where tools or"
            " a format of the answer are asked for.",
            param="logprobs",
        )
    prompt, choice = needs.prompt, request.tool_choice
    if needs.output_format is not None:
        check_format_size(needs.output_format)
    check = None if needs.output_format is None else format_check(needs.output_format)
    allowed = choice.allowed if needs.calls and choice is not None else frozenset()
    call_check = CallCheck(prompt.tools, allowed)
    tools: tuple[ToolSpec, ...] = ()
    if needs.calls:
        tools = tuple(tool for tool in prompt.tools if tool.name in allowed)
        prompt = as_plain_text(replace(prompt, tools=tools))
    told = instruction(choice if prompt.tools or tools else None, check.demand if check else "")
    prompt = demand(prompt, told) if told else prompt
    return EmulationPlan(
        request=replace(
            request,
            prompt=prompt,
            tool_choice=None if needs.calls else choice,
            output_format=None if check else request.output_format,
        ),
        prompt=prompt,
        tools=tools,
        is_required=bool(tools) and choice is not None and choice.mode == "required",
        is_parallel=choice is None or choice.is_parallel,
        call_check=call_check,
        format_check=check,
    )


def _speaks_of_calls(prompt: ChatPrompt) -> bool:
    return bool(prompt.tools) or any(
        message.tool_calls or message.role == "tool" for message in prompt.messages
    )


def _can_call(request: GenerationRequest, abilities: Collection[Ability]) -> bool:
    is_required = request.tool_choice is not None and request.tool_choice.mode == "required"
    return "tools" in abilities and (not is_required or "required_tools" in abilities)
