"""What is demanded to do harm: refused, or held to a bound, from the request to the last token.

The bounds are of computing, not of waiting: others may use the machine.
"""

import random
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from llm_api.core.errors import InvalidRequestError
from llm_api.core.llm.engine.grammar import (
    COMPILER_STACK_BYTES,
    MAX_FORCED_TOKENS,
    GrammarCompiler,
    TokenMatcher,
)
from llm_api.core.llm.engine.llama_model import LlamaModel, ModelOptions
from llm_api.core.llm.engine.runner import ConstraintError
from llm_api.core.llm.files.installed import default_model_path
from llm_api.core.llm.output.dialect import recognise
from llm_api.core.llm.output.enforce import OutputEnforcer
from llm_api.core.llm.types import (
    ChatPrompt,
    ChoiceFormat,
    GenerationRequest,
    GrammarFormat,
    JSONFormat,
    Message,
    OutputFormat,
    RegexFormat,
)
from tests.costs import least_seconds

COMPILE_SECONDS = 1.0
STEP_SECONDS = 0.1
"""Twice what a step may take: a test must bear a slow machine."""

LETTERS = "abcdefghijklmnop"


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaModel]:
    model = LlamaModel(default_model_path(), ModelOptions())
    yield model
    model.close()


@pytest.fixture(scope="module")
def compiler(model: LlamaModel) -> GrammarCompiler:
    compiler = GrammarCompiler(model)
    compiler.compile("start: /a/", "grammar")  # builds the vocabulary
    return compiler


async def enforced(compiler: GrammarCompiler, demanded: OutputFormat) -> TokenMatcher:
    """Raises InvalidRequestError."""
    enforcer = OutputEnforcer(
        recognise("{{ messages }}", {}), compiler, stack_bytes=COMPILER_STACK_BYTES
    )
    request = GenerationRequest(ChatPrompt((Message("user", "Hi"),)), 8, output_format=demanded)
    constraint = (await enforcer.prepare(request, "")).constraint
    assert constraint is not None
    return constraint


HOSTILE: dict[str, OutputFormat] = {
    "repetition in repetition": RegexFormat("x|y((a{1000}){1000}){1000}"),
    "optional repetition in repetition": RegexFormat("((a{0,1000}){0,1000}){0,1000}"),
    "states that double": RegexFormat("(a|b)*a(a|b){60}"),
    "any text between": RegexFormat("|".join(f".*{one}.{{30}}" for one in LETTERS)),
    "any text repeated": RegexFormat("(.*a.*b.*c.*d.*e.*f.*g.*h.*|(.*x){30}){1,50}"),
    "large classes": RegexFormat(r"\p{L}\p{Greek}\p{Han}\w\W" * 2000),
    "many branches": RegexFormat("|".join(f"w{i}" for i in range(9000))),
    "not this": GrammarFormat(
        "start: T\nT: /(.|\\n)*/ & ~/(.|\\n)*(a|b(.|\\n){18}|c(.|\\n){17})(.|\\n){20}z(.|\\n)*/\n"
    ),
    "none of these": GrammarFormat(
        "start: T\nT: " + " & ".join(f"/(.*){one}(.|\\n)*/" for one in LETTERS) + "\n"
    ),
    "forced by rules": GrammarFormat('start: "x" | "y" a~1000\na: A\nA: /a{1000}/\n'),
    "forced in arrays": JSONFormat(
        {"type": "array", "minItems": 1000, "items": {"const": "x" * 1000}}
    ),
    "forced behind a choice": JSONFormat(
        {
            "anyOf": [
                {"type": "null"},
                {"type": "array", "minItems": 9, "items": {"const": "x" * 100_000}},
            ]
        }
    ),
    "forced at each closing": JSONFormat(
        {
            "$ref": "#/$defs/d",
            "$defs": {
                "d": {
                    "type": "array",
                    "prefixItems": [
                        {"anyOf": [{"$ref": "#/$defs/d"}, {"type": "null"}]},
                        {"const": "z" * 20_000},
                    ],
                    "minItems": 2,
                    "items": False,
                }
            },
        }
    ),
    "forced text": JSONFormat({"const": "ab" * 50_000}),
    "four ways at each point": GrammarFormat('start: s\ns: s s s s | "a" | ""\n'),
    "optional things in threes": GrammarFormat(
        'start: (((a b?){0,1000}){0,1000}){0,1000}\na: "a" | "ab"\nb: "b" | "bc"\n'
    ),
    "rules that double": GrammarFormat(
        "start: r0\n"
        + "".join(f'r{i}: r{i + 1} r{i + 1} | "b"\n' for i in range(900))
        + 'r900: "a"\n'
    ),
    "many terminals": GrammarFormat(
        f"start: ({'|'.join(f'T{i}' for i in range(500))})*\n"
        + "".join(f"T{i}: /[a-z]*t{i}[a-z]*/\n" for i in range(500))
    ),
    "many properties": JSONFormat(
        {"type": "object", "properties": {f"p{i}": {} for i in range(2000)}}
    ),
    "patterns of properties": JSONFormat(
        {
            "type": "object",
            "patternProperties": {f"^{one}.*{i}$": {} for one in LETTERS for i in range(9)},
        }
    ),
    "sets of sets": JSONFormat(
        {
            "allOf": [
                {
                    "anyOf": [
                        {"properties": {f"k{i}": {"const": j}}, "required": [f"k{i}"]}
                        for j in range(4)
                    ]
                }
                for i in range(14)
            ]
        }
    ),
    "long numbers": JSONFormat({"type": "integer", "multipleOf": 999_999_937}),
    "many choices": ChoiceFormat(tuple(f"choice {i} xx" for i in range(1000))),
}


@pytest.mark.parametrize("demanded", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_demands_cost_little_to_compile_and_at_each_token(
    compiler: GrammarCompiler, model: LlamaModel, demanded: OutputFormat
) -> None:
    async def compiled() -> None:
        with suppress(InvalidRequestError):
            await enforced(compiler, demanded)

    assert await least_seconds(compiled) < COMPILE_SECONDS
    with suppress(InvalidRequestError):
        matcher = await enforced(compiler, demanded)
        assert costliest_step(model, matcher) < STEP_SECONDS


def costliest_step(model: LlamaModel, matcher: TokenMatcher) -> float:
    """Seconds of computing for one of the first tokens, on a random way through the grammar."""
    worst = 0.0
    rng = random.Random(1)
    with suppress(ConstraintError):
        for _ in range(200):
            began = time.thread_time()
            try:
                allowed = [int(token) for token in rng.choices(matcher.allowed(), k=20)]
                token = next((one for one in allowed if one not in model.end_tokens), allowed[0])
                if token in model.end_tokens:
                    break
                matcher.accept(token)
                if {*matcher.force()} & model.end_tokens:
                    break
            finally:
                worst = max(worst, time.thread_time() - began)
    return worst


async def test_a_long_forced_text_is_found_a_part_at_a_time(
    compiler: GrammarCompiler, model: LlamaModel
) -> None:
    text = " ".join(f"word {number}" for number in range(100))
    matcher = await enforced(compiler, JSONFormat({"const": text}))
    written, tokens = b"", [int(matcher.allowed()[0])]
    matcher.accept(tokens[0])
    longest = 0
    while True:
        forced = matcher.force()
        longest = max(longest, len(forced))
        tokens += forced
        if tokens[-1] in model.end_tokens:
            break
        tokens.append(int(matcher.allowed()[0]))
        matcher.accept(tokens[-1])
    written = b"".join(map(model.token_bytes, tokens[:-1]))
    assert written.decode() == f'"{text}"'
    assert 1 < longest <= MAX_FORCED_TOKENS + 1


async def test_forced_text_is_divided_as_the_model_would(
    compiler: GrammarCompiler, model: LlamaModel
) -> None:
    matcher = await enforced(compiler, RegexFormat("(left|right) turn ahead, and then go on[.!]"))
    [left] = model.tokenize("left", add_special=False, parse_special=False)
    matcher.accept(left)
    expected = model.tokenize(" turn ahead, and then go", add_special=False, parse_special=False)
    assert matcher.force() == expected


def test_an_answer_ends_whose_grammar_takes_too_long_to_follow(
    compiler: GrammarCompiler, model: LlamaModel
) -> None:
    now, tick = 0.0, 0.001

    def clock() -> float:
        nonlocal now
        now += tick
        return now

    quick = compiler.compile("start: /[ab]*/", "grammar")
    slow = TokenMatcher(quick._matcher, quick._tokenizer, model, clock)

    def go_on() -> None:
        for _ in range(100):
            slow.accept(int(slow.allowed()[-1]))

    go_on()
    tick = 0.01
    with pytest.raises(ConstraintError):
        go_on()
