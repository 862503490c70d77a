"""What changes between requests goes behind what stays."""

import pytest

from llm_api.config.sections.server import DEFAULT_VOLATILE_LINES
from llm_api.core.llm.prompt.volatile import LONGEST_SYSTEM, settled, volatile_lines
from llm_api.core.llm.types import ChatPrompt, Message, ToolSpec

KINDS = volatile_lines(DEFAULT_VOLATILE_LINES)
BILLING = "x-anthropic-billing-header: cc_version=2.1.197.42d; cc_entrypoint=sdk-cli;"
HI = Message("user", "Hi")
ANSWER = Message("assistant", "Hello")
BYE = Message("user", "Bye")


def system(*lines: str) -> Message:
    return Message("system", "\n".join(lines))


def moved(*messages: Message) -> tuple[Message, ...]:
    return settled(ChatPrompt(messages), KINDS).prompt.messages


def test_a_date_goes_to_the_first_turn_of_the_user() -> None:
    said = moved(system("Be kind.", "  Today's date: Mon Nov 30 2026", "End."), HI, ANSWER, BYE)
    assert said == (
        system("Be kind.", "End."),
        Message("user", "Today's date: Mon Nov 30 2026\n\nHi"),
        ANSWER,
        BYE,
    )


def test_a_time_goes_to_the_last_turn_of_the_user() -> None:
    said = moved(system("Be kind.", "Current time: 12:01:33"), HI, ANSWER, BYE)
    assert said[1] == HI
    assert said[-1] == Message("user", "Current time: 12:01:33\n\nBye")


def test_a_mark_of_the_request_is_dropped_with_the_turn_that_it_was() -> None:
    assert moved(system(BILLING), system("Be kind."), HI) == (system("Be kind."), HI)
    assert moved(system(BILLING, "Be kind."), HI) == (system("Be kind."), HI)


@pytest.mark.parametrize(
    "line",
    [
        "Today's date is 2026-11-30.",
        "CURRENT DATE: today",
        "The current date is Monday.",
        "The current date and time is 2026-11-30 07:01",
        "Current date and time: now",
        "The current time is noon",
    ],
)
def test_two_prompts_that_differ_in_such_a_line_begin_the_same(line: str) -> None:
    first, second = (moved(system("a", text, "b"), HI)[0] for text in (line, f"{line} or so"))
    assert first == second == system("a", "b")


def test_a_prompt_without_such_lines_is_the_very_same() -> None:
    prompt = ChatPrompt((system("Be kind. Today is a good day.", "Say the current date."), HI))
    done = settled(prompt, KINDS)
    assert done.prompt is prompt
    assert done.found == ()


def test_a_line_that_nobody_could_take_stays() -> None:
    said = (system("Current date: today"), ANSWER)
    assert moved(*said) == said
    assert moved(system(BILLING, "Current date: today"), ANSWER) == said


def test_a_line_that_says_more_stays() -> None:
    whole = (system("Today's date is Monday. You are a pirate."), HI)
    assert moved(*whole) == whole
    assert moved(system(BILLING), *whole) == whole
    long = (system("Be kind.", f"Today's date is Monday. {'Be brief. ' * 30}"), HI)
    assert moved(*long) == long
    joined = (system(f"{BILLING}You are a pirate."), HI)
    assert moved(*joined) == joined


def test_only_what_stands_before_everything_is_looked_at() -> None:
    said = (system("Be kind."), HI, system("Current date: today"), Message("user", BILLING))
    assert moved(*said) == said


def test_what_was_found_is_told_and_tools_stay() -> None:
    tools = (ToolSpec("f"),)
    prompt = ChatPrompt((system(BILLING, "a", "Current date: x"), HI), {"v": 1}, tools)
    done = settled(prompt, KINDS)
    assert done.found == ("x-anthropic-billing-header:*;", "current date:*")
    assert (done.prompt.variables, done.prompt.tools) == ({"v": 1}, tools)


def test_a_system_prompt_beyond_reason_is_left_alone() -> None:
    said = (system(BILLING, "x" * LONGEST_SYSTEM), HI)
    assert moved(*said) == said


def test_lines_can_be_named_by_the_settings() -> None:
    kinds = volatile_lines(["Branch: *", ">Load: *", "-Trace: *"])
    prompt = ChatPrompt((system("a", "branch: main", "load: 3", "trace: 7f"), HI, ANSWER, BYE))
    assert settled(prompt, kinds).prompt.messages == (
        system("a"),
        Message("user", "branch: main\n\nHi"),
        ANSWER,
        Message("user", "load: 3\n\nBye"),
    )
