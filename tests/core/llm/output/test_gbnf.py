"""GBNF as Lark: what it means stays the same, and a large one takes no longer than its size."""

import time

import pytest

from llm_api.core.llm.output.gbnf import GBNFError, gbnf_to_lark, is_lark


@pytest.mark.parametrize(
    ("gbnf", "lark"),
    [
        ('root ::= "a" | "b" root', 'start: "a" | "b" start'),
        ('root ::= "a" # why\n', 'start: "a"'),
        ('root ::=\n  "a" |\n  "b"', 'start: "a" | "b"'),
        ('root ::= ("a"\n | "b")', 'start: ( "a" | "b" )'),
        ("root ::= [a-z]+ [0-9]{2,}", "start: /[a-z]/ + /[0-9]/ {2,}"),
        (r"root ::= [x]{3} [^\n]?", r"start: /[x]/ {3,3} /[^\x{a}]/ ?"),
        (r'root ::= "\x41\u00e9\U0001F600\"\\"', 'start: "A\\u00e9\\ud83d\\ude00\\"\\\\"'),
        (r"root ::= [\]\-^a-c-]", r"start: /[\x{5d}\x{2d}\x{5e}a-c\x{2d}]/"),
        ("root ::= .", r"start: /(.|\n)/"),
        ("root ::= | [a]", 'start: "" | /[a]/'),
        ('root ::= (|"a") "b" |', 'start: ( "" | "a" ) "b" | ""'),
        ('root ::= x-Y\nx-Y ::= "a"', 'start: X_Y\nX_Y: "a"'),
        ('root ::= x\nx ::= "(" x ")" | y\ny ::= "z"', 'start: x\nx: "(" x ")" | Y\nY: "z"'),
        ('root ::= a-b a_b start\na-b ::= "1"\na_b ::= "2"\nstart ::= "3"',
         'start: A_B A_B_2 START_3\nA_B: "1"\nA_B_2: "2"\nSTART_3: "3"'),
        ('root ::= 1st\n1st ::= "1"', 'start: R_1ST\nR_1ST: "1"'),
    ],
)  # fmt: skip
def test_a_grammar_means_the_same(gbnf: str, lark: str) -> None:
    assert gbnf_to_lark(gbnf).strip() == lark


@pytest.mark.parametrize(
    ("gbnf", "reason"),
    [
        ("root ::= (", "line 1: a bracket is not closed"),
        ('root ::= "a")', "line 1: ')' closes no bracket"),
        ('root ::= "a"\n"b"', "line 2: a rule, 'name ::= ...', is expected before '\"b\"'"),
        ('root ::= "a"\nb', "line 2: '::=' is expected behind 'b'"),
        ('root ::= "a"\n\nroot ::= nothing', "line 3: there is no rule 'nothing'"),
        ('x ::= "a"', "there is no rule 'root'"),
        ('root ::= * "a"', "line 1: there is nothing before '*' to repeat"),
        ('root ::= "a" **', "line 1: there is nothing before '*' to repeat"),
        (r'root ::= "\q"', r"line 1: the escape '\\q' is not known"),
        (r'root ::= "\UFFFFFFFF"', r"line 1: the escape '\\UFFFFFFFF' is not known"),
        ("root ::= <think>", "line 1: '<think>' is not understood"),
        ('root ::= "abc', "line 1: '\"abc' is not understood"),
        ("", "there is no rule 'root'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(gbnf: str, reason: str) -> None:
    with pytest.raises(GBNFError) as raised:
        gbnf_to_lark(gbnf)
    assert str(raised.value) == reason


@pytest.mark.parametrize(
    ("grammar", "lark"),
    [
        ("start: a", True),
        ("%llguidance {}\n\nstart[lazy]: a", True),
        ('root ::= start\nstart ::= "a"', False),
        ("// a comment\n  start : a", True),
    ],
)
def test_the_notation_is_recognised(grammar: str, lark: bool) -> None:
    assert is_lark(grammar) is lark


@pytest.mark.parametrize(
    "text",
    [
        "root ::= r0\n" + "".join(f"r{i} ::= r{i + 1} r{i + 1}\n" for i in range(2000)),
        "root ::= " + "(" * 30_000 + '"a"' + ")" * 30_000,
        "root ::= " + '"a" | ' * 10_000 + '"a"',
        "root ::= " + "{" * 60_000,
        "root ::= [" + "\\" * 60_000,
        'root ::= "' + "\\" * 60_000,
        "\n" * 60_000,
        " " * 60_000 + "start",
        "root" + " " * 60_000,
        "root ::= a" + "{1" + " " * 60_000,
    ],
)
def test_the_time_grows_with_the_size_alone(text: str) -> None:
    began = time.thread_time()
    try:
        is_lark(text)
        gbnf_to_lark(text)
    except GBNFError:
        pass
    assert time.thread_time() - began < 0.5
