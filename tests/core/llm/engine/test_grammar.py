"""Grammars over the default model's vocabulary: what may come, what must, what is refused."""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.engine.grammar import COMPILER_STACK_BYTES, GrammarCompiler, TokenMatcher
from llm_api.core.llm.engine.llama_model import LlamaModel, ModelOptions
from llm_api.core.llm.engine.runner import ConstraintError
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.output.checking.string_checks import has_format
from llm_api.core.llm.output.schemas.enforceable import COMPILER_FORMATS, enforceable
from llm_api.core.llm.output.schemas.string_formats import PATTERNS
from llm_api.core.llm.types import JSON
from llm_api.core.utils.work_threads import WorkThreads
from tests.costs import least_seconds

T = TypeVar("T")


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaModel]:
    model = LlamaModel(default_model_path(), ModelOptions())
    yield model
    model.close()


@pytest.fixture(scope="module")
def compiler(model: LlamaModel) -> GrammarCompiler:
    return GrammarCompiler(model)


def pieces(model: LlamaModel, matcher: TokenMatcher) -> set[bytes]:
    return {model.token_bytes(int(token)) for token in matcher.allowed()}


def tokens(model: LlamaModel, text: str) -> list[int]:
    return model.tokenize(text, add_special=False, parse_special=False)


def walk(model: LlamaModel, matcher: TokenMatcher, rng: random.Random) -> str:
    """A random sentence of the grammar."""
    text = b""
    while True:
        token = int(rng.choice(matcher.allowed()))
        if token in model.end_tokens:
            return text.decode()
        matcher.accept(token)
        forced = matcher.force()
        is_over = bool(forced) and forced[-1] in model.end_tokens
        for piece in [token, *(forced[:-1] if is_over else forced)]:
            text += model.piece(piece)
        if is_over:
            return text.decode()


def test_only_what_the_grammar_allows_may_come(
    model: LlamaModel, compiler: GrammarCompiler
) -> None:
    matcher = compiler.compile('start: "yes" | "no"', "grammar")
    allowed = pieces(model, matcher)
    assert b"yes" in allowed
    assert all(b"yes".startswith(piece) or b"no".startswith(piece) for piece in allowed)


def test_what_must_follow_is_forced_to_the_end(
    model: LlamaModel, compiler: GrammarCompiler
) -> None:
    matcher = compiler.compile('start: ("left" | "right") " turn ahead"', "grammar")
    [first] = tokens(model, "left")
    matcher.accept(first)
    *forced, end = matcher.force()
    assert b"".join(map(model.piece, forced)) == b" turn ahead"
    assert end in model.end_tokens


def test_a_complete_answer_that_may_go_on_is_not_ended(compiler: GrammarCompiler) -> None:
    matcher = compiler.compile("start: /a+/", "grammar")
    matcher.accept(int(matcher.allowed()[0]))
    assert matcher.force() == []


def test_every_end_token_may_end_a_complete_answer(
    model: LlamaModel, compiler: GrammarCompiler
) -> None:
    matcher = compiler.compile("start: /a*/", "grammar")
    assert set(model.end_tokens) <= {int(token) for token in matcher.allowed()}


def test_a_control_token_is_not_its_text(model: LlamaModel, compiler: GrammarCompiler) -> None:
    token = model.control_tokens["<|im_start|>"]
    free = compiler.compile(r"start: /(.|\n)*/", "grammar")
    assert token not in {int(allowed) for allowed in free.allowed()}
    only = compiler.compile(f"start: <[{token}]>", "grammar")
    assert [int(allowed) for allowed in only.allowed()] == [token]


@pytest.mark.parametrize("grammar", ['root ::= "a" | "b" root', 'start: "a" | "b" start'])
def test_a_grammar_may_be_in_either_notation(compiler: GrammarCompiler, grammar: str) -> None:
    lark = compiler.to_lark(grammar, "grammar")
    assert "start:" in lark
    compiler.compile(lark, "grammar")


def test_a_wrong_gbnf_is_refused_with_its_place(compiler: GrammarCompiler) -> None:
    with pytest.raises(InvalidRequestError, match="line 1"):
        compiler.to_lark("root ::= (", "grammar")


LEVELS = range(2000)

BOMBS = {
    "gbnf rules that double": "root ::= r0\n"
    + "".join(f"r{i} ::= r{i + 1} r{i + 1}\n" for i in LEVELS)
    + 'r2000 ::= "a"\n',
    "fewer gbnf rules that double": "root ::= r0\n"
    + "".join(f"r{i} ::= r{i + 1} r{i + 1}\n" for i in LEVELS[:800])
    + 'r800 ::= "a"\n',
    "terminals that double": "start: R0\n"
    + "".join(f"R{i}: R{i + 1} R{i + 1}\n" for i in LEVELS[:900])
    + 'R900: "a"\n',
    "rules that double": "start: r0\n"
    + "".join(f"r{i}: r{i + 1} r{i + 1}\n" for i in LEVELS[:900])
    + 'r900: "a"\n',
    "an error at the end of a chain": "start: r0\n"
    + "".join(f'r{i}: r{i + 1} | "x"\n' for i in LEVELS[:900])
    + "r900: /(/\n",
    "repetition in repetition": "start: /((a{1000}){1000}){1000}/",
    "a chain of rules": "start: r0\n"
    + "".join(f'r{i}: r{i + 1} | "x"\n' for i in range(3000))
    + 'r3000: "a"\n',
    "many optional rules": f'start: {"r? " * 1900}\nr: "a" | "b" r\n',
    "brackets": f"start: {'(' * 30_000}a{')' * 30_000}\na: /a/\n",
    "regex brackets": f"start: /{'(' * 30_000}a{')' * 30_000}/\n",
    "schema in a schema": "start: %json " + '{"items":' * 5000 + "{}" + "}" * 5000,
    "substrings": 'start: %regex {"substring_chars": "' + "abcdefghij" * 6000 + '"}\n',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
async def test_a_bomb_is_refused_within_a_second_or_costs_little(
    compiler: GrammarCompiler, bomb: str
) -> None:
    async def compiled() -> None:
        with suppress(InvalidRequestError):
            matcher = await on_its_stack(
                lambda: compiler.compile(compiler.to_lark(bomb, "grammar"), "grammar")
            )
            assert costliest_step(matcher) < 0.1

    assert await least_seconds(compiled) < 1


def costliest_step(matcher: TokenMatcher) -> float:
    """Seconds of computing for one token, of a few."""
    worst = 0.0
    rng = random.Random(1)
    with suppress(ConstraintError):
        for _ in range(20):
            token = int(rng.choice(matcher.allowed()))
            began = time.thread_time()
            try:
                matcher.accept(token)
                matcher.force()
                matcher.allowed()
            finally:
                worst = max(worst, time.thread_time() - began)
    return worst


@pytest.mark.parametrize(
    "bomb", ["gbnf rules that double", "terminals that double", "a chain of rules", "brackets"]
)
def test_a_bomb_is_refused_before_it_is_compiled(compiler: GrammarCompiler, bomb: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"too large|too deeply nested") as raised:
        compiler.compile(compiler.to_lark(BOMBS[bomb], "grammar"), "grammar")
    assert raised.value.param == "grammar"


async def on_its_stack(work: Callable[[], T]) -> T:
    """What `work` gives in a thread as the compiler wants one."""
    return await WorkThreads(1, stack_bytes=COMPILER_STACK_BYTES).run(work)


async def test_the_longest_chain_of_rules_fits_the_stack(compiler: GrammarCompiler) -> None:
    def rule(i: int) -> str:
        return f'r{i}: "(" ((((r{i + 1} "y")* "x")? "z" | "g")+ "e")~2..5 | "x{i}"\n'

    grammar = "start: r0\n" + "".join(map(rule, range(998))) + 'r998: "a"\n'
    lark = compiler.to_lark(grammar, "grammar")
    await on_its_stack(lambda: compiler.compile(lark, "grammar"))


async def test_the_longest_chain_of_references_fits_the_stack(compiler: GrammarCompiler) -> None:
    levels = range(3300)
    schema: dict[str, JSON] = {"$ref": "#/$defs/0"}
    schema["$defs"] = {
        **{f"{i}": {"properties": {"a": {"$ref": f"#/$defs/{i + 1}"}}} for i in levels},
        "3300": {"type": "string"},
    }
    await on_its_stack(lambda: compiler.check_schema(schema, "response_format"))


def test_a_token_that_is_not_allowed_is_an_error(
    model: LlamaModel, compiler: GrammarCompiler
) -> None:
    matcher = compiler.compile('start: "a"', "grammar")
    with pytest.raises(ConstraintError):
        matcher.accept(tokens(model, "b")[0])


@pytest.mark.parametrize("seed", range(5))
def test_a_random_walk_ends_in_a_sentence(
    model: LlamaModel, compiler: GrammarCompiler, seed: int
) -> None:
    schema = {
        "type": "object",
        "properties": {
            "size": {"type": "integer", "minimum": 3, "maximum": 12},
            "kind": {"enum": ["cat", "dog"]},
            "tags": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
        },
        "required": ["size", "kind", "tags"],
        "additionalProperties": False,
    }
    matcher = compiler.compile(f"start: %json {json.dumps(schema)}", "response_format")
    value = json.loads(walk(model, matcher, random.Random(seed)))
    assert 3 <= value["size"] <= 12
    assert value["kind"] in ("cat", "dog")
    assert len(value["tags"]) <= 3


@pytest.mark.parametrize(
    "grammar",
    ["start: nothing", "start: (", "", "start: /([/", 'start: start "a"'],
    ids=["undefined", "syntax", "empty", "regex", "endless"],
)
def test_a_wrong_grammar_is_refused_by_name_and_soon(
    compiler: GrammarCompiler, grammar: str
) -> None:
    began = time.thread_time()
    with pytest.raises(InvalidRequestError) as raised:
        compiler.compile(grammar, "grammar")
    assert raised.value.param == "grammar"
    assert "\n" not in raised.value.message
    assert time.thread_time() - began < 5


@pytest.mark.parametrize(
    ("grammar", "reason"),
    [
        ("start: answer\nanswer: /(?=a)b/\n", "look-around, including look-ahead"),
        ("start: answer\nanswer: /a(/\n", "unclosed group"),
        ("start: nothing", "unknown name: \"nothing\", in 'start: nothing'"),
        ("start: (((", "found"),
        (f"start: {'(' * 300}a{')' * 300}\na: /a/\n", "deeply nested"),
        ('start: %json {"type": "strng"}', "strng"),
        ("start: A\nA: %json {}\n", "json literals cannot be"),
    ],
)
def test_the_reason_of_a_refusal_is_one_useful_line(
    compiler: GrammarCompiler, grammar: str, reason: str
) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        compiler.compile(grammar, "grammar")
    assert reason in raised.value.message
    assert "^" not in raised.value.message


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"uniqueItems": True, "type": "array"}, "uniqueItems"),
        ({"type": "string", "pattern": "(["}, "unclosed"),
        ({"type": "string", "pattern": "(?=a)b"}, "look-around"),
        ({"type": "integer", "minimum": 5, "maximum": 3}, "minimum"),
        ({"not": {}}, "not"),
        ({"type": "strng"}, "strng"),
        ({"type": "string", "format": []}, "format"),
    ],
)
def test_a_schema_that_cannot_be_enforced_says_where(
    compiler: GrammarCompiler, part: dict[str, Any], reason: str
) -> None:
    inner = {"type": "object", "properties": {"b": part}, "required": ["b"]}
    schema: dict[str, Any] = {"type": "object", "properties": {"a": inner, "c": {"type": "string"}}}
    schema["required"] = ["a"]
    with pytest.raises(InvalidRequestError) as raised:
        compiler.check_schema(schema, "tools[0].function.parameters")
    assert "'/properties/a/properties/b'" in raised.value.message
    assert reason in raised.value.message
    assert raised.value.param == "tools[0].function.parameters"


def test_shared_definitions_are_known_where_the_culprit_is_sought(
    compiler: GrammarCompiler,
) -> None:
    schema: dict[str, Any] = {
        "properties": {"good": {"$ref": "#/$defs/good"}, "bad": {"uniqueItems": True}},
        "$defs": {"good": {"type": "string"}},
    }
    with pytest.raises(InvalidRequestError, match="'/properties/bad'"):
        compiler.check_schema(schema, "response_format")


@pytest.mark.parametrize("name", sorted({*PATTERNS, "ipv4", "ipv6"}))
def test_every_text_of_a_format_has_it(
    model: LlamaModel, compiler: GrammarCompiler, name: str
) -> None:
    schema = enforceable({"type": "string", "format": name, "maxLength": 60}, "x")
    compiler.check_schema(schema, "x")
    grammar = json.dumps({"grammars": [{"json_schema": schema}]})
    for seed in range(20):
        text = json.loads(walk(model, compiler.compile(grammar, "x"), random.Random(seed)))
        assert has_format(name, text), text


def test_the_formats_that_are_enforced_are_those_the_compiler_knows(
    compiler: GrammarCompiler,
) -> None:
    for name in COMPILER_FORMATS:
        compiler.check_schema({"type": "string", "format": name}, "x")
    for name in ("uri-reference", "regex", "int32"):
        with pytest.raises(InvalidRequestError):
            compiler.check_schema({"type": "string", "format": name}, "x")
