"""How calls are written in an answer: the data that a tool-call format consists of."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from llm_api.core.llm.output.arguments import ArgumentSyntax, JSONArguments
from llm_api.core.llm.output.pattern import OpenPart, Part


@dataclass(frozen=True, slots=True)
class CallFormat:
    """Calls in one notation: opening, call, separator, call, ..., closing.

    A call is a head, with the function's name, then arguments and a tail. The first of `heads`
    and of `tails` is what models are made to write, the others are understood as well. Calls
    stand anywhere in an answer, or only at its beginning. Behind `trigger`, with which the first
    call begins, a model can only write a call; without one, behind the whole head.

    Some formats announce everything: `text_opening` begins an answer without a call, and texts
    before a call stand between those of `preamble`. `silent` texts only say that something begins.
    """

    heads: tuple[tuple[Part, ...], ...]
    tails: tuple[tuple[Part, ...], ...] = ((),)
    arguments: ArgumentSyntax = field(default_factory=JSONArguments)
    opening: str = ""
    separator: str = "\n"
    closing: str = ""
    trigger: str = ""
    is_anywhere: bool = True
    takes_several: bool = True
    text_opening: str = ""
    preamble: tuple[str, str] | None = None
    silent: tuple[str, ...] = ()

    def texts(self) -> tuple[str, ...]:
        """Every fixed text of the format."""
        around = (*self.heads, *self.tails, self.preamble or ())
        parts = [part for some in around for part in some if isinstance(part, str)]
        single = [self.opening, self.separator, self.closing, self.text_opening]
        return (*single, *parts, *self.silent)

    def write(self, calls: Sequence[tuple[str, str]]) -> str:
        """Calls, each a name and arguments in this format's notation, as a model writes them."""
        written = [
            self._written(position, name, arguments)
            for position, (name, arguments) in enumerate(calls)
        ]
        return f"{self.opening}{self.separator.join(written)}{self.closing}"

    def _written(self, position: int, name: str, arguments: str) -> str:
        call_id, number = f"{position:09}", str(position)
        filled = {OpenPart.NAME: name, OpenPart.ID: call_id, OpenPart.NUMBER: number}
        parts = (*self.heads[0], arguments, *self.tails[0])
        return "".join(part if isinstance(part, str) else filled[part] for part in parts)


def around_name(head: Sequence[Part]) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """A head's parts before the function's name, and behind it."""
    position = head.index(OpenPart.NAME)
    return tuple(head[:position]), tuple(head[position + 1 :])
