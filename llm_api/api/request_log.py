"""One request as a record of the request log. Pure. Never holds a key, only its name."""

from collections.abc import Mapping
from datetime import UTC

from llm_api.api.request_facts import Content, RequestFacts
from llm_api.core.embeddings.embedder import TokenIds
from llm_api.core.llm.collect import Choice
from llm_api.core.llm.types import ChatPrompt, FillInPrompt, Message, TextPrompt, TokenPrompt


def to_record(facts: RequestFacts) -> dict[str, object]:
    """What is written of a request; null where it does not apply, or never became known."""
    usage = facts.usage
    record: dict[str, object] = {
        "time": facts.received.astimezone(UTC).isoformat(timespec="milliseconds"),
        "id": facts.id,
        "key": facts.key_name,
        "method": facts.method,
        "endpoint": facts.endpoint,
        "model": facts.model,
        "backend": facts.backend,
        "fallback": facts.fallback,
        "status": facts.status,
        "error": facts.error,
        "prompt_tokens": None if usage is None else usage.prompt_tokens,
        "completion_tokens": None if usage is None else usage.completion_tokens,
        "cached_tokens": None if usage is None else usage.cached_tokens,
        "queue_seconds": _rounded(facts.queue_seconds),
        "first_token_seconds": _rounded(facts.first_token_seconds),
        "total_seconds": _rounded(facts.total_seconds),
    }
    if facts.keeps_content:
        record["prompts"] = [_prompt(prompt) for prompt in facts.prompts]
        record["answers"] = [_answer(answer) for answer in facts.answers]
    return record


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _prompt(prompt: Content) -> object:
    """A text, the ids of tokens, or the turns of a conversation."""
    match prompt:
        case str(text) | TextPrompt(text):
            return text
        case TokenPrompt(ids) | TokenIds(ids):
            return ids
        case FillInPrompt(prefix=prefix, suffix=suffix):
            return {"prefix": prefix, "suffix": suffix}
        case ChatPrompt(messages):
            return [_turn(message) for message in messages]


def _turn(message: Message) -> Mapping[str, object]:
    turn: dict[str, object] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [[call.name, call.arguments] for call in message.tool_calls]
    return turn


def _answer(answer: Choice) -> Mapping[str, object]:
    """As far as it came."""
    said: dict[str, object] = {"text": "".join(answer.text)}
    if answer.reasoning:
        said["reasoning"] = "".join(answer.reasoning)
    if answer.calls:
        said["tool_calls"] = [[call.name, call.arguments] for call in answer.tool_calls]
    return said
