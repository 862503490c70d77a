"""One request inside the engine: its tokens, and how far they are computed. No text."""

from dataclasses import dataclass

from llm_api.core.llm.engine.draft_worth import Worth
from llm_api.core.llm.engine.drafting import PromptLookup
from llm_api.core.llm.engine.plan import AdapterScales
from llm_api.core.llm.types import Retention


@dataclass(slots=True, eq=False)
class Sequence:
    """A prompt growing into an answer. Owned and mutated by the scheduler alone.

    ```
    0          cached            computed           prompt_length      len(tokens) <= limit
    [ shared   | computed here   | pending: no KV yet ...... | output ...)
    ```

    A sequence decodes while what is pending is the token drawn last, and `forced` ones that a
    grammar dictated behind it; it prefills while more is pending.
    """

    id: int
    tokens: list[int]
    prompt_length: int
    limit: int
    """Total tokens, prompt included, at which the answer is cut with reason "length"."""
    end_tokens: frozenset[int] = frozenset()
    scope: str = ""
    adapters: AdapterScales = ()
    retention: Retention | None = None
    slot: int | None = None
    computed: int = 0
    cached: int = 0
    was_admitted: bool = False
    lookup: PromptLookup | None = None
    worth: Worth | None = None
    forced: int = 0

    @property
    def prefix_scope(self) -> str:
        """Who may share its prefixes: other adapters compute another KV from the same tokens."""
        return f"{self.scope}\0{self.adapters}" if self.adapters else self.scope

    @property
    def pending(self) -> int:
        """Tokens whose KV is still to be computed. At least 1 until the sequence ends."""
        return len(self.tokens) - self.computed

    @property
    def is_decoding(self) -> bool:
        return self.pending == 1 + self.forced

    @property
    def output_length(self) -> int:
        return len(self.tokens) - self.prompt_length
