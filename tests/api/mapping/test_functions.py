"""Functions and their results, domain to wire: tables."""

import pytest

from llm_api.api.mapping.functions import to_function, to_function_answer, to_function_list
from llm_api.core.errors import (
    FunctionFailedError,
    FunctionsBusyError,
    InvalidArgumentsError,
    LLMAPIError,
)
from llm_api.core.functions.types import FunctionResult, Origin, Problem
from tests.api.mapping.values import KnownFunction, catalog_of

NOW = {
    "name": "now",
    "description": "Does now.",
    "parameters": {"type": "object"},
    "origin": {"type": "file", "name": "now.py"},
}


def test_function_is_described() -> None:
    assert to_function(KnownFunction("now")).model_dump() == NOW


def test_list_has_functions_and_problems() -> None:
    catalog = catalog_of("now")
    catalog.report(Problem(Origin("file", "tips.py"), "SyntaxError"))
    assert to_function_list(catalog).model_dump() == {
        "object": "list",
        "data": [NOW],
        "problems": [
            {"origin": {"type": "file", "name": "tips.py"}, "message": "tips.py: SyntaxError"}
        ],
    }


@pytest.mark.parametrize(
    ("content", "value"), [("5", 5), ('"a"', "a"), ('{"a":[1]}', {"a": [1]}), ("null", None)]
)
def test_result_is_json(content: str, value: object) -> None:
    answer = to_function_answer("now", FunctionResult(content, 0.123456789))
    assert answer.model_dump() == {
        "name": "now",
        "result": value,
        "is_error": False,
        "error": None,
        "duration_seconds": 0.123457,
    }


def test_function_that_failed_has_run() -> None:
    error = FunctionFailedError("It failed.")
    answer = to_function_answer("now", FunctionResult('{"error":"It failed."}', 1.0, error))
    assert answer.is_error
    assert answer.result is None
    assert answer.error is not None
    assert (answer.error.code, answer.error.message) == (error.code, "It failed.")


@pytest.mark.parametrize(
    ("error", "param"),
    [
        (InvalidArgumentsError("No.", param="date"), "arguments.date"),
        (InvalidArgumentsError("No."), "arguments"),
        (FunctionsBusyError("Later."), None),
    ],
)
def test_call_that_did_not_run_raises(error: LLMAPIError, param: str | None) -> None:
    with pytest.raises(type(error)) as caught:
        to_function_answer("now", FunctionResult("{}", 0.0, error))
    assert caught.value.param == param
