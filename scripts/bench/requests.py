"""Request bodies in the form that all servers understand alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts.bench.answer import Answer
from scripts.bench.client import InFlight, post
from scripts.bench.vocabulary import Vocabulary

Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class Desk:
    """Sends greedy requests, whose answers end at their limit, to the server on one port.

    `model` is the name the server gives its model; llama.cpp's servers take any.
    """

    port: int
    model: str
    vocabulary: Vocabulary

    async def completion(self, prompt: str, max_tokens: int) -> InFlight:
        """A streamed legacy completion."""
        body = self._body(max_tokens) | {"prompt": prompt}
        return await post(self.port, "/v1/completions", body)

    async def chat(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        *,
        is_streamed: bool = True,
        **fields: Any,
    ) -> InFlight:
        body = self._body(max_tokens, is_streamed=is_streamed) | {"messages": list(messages)}
        body |= fields
        return await post(self.port, "/v1/chat/completions", body)

    async def complete(self, prompt: str, max_tokens: int) -> Answer:
        """A streamed legacy completion, waited for."""
        return await (await self.completion(prompt, max_tokens)).answer()

    def text(self, tokens: int, *key: str | int) -> str:
        """A prompt of its own for each key."""
        return self.vocabulary.prompts.text(tokens, *key)

    def _body(self, max_tokens: int, *, is_streamed: bool = True) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": max_tokens,
            "temperature": 0,
            "repeat_penalty": 1.0,
            "logit_bias": self.vocabulary.ban_on_ending,
            "stream": is_streamed,
        }
        if is_streamed:
            body["stream_options"] = {"include_usage": True}
        return body
