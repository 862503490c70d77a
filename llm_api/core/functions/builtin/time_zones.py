"""Built in: the time in a timezone, and from one timezone to another."""

import datetime
from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from llm_api.core.functions.registry import function_registry


@function_registry.register
def get_current_time(timezone: str = "UTC") -> dict[str, object]:
    """Tell the current date and time in a timezone.

    Args:
        timezone: IANA name, such as Europe/Berlin or America/New_York.
    """
    return _in_words(datetime.datetime.now(find_zone(timezone)))


# `time` is text: in JSON Schema a date-time has an offset, which a local time has not.
@function_registry.register
def convert_timezone(time: str, from_timezone: str, to_timezone: str) -> dict[str, object]:
    """Convert a local date and time from one timezone to another.

    Args:
        time: Date and time in from_timezone, such as 2026-03-28T14:30.
        from_timezone: IANA name, such as Europe/Berlin.
        to_timezone: IANA name, such as Asia/Tokyo.
    """
    local = datetime.datetime.fromisoformat(time)
    moments = moments_of(local, find_zone(from_timezone))
    converted = [moment.astimezone(find_zone(to_timezone)) for moment in moments]
    result: dict[str, object] = {"from": _in_words(moments[0]), "to": _in_words(converted[0])}
    if len(moments) == 2:
        result["note"] = (
            f"Clocks in {from_timezone} show this time twice; this is the first."
            f" The second is {converted[1].isoformat()} in {to_timezone}."
        )
    return result


def moments_of(time: datetime.datetime, zone: ZoneInfo) -> list[datetime.datetime]:
    """The moments at which clocks in the zone show this time: two where they are put back. Pure.

    Raises ValueError where they never do: clocks are put forward over it, or it has an offset that
    the zone has not then.
    """
    shown = time.replace(tzinfo=None, fold=0)
    moments = {}
    for fold in (0, 1):
        moment = shown.replace(tzinfo=zone, fold=fold)
        there_and_back = moment.astimezone(datetime.UTC).astimezone(zone)
        if there_and_back.replace(tzinfo=None) == shown:
            moments[moment.utcoffset()] = moment
    if not moments:
        raise ValueError(f"{shown.isoformat()} does not exist in {zone}: clocks skip it")
    if time.tzinfo is None:
        return list(moments.values())
    if time.utcoffset() not in moments:
        raise ValueError(
            f"{zone} has another offset from UTC than {time.isoformat()}; leave it out"
        )
    return [moments[time.utcoffset()]]


def find_zone(name: str) -> ZoneInfo:
    """The timezone of an IANA name in any case. Raises ValueError, with names that are near."""
    zones = _zones()
    key = name.strip().replace(" ", "_").casefold()
    if key in zones:
        return ZoneInfo(zones[key])
    # Not those like EST, of which each is near to PST, nor Etc/GMT+2, which is behind UTC.
    places = {
        key: zone for key, zone in zones.items() if "/" in zone and not zone.startswith("Etc/")
    }
    of_city = [zone for place, zone in places.items() if place.rpartition("/")[2] == key]
    near = of_city or [places[place] for place in get_close_matches(key, places)]
    hint = f"did you mean {' or '.join(near)}?" if near else "use a name such as Europe/Berlin"
    raise ValueError(f"there is no timezone {name[:64]!r}; {hint}")


@cache
def _zones() -> dict[str, str]:
    """Every name of the timezone database, by its lower case."""
    return {name.casefold(): name for name in sorted(available_timezones())}


def _in_words(moment: datetime.datetime) -> dict[str, object]:
    return {
        "time": moment.isoformat(timespec="seconds"),
        "timezone": str(moment.tzinfo),
        "weekday": f"{moment:%A}",
        "is_daylight_saving_time": bool(moment.dst()),
    }
