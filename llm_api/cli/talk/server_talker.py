"""A running server as the other side of a conversation, over the OpenAI protocol."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from llm_api.cli.remote_server import checked_url, key_headers, refusal
from llm_api.cli.talk.conversation import Answer
from llm_api.core.errors import GenerationError, UnavailableError
from llm_api.core.llm.types import JSON, Message
from llm_api.core.upstream import LOOPBACK

# The server sends a comment every few seconds of silence: only a dead one is quiet for so long.
_TIMEOUT = httpx2.Timeout(10, read=120)


@dataclass(frozen=True, slots=True)
class ServerTalker:
    """Talks to the model `model` of the server behind `client`."""

    client: httpx2.Client
    model: str
    options: Mapping[str, JSON]

    def answer(self, messages: Sequence[Message]) -> Answer:
        turns = [{"role": turn.role, "content": turn.content} for turn in messages]
        body = {"model": self.model, "messages": turns, "stream": True, **self.options}
        with (
            _explained(self.client),
            self.client.sse("/v1/chat/completions", method="POST", json=body) as source,
        ):
            if source.response.is_error:
                source.response.read()
                raise refusal(source.response)
            reason: str | None = None
            for event in source:
                if event.data == "[DONE]":
                    return reason
                chunk: dict[str, Any] = json.loads(event.data)
                if chunk.get("error"):
                    raise GenerationError(str(chunk["error"].get("message")))
                for choice in chunk["choices"]:
                    if text := choice["delta"].get("content"):
                        yield text
                    reason = choice.get("finish_reason") or reason
        raise GenerationError("The server ended the answer before it was complete.")


@contextmanager
def server_talker(
    url: str, model: str | None, options: Mapping[str, JSON], api_key: str | None = None
) -> Iterator[ServerTalker]:
    """Connect to a server; `model` None takes the first that it serves.

    Raises UnavailableError if no server answers there.
    """
    base = checked_url(url)
    with httpx2.Client(
        base_url=base,
        headers=key_headers(api_key),
        timeout=_TIMEOUT,
        trust_env=base.host not in LOOPBACK,
    ) as client:
        yield ServerTalker(client, model or _first_model(client), options)


def _first_model(client: httpx2.Client) -> str:
    with _explained(client):
        response = client.get("/v1/models")
        if response.is_error:
            raise refusal(response)
        return str(response.json()["data"][0]["id"])


@contextmanager
def _explained(client: httpx2.Client) -> Iterator[None]:
    """Turn what the connection did into one sentence of ours."""
    try:
        yield
    except httpx2.ConnectError as error:
        raise UnavailableError(
            f"No server answers at {client.base_url}; start one with `make run` or "
            f"`llm-api serve`, or talk to a model without one: `llm-api chat --local`."
        ) from error
    except httpx2.HTTPError as error:
        raise GenerationError(
            f"The connection to {client.base_url} failed: {str(error) or type(error).__name__}."
        ) from error
    except (httpx2.SSEError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise GenerationError(f"{client.base_url} does not speak the OpenAI protocol.") from error
