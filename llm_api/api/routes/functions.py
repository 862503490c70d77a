"""Functions: what this server can run, and running one."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import ERROR_RESPONSES
from llm_api.api.json_body import JSONBodyRoute
from llm_api.api.mapping.functions import to_function, to_function_answer, to_function_list
from llm_api.api.models.functions import Function, FunctionAnswer, FunctionArguments, FunctionList

router = APIRouter(prefix="/v1", tags=["Functions"], responses=ERROR_RESPONSES)
calls = APIRouter(route_class=JSONBodyRoute)  # the others have no body

FunctionName = Annotated[str, Path(examples=["get_weekday"])]


@router.get("/functions", summary="List the functions")
async def list_functions(services: Services) -> FunctionList:
    """Every function with its JSON Schema, and what could not be loaded, with the reason."""
    return to_function_list(services.functions.catalog)


@router.get("/functions/{name}", summary="Describe one function")
async def retrieve_function(name: FunctionName, services: Services) -> Function:
    """A function by its name."""
    return to_function(services.functions.catalog.get(name))


@calls.post("/functions/{name}", summary="Run a function")
async def run_function(
    name: FunctionName, body: FunctionArguments, request: Request, services: Services
) -> FunctionAnswer:
    """Run a function with these arguments, and answer with its result.

    Arguments that do not fit are 400. A function that failed, took too long or returned too much
    is 200 with `is_error`: it has run, and no client should run it again unasked. If the client
    leaves, an async function is cancelled; a sync one runs to its end, unheard.
    """
    functions = services.functions
    run = functions.runner.run(functions.catalog.get(name), body.arguments)
    return to_function_answer(name, await until_disconnect(request, run))


router.include_router(calls)
