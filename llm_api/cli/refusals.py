"""What a server of ours says where it refuses a request."""

import httpx2

from llm_api.core.errors import GenerationError, InvalidRequestError


def refusal(response: httpx2.Response) -> InvalidRequestError | GenerationError:
    """The error that an answer without success is here. Its body must have been read."""
    message = message_of(response)
    return GenerationError(message) if response.is_server_error else InvalidRequestError(message)


def message_of(response: httpx2.Response) -> str:
    """Its sentence, or the status where it says none."""
    said = _said(response, "message")
    return said or f"{response.url} answered {response.status_code} {response.reason_phrase}."


def code_of(response: httpx2.Response) -> str | None:
    """Its code; None where the answer is no refusal of ours."""
    return _said(response, "code")


def _said(response: httpx2.Response, key: str) -> str | None:
    try:
        return str(response.json()["error"][key])
    except (ValueError, KeyError, TypeError):
        return None
