"""Who is admitted next: fair between scopes (API keys), first come first served within one."""

from collections import deque
from collections.abc import Iterator, Mapping

from llm_api.core.llm.engine.sequence import Sequence


class FairQueue:
    """Waiting sequences. The scope with the fewest running sequences goes first."""

    def __init__(self) -> None:
        self._by_scope: dict[str, deque[Sequence]] = {}

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._by_scope.values())

    def append(self, sequence: Sequence) -> None:
        self._by_scope.setdefault(sequence.scope, deque()).append(sequence)

    def append_first(self, sequence: Sequence) -> None:
        """Put a preempted sequence before all others of its scope."""
        self._by_scope.setdefault(sequence.scope, deque()).appendleft(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Take a waiting sequence out. A scope served moves behind its equals."""
        waiting = self._by_scope.pop(sequence.scope)
        waiting.remove(sequence)
        if waiting:
            self._by_scope[sequence.scope] = waiting

    def in_order(self, running_per_scope: Mapping[str, int]) -> Iterator[Sequence]:
        """Every waiting sequence, in the order of admission if each were admitted in turn. Pure."""
        counts = dict(running_per_scope)
        # Copied in calls that nothing interrupts: other threads may look.
        rest = {scope: iter(tuple(waiting)) for scope, waiting in list(self._by_scope.items())}
        while rest:
            scope = min(rest, key=lambda name: counts.get(name, 0))
            sequence = next(rest[scope], None)
            if sequence is None:
                del rest[scope]
                continue
            counts[scope] = counts.get(scope, 0) + 1
            yield sequence
