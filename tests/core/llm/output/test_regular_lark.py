"""Grammars in Lark's notation as regular expressions."""

import re

import pytest

from llm_api.core.llm.output.regular_lark import NotRegularError, lark_to_regex

PATCH = r"""
start: begin_patch hunk+ end_patch
begin_patch: "*** Begin Patch" LF
end_patch: "*** End Patch" LF?
hunk: add_hunk | delete_hunk
add_hunk: "*** Add File: " filename LF add_line+
delete_hunk: "*** Delete File: " filename LF
filename: /(.+)/
add_line: "+" /(.*)/ LF -> line
%import common.LF
"""
"""As Codex sends it, shortened."""


def matches(grammar: str, text: str) -> bool:
    """Python writes a character by its number in another way than Rust."""
    by_number = re.compile(r"\\x\{([0-9a-f]+)\}")
    regex = by_number.sub(lambda one: re.escape(chr(int(one[1], 16))), lark_to_regex(grammar))
    return re.fullmatch(regex, text) is not None


@pytest.mark.parametrize(
    ("grammar", "texts", "others"),
    [
        ('start: "a" | "b"', ["a", "b"], ["", "ab", "c"]),
        ('start: "a"~2..3 ["x"]', ["aa", "aaa", "aax"], ["a", "aaaa", "ax"]),
        ('start: (A | "-")* // some\nA.2: "0".."9"', ["", "1-2"], ["a"]),
        ('start: "yes"i /[0-9]{3}/', ["YES123", "yes000"], ["yes1"]),
        ('?start: sum\nsum: INT ("+" INT)*\n%import common.INT', ["1", "12+3"], ["+", "1+"]),
        ("start: L -> named\n%import common.LETTER -> L", ["q"], ["1"]),
        ('start: "a"\n     | "(" "\\n"', ["a", "(\n"], ["("]),
        (
            PATCH,
            ["*** Begin Patch\n*** Add File: a.py\n+x\n+\n*** End Patch"],
            ["*** Begin Patch\n*** End Patch", "hello"],
        ),
    ],
)
def test_texts_of_a_grammar_match(grammar: str, texts: list[str], others: list[str]) -> None:
    assert [text for text in texts if not matches(grammar, text)] == []
    assert [text for text in others if matches(grammar, text)] == []


@pytest.mark.parametrize(
    ("grammar", "why"),
    [
        ('start: "(" start? ")"', "uses itself"),
        ('a: "b"', "no rule 'start'"),
        ("start: other", "no rule 'other'"),
        ('start: "a"\n%ignore " "', "line 2"),
        ("start: X\n%import common.NOTHING -> X", "not known"),
        ("start: a0\n" + "".join(f"a{n}: a{n + 1}\n" for n in range(200)), "too deeply"),
        ("start: a0\n" + "".join(f"a{n}: a{n + 1} a{n + 1}\n" for n in range(50)), "a50"),
        (
            "start: a0\n" + "".join(f"a{n}: a{n + 1} a{n + 1}\n" for n in range(50)) + 'a50: "b"',
            "too large",
        ),
    ],
)
def test_what_is_not_regular_is_refused(grammar: str, why: str) -> None:
    with pytest.raises(NotRegularError, match=re.escape(why)):
        lark_to_regex(grammar)
