"""What requests add up to: counted from the facts of each, once its answer has ended.

Labels are few by nature: route templates instead of paths, models that are served, codes of errors.
Keys are none of them: the request log says who asked.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from llm_api.api.request_facts import RequestFacts
from llm_api.core.errors import LLMAPIError
from llm_api.core.utils.distribution import Distribution

NO_ROUTE: Final = "none"
OTHER_METHOD: Final = "other"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_GAP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)

Labels: TypeAlias = tuple[str, ...]
Distributions: TypeAlias = defaultdict[Labels, Distribution]


def _distributions(bounds: tuple[float, ...] = _SECONDS) -> Distributions:
    return defaultdict(partial(Distribution, bounds))


def _codes(kind: type[LLMAPIError] = LLMAPIError) -> Iterator[Labels]:
    """Of all errors: a series that is there from the start shows the first of them as a rise."""
    yield (kind.code,)
    for special in kind.__subclasses__():
        yield from _codes(special)


@dataclass(slots=True)
class RequestMetrics:
    """Those of one application, by labels. The event loop alone counts.

    `running` is how many requests are being answered; all else only grows.
    """

    running: int = 0
    requests: Counter[Labels] = field(default_factory=Counter)
    errors: Counter[Labels] = field(default_factory=lambda: Counter(dict.fromkeys(_codes(), 0)))
    fallbacks: Counter[Labels] = field(default_factory=Counter)
    prompt_tokens: Counter[Labels] = field(default_factory=Counter)
    cached_tokens: Counter[Labels] = field(default_factory=Counter)
    completion_tokens: Counter[Labels] = field(default_factory=Counter)
    request_seconds: Distributions = field(default_factory=_distributions)
    queue_seconds: Distributions = field(default_factory=_distributions)
    first_token_seconds: Distributions = field(default_factory=_distributions)
    token_gaps: Distributions = field(default_factory=partial(_distributions, _GAP_SECONDS))

    def record(self, facts: RequestFacts) -> None:
        """Count a request that has ended."""
        method = facts.method if facts.method in _METHODS else OTHER_METHOD
        endpoint = facts.endpoint or NO_ROUTE
        self.requests[method, endpoint, str(facts.status)] += 1
        self.request_seconds[(endpoint,)].add(facts.total_seconds or 0.0)
        if facts.error is not None:
            self.errors[(facts.error,)] += 1
        if facts.model is not None:
            self._record_answer((facts.model,), facts)

    def _record_answer(self, model: Labels, facts: RequestFacts) -> None:
        if facts.fallback is not None:
            self.fallbacks[*model, facts.fallback] += 1
        if facts.queue_seconds is not None:
            self.queue_seconds[model].add(facts.queue_seconds)
        # Of an answer in full, a backend may hold everything back until its end.
        if facts.is_streamed and facts.first_token_seconds is not None:
            self.first_token_seconds[model].add(facts.first_token_seconds)
            self.token_gaps[model].add_all(facts.token_gaps)
        if facts.usage is not None:
            self.prompt_tokens[model] += facts.usage.prompt_tokens
            self.cached_tokens[model] += facts.usage.cached_tokens
            self.completion_tokens[model] += facts.usage.completion_tokens
