"""A conversation in the terminal: turns in, answers out as they grow; a `Talker` answers."""

import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from llm_api.cli.terminal import fail, harmless, notes, output
from llm_api.core.errors import LLMAPIError
from llm_api.core.llm.types import Message

Answer: TypeAlias = Generator[str, None, str | None]

HINT = "/reset forgets the conversation, /exit or Ctrl-D leaves, Ctrl-C stops an answer."


class Talker(Protocol):
    """Answers conversations. Two exist: a running server, and a model in this process."""

    def answer(self, messages: Sequence[Message]) -> Answer:
        """Yield the answer's text in pieces; return why it ended ("stop", "length").

        Closing the generator stops the generation. Raises LLMAPIError.
        """
        ...


@dataclass(slots=True)
class Conversation:
    """The turns so far. A turn that got no answer at all leaves no trace in them."""

    talker: Talker
    system: str | None = None
    turns: list[Message] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Print the answer while it grows. Raises LLMAPIError; Ctrl-C ends the answer, no more."""
        opening = [Message("system", self.system)] if self.system else []
        # Bytes that are no UTF-8 arrive as lone surrogates, which JSON cannot carry.
        question = Message("user", text.encode(errors="replace").decode())
        console = output()
        said: list[str] = []
        reason = None
        answer = self.talker.answer([*opening, *self.turns, question])
        try:
            reason = _print_into(said, answer, console.is_terminal)
        except KeyboardInterrupt:
            reason = "interrupted"
        finally:
            answer.close()
            if said:
                console.file.write("\n")
                console.file.flush()
                self.turns += [question, Message("assistant", "".join(said))]
        if reason in ("length", "interrupted"):
            why = "stopped" if reason == "interrupted" else "cut at the token limit (--max-tokens)"
            notes().print(f"[dim]{why}[/dim]")

    def reset(self) -> None:
        self.turns.clear()


def _print_into(said: list[str], answer: Answer, is_terminal: bool) -> str | None:
    """Print the pieces of an answer and keep them in `said`; return why it ended."""
    while True:
        try:
            piece = next(answer)
        except StopIteration as end:
            return end.value if isinstance(end.value, str) else None
        said.append(piece)
        sys.stdout.write(harmless(piece) if is_terminal else piece)
        sys.stdout.flush()


def talk(conversation: Conversation, lines: Iterator[str], *, stop_at_error: bool) -> None:
    """One turn per line, until `/exit` or the end of the lines.

    With `stop_at_error` an error is raised, for scripts; else it is shown and the talk goes on.
    """
    for line in lines:
        match line.strip():
            case "":
                continue
            case "/exit" | "/quit":
                return
            case "/reset":
                conversation.reset()
                notes().print("[dim]A new conversation.[/dim]")
            case "/help":
                notes().print(HINT, markup=False)
            case text:
                try:
                    conversation.say(text)
                except LLMAPIError as error:
                    if stop_at_error:
                        raise
                    fail(error.message)


def typed_lines() -> Iterator[str]:
    """Lines that a person types, until Ctrl-D. Ctrl-C drops the line being typed."""
    while True:
        try:
            yield input("> ")
        except EOFError:
            sys.stdout.write("\n")
            return
        except KeyboardInterrupt:
            sys.stdout.write("\n")
            notes().print(HINT, markup=False)
