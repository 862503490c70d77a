"""What the API's documentation says, and its page, which works without internet."""

from typing import Any, Final, TypeAlias

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse, JSONResponse
from starlette.staticfiles import StaticFiles

from llm_api.api.middleware.served_path import prefix_of
from llm_api.api.models.base import (
    AnswerModel,
    ErrorEnvelope,
    MessageErrorEnvelope,
    OllamaError,
)

OPENAPI_PATH = "/openapi.json"
DOCS_PATH = "/docs"
ASSETS_PATH = "/docs/assets"

DESCRIPTION = """
A language model on this machine, spoken to as OpenAI's API is: with the official SDK, LangChain
or curl. Set the client's base URL to this server's `/v1`, and its API key to one of the server's,
or to any text where it asks for none.

MCP clients find the functions at `/mcp`, by streamable HTTP.
"""
TAGS = [
    {"name": "Chat", "description": "Conversations, by the model's own chat template."},
    {"name": "Messages", "description": "Conversations and agents, in Anthropic's form."},
    {"name": "Responses", "description": "Conversations and agents, in typed items."},
    {"name": "Conversations", "description": "What is said in them, kept for responses."},
    {"name": "Completions", "description": "Raw text to continue, without a chat template."},
    {"name": "Ollama", "description": "The same models, in the form of Ollama's API."},
    {"name": "Tokens", "description": "What the model reads of a text, or of a conversation."},
    {"name": "Embeddings", "description": "Texts as vectors, to compare and to find them."},
    {"name": "Documents", "description": "What is stored, found, and answered from."},
    {"name": "Vector stores", "description": "The same collections, as OpenAI has them."},
    {"name": "Files", "description": "What is kept as it is, whole or sent in parts."},
    {"name": "Models", "description": "What can be asked for by name."},
    {"name": "Keys", "description": "Who may do what, and what was used; for administrators."},
    {"name": "Plain", "description": "One prompt in, one text out, as small servers have it."},
    {"name": "Functions", "description": "What this server can run, for models and for you."},
    {"name": "Health", "description": "For people and for load balancers."},
]

router = APIRouter(include_in_schema=False)


@router.get(DOCS_PATH)
async def docs(request: Request) -> HTMLResponse:
    """Swagger UI over `/openapi.json`."""
    prefix = prefix_of(request.scope)
    assets = prefix + ASSETS_PATH
    return get_swagger_ui_html(
        openapi_url=prefix + OPENAPI_PATH,
        title=request.app.title,
        swagger_js_url=f"{assets}/swagger-ui-bundle.js",
        swagger_css_url=f"{assets}/swagger-ui.css",
        swagger_favicon_url=f"{assets}/favicon.png",
        swagger_ui_parameters={"tryItOutEnabled": True, "defaultModelsExpandDepth": 0},
    )


@router.get(OPENAPI_PATH)
async def openapi(request: Request) -> JSONResponse:
    """The schema, with the server's address below the prefix of a proxy."""
    schema = request.app.openapi()
    prefix = prefix_of(request.scope)
    return JSONResponse({**schema, "servers": [{"url": prefix}]} if prefix else schema)


def add_docs(app: FastAPI) -> None:
    """Serve the page and, out of the package `fastapi-offline`, its assets. Mutates `app`."""
    app.include_router(router)
    app.mount(ASSETS_PATH, StaticFiles(packages=[("fastapi_offline", "static")]))


Responses: TypeAlias = dict[int | str, dict[str, Any]]


def _errors(model: type[AnswerModel]) -> Responses:
    return {
        "4XX": {"model": model, "description": "The request has to change."},
        "5XX": {"model": model, "description": "The server failed, or cannot answer yet."},
    }


ERROR_RESPONSES: Final = _errors(ErrorEnvelope)
MESSAGE_ERRORS: Final = _errors(MessageErrorEnvelope)
OLLAMA_ERRORS: Final = _errors(OllamaError)

_EXAMPLES = {"text/event-stream": "data: {…}\n\ndata: [DONE]\n\n", "application/x-ndjson": "{…}\n"}


def streamable(
    description: str,
    media_type: str = "text/event-stream",
    errors: Responses = ERROR_RESPONSES,
) -> Responses:
    """The success of a route that can also answer with a stream, besides its errors."""
    return {
        200: {
            "description": description,
            "content": {
                media_type: {"schema": {"type": "string"}, "example": _EXAMPLES[media_type]}
            },
        },
        **errors,
    }
