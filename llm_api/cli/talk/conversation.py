"""A conversation in the terminal: turns in, answers out as they grow; a `Talker` answers."""

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from llm_api.cli.talk.answer_view import AnswerView, new_view
from llm_api.cli.terminal import note, print_json
from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.types import JSON, Message


@dataclass(frozen=True, slots=True)
class PromptReading:
    """How far the prompt is read, in tokens. `place_in_queue` 0 does not wait."""

    read: int
    total: int
    place_in_queue: int = 0
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class Aside:
    """A line beside the answer: a source, a function that was run."""

    line: str


@dataclass(frozen=True, slots=True)
class AnswerEnding:
    """Why an answer ended ("stop", "length", "interrupted"), and what it took, if that is told."""

    reason: str | None
    usage: Mapping[str, JSON] | None = None


Piece: TypeAlias = str | PromptReading | Aside
Answer: TypeAlias = Generator[Piece, None, AnswerEnding]


@dataclass(slots=True)
class AnswerWishes:
    """How it is to be answered: by which model, from a collection, with functions, as a schema."""

    model: str
    collection: str | None = None
    uses_tools: bool = False
    schema: JSON = None


class Talker(Protocol):
    """Answers conversations. Two exist: a running server, and a model in this process."""

    @property
    def place(self) -> str:
        """Where it answers, for people."""
        ...

    def models(self) -> Sequence[str]:
        """Names that may be wished for, the default first. Raises LLMAPIError."""
        ...

    def answer(self, messages: Sequence[Message], wishes: AnswerWishes) -> Answer:
        """Yield the answer in pieces; return how it ended.

        Closing the generator stops the generation. Raises LLMAPIError.
        """
        ...


@dataclass(slots=True)
class Conversation:
    """The turns so far. A turn that got no answer at all leaves no trace in them.

    `attached` are texts that go with the next question. `renders` Markdown on a terminal. Where it
    `is_typed`, Ctrl-C ends an answer, and no more.
    """

    talker: Talker
    wishes: AnswerWishes
    system: str | None = None
    renders: bool = True
    as_json: bool = False
    is_typed: bool = False
    turns: list[Message] = field(default_factory=list)
    attached: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Print the answer while it grows. Raises LLMAPIError, and KeyboardInterrupt."""
        parts = [*self.attached, text]
        # Bytes that are no UTF-8 arrive as lone surrogates, which JSON cannot carry.
        question = Message("user", "\n\n".join(parts).encode(errors="replace").decode())
        self._ask(question)

    def retry(self) -> None:
        """Ask the last question again, in place of its answer. Raises InvalidRequestError."""
        if not self.turns:
            raise InvalidRequestError("Nothing has been asked yet.")
        *self.turns, question, answer = self.turns
        before = len(self.turns)
        try:
            self._ask(question)
        finally:
            if len(self.turns) == before:
                self.turns += [question, answer]

    def reset(self) -> None:
        self.turns.clear()
        self.attached.clear()

    def save(self, path: Path) -> None:
        """As Markdown, or as messages where the file's name ends in `.json`."""
        if path.suffix == ".json":
            messages = [{"role": one.role, "content": one.content} for one in self._opening()]
            messages += [{"role": one.role, "content": one.content} for one in self.turns]
            text = json.dumps(messages, indent=2, ensure_ascii=False)
        else:
            every = [*self._opening(), *self.turns]
            text = "\n\n".join(f"## {one.role.capitalize()}\n\n{one.content}" for one in every)
        try:
            with path.expanduser().open("x", encoding="utf-8") as file:
                file.write(f"{text}\n")
        except OSError as error:
            raise InvalidRequestError(f"{path} cannot be written: {error.strerror}.") from error

    def _opening(self) -> list[Message]:
        return [Message("system", self.system)] if self.system else []

    def _ask(self, question: Message) -> None:
        messages = [*self._opening(), *self.turns, question]
        answer = self.talker.answer(messages, self.wishes)
        said: list[str] = []
        ending = AnswerEnding("interrupted")
        view = new_view(renders=self.renders, is_silent=self.as_json)
        try:
            ending = _shown(answer, view, said)
        except KeyboardInterrupt:
            pass
        finally:
            answer.close()
            view.end(has_text=bool(said))
            if said:
                self.turns += [question, Message("assistant", "".join(said))]
                self.attached.clear()
        self._tell_end("".join(said), ending)
        if ending.reason == "interrupted" and not self.is_typed:
            raise KeyboardInterrupt

    def _tell_end(self, text: str, ending: AnswerEnding) -> None:
        if self.as_json:
            print_json(
                {
                    "model": self.wishes.model,
                    "answer": text,
                    "finish_reason": ending.reason,
                    "usage": ending.usage,
                }
            )
        elif ending.reason == "interrupted":
            note("stopped", "dim")
        elif ending.reason == "length":
            note("cut at the token limit (--max-tokens)", "dim")


def _shown(answer: Answer, view: AnswerView, said: list[str]) -> AnswerEnding:
    """Show the pieces of an answer and keep its text in `said`; return how it ended."""
    while True:
        try:
            piece = next(answer)
        except StopIteration as end:
            return end.value if isinstance(end.value, AnswerEnding) else AnswerEnding(None)
        match piece:
            case str(text):
                said.append(text)
                view.text(text)
            case PromptReading(read, total, place, seconds_left):
                view.reading(read, total, place, seconds_left)
            case Aside(line):
                view.aside(line)
