"""A running server as the other side of a conversation, over the OpenAI protocol."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from llm_api.cli.remote_server import (
    broken_off,
    checked_url,
    key_headers,
    no_server,
    refusal,
)
from llm_api.cli.talk.conversation import (
    Answer,
    AnswerEnding,
    AnswerWishes,
    Aside,
    Piece,
    PromptReading,
)
from llm_api.core.errors import GenerationError, UnavailableError
from llm_api.core.llm.types import JSON, Message
from llm_api.core.upstream import LOOPBACK

# The server sends a comment every few seconds of silence: only a dead one is quiet for so long.
_TIMEOUT = httpx2.Timeout(10, read=120)
_INSTEAD = "talk to a model without one: `llm-api chat --local`"


@dataclass(frozen=True, slots=True)
class ServerTalker:
    """Talks to the server behind `client`."""

    client: httpx2.Client
    options: Mapping[str, JSON]

    @property
    def place(self) -> str:
        return f"at {self.client.base_url}"

    def models(self) -> Sequence[str]:
        with _explained(self.client):
            response = self.client.get("/v1/models")
            if response.is_error:
                raise refusal(response)
            found = response.json()["data"]
            return [str(one["id"]) for one in found if one.get("type") != "embedding"] or [
                str(found[0]["id"])
            ]

    def answer(self, messages: Sequence[Message], wishes: AnswerWishes) -> Answer:
        body = self._body(messages, wishes)
        reason: str | None = None
        usage: Mapping[str, JSON] | None = None
        with (
            _explained(self.client),
            self.client.sse("/v1/chat/completions", method="POST", json=body) as source,
        ):
            if source.response.is_error:
                source.response.read()
                raise refusal(source.response)
            for event in source:
                if event.data == "[DONE]":
                    return AnswerEnding(reason, usage)
                chunk: dict[str, Any] = json.loads(event.data)
                if chunk.get("error"):
                    raise GenerationError(str(chunk["error"].get("message")))
                yield from _pieces(chunk)
                usage = chunk.get("usage") or usage
                for choice in chunk["choices"]:
                    reason = choice.get("finish_reason") or reason
        raise GenerationError("The server ended the answer before it was complete.")

    def _body(self, messages: Sequence[Message], wishes: AnswerWishes) -> dict[str, Any]:
        turns = [{"role": turn.role, "content": turn.content} for turn in messages]
        body: dict[str, Any] = {"model": wishes.model, "messages": turns, "stream": True}
        body["stream_options"] = {"include_usage": True}
        if sys.stderr.isatty():  # where there is a bar to be drawn
            body["return_progress"] = True
        if wishes.collection is not None:
            body["rag"] = {"collection": wishes.collection}
        if wishes.uses_tools:
            body["server_tools"] = "all"
        if wishes.schema is not None:
            form = {"name": "answer", "schema": wishes.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        return {**body, **self.options}


def _pieces(chunk: Mapping[str, Any]) -> Iterator[Piece]:
    """What a person sees of a chunk: text, functions that were run, sources, how far it is."""
    if progress := chunk.get("prompt_progress"):
        yield PromptReading(
            progress["processed"],
            progress["total"],
            progress.get("place_in_queue") or 0,
            progress.get("seconds_left"),
        )
    for choice in chunk["choices"]:
        delta = choice["delta"]
        for call in delta.get("server_tool_calls") or ():
            if call.get("result") is not None:
                yield Aside(f"{call['name']}({call['arguments']}) = {call['result']}")
        if text := delta.get("content"):
            yield text
        for one in (delta.get("rag") or {}).get("sources") or ():
            yield Aside(f"[{one['number']}] {one['document_id']}")


@contextmanager
def server_talker(
    url: str, options: Mapping[str, JSON], api_key: str | None = None
) -> Iterator[ServerTalker]:
    """Connect to a server. Raises InvalidRequestError for what is no URL."""
    base = checked_url(url)
    with httpx2.Client(
        base_url=base,
        headers=key_headers(api_key),
        timeout=_TIMEOUT,
        trust_env=base.host not in LOOPBACK,
    ) as client:
        yield ServerTalker(client, options)


@contextmanager
def _explained(client: httpx2.Client) -> Iterator[None]:
    """Turn what the connection did into one sentence of ours."""
    try:
        yield
    except httpx2.ConnectError as error:
        raise UnavailableError(no_server(client.base_url, _INSTEAD)) from error
    except httpx2.HTTPError as error:
        raise GenerationError(broken_off(client.base_url, error)) from error
    except (httpx2.SSEError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise GenerationError(f"{client.base_url} does not speak the OpenAI protocol.") from error
