"""Which model a name means that people bring from elsewhere. Pure. Knows no model.

A name means, first of all, the model of exactly this id or alias. Where there is none:

1. the one whose name differs in nothing but the case of letters, or in `.gguf` at its end;
2. the one whose name begins so and goes on with what tells how its file is made, its
   quantisation and its number among parts; or whose name ends so, after its owner.

Where several models are as near as each other, none of them is meant.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from llm_api.core.errors import ModelNotFoundError

_PART: Final = re.compile(r"-\d{5}-of-\d{5}$")
_QUANTISATION: Final = re.compile(
    r"[-._](?:ud[-._])?"
    r"(?:t?q\d_(?:\d|k)(?:_[a-z\d]{1,2})*|iq\d_[a-z]{1,3}|b?f16|f32|fp16|fp32|mxfp4(?:_moe)?|nvfp4)$"
)


def meant(name: str, models: Mapping[str, Sequence[str]]) -> str | None:
    """The id of the model that a name means, of ids and their aliases; None where it is no name.

    Raises ModelNotFoundError, which names the candidates, where it could be any of several.
    """
    if name in models:
        return name
    for model_id, aliases in models.items():
        if name in aliases:
            return model_id
    wanted = _plain(name)
    for forms in (_whole, _short):
        found = [
            model_id
            for model_id, aliases in models.items()
            if any(wanted in forms(one) for one in (model_id, *aliases))
        ]
        if len(found) > 1:
            raise ModelNotFoundError(
                f"The model `{name}` may be any of {', '.join(f'`{one}`' for one in found)}:"
                " name one of them.",
                param="model",
            )
        if found:
            return found[0]
    return None


def _whole(name: str) -> set[str]:
    return {_plain(name)}


def _short(name: str) -> set[str]:
    """What a name is without its owner, its number among parts and its quantisation."""
    owned = _plain(name)
    last = owned.rpartition("/")[2]
    return {_without_quantisation(one) for one in (owned, last)} | {last, _PART.sub("", last)}


def _without_quantisation(name: str) -> str:
    return _QUANTISATION.sub("", _PART.sub("", name))


def _plain(name: str) -> str:
    return name.casefold().removesuffix(".gguf")
