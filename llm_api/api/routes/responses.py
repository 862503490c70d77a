"""How errors and streams look in the API's documentation."""

from typing import Any

from llm_api.api.models.errors import ErrorEnvelope

ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorEnvelope, "description": "The request has to change."},
    "5XX": {"model": ErrorEnvelope, "description": "The server failed, or cannot answer yet."},
}


def streamable(description: str) -> dict[int | str, dict[str, Any]]:
    """The success of a route that can also answer with a stream, besides its errors."""
    return {
        200: {
            "description": description,
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "example": "data: {…}\n\ndata: [DONE]\n\n",
                }
            },
        },
        **ERROR_RESPONSES,
    }
