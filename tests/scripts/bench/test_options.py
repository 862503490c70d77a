from pathlib import Path

import pytest

from scripts.bench.options import PARTIAL_RESULTS, RESULTS, parse_options

MODEL = ["--model", "tiny.gguf"]


def test_without_options_everything_is_measured_three_times() -> None:
    options = parse_options(MODEL)
    assert options.scenarios == tuple("ABCDEFGHIJKLMNOPQRST")
    assert options.contestants == (
        *("ours", "llama-server", "llama_cpp.server", "bare"),
        *("plain encode()", "our gateway", "our stub", "LiteLLM", "upstream"),
    )
    assert (options.rounds, options.output) == (3, RESULTS)


@pytest.mark.parametrize("part", [["--quick"], ["--only", "A"], ["--peers", "ours"]])
def test_part_of_a_run_does_not_overwrite_the_results_of_a_whole(part: list[str]) -> None:
    assert parse_options([*MODEL, *part]).output == PARTIAL_RESULTS
    assert parse_options([*MODEL, *part, "--output", "x.json"]).output == Path("x.json")


def test_names_are_chosen_with_commas() -> None:
    options = parse_options([*MODEL, "--only", "B, A", "--peers", "ours,bare"])
    assert (options.scenarios, options.contestants) == (("B", "A"), ("ours", "bare"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--only", "A,Z"], "Z: choose from A, B"),
        (["--peers", "vllm"], "vllm: choose from ours"),
        (["--only", ","], "nothing: choose from"),
        (["--rounds", "0"], "must be at least 1"),
    ],
)
def test_wrong_option_is_named(
    wrong: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_options([*MODEL, *wrong])
    assert message in capsys.readouterr().err
