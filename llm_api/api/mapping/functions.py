"""Functions and their results, domain to wire. Pure."""

from pydantic_core import from_json

from llm_api.api.models.functions import (
    Function,
    FunctionAnswer,
    FunctionFailure,
    FunctionList,
    FunctionOrigin,
    FunctionProblem,
)
from llm_api.core.errors import FunctionsBusyError, InvalidArgumentsError
from llm_api.core.functions import types
from llm_api.core.functions.catalog import FunctionCatalog


def to_function_list(catalog: FunctionCatalog) -> FunctionList:
    """Everything in the catalog."""
    return FunctionList(
        object="list",
        data=[to_function(function) for function in catalog.functions()],
        problems=[
            FunctionProblem(origin=_origin(problem.origin), message=str(problem))
            for problem in catalog.problems()
        ],
    )


def to_function(function: types.Function) -> Function:
    """One entry of the list."""
    return Function(
        name=function.spec.name,
        description=function.spec.description,
        parameters=dict(function.spec.parameters),
        origin=_origin(function.origin),
    )


def to_function_answer(name: str, result: types.FunctionResult) -> FunctionAnswer:
    """What came back of a call that ran. Raises the error of one that did not run.

    So what the caller can mend has its own status, and a failure of the function, which running it
    again might repeat with all its effects, has one that no client retries by itself.
    """
    match result.error:
        case InvalidArgumentsError(message=message, param=param):
            path = "arguments" if param is None else f"arguments.{param}"
            raise InvalidArgumentsError(message, param=path)
        case FunctionsBusyError() as error:
            raise error
        case None:
            failure = None
        case error:
            failure = FunctionFailure(code=error.code, message=error.message)
    return FunctionAnswer(
        name=name,
        result=from_json(result.content) if failure is None else None,
        is_error=result.is_error,
        error=failure,
        duration_seconds=round(result.duration_seconds, 6),
    )


def _origin(origin: types.Origin) -> FunctionOrigin:
    return FunctionOrigin(type=origin.kind, name=origin.name)
