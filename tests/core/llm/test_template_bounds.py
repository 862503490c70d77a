"""Chat templates that want too much: whatever they do, they are stopped, and nothing else is."""

import asyncio
import os
import random
import re
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from llm_api.core.errors import InvalidRequestError, ModelFileError, UnavailableError
from llm_api.core.llm.prompt.template import LONGEST_SOURCE, ChatTemplate
from llm_api.core.llm.prompt.template_wire import TemplateLimits
from llm_api.core.llm.types import JSON, ChatPrompt, Message

LIMITS = TemplateLimits(load_cpu_seconds=0.6, render_cpu_seconds=0.4)
"""Less time than templates have, so that the table is quick; all else is theirs."""

ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"

DOUBLING = (
    "{% set box = namespace(x='ab') %}{% for _ in range(64) %}{% set box.x = GROW %}{% endfor %}"
)

HUNGRY = {
    "empty loops": ENDLESS,
    "loops that write": ENDLESS.replace("{% endfor %}{%", "word{% endfor %}{%"),
    "a loop that calls itself twice": (
        "{% for a in [1, 2] recursive %}{% if loop.depth < 40 %}{{ loop([1, 2]) }}{% endif %}"
        "{% endfor %}"
    ),
    "macros that call each other twice": (
        "".join(
            f"{{% macro m{at}() %}}{{{{ m{at + 1}() }}}}{{{{ m{at + 1}() }}}}{{% endmacro %}}"
            for at in range(40)
        )
        + "{% macro m40() %}{% endmacro %}{{ m0() }}"
    ),
    "a wide format": "{{ '%1000000000d' % 1 }}",
    "a wide format, twice": "{{ '%*d' % (1000000000, 1) }}",
    "the filter format": "{{ '%1000000000d' | format(1) }}",
    "the method format": "{{ '{:>1000000000}'.format(1) }}",
    "a repeated string": "{{ 'a' * 10**9 }}",
    "a repeated list": "{{ ([0] * 10**9) | length }}",
    "center": "{{ 'a' | center(10**9) }}",
    "the method center": "{{ 'a'.center(10**9) }}",
    "ljust and zfill": "{{ 'a'.ljust(10**9) ~ 'b'.zfill(10**9) }}",
    "expandtabs": "{{ '\\t'.expandtabs(10**9) }}",
    "indent": "{{ ('\\n' * 10**5) | indent(10**5, blank=true) }}",
    "replace": "{{ ('a' * 10**5) | replace('a', 'b' * 10**5) }}",
    "the method replace": "{{ ('a' * 10**5).replace('', 'b' * 10**5) }}",
    "join": "{{ range(99999) | join('b' * 10**5) }}",
    "a power that is folded at compile time": "{{ (9**(9**9)) is number }}",
    "powers in a loop": "{% for a in range(99999) %}{{ 9**(10**5 + a) % 7 }}{% endfor %}",
    "indented JSON": "{{ [[1]] | tojson(indent=10**9) }}",
    "doubling by ~": DOUBLING.replace("GROW", "box.x ~ box.x"),
    "doubling by +": DOUBLING.replace("GROW", "box.x + box.x"),
    "lists of lists, written": DOUBLING.replace("GROW", "[box.x, box.x]") + "{{ box.x }}",
    "lists of lists, as JSON": DOUBLING.replace("GROW", "[box.x, box.x]") + "{{ box.x | tojson }}",
    "lists of lists, compared": (
        DOUBLING.replace("GROW", "[box.x, box.x]")
        + DOUBLING.replace("box", "other").replace("GROW", "[other.x, other.x]")
        + "{{ box.x == other.x }}"
    ),
    "batches": "{{ (range(99999) | batch(10**9, 'x') | list) }}",
    "slices": "{{ range(9) | slice(10**9) | list | length }}",
    "sorting": "{% for a in range(99999) %}{% set b = range(99999) | sort %}{% endfor %}",
    "a long layout of the time": "{{ strftime_now('%c' * 10**8) }}",
    "lorem ipsum": "{{ lipsum(n=10**9) }}",
    "lorem ipsum of long paragraphs": "{{ lipsum(n=1, min=10**9, max=10**9 + 1) }}",
    "wordwrap": "{{ ('a ' * 10**7) | wordwrap(1) }}",
    "urlize": "{{ ('www.a.b ' * 10**7) | urlize }}",
    "unique": "{% for a in range(99999) %}{{ range(99999) | unique | list | length }}{% endfor %}",
    "a cycler in loops": (
        "{% set c = cycler(1, 2) %}"
        + ENDLESS.replace("{% endfor %}{%", "{{ c.next() }}{% endfor %}{%")
    ),
    "pretty printing": "{{ ([[1] * 10**6] * 100) | pprint }}",
    "a sum of lists": "{{ ([[1] * 1000] * 10**6) | sum(start=[]) | length }}",
    "only for tools": "{% if tools %}" + ENDLESS + "{% endif %}{{ messages }}",
}
"""What costs time, or memory, or both."""

DEEP = {
    "lists": "{{ " + "[" * 50_000 + "]" * 50_000 + " }}",
    "brackets": "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
    "signs": "{{ " + "-" * 100_000 + "1 }}",
    "negations": "{{ " + "not " * 100_000 + "1 }}",
    "attributes": "{{ a" + ".b" * 100_000 + " }}",
    "sums": "{{ 1" + "+ 1" * 100_000 + " }}",
    "conditions": "{% if 1 %}" * 5_000 + "{% endif %}" * 5_000,
    "loops": "{% for a in b %}" * 5_000 + "{% endfor %}" * 5_000,
    "filters": "{{ 1" + "|string" * 100_000 + " }}",
    "macros": "{% macro a() %}" * 5_000 + "{% endmacro %}" * 5_000,
}

PROMPT = ChatPrompt((Message("user", "Hello"),))


def template(source: str, limits: TemplateLimits = LIMITS) -> ChatTemplate:
    return ChatTemplate(
        source, bos_text="<s>", eos_text="</s>", control_texts=frozenset(), limits=limits
    )


def plain(chat_template: ChatTemplate, prompt: ChatPrompt = PROMPT) -> str:
    return "".join(segment.text for segment in chat_template.render(prompt))


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@contextmanager
def bounded(cpu_seconds: float) -> Iterator[None]:
    """Asserts what a template cost: its process is gone, and computed no more than it may."""
    before, processes = resource.getrusage(resource.RUSAGE_CHILDREN), children()
    peaks: dict[int, int] = {}
    is_over = threading.Event()
    watching = threading.Thread(target=watch_memory, args=(processes, peaks, is_over))
    watching.start()
    try:
        yield
    finally:
        is_over.set()
        watching.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert children() <= processes
    start = 1.0  # the imports of a process, on a machine that is busy
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < cpu_seconds + start
    assert max(peaks.values(), default=0) < LIMITS.memory_bytes


def watch_memory(known: set[int], peaks: dict[int, int], is_over: threading.Event) -> None:
    """Note the most memory that each new process ever had, until that is over.

    The last look counts: before its program begins, a process has the memory of this one. What the
    kernel adds up of all children that have ended would count those of other tests as well.
    """
    while not is_over.wait(0.02):
        for process in children() - known:
            with suppress(OSError):
                status = Path(f"/proc/{process}/status").read_text()
                if found := re.search(r"VmHWM:\s+(\d+) kB", status):
                    peaks[process] = int(found[1]) * 1024


@pytest.mark.parametrize("name", HUNGRY)
def test_a_template_that_wants_too_much_is_refused_when_its_model_loads(name: str) -> None:
    with bounded(LIMITS.load_cpu_seconds), pytest.raises(ModelFileError) as refusal:
        template(HUNGRY[name])
    assert "chat template takes" in refusal.value.message
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize("name", DEEP)
def test_a_template_that_nests_deeply_is_read_or_refused(name: str) -> None:
    with bounded(LIMITS.load_cpu_seconds), suppress(ModelFileError):
        template(DEEP[name]).close()


def test_a_template_of_enormous_length_is_refused_unread() -> None:
    with pytest.raises(ModelFileError, match="1,048,577 characters"):
        template("x" * (LONGEST_SOURCE + 1))


def test_a_message_is_looked_through_once_however_many_control_tokens_there_are() -> None:
    """With a look for each at each place, 200 kB took 9 seconds of everybody's time."""
    many = frozenset(f"<|reserved_{number}|>" for number in range(6000))
    rendered = ChatTemplate(FINE, bos_text="", eos_text="", control_texts=many, limits=LIMITS)
    text = "<" * 500_000 + "<|reserved_123|><|reserved_12"
    [begin, *literals] = rendered.render(ChatPrompt((Message("user", text),)))
    assert begin.text == "<" * 500_000
    assert [(segment.text, segment.is_literal) for segment in literals] == [
        ("<|reserved_123|>", True),
        ("<|reserved_12", True),
    ]


FINE = "{{ messages[0].content }}"
SLOW_FOR_SOME = "{% if messages[0].content == 'Go' %}" + ENDLESS + "{% endif %}" + FINE


def test_a_conversation_that_costs_too_much_is_refused_and_the_next_is_answered() -> None:
    slow = template(SLOW_FOR_SOME)
    with bounded(LIMITS.render_cpu_seconds), pytest.raises(InvalidRequestError) as refusal:
        slow.render(ChatPrompt((Message("user", "Go"),)))
    assert refusal.value.param == "messages"
    assert "takes too long" in refusal.value.message
    assert plain(slow) == "Hello"


def test_memory_that_one_conversation_takes_is_given_back() -> None:
    hungry = template("{% if messages[0].content == 'Go' %}{{ 'a' * 10**9 }}{% endif %}" + FINE)
    with pytest.raises(InvalidRequestError, match="takes more memory"):
        hungry.render(ChatPrompt((Message("user", "Go"),)))
    assert plain(hungry) == "Hello"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_was_killed_is_replaced_and_nobody_notices(number: signal.Signals) -> None:
    before = children()
    rendered = template(FINE)
    [process] = children() - before
    os.kill(process, number)
    assert plain(rendered) == "Hello"


def test_a_process_that_stands_still_is_given_up() -> None:
    before = children()
    rendered = template(FINE, replace(LIMITS, wait_seconds=2.0))
    [process] = children() - before
    os.kill(process, signal.SIGSTOP)
    with pytest.raises(InvalidRequestError, match="takes too long"):
        rendered.render(PROMPT)
    assert process not in children()
    assert plain(rendered) == "Hello"


def test_closing_ends_a_rendering_under_way() -> None:
    slow = template(SLOW_FOR_SOME)
    began = time.monotonic()
    timer = threading.Timer(0.2, slow.close)
    timer.start()
    with pytest.raises(UnavailableError):
        slow.render(ChatPrompt((Message("user", "Go"),)))
    timer.join()
    assert time.monotonic() - began < LIMITS.render_cpu_seconds
    with pytest.raises(UnavailableError):
        slow.render(PROMPT)


def test_what_is_forgotten_ends() -> None:
    before = children()
    forgotten = template(FINE)
    assert children() - before
    del forgotten
    assert children() <= before


async def test_the_event_loop_goes_on_while_a_template_only_loops() -> None:
    slow = template(SLOW_FOR_SOME)
    looping = asyncio.create_task(
        asyncio.to_thread(slow.render, ChatPrompt((Message("user", "Go"),)))
    )
    longest = 0.0
    while not looping.done():
        began = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - began)
    with pytest.raises(InvalidRequestError):
        await looping
    assert longest < 0.5


@pytest.mark.parametrize("text", ["\ud800", "e\u0301\0", "\U0001f600" * 100_000])
def test_every_text_comes_through(text: str) -> None:
    prompt = ChatPrompt((Message("user", text),))
    assert plain(template(FINE), prompt) == text


def test_a_variable_may_nest_deeply_or_is_refused() -> None:
    deep: JSON = "end"
    for _ in range(1000):
        deep = [deep]
    with pytest.raises(InvalidRequestError, match="nests too deeply"):
        template("{{ x }}" + FINE).render(ChatPrompt(PROMPT.messages, {"x": deep}))


def test_a_template_cannot_write_what_stands_for_a_user_s_words() -> None:
    with pytest.raises(InvalidRequestError, match="changes what users wrote"):
        template("\ue0007\ue001" + FINE).render(PROMPT)
    assert plain(template("\ue000" + "9" * 5000 + "\ue001" + FINE)).endswith("Hello")


@pytest.fixture
def in_kathmandu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_kathmandu")
def test_the_time_is_that_of_the_server() -> None:
    now = datetime.now().astimezone()
    assert plain(template("{{ strftime_now('%d %B %Y %z %Z ') }}" + FINE)) == (
        f"{now:%d %B %Y} +0545 {now.tzname()} Hello"
    )


def test_nothing_of_the_environment_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    before = children()
    rendered = template(FINE)
    [process] = children() - before
    assert set(psutil.Process(process).environ()) == {"PYTHONPATH"}
    rendered.close()


TEXTS = [
    *(
        "'ab'",
        "box.x",
        "(T ~ T)",
        "(T + T)",
        "(T * N)",
        "(T % N)",
        "(L | join(T))",
        "(T | indent(N))",
    ),
    *("(T | center(N))", "T.ljust(N)", "(T | replace('a', T))", "T.replace('', T)", "(L | tojson)"),
    *("(L | tojson(indent=N))", "(L | string)", "(T | wordwrap(9))", "(T | urlize)", "lipsum(N)"),
    *("(T | striptags)", "T[:N]", "(T | urlencode)", "(T | title)", "strftime_now(T)", "(T | e)"),
    *("'{:>9}'.format(T)", "'%s%s' % (T, T)", "(L | pprint)", "(T | truncate(N))", "(N | string)"),
]
LISTS = [
    *("[1, 2]", "range(N % 99999)", "messages", "[L, L]", "(L | list + L | list)", "(T | list)"),
    *("(L | sort | list)", "(L | batch(9) | list)", "(L | slice(9) | list)", "T.split('b')"),
    *("(L | unique | list)", "(L | reverse | list)", "(L | map('string') | list)", "L[:N]"),
    *("((L | list) * 9)", "(L | groupby('role') | list)", "(L | select | list)"),
]
NUMBERS = [
    *("2", "9", "999", "(N * N)", "(N ** 9)", "(N + N)", "(T | length)", "(L | length)"),
    *("(N // 2)", "(T | wordcount)", "(T == T) | int", "(L == L) | int", "(N % 99)", "(T | int)"),
]
KINDS = {"T": TEXTS, "L": LISTS, "N": NUMBERS}


def random_source(draw: random.Random) -> str:
    """Expressions of all that Jinja has, of the right kinds, in loops that make them grow."""

    def expression(kind: str, depth: int) -> str:
        """The first of each list are the simple ones."""
        chosen = draw.choice(KINDS[kind] if depth > 0 else KINDS[kind][:2])
        return re.sub(r"\b[TLN]\b", lambda found: expression(found[0], depth - 1), chosen)

    lines = [f"{{% set box.x = {expression('T', 4)} ~ '' %}}" for _ in range(3)]
    lines += [f"{{{{ {expression(draw.choice('TLN'), 3)} }}}}" for _ in range(2)]
    inner = "".join(draw.sample(lines, len(lines)))
    for _ in range(draw.randrange(3)):
        inner = f"{{% for one in {expression('L', 2)} %}}{inner}{{% endfor %}}"
    return "{% set box = namespace(x='ab') %}{{ messages }}" + inner


FUZZ_SECONDS = float(os.environ.get("TEMPLATE_FUZZ_SECONDS", "5"))


@pytest.mark.timeout(FUZZ_SECONDS + 120)
def test_random_templates_stay_within_their_bounds() -> None:
    """By hand for longer: TEMPLATE_FUZZ_SECONDS=3600."""
    seed = random.randrange(2**32)
    draw = random.Random(seed)
    end = time.monotonic() + FUZZ_SECONDS
    while time.monotonic() < end:
        source = random_source(draw)
        began = time.monotonic()
        try:
            with bounded(2 * LIMITS.load_cpu_seconds):
                rendered = template(source)
                try:
                    rendered.render(PROMPT)
                finally:
                    rendered.close()
        except (ModelFileError, InvalidRequestError):
            pass
        assert time.monotonic() - began < 3 * LIMITS.wait_seconds, source
