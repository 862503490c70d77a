"""Built in: arithmetic with dates. Business days are Monday to Friday; no holidays are known."""

import datetime
from calendar import monthrange
from typing import Annotated

from pydantic import Field

from llm_api.core.functions.registry import function_registry

_DAY = datetime.timedelta(days=1)
_SATURDAY = 5

Count = Annotated[int, Field(ge=-5_000_000, le=5_000_000)]
"""More than the days of the calendar, from year 1 to 9999, and less than its arithmetic bears."""


@function_registry.register
def get_weekday(date: datetime.date) -> dict[str, object]:
    """Tell which day of the week a date is, and its ISO week.

    Args:
        date: Such as 2026-02-14.
    """
    year, week, _ = date.isocalendar()
    return {**_in_words(date), "iso_week": f"{year}-W{week:02}"}


@function_registry.register
def days_between(start: datetime.date, end: datetime.date) -> dict[str, object]:
    """Tell how far apart two dates are: in days, and in whole years, months and days.

    Negative where end comes before start.

    Args:
        start: Such as 2026-02-14.
        end: Such as 2026-12-24.
    """
    sign = -1 if end < start else 1
    first, last = sorted((start, end))
    months = (last.year - first.year) * 12 + last.month - first.month
    if _plus_months(first, months) > last:
        months -= 1
    calendar = {
        "years": sign * (months // 12),
        "months": sign * (months % 12),
        "days": sign * (last - _plus_months(first, months)).days,
    }
    return {"total_days": (end - start).days, "on_the_calendar": calendar}


@function_registry.register
def add_to_date(
    date: datetime.date, years: Count = 0, months: Count = 0, weeks: Count = 0, days: Count = 0
) -> dict[str, object]:
    """Add years, months, weeks and days to a date, in this order; negative numbers subtract.

    Where a month is too short for the day, its last day is taken: 31 January and a month is the
    end of February.

    Args:
        date: Such as 2026-02-14.
        years: Years to add.
        months: Months to add.
        weeks: Weeks to add.
        days: Days to add.
    """
    moved = _plus_months(date, years * 12 + months)
    return _in_words(_plus_days(moved, weeks * 7 + days))


@function_registry.register
def add_business_days(date: datetime.date, days: Count) -> dict[str, object]:
    """Count business days, Monday to Friday, on from a date; holidays are not considered.

    Args:
        date: Such as 2026-02-14. From a weekend, the first day counted is the next business day.
        days: Business days to go on; negative numbers go back.
    """
    step = 1 if days >= 0 else -1
    weeks, rest = divmod(abs(days), 5)
    if days and date.weekday() >= _SATURDAY:
        date = _next_business_day(date, -step)
    date = _plus_days(date, step * weeks * 7)
    for _ in range(rest):
        date = _next_business_day(date, step)
    return _in_words(date)


@function_registry.register
def business_days_between(start: datetime.date, end: datetime.date) -> dict[str, int]:
    """Count the business days, Monday to Friday, from start until the day before end.

    Negative where end comes before start. Holidays are not considered.

    Args:
        start: Such as 2026-02-14. Counts itself.
        end: Such as 2026-02-28. Does not count.
    """
    sign = -1 if end < start else 1
    first, last = sorted((start, end))
    weeks, rest = divmod((last - first).days, 7)
    besides = sum((first.weekday() + day) % 7 < _SATURDAY for day in range(rest))
    return {"business_days": sign * (weeks * 5 + besides)}


def _plus_months(date: datetime.date, months: int) -> datetime.date:
    year, month = divmod(date.year * 12 + date.month - 1 + months, 12)
    if not datetime.MINYEAR <= year <= datetime.MAXYEAR:
        raise ValueError("the result is not within the years 1 to 9999")
    return date.replace(
        year=year, month=month + 1, day=min(date.day, monthrange(year, month + 1)[1])
    )


def _plus_days(date: datetime.date, days: int) -> datetime.date:
    try:
        return date + days * _DAY
    except OverflowError as error:
        raise ValueError("the result is not within the years 1 to 9999") from error


def _next_business_day(date: datetime.date, step: int) -> datetime.date:
    date = _plus_days(date, step)
    while date.weekday() >= _SATURDAY:
        date = _plus_days(date, step)
    return date


def _in_words(date: datetime.date) -> dict[str, object]:
    return {"date": date.isoformat(), "weekday": f"{date:%A}"}
