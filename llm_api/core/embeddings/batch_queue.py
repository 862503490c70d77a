"""Which texts are computed next, together: formed anew for each batch. Pure data, no thread.

A batch costs what it is padded to: its longest text times their number. It is led by the request
with the least left to compute, and holds

1. that request's longest texts, as many as the budget takes, at least one;
2. where that was all of the request, further requests that fit as a whole and are of like length.

So a query never waits for more than the batch that runs, and never shares its own with pieces of
a long request. A request that others have overtaken `PATIENCE` times leads the next batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

PATIENCE = 8
PADDING_TOKENS = 32
"""Padding that a batch may always have: less than what a batch of its own costs."""


@dataclass(slots=True, eq=False)
class TextJob:
    """The texts of one request. `adapter` is the same for all texts of a batch."""

    lengths: Sequence[int]
    adapter: str | None = None
    waiting: list[int] = field(init=False)
    """Positions not yet computed, the longest last."""
    tokens_left: int = field(init=False)
    overtaken: int = 0

    def __post_init__(self) -> None:
        self.waiting = sorted(range(len(self.lengths)), key=lambda index: self.lengths[index])
        self.tokens_left = sum(self.lengths)

    @property
    def padded_tokens(self) -> int:
        """What all texts would cost as one batch."""
        return max(self.lengths) * len(self.lengths)

    @property
    def longest(self) -> int:
        """Tokens of the longest text that waits."""
        return self.lengths[self.waiting[-1]]

    def take(self, count: int) -> list[int]:
        """Remove the longest `count` texts; their positions."""
        taken = [self.waiting.pop() for _ in range(count)]
        self.tokens_left -= sum(self.lengths[index] for index in taken)
        return taken


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Texts to compute together: of each job these positions. `is_part`: of a long request."""

    parts: Sequence[tuple[TextJob, Sequence[int]]]
    adapter: str | None
    is_part: bool


class BatchQueue:
    """Jobs with texts that wait, in the order of their arrival."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._jobs: dict[TextJob, None] = {}

    @property
    def waiting_tokens(self) -> int:
        return sum(job.tokens_left for job in self._jobs)

    def add(self, job: TextJob) -> None:
        self._jobs[job] = None

    def remove(self, job: TextJob) -> None:
        """Drop what is not computed yet. Does nothing for a job that is not there."""
        self._jobs.pop(job, None)

    @property
    def has_small(self) -> bool:
        """Whether a request waits that fits into one batch."""
        return any(map(self._is_small, self._jobs))

    def next_batch(self, *, of_small: bool = False) -> TextBatch | None:
        """Take out what is to be computed now; None while nothing waits. `of_small`: of those."""
        jobs = [job for job in self._jobs if not of_small or self._is_small(job)]
        if not jobs:
            return None
        lead, *others = sorted(jobs, key=lambda job: (job.overtaken < PATIENCE, job.tokens_left))
        fitting = max(1, self._budget // lead.longest)
        parts = [(lead, lead.take(min(fitting, len(lead.waiting))))]
        if not lead.waiting:
            parts += self._company(lead, parts[0][1], others)
        self._note_turn([job for job, _ in parts])
        return TextBatch(parts, lead.adapter, is_part=not self._is_small(lead))

    def _is_small(self, job: TextJob) -> bool:
        return job.padded_tokens <= self._budget

    def _company(
        self, lead: TextJob, taken: Sequence[int], others: Sequence[TextJob]
    ) -> list[tuple[TextJob, list[int]]]:
        """Whole jobs that fit beside the texts taken from `lead`, of like length."""
        longest = max(lead.lengths[index] for index in taken)
        count, tokens = len(taken), sum(lead.lengths[index] for index in taken)
        company = []
        for job in others:
            wider = max(longest, job.longest)
            more, total = count + len(job.waiting), tokens + job.tokens_left
            fits = wider * more <= self._budget and wider * more <= 1.5 * total + PADDING_TOKENS
            if fits and job.adapter == lead.adapter:
                longest, count, tokens = wider, more, total
                company.append((job, job.take(len(job.waiting))))
        return company

    def _note_turn(self, served: Sequence[TextJob]) -> None:
        """Drop the jobs that are through; count who has been overtaken by a later one."""
        last = max(position for position, job in enumerate(self._jobs) if job in served)
        for position, job in enumerate(self._jobs):
            if job in served:
                job.overtaken = 0
            elif position < last:
                job.overtaken += 1
        for job in served:
            if not job.waiting:
                del self._jobs[job]
