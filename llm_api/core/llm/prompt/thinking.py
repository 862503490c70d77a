"""How a chat template is told whether to think, whatever it calls that. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from llm_api.core.llm.types import JSON

EFFORT: Final = "reasoning_effort"
SWITCH: Final = "enable_thinking"
_SWITCHES: Final = (SWITCH, "thinking")
"""The second is what templates of DeepSeek, Granite and Kimi call it."""


def switch_among(known: Collection[str]) -> str | None:
    """The name of a template's switch for thinking, of the names that it reads; None without."""
    return next((name for name in _SWITCHES if name in known), None)


def as_known(variables: Mapping[str, JSON], known: Collection[str]) -> dict[str, JSON]:
    """The variables as a template that knows these names reads them.

    An effort switches thinking on, or off with `none`, where the template knows no effort; the
    switch gets the template's name for it. What the template cannot be told stays as it was.
    """
    told = dict(variables)
    switch = switch_among(known)
    if switch is None:
        return told
    if isinstance(told.get(EFFORT), str) and EFFORT not in known:
        effort = told.pop(EFFORT)
        told.setdefault(SWITCH, effort != "none")
    if SWITCH in told and switch != SWITCH:
        told.setdefault(switch, told[SWITCH])
        del told[SWITCH]
    return told


_BUDGETS: Final[Mapping[JSON, int]] = {"none": 0, "minimal": 256, "low": 1024, "medium": 4096}
"""Tokens of thought for an effort that a template does not know; any other effort is unbounded."""


def budget_of(variables: Mapping[str, JSON], known: Collection[str]) -> int | None:
    """The tokens of thought that variables mean where the template cannot be told; None: any."""
    effort = variables.get(EFFORT)
    if isinstance(effort, str) and EFFORT not in known:
        return _BUDGETS.get(effort)
    is_off = variables.get(SWITCH) is False and switch_among(known) is None
    return 0 if is_off else None


def not_heeded(ignored: Sequence[str], *, thinks: bool) -> tuple[str, ...]:
    """Of the variables that a template does not read, those by which nothing is done at all."""
    return tuple(name for name in ignored if not (thinks and name in (EFFORT, SWITCH)))
