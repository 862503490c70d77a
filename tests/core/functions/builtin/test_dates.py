from datetime import date, timedelta

import pytest

from llm_api.core.functions.builtin.dates import (
    add_business_days,
    add_to_date,
    business_days_between,
    days_between,
    get_weekday,
)


def day(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "weekday", "week"),
    [
        ("2026-02-14", "Saturday", "2026-W07"),
        ("2024-02-29", "Thursday", "2024-W09"),
        ("2027-01-01", "Friday", "2026-W53"),
        ("2024-12-30", "Monday", "2025-W01"),
        ("0001-01-01", "Monday", "1-W01"),
    ],
)
def test_a_date_has_a_weekday_and_a_week_of_its_iso_year(
    text: str, weekday: str, week: str
) -> None:
    assert get_weekday(day(text)) == {"date": text, "weekday": weekday, "iso_week": week}


@pytest.mark.parametrize(
    ("start", "end", "total", "years", "months", "days"),
    [
        ("2026-02-14", "2026-02-14", 0, 0, 0, 0),
        ("2026-02-14", "2026-02-15", 1, 0, 0, 1),
        ("2026-02-14", "2026-12-24", 313, 0, 10, 10),
        ("2026-12-24", "2026-02-14", -313, 0, -10, -10),
        ("2024-02-29", "2025-02-28", 365, 1, 0, 0),
        ("2024-02-29", "2024-03-28", 28, 0, 0, 28),
        ("2024-01-31", "2024-02-29", 29, 0, 1, 0),
        ("2024-01-31", "2024-03-01", 30, 0, 1, 1),
        ("2000-05-20", "2026-05-19", 9495, 25, 11, 29),
        ("0001-01-01", "9999-12-31", 3652058, 9998, 11, 30),
    ],
)
def test_the_difference_of_two_dates(
    start: str, end: str, total: int, years: int, months: int, days: int
) -> None:
    assert days_between(day(start), day(end)) == {
        "total_days": total,
        "on_the_calendar": {"years": years, "months": months, "days": days},
    }


@pytest.mark.parametrize(
    ("start", "steps", "end"),
    [
        ("2026-02-14", {}, "2026-02-14"),
        ("2026-02-14", {"days": 20}, "2026-03-06"),
        ("2026-02-14", {"weeks": -2}, "2026-01-31"),
        ("2026-01-31", {"months": 1}, "2026-02-28"),
        ("2024-01-31", {"months": 1}, "2024-02-29"),
        ("2026-03-31", {"months": -1}, "2026-02-28"),
        ("2024-02-29", {"years": 1}, "2025-02-28"),
        ("2026-11-15", {"months": 3}, "2027-02-15"),
        ("2026-01-15", {"months": -1}, "2025-12-15"),
        ("2026-01-31", {"months": 1, "days": 1}, "2026-03-01"),
        ("2026-01-01", {"years": 1, "months": -12}, "2026-01-01"),
    ],
)
def test_what_is_added_to_a_date(start: str, steps: dict[str, int], end: str) -> None:
    assert add_to_date(day(start), **steps)["date"] == end


@pytest.mark.parametrize(
    "steps",
    [
        {"years": 7974},
        {"years": -2026},
        {"days": 3_000_000},
        {"weeks": -5_000_000},
        {"months": 5_000_000},
    ],
)
def test_a_date_beyond_the_calendar_is_an_error_that_says_so(steps: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="not within the years 1 to 9999"):
        add_to_date(day("2026-02-14"), **steps)


# 2026-02-14 is a Saturday.
@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ("2026-02-13", 0, "2026-02-13"),
        ("2026-02-13", 1, "2026-02-16"),
        ("2026-02-13", 5, "2026-02-20"),
        ("2026-02-13", 6, "2026-02-23"),
        ("2026-02-13", -1, "2026-02-12"),
        ("2026-02-13", -5, "2026-02-06"),
        ("2026-02-14", 0, "2026-02-14"),
        ("2026-02-14", 1, "2026-02-16"),
        ("2026-02-14", -1, "2026-02-13"),
        ("2026-02-15", 1, "2026-02-16"),
        ("2026-02-15", 5, "2026-02-20"),
        ("2026-02-15", -1, "2026-02-13"),
        ("2026-02-15", -6, "2026-02-06"),
        ("2026-02-16", -1, "2026-02-13"),
        ("2026-02-16", 260, "2027-02-15"),
    ],
)
def test_business_days_are_counted_on_and_back(start: str, days: int, end: str) -> None:
    assert add_business_days(day(start), days)["date"] == end


def test_business_days_agree_with_counting_them_one_by_one() -> None:
    first = day("2026-02-09")
    for offset in range(7):
        start = first + timedelta(days=offset)
        for days in range(1, 30):
            end = day(str(add_business_days(start, days)["date"]))
            after = [start + timedelta(days=n) for n in range(1, (end - start).days + 1)]
            assert sum(one.weekday() < 5 for one in after) == days
            assert end.weekday() < 5


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        ("2026-02-13", "2026-02-13", 0),
        ("2026-02-13", "2026-02-14", 1),
        ("2026-02-13", "2026-02-16", 1),
        ("2026-02-13", "2026-02-17", 2),
        ("2026-02-14", "2026-02-16", 0),
        ("2026-02-09", "2026-02-16", 5),
        ("2026-02-16", "2026-02-09", -5),
        ("2026-01-01", "2027-01-01", 261),
        ("0001-01-01", "9999-12-31", 2608614),
    ],
)
def test_business_days_between_two_dates(start: str, end: str, count: int) -> None:
    assert business_days_between(day(start), day(end)) == {"business_days": count}


def test_business_days_between_agree_with_counting_them_one_by_one() -> None:
    first = day("2026-02-09")
    for offset in range(7):
        start = first + timedelta(days=offset)
        for length in range(30):
            days = [start + timedelta(days=n) for n in range(length)]
            [count] = business_days_between(start, start + timedelta(days=length)).values()
            assert count == sum(one.weekday() < 5 for one in days)
