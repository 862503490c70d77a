"""What a scenario is: a measurement, and what is claimed of its figures."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scripts.bench.answer import Answer
from scripts.bench.contestants import GENERATING_SERVERS, OURS
from scripts.bench.process import Server
from scripts.bench.requests import Desk


@dataclass(frozen=True, slots=True)
class Sample:
    """What one turn of one contestant gave: named figures, and how many answers were cut short.

    `chunks` and `tokens` are what the client counted, and what the answers were worth.
    """

    figures: Mapping[str, float]
    lost: int = 0
    tokens: int = 0
    chunks: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """Who is measured, in which round, and whether quickly.

    `desks` are those of all contestants by name, `sts` is a file of sentence pairs with grades.
    """

    server: Server
    desk: Desk
    round_number: int
    is_quick: bool
    desks: Mapping[str, Desk] = field(default_factory=dict)
    sts: Path | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One row of the table: a figure of ours, alone or divided by another's, and its bounds."""

    figure: str
    unit: str
    direction: Literal["at least", "at most"]
    must: float
    aim: float
    against: str | None = None
    """Divide by this contestant's figure. None: the figure itself is judged."""


@dataclass(frozen=True, slots=True)
class BareJob:
    """The same work for the bare loop. `prompt_keys` name the prompts of one turn."""

    prompts: Callable[[Desk, int], Sequence[Sequence[str]]]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """`measure` blocks nothing and raises OSError where the server is gone.

    The first of `contestants` is ours. Those of `compares_with` are up and may work for it.
    """

    key: str
    title: str
    measure: Callable[[Turn], Awaitable[Sample]]
    claims: Sequence[Claim]
    contestants: Sequence[str] = GENERATING_SERVERS
    bare: BareJob | None = None
    most_rounds: int | None = None
    compares_with: Sequence[str] = ()

    @property
    def ours(self) -> str:
        """Whose figures are judged."""
        return self.contestants[0]

    def takes(self, contestant: str) -> bool:
        """Whether this contestant takes part."""
        return contestant in self.contestants or (contestant == "bare" and self.bare is not None)

    def needs(self, contestant: str) -> bool:
        """Whether this contestant has to be up: to take part, or to be compared with."""
        return self.takes(contestant) or contestant in self.compares_with


OURS_ALONE = (OURS,)


def sample(answers: Sequence[Answer], figures: Mapping[str, float]) -> Sample:
    """Figures with the bookkeeping of the answers behind them. Pure."""
    return Sample(
        figures,
        lost=sum(not answer.is_complete for answer in answers),
        tokens=sum(answer.tokens for answer in answers),
        chunks=sum(len(answer.text_times) for answer in answers),
    )


def tokens_per_second(answers: Sequence[Answer]) -> float:
    """From the first request sent to the last answer ended. Pure."""
    seconds = max(answer.ended for answer in answers) - min(answer.sent for answer in answers)
    return sum(answer.tokens for answer in answers) / seconds
