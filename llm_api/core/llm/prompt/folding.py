"""Turns that a template does not take, put into those that it does. Pure.

1. A system turn that it refuses, or leaves out, stands at the beginning of the user's next turn;
   before an answer, or at the end, it is a turn of the user's.
2. Several system turns at the beginning become one, where it takes no more.
3. Turns of one role in a row become one, where it wants roles to alternate. One with calls stays.
4. Text becomes a list of one part, where it looks for parts.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile

from llm_api.core.llm.prompt.traits import Fields, TurnTraits, in_parts


def fold(turns: Sequence[Fields], traits: TurnTraits) -> list[Fields]:
    """The same words in turns that the template takes."""
    leading = list(takewhile(_is_system, turns))
    later = list(turns[len(leading) :])
    is_alone = not any(turn["role"] == "user" for turn in turns)
    if not traits.takes_system or (is_alone and not traits.takes_system_alone):
        leading, later = [], _without_systems(turns)
    elif not traits.takes_several_systems:
        leading = _joined(leading, {"system"})
    if not traits.takes_late_system:
        later = _without_systems(later)
    return in_parts(_joined([*leading, *later], traits.joined), traits.in_parts)


def _is_system(turn: Fields) -> bool:
    return turn["role"] == "system"


def _without_systems(turns: Iterable[Fields]) -> list[Fields]:
    folded: list[Fields] = []
    waiting: list[Fields] = []
    for turn in turns:
        if _is_system(turn):
            waiting.append({**turn, "role": "user"})
        elif turn["role"] == "user":
            folded += _joined([*waiting, turn], {"user"})
            waiting = []
        else:
            folded += [*_joined(waiting, {"user"}), turn]
            waiting = []
    return folded + _joined(waiting, {"user"})


def _joined(turns: Iterable[Fields], roles: Collection[str]) -> list[Fields]:
    """Turns of these roles that stand in a row as one."""
    joined: list[Fields] = []
    for turn in turns:
        last = joined[-1] if joined else None
        if last is None or not _may_join(last, turn, roles):
            joined.append(turn)
            continue
        contents = [each["content"] for each in (last, turn) if each["content"]]
        joined[-1] = {**last, **turn, "content": "\n\n".join(map(str, contents))}
    return joined


def _may_join(last: Fields, turn: Fields, roles: Collection[str]) -> bool:
    return turn["role"] == last["role"] and turn["role"] in roles and "tool_calls" not in last
