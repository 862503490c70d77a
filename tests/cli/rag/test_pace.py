"""How far an ingest is: by chunks, and by the speed until now."""

import pytest

from llm_api.cli.rag.pace import IngestPace, Progressed, in_time


def test_before_anything_is_stored_no_time_is_promised() -> None:
    pace = IngestPace({"a.md": 3_000, "b.md": 5_000}, 0.0)
    assert pace.at(110.0) == Progressed(0, 8, None)


def test_the_rest_is_estimated_by_files_of_that_extension() -> None:
    pace = IngestPace({"a.md": 1_000, "b.md": 3_000, "c.csv": 1_000, "d.csv": 1_000}, 0.0)
    pace.stored("a.md", 10, 2.0)
    pace.stored("c.csv", 2, 4.0)
    now = pace.at(4.0)
    assert (now.chunks, now.total) == (12, 12 + 30 + 2)
    assert now.seconds_left == pytest.approx(32 / 3)


def test_kind_that_is_new_is_taken_for_the_average() -> None:
    pace = IngestPace({"a.md": 1_000, "b.pdf": 2_000}, 0.0)
    pace.stored("a.md", 5, 1.0)
    assert pace.at(1.0) == Progressed(5, 15, 2.0)


def test_between_two_reports_it_goes_on_and_stops_before_the_end() -> None:
    pace = IngestPace({"a.md": 1_000, "b.md": 1_000}, 0.0)
    pace.stored("a.md", 10, 1.0)
    assert [pace.at(now).chunks for now in (1.0, 1.5, 1.9, 100.0)] == [10, 15, 19, 19]
    left = pace.at(100.0).seconds_left
    assert left is not None
    assert left > 0


def test_file_that_failed_counts_as_gone_and_teaches_nothing() -> None:
    pace = IngestPace({"a.md": 1_000, "b.md": 9_000, "c.md": 1_000}, 0.0)
    pace.stored("b.md", 0, 5.0)
    assert pace.at(5.0).seconds_left is None
    pace.stored("a.md", 10, 10.0)
    assert pace.at(10.0) == Progressed(10, 20, 10.0)
    pace.stored("c.md", 10, 20.0)
    assert pace.at(20.0) == Progressed(20, 20, 0.0)


@pytest.mark.parametrize(
    ("seconds", "said"), [(-1, "0 s"), (8.4, "8 s"), (80, "1:20"), (7500, "2:05:00")]
)
def test_time_in_words(seconds: float, said: str) -> None:
    assert in_time(seconds) == said


def test_each_file_to_come_is_a_chunk_at_least() -> None:
    tiny = {f"{number}.md": 50 for number in range(100)}
    pace = IngestPace({"large.md": 10_000, **tiny}, 0.0)
    assert pace.at(0.0) == Progressed(0, 110, None)
    pace.stored("large.md", 10, 1.0)
    assert pace.at(1.0) == Progressed(10, 110, 10.0)


def test_files_of_one_chunk_tell_nothing_of_larger_ones() -> None:
    tiny = {f"{number}.md": 50 for number in range(10)}
    pace = IngestPace({"large.md": 10_000, **tiny}, 0.0)
    for number, id in enumerate(tiny, 1):
        pace.stored(id, 1, float(number))
    assert pace.at(10.0) == Progressed(10, 20, 10.0)
