"""Grammars that are too large, told by looking at them."""

import time

import pytest

from llm_api.core.llm.output.format_size import MAX_RULES, find_terminals, size_problem


def doubling(levels: int, name: str = "R") -> str:
    """A grammar of one text whose length doubles with each level."""
    rules = [f"{name}{i}: {name}{i + 1} {name}{i + 1}" for i in range(levels)]
    return "\n".join([f"start: {name}0", *rules, f'{name}{levels}: "a"'])


def test_terminals_that_double_are_refused() -> None:
    assert not size_problem(doubling(10))
    assert "'R" in size_problem(doubling(20))
    assert "symbols" in size_problem(doubling(900))


def test_rules_that_double_are_no_larger_than_they_are_written() -> None:
    assert not size_problem(doubling(900, name="r"))


def test_many_rules_are_refused() -> None:
    assert not size_problem("start: a\n" + "".join(f'a{i}: "b"\n' for i in range(MAX_RULES - 1)))
    many = "start: a\n" + "".join(f'a{i}: "b"\n' for i in range(MAX_RULES))
    assert "1001 rules" in size_problem(many)


@pytest.mark.parametrize(
    "hidden", ['"R1 R1 R1"', "/R1 R1/", '"R1" // R1 R1 R1', r'"\" R1 R1"', r"/\/R1 R1/"]
)
def test_names_in_texts_and_comments_are_no_names(hidden: str) -> None:
    levels = "".join(f"R{i}: {hidden.replace('R1', f'R{i + 1}')}\n" for i in range(100))
    assert not size_problem(f"start: R0\n{levels}R100: /a/\n")


def test_terminals_come_behind_what_they_use() -> None:
    uses = {"a": ["b", "c", "foreign"], "b": ["c"], "c": [], "loop": ["loop"], "d": ["loop"]}
    assert find_terminals(uses) == ["c", "b", "a"]


@pytest.mark.parametrize(
    "text", ["[" * 65_000, '"' * 65_001, "/" * 65_001, "\n" * 65_000, "a" * 65_000, "a[" * 32_000]
)
def test_the_time_grows_with_the_size_alone(text: str) -> None:
    began = time.thread_time()
    size_problem(text)
    assert time.thread_time() - began < 0.5
