"""Which model a name means that people bring from elsewhere. Pure. Knows no model.

A name means, first of all, the model of exactly this id or alias. Where there is none:

1. the one whose name differs in nothing but the case of letters, or in `.gguf` at its end;
2. the one whose name begins so and goes on with what tells how its file is made, its
   quantisation and its number among parts; or whose name ends so, after its owner;
3. the one with an alias that is a pattern, such as `claude-*haiku*`, in which `*` stands for any
   text: of several patterns, the one with the most characters beside `*`;
4. for a name with a tag, as Ollama writes it: the one without `:latest`; else the one with `-` for
   `:`, or with `-instruct` behind that, which is what Ollama's tags of sizes mean.

Where several models are as near as each other, none of them is meant.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from llm_api.core.errors import ModelNotFoundError
from llm_api.core.utils.wildcards import fits

_PART: Final = re.compile(r"-\d{5}-of-\d{5}$")
_QUANTISATION: Final = re.compile(
    r"[-._](?:ud[-._])?"
    r"(?:t?q\d_(?:\d|k)(?:_[a-z\d]{1,2})*|iq\d_[a-z]{1,3}|b?f16|f32|fp16|fp32|mxfp4(?:_moe)?|nvfp4)$"
)


def meant(name: str, models: Mapping[str, Sequence[str]]) -> str | None:
    """The id of the model that a name means, of ids and their aliases; None where it is no name.

    Raises ModelNotFoundError, which names the candidates, where it could be any of several.
    """
    named = (_meant(one, models) for one in (name, *_without_tag(name)))
    return next(filter(None, named), None)


def _meant(name: str, models: Mapping[str, Sequence[str]]) -> str | None:
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
        if found:
            return _only(found, name)
    return _only(_by_pattern(wanted, models), name)


def unknown_model(name: str, names: Iterable[str]) -> ModelNotFoundError:
    """The error of a name that means no model: the nearest of those that do, and what to do."""
    known = list(dict.fromkeys(names))
    plain = {_plain(one): one for one in reversed(known)}
    near = [plain[one] for one in get_close_matches(_plain(name), plain, n=3, cutoff=0.5)]
    hint = f" Did you mean {_listed(near)}?" if near else ""
    return ModelNotFoundError(
        f"The model `{name}` does not exist or you do not have access to it.{hint}"
        " MODEL_ALIASES (in a file: `aliases`) gives a model further names, and"
        f" UNKNOWN_MODEL=default serves any name. Known models: {_listed(known)}.",
        param="model",
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{one}`" for one in names)


def _only(found: Sequence[str], name: str) -> str | None:
    """Of the models that a name may mean, the one there is. Raises ModelNotFoundError for more."""
    if len(found) > 1:
        raise ModelNotFoundError(
            f"The model `{name}` may be any of {_listed(found)}: name one of them.", param="model"
        )
    return found[0] if found else None


def _by_pattern(wanted: str, models: Mapping[str, Sequence[str]]) -> list[str]:
    """The models whose patterns say the most of those that fit."""
    said: dict[str, int] = {}
    for model_id, aliases in models.items():
        for pattern in aliases:
            if "*" in pattern and fits(wanted, pattern.casefold()):
                length = len(pattern) - pattern.count("*")
                said[model_id] = max(length, said.get(model_id, 0))
    return [model_id for model_id, length in said.items() if length == max(said.values())]


def _without_tag(name: str) -> tuple[str, ...]:
    """What a name with a tag may be here; nothing where it has none."""
    owner, slash, last = name.rpartition("/")
    model, colon, tag = last.partition(":")
    if not (model and colon and tag):
        return ()
    if tag.casefold() == "latest":
        return (f"{owner}{slash}{model}",)
    joined = f"{owner}{slash}{model}-{tag}"
    return (joined, f"{joined}-instruct")


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
