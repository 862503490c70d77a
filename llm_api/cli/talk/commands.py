"""What a person can type instead of a question: `/help` and the like. An unknown one is refused."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llm_api.cli.talk.conversation import Conversation
from llm_api.cli.terminal import fail, note
from llm_api.core.errors import InvalidRequestError, LLMAPIError

HINT: Final = "/help lists the commands, /exit or Ctrl-D leaves, Ctrl-C stops an answer."
_COMMAND: Final = re.compile(r"/([A-Za-z?]\w*)(?:\s+(.*))?", re.DOTALL)
_MOST_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ChatCommand:
    """`takes` names what may follow it. `run` may raise LLMAPIError."""

    takes: str
    line: str
    run: Callable[[Conversation, str], None]


def talk(conversation: Conversation, lines: Iterator[str], *, stop_at_error: bool) -> None:
    """One turn per line, until `/exit` or the end of the lines.

    With `stop_at_error` an error is raised, for scripts; else it is shown and the talk goes on.
    """
    for line in lines:
        text = line.strip()
        if text in ("/exit", "/quit"):
            return
        try:
            if text:
                _take(conversation, text)
        except LLMAPIError as error:
            if stop_at_error:
                raise
            fail(error.message)


def _take(conversation: Conversation, text: str) -> None:
    """A path is no command: it has a second slash. Raises LLMAPIError."""
    found = _COMMAND.fullmatch(text)
    if found is None:
        conversation.say(text)
        return
    command = COMMANDS.get(found[1].lower())
    if command is None:
        known = " ".join(f"/{name}" for name in COMMANDS)
        raise InvalidRequestError(
            f"There is no command /{found[1]}, and nothing was sent; there are {known} /exit."
        )
    command.run(conversation, (found[2] or "").strip())


def _help(_: Conversation, __: str) -> None:
    for name, command in COMMANDS.items():
        note(f"{f'/{name} {command.takes}':<24}{command.line}")
    note(f"{'/exit':<24}Leave, as Ctrl-D does. Ctrl-C stops an answer.")


def _model(conversation: Conversation, name: str) -> None:
    names = conversation.talker.models()
    if name and name not in names:
        raise InvalidRequestError(f"There is no model {name!r}; there are {', '.join(names)}.")
    if name:
        conversation.wishes.model = name
    for one in names:
        note(f"{'→' if one == conversation.wishes.model else ' '} {one}")


def _system(conversation: Conversation, text: str) -> None:
    if text:
        conversation.system = None if text == "off" else text
    note(f"System message: {conversation.system or 'none'}")


def _docs(conversation: Conversation, name: str) -> None:
    if name:
        conversation.wishes.collection = None if name == "off" else name
        conversation.wishes.uses_tools &= conversation.wishes.collection is None
    said = conversation.wishes.collection
    note(f"Answers come from the collection {said}." if said else "Answers come from no documents.")


def _tools(conversation: Conversation, word: str) -> None:
    if word not in ("", "on", "off"):
        raise InvalidRequestError("/tools is on or off.")
    wishes = conversation.wishes
    wishes.uses_tools = not wishes.uses_tools if not word else word == "on"
    if wishes.uses_tools:
        wishes.collection = None
    note("The model may call the server's functions." if wishes.uses_tools else "No functions.")


def _file(conversation: Conversation, name: str) -> None:
    if not name:
        raise InvalidRequestError("Say which: /file PATH.")
    path = Path(name).expanduser()
    conversation.attached.append(f"{path.name}:\n```\n{read_text(path)}\n```")
    note(f"{path.name} goes with your next question.")


def _save(conversation: Conversation, name: str) -> None:
    if not name:
        raise InvalidRequestError("Say where: /save PATH, which ends in .md or .json.")
    conversation.save(Path(name))
    note(f"Saved in {name}.")


def _retry(conversation: Conversation, _: str) -> None:
    conversation.retry()


def _reset(conversation: Conversation, _: str) -> None:
    conversation.reset()
    note("A new conversation.", "dim")


COMMANDS: Final[Mapping[str, ChatCommand]] = {
    "help": ChatCommand("", "Show this.", _help),
    "model": ChatCommand("[NAME]", "Show the models, or talk to another.", _model),
    "system": ChatCommand("[TEXT|off]", "Show or set the system message.", _system),
    "docs": ChatCommand("[COLLECTION|off]", "Answer from documents.", _docs),
    "tools": ChatCommand("[on|off]", "Let the model call the server's functions.", _tools),
    "file": ChatCommand("PATH", "Send a text file with the next question.", _file),
    "save": ChatCommand("PATH", "Write the conversation, as .md or .json.", _save),
    "retry": ChatCommand("", "Ask the last question again.", _retry),
    "reset": ChatCommand("", "Forget the conversation.", _reset),
}


def read_text(path: Path) -> str:
    """The text of a file. Raises InvalidRequestError for what is none, or larger than a prompt."""
    try:
        data = path.read_bytes() if path.stat().st_size <= _MOST_BYTES else None
    except OSError as error:
        raise InvalidRequestError(f"{path} cannot be read: {error.strerror}.") from error
    if data is None:
        raise InvalidRequestError(f"{path} is larger than a megabyte; `llm-api ingest` stores it.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"{path} is no text (UTF-8).") from error
