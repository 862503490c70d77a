from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from llm_api.core.functions.builtin.time_zones import (
    convert_timezone,
    find_zone,
    get_current_time,
    moments_of,
)

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Apia"])
def test_the_current_time_is_now_in_any_timezone(timezone: str) -> None:
    told = get_current_time(timezone)
    time = datetime.fromisoformat(str(told["time"]))
    assert abs(time - datetime.now(UTC)) < timedelta(seconds=5)
    assert time.utcoffset() == datetime.now(ZoneInfo(timezone)).utcoffset()
    assert told["timezone"] == timezone
    assert told["weekday"] == f"{time:%A}"


# In Berlin clocks went forward on 29 March 2026 at 02:00, and back on 25 October 2026 at 03:00.
@pytest.mark.parametrize(
    ("time", "source", "target", "converted", "weekday"),
    [
        ("2026-02-14T12:00", "Europe/Berlin", "UTC", "2026-02-14T11:00:00+00:00", "Saturday"),
        ("2026-07-14 12:00", "Europe/Berlin", "UTC", "2026-07-14T10:00:00+00:00", "Tuesday"),
        (
            "2026-02-14T20:00",
            "America/New_York",
            "Asia/Tokyo",
            "2026-02-15T10:00:00+09:00",
            "Sunday",
        ),
        ("2026-03-29T01:59", "Europe/Berlin", "UTC", "2026-03-29T00:59:00+00:00", "Sunday"),
        ("2026-03-29T03:00", "Europe/Berlin", "UTC", "2026-03-29T01:00:00+00:00", "Sunday"),
        ("2026-10-25T03:00", "Europe/Berlin", "UTC", "2026-10-25T02:00:00+00:00", "Sunday"),
        ("2026-02-14", "UTC", "Asia/Kathmandu", "2026-02-14T05:45:00+05:45", "Saturday"),
        ("2026-02-14T12:00+01:00", "Europe/Berlin", "UTC", "2026-02-14T11:00:00+00:00", "Saturday"),
        ("2026-10-25T02:30+01:00", "Europe/Berlin", "UTC", "2026-10-25T01:30:00+00:00", "Sunday"),
    ],
)
def test_a_time_is_converted(
    time: str, source: str, target: str, converted: str, weekday: str
) -> None:
    result = convert_timezone(time, source, target)
    to = result["to"]
    assert isinstance(to, dict)
    assert (to["time"], to["timezone"], to["weekday"]) == (converted, target, weekday)
    assert "note" not in result


def test_a_time_that_clocks_show_twice_is_the_first_and_the_second_is_told() -> None:
    result = convert_timezone("2026-10-25T02:30", "Europe/Berlin", "UTC")
    assert result["from"] == {
        "time": "2026-10-25T02:30:00+02:00",
        "timezone": "Europe/Berlin",
        "weekday": "Sunday",
        "is_daylight_saving_time": True,
    }
    assert result["note"] == (
        "Clocks in Europe/Berlin show this time twice; this is the first."
        " The second is 2026-10-25T01:30:00+00:00 in UTC."
    )


def test_a_time_that_clocks_skip_is_refused() -> None:
    with pytest.raises(ValueError, match="does not exist in Europe/Berlin: clocks skip it"):
        convert_timezone("2026-03-29T02:30", "Europe/Berlin", "UTC")


def test_an_offset_that_contradicts_the_timezone_is_refused() -> None:
    with pytest.raises(ValueError, match="another offset from UTC"):
        convert_timezone("2026-02-14T12:00Z", "Europe/Berlin", "Asia/Tokyo")


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid isoformat string: 'noon'"):
        convert_timezone("noon", "UTC", "UTC")


@pytest.mark.parametrize(
    ("shown", "moments"),
    [
        (datetime(2026, 2, 14, 12), 1),  # noqa: DTZ001 - a local time
        (datetime(2026, 10, 25, 2, 30), 2),  # noqa: DTZ001
        (datetime(2026, 10, 25, 2, 30, fold=1), 2),  # noqa: DTZ001
    ],
)
def test_a_local_time_is_one_moment_or_two(shown: datetime, moments: int) -> None:
    found = moments_of(shown, BERLIN)
    assert len(found) == moments
    assert found == sorted(found, key=lambda moment: moment.astimezone(UTC))
    assert {moment.replace(tzinfo=None, fold=0) for moment in found} == {shown.replace(fold=0)}


@pytest.mark.parametrize("name", ["Europe/Berlin", "europe/berlin", " EUROPE/BERLIN "])
def test_a_timezone_is_found_in_any_case(name: str) -> None:
    assert find_zone(name) is BERLIN


def test_a_timezone_may_be_written_with_spaces() -> None:
    assert str(find_zone("America/New York")) == "America/New_York"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Berlin", "did you mean Europe/Berlin?"),
        ("new york", "did you mean America/New_York?"),
        ("Europe/Berln", "did you mean Europe/Berlin or "),
        ("PST", "use a name such as Europe/Berlin"),
        ("UTC+2", "use a name such as Europe/Berlin"),
        ("GMT+2", "use a name such as Europe/Berlin"),
        ("", "use a name such as"),
        ("Mars/Olympus", "there is no timezone 'Mars/Olympus'; "),
        ("../../etc/passwd", "use a name such as"),
        ("/etc/passwd", "there is no timezone '/etc/passwd'; "),
        ("Europe", "there is no timezone 'Europe'; "),
        ("\0", "use a name such as"),
        ("x" * 100_000, "use a name such as"),
    ],
)
def test_an_unknown_timezone_is_answered_with_names_that_are_near(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match="there is no timezone") as caught:
        find_zone(name)
    assert hint in str(caught.value)
    assert len(str(caught.value)) < 300
