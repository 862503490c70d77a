"""Ollama's `/api/pull`, `/api/delete` and `/api/copy`, for the scope `admin`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import APIRouter, Request, Response

from llm_api.api.answers import failure_in_mid_stream
from llm_api.api.deps import Services
from llm_api.api.disconnect import until_disconnect
from llm_api.api.docs import OLLAMA_ERRORS, streamable
from llm_api.api.mapping.ollama.administration import named_model, to_pull_lines, without_latest
from llm_api.api.models.ollama.administration import (
    OllamaCopy,
    OllamaNamed,
    OllamaPull,
    PullLine,
)
from llm_api.api.routes.ollama.door import OllamaRoute
from llm_api.api.stream_forms import LineStream, error_line, line
from llm_api.core.llm.administration.pulls import Pull, Pulls
from llm_api.core.utils.long_work import to_the_end

router = APIRouter(prefix="/api", tags=["Ollama"], route_class=OllamaRoute)


@router.post(
    "/pull",
    summary="Fetch a model from the hub",
    response_model=PullLine,
    responses=streamable("How far it is, line by line.", LineStream.media_type, OLLAMA_ERRORS),
)
async def ollama_pull(request: Request, body: OllamaPull, services: Services) -> Response:
    """Fetch a model and serve it. A client that leaves ends the pull that it began."""
    administration = services.administration()
    pull, is_new = await until_disconnect(request, administration.pull(named_model(body)))
    looks = _looks(administration.pulls, pull, is_new)
    if body.stream is not False:
        return LineStream(_lines(request, looks), looks)
    last = await until_disconnect(request, _last_line(looks))
    return Response(last.to_json(), media_type="application/json")


@router.delete(
    "/delete",
    summary="Delete a model, or a name that was given to one",
    response_class=Response,
    responses=OLLAMA_ERRORS,
)
async def ollama_delete(body: OllamaNamed, services: Services) -> Response:
    """Delete what `DELETE /v1/models/{model}` deletes; a pulled model is unloaded before."""
    await services.administration().delete(named_model(body), unloads=True)
    return Response()


@router.post(
    "/copy",
    summary="Give a model a further name",
    response_class=Response,
    responses=OLLAMA_ERRORS,
)
async def ollama_copy(body: OllamaCopy, services: Services) -> Response:
    """The name is kept, and holds for all processes of this server. No file is copied."""
    source, destination = without_latest(body.source), without_latest(body.destination)
    await services.administration().name(source, destination)
    return Response()


async def _looks(pulls: Pulls, pull: Pull, is_new: bool) -> AsyncGenerator[Pull, None]:
    """A pull to its end. One that is new ends with who follows it."""
    try:
        async with aclosing(pulls.follow(pull.id)) as looks:
            async for look in looks:
                yield look
    finally:
        if is_new:
            await to_the_end(pulls.cancel(pull.id))


async def _lines(
    request: Request, looks: AsyncGenerator[Pull, None]
) -> AsyncGenerator[bytes, None]:
    """The lines of the whole stream; an error in it is its last line."""
    try:
        yield line(PullLine(status="pulling manifest"))
        async for look in looks:
            for one in to_pull_lines(look):
                yield line(one)
    except Exception as error:  # noqa: BLE001 - the border: the client must not take the cut for the end
        yield error_line(failure_in_mid_stream(request, error))


async def _last_line(looks: AsyncGenerator[Pull, None]) -> PullLine:
    """The line of success. Raises DownloadError."""
    lines = [PullLine(status="success")]
    async with aclosing(looks):
        async for look in looks:
            lines = list(to_pull_lines(look))
    return lines[-1]
