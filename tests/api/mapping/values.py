"""Values of the domain, for tables about the wire."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from llm_api.api.mapping.generation import AnswerHead
from llm_api.core.functions.catalog import FunctionCatalog
from llm_api.core.functions.types import FunctionSpec, Origin
from llm_api.core.llm.types import Finished, FinishReason, Usage

HEAD = AnswerHead(id="x-1", created=1_700_000_000, model="m", system_fingerprint="fp_1")


@dataclass(frozen=True)
class KnownFunction:
    """A function that is only described."""

    name: str
    timeout_seconds: float | None = None

    @property
    def spec(self) -> FunctionSpec:
        return FunctionSpec(self.name, f"Does {self.name}.", {"type": "object"})

    @property
    def origin(self) -> Origin:
        return Origin("file", f"{self.name}.py")

    async def call(self, arguments: Mapping[str, JsonValue]) -> str:
        raise NotImplementedError


def catalog_of(*names: str) -> FunctionCatalog:
    catalog = FunctionCatalog()
    for name in names:
        catalog.add(KnownFunction(name))
    return catalog


def ended(reason: FinishReason = "stop", prompt: int = 5, completion: int = 3) -> Finished:
    return Finished(reason, Usage(prompt, completion))
