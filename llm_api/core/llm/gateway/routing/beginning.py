"""What a conversation begins with: the same for all its turns, as a short hash. Pure."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice

from llm_api.core.llm.types import (
    ChatPrompt,
    FillInPrompt,
    Message,
    Prompt,
    TextPrompt,
    TokenPrompt,
)

MOST_CHARACTERS = 4096
"""What counts of each part. Texts that are as long and differ only behind it are rare."""

HASH_BYTES = 8


def beginning_of(prompt: Prompt) -> bytes:
    """The hash of what later prompts of the same conversation, text or file begin with as well.

    Of a chat: the instructions, and the first message of the user.
    """
    hashed = blake2b(digest_size=HASH_BYTES)
    for part in _parts(prompt):
        hashed.update(part[:MOST_CHARACTERS].encode("utf-8", "surrogatepass") + b"\0")
    return hashed.digest()


def _parts(prompt: Prompt) -> Iterable[str]:
    match prompt:
        case ChatPrompt(messages):
            return _opening(messages)
        case TextPrompt(text):
            return (text,)
        case TokenPrompt(tokens):
            return map(str, islice(tokens, MOST_CHARACTERS))
        case FillInPrompt():
            return (*(file.name for file in prompt.files), prompt.prefix)


def _opening(messages: Iterable[Message]) -> Iterator[str]:
    for message in messages:
        yield message.content
        if message.role == "user":
            return
