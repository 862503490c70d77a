"""What all routes of Ollama's form share: bodies are read as leniently as Ollama reads them."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import MutableHeaders

from llm_api.api.json_body import BearingRoute


class OllamaRoute(BearingRoute):
    """Takes JSON under any content type, as Ollama does: `curl -d` says it is a form.

    Except from a web page: it names its `Origin`, and could else send what it must not without
    asking.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def leniently(request: Request) -> Response:
            if "origin" not in request.headers:
                MutableHeaders(scope=request.scope)["content-type"] = "application/json"
            return await handle(request)

        return leniently
