"""The page that people see at `/`, and what programs are told there: that the server runs."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import PlainTextResponse, Response

from llm_api.api.built_page import BuiltPage

router = APIRouter(include_in_schema=False)
BUILT: Final = Path(__file__).parent.parent / "page"


@router.get("/")
async def first_page(request: Request) -> Response:
    """The page for a browser. Whoever asks for no HTML is told that the server runs.

    On the port that is Ollama's it says what Ollama says there, to those who look for it.
    """
    port = request.app.state.ollama_port
    if port is not None and request.scope["server"][1] == port:
        return PlainTextResponse("Ollama is running")
    page: BuiltPage | None = request.app.state.page
    if page is None or "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse("llm_api is running", headers={"vary": "Accept"})
    return await page.index(request)


@router.get("/assets/{name}")
async def asset(name: str, request: Request) -> Response:
    """One file of the page. Its name says its content, so it may be kept for good."""
    page: BuiltPage | None = request.app.state.page
    found = None if page is None else await page.asset(name, request.headers)
    if found is None:
        raise HTTPException(404)
    return found
