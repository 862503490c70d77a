"""Signatures of thoughts: that what a client sends back as the model's thought is one.

A thought that is shown is signed by its hash; one that is not shown is in its signature, sealed. A
thought that was changed, made elsewhere or for another key is not shown to the model.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from llm_api.core.utils.sealing import Sealer, UnsealableError

_HASH: Final = "h"
_TEXT: Final = "t"


@dataclass(frozen=True, slots=True)
class Signatures:
    """Those of one owner."""

    sealer: Sealer
    owner: str

    def sign(self, thought: str, *, is_shown: bool) -> str:
        """The signature of a thought."""
        said = _HASH + _digest(thought) if is_shown else _TEXT + thought
        return self.sealer.seal(said, self.owner)

    def opened(self, thought: str, signature: str) -> str | None:
        """The thought; None where the signature is not ours, or that of another."""
        try:
            said = self.sealer.unseal(signature, self.owner)
        except UnsealableError:
            return None
        if said.startswith(_TEXT):
            return said[len(_TEXT) :] if not thought else None
        return thought if said == _HASH + _digest(thought) else None


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
