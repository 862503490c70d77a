"""A conversation as retrieval sees it: the question, what was asked before, and the sources' place.

Sources stand in the system message, in front of all turns: so a follow-up begins with the same
tokens as the turn before, and the engine computes only what is new.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.types import ChatPrompt, Message, Prompt


@dataclass(frozen=True, slots=True)
class RagConversation:
    """`history` is what stands before the last question. `earlier` are the questions in it."""

    question: str
    history: tuple[Message, ...]

    @property
    def earlier(self) -> list[str]:
        return [turn.content for turn in self.history if _asks(turn)]


def read_conversation(messages: Sequence[Message]) -> RagConversation:
    """Raises InvalidRequestError where nobody asks anything."""
    asked = [position for position, turn in enumerate(messages) if _asks(turn)]
    if not asked:
        raise InvalidRequestError("There is no question: no message of the user.", param="messages")
    return RagConversation(messages[asked[-1]].content, tuple(messages[: asked[-1]]))


def with_context(prompt: ChatPrompt, context: str) -> ChatPrompt:
    """The prompt with the context behind the system message, or as one."""
    first, *others = prompt.messages
    if first.role == "system":
        system = replace(first, content=f"{first.content}\n\n{context}".lstrip())
        return replace(prompt, messages=(system, *others))
    return replace(prompt, messages=(Message("system", context), *prompt.messages))


def chat_prompt(prompt: Prompt) -> ChatPrompt:
    """Raises TypeError for a raw prompt, which no caller makes here."""
    if not isinstance(prompt, ChatPrompt):
        raise TypeError("documents are for conversations")
    return prompt


def _asks(turn: Message) -> bool:
    return turn.role == "user" and bool(turn.content.strip())
