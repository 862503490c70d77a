"""Tools, wire to domain: what is offered, what may be called, and what is refused by name."""

import pytest

from llm_api.api.mapping.tools import OfferedTools, to_server_functions, to_tools
from llm_api.api.models.chat import ChatCompletionRequest
from llm_api.core.errors import (
    InvalidRequestError,
    MissingParameterError,
    UnsupportedParameterError,
)
from llm_api.core.llm.types import ToolChoice, ToolSpec
from tests.api.mapping.values import KnownFunction, catalog_of

ADD = {"type": "function", "function": {"name": "add", "description": "Adds.", "strict": True}}
SUB = {"type": "function", "function": {"name": "sub", "parameters": {"type": "object"}}}
ADD_SPEC = ToolSpec("add", "Adds.", {}, is_strict=True, param="tools[0].function.parameters")
SUB_SPEC = ToolSpec("sub", "", {"type": "object"}, param="tools[1].function.parameters")
BOTH = frozenset({"add", "sub"})


def tools(functions: tuple[KnownFunction, ...] = (), /, **given: object) -> OfferedTools:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **given}
    return to_tools(ChatCompletionRequest.model_validate(body), functions)


def named(name: str) -> dict[str, object]:
    return {"type": "function", "function": {"name": name}}


def allowed(*chosen: dict[str, object], mode: str = "auto") -> dict[str, object]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(chosen)}}


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ({}, ToolChoice("auto", BOTH)),
        ({"tool_choice": "auto"}, ToolChoice("auto", BOTH)),
        ({"tool_choice": "required"}, ToolChoice("required", BOTH)),
        ({"parallel_tool_calls": False}, ToolChoice("auto", BOTH, is_parallel=False)),
        ({"tool_choice": named("sub")}, ToolChoice("required", frozenset({"sub"}), False)),
        (
            {"tool_choice": allowed(named("add"), mode="required")},
            ToolChoice("required", frozenset({"add"})),
        ),
    ],
)
def test_choice_among_two_tools(given: dict[str, object], choice: ToolChoice) -> None:
    assert tools(tools=[ADD, SUB], **given) == OfferedTools((ADD_SPEC, SUB_SPEC), choice)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"tools": []},
        {"tool_choice": "auto"},
        {"tools": [ADD], "tool_choice": "none"},
        {"functions": []},
        {"functions": [{"name": "add"}], "function_call": "none"},
    ],
)
def test_nothing_is_offered_that_may_not_be_called(given: dict[str, object]) -> None:
    assert tools(**given) == OfferedTools()


@pytest.mark.parametrize(
    ("call", "choice"),
    [
        (None, ToolChoice("auto", frozenset({"add"}), is_parallel=False)),
        ("auto", ToolChoice("auto", frozenset({"add"}), is_parallel=False)),
        ({"name": "add"}, ToolChoice("required", frozenset({"add"}), is_parallel=False)),
    ],
)
def test_older_form_makes_one_call_at_most(call: object, choice: ToolChoice) -> None:
    spec = ToolSpec("add", "", {}, param="functions[0].parameters")
    assert tools(functions=[{"name": "add"}], function_call=call) == OfferedTools((spec,), choice)


def test_functions_of_the_server_stand_behind_the_tools() -> None:
    offered = tools((KnownFunction("now"),), tools=[ADD])
    assert [spec.name for spec in offered.specs] == ["add", "now"]
    assert offered.specs[1].param == "server_tools"
    assert offered.choice == ToolChoice("auto", frozenset({"add", "now"}))


@pytest.mark.parametrize(
    ("given", "kind", "param"),
    [
        ({"tools": [ADD, ADD]}, InvalidRequestError, "tools"),
        ({"tools": [{"type": "custom"}]}, UnsupportedParameterError, "tools[0].type"),
        ({"tools": [ADD, {"type": "function"}]}, MissingParameterError, "tools[1].function"),
        ({"tool_choice": "required"}, InvalidRequestError, "tool_choice"),
        ({"tool_choice": named("add")}, InvalidRequestError, "tool_choice"),
        (
            {"tools": [ADD], "tool_choice": named("sub")},
            InvalidRequestError,
            "tool_choice.function.name",
        ),
        (
            {"tools": [ADD], "tool_choice": {"type": "function"}},
            MissingParameterError,
            "tool_choice.function",
        ),
        (
            {"tools": [ADD], "tool_choice": {"type": "custom"}},
            UnsupportedParameterError,
            "tool_choice.type",
        ),
        (
            {"tools": [ADD], "tool_choice": {"type": "allowed_tools"}},
            MissingParameterError,
            "tool_choice.allowed_tools",
        ),
        (
            {"tools": [ADD], "tool_choice": allowed(named("sub"))},
            InvalidRequestError,
            "tool_choice.allowed_tools.tools",
        ),
        (
            {"tools": [ADD], "tool_choice": allowed(named("add"), {"type": "custom"})},
            UnsupportedParameterError,
            "tool_choice.allowed_tools.tools[1].type",
        ),
        ({"functions": [{"name": "add"}], "tools": [SUB]}, InvalidRequestError, "tools"),
        ({"functions": [], "tool_choice": "auto"}, InvalidRequestError, "tool_choice"),
        ({"functions": [], "server_tools": "all"}, InvalidRequestError, "server_tools"),
        ({"function_call": "auto"}, InvalidRequestError, "function_call"),
        (
            {"functions": [{"name": "add"}], "function_call": {"name": "sub"}},
            InvalidRequestError,
            "function_call.name",
        ),
        ({"functions": [{"name": "a"}, {"name": "a"}]}, InvalidRequestError, "tools"),
    ],
)
def test_parameter_at_fault_is_named(
    given: dict[str, object], kind: type[InvalidRequestError], param: str
) -> None:
    with pytest.raises(kind) as caught:
        tools(**given)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("wanted", "names"),
    [(None, []), ([], []), ("all", ["add", "now"]), (["now", "add", "now"], ["now", "add"])],
)
def test_server_functions_are_taken_by_name(wanted: list[str] | None, names: list[str]) -> None:
    found = to_server_functions(wanted, catalog_of("add", "now"))
    assert [function.spec.name for function in found] == names


def test_unknown_server_function_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match=r"^'server_tools': .*later") as caught:
        to_server_functions(["later"], catalog_of("now"))
    assert caught.value.param == "server_tools"
