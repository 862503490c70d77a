"""Commands that are imported when one of them is run: the help of a group reads a table alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Verb:
    """A command: `place` is `module:function`, `line` the first line of that function's docstring.

    `aliases` are older names, which work and are not shown.
    """

    place: str
    line: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Noun:
    """A group of commands. `example` is how to begin."""

    line: str
    verbs: Mapping[str, Verb]
    example: str
    aliases: tuple[str, ...] = field(default=())


Entries = Mapping[str, Verb | Noun]


class LazyGroup(TyperGroup):
    """A group whose commands are `entries`."""

    entries: ClassVar[Entries] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """The names that are shown, in the order of the table."""
        return list(self.entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What help and completion need of a command; a group whole. Imports nothing."""
        entry = self.entries.get(cmd_name)
        match entry:
            case Verb():
                return TyperCommand(cmd_name, help=entry.line, rich_markup_mode="markdown")
            case Noun():
                return _group(cmd_name, entry)
            case None:
                return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is to be run, imported."""
        for name, entry in self.entries.items():
            if args[0] == name or args[0] in entry.aliases:
                command = _group(name, entry) if isinstance(entry, Noun) else load(name, entry)
                return name, command, args[1:]
        # What a mistyped name is compared with.
        self.commands = {name: self.get_command(ctx, name) for name in self.entries}
        return super().resolve_command(ctx, args)


def load(name: str, verb: Verb) -> Any:
    """The command itself. Its module may have EXAMPLES: one text, or a text for each function."""
    module_name, _, function_name = verb.place.partition(":")
    module = import_module(module_name)
    examples = getattr(module, "EXAMPLES", None)
    if isinstance(examples, Mapping):
        examples = examples.get(function_name)
    app = typer.Typer(
        rich_markup_mode="markdown", add_completion=False, pretty_exceptions_enable=False
    )
    app.command(name, epilog=examples)(getattr(module, function_name))
    return typer.main.get_command(app)


def every_verb(entries: Entries) -> Iterator[tuple[tuple[str, ...], Verb]]:
    """Each command with the words that call it."""
    for name, entry in entries.items():
        if isinstance(entry, Noun):
            yield from (((name, verb), found) for verb, found in entry.verbs.items())
        else:
            yield (name,), entry


def _group(name: str, noun: Noun) -> LazyGroup:
    kind = type("_Group", (LazyGroup,), {"entries": noun.verbs})
    return kind(  # type: ignore[no-any-return]
        name=name,
        help=noun.line,
        epilog=noun.example,
        no_args_is_help=True,
        rich_markup_mode="markdown",
    )
