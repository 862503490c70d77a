"""Which of many places is meant by "Paris, Texas" or by "Springfield". Pure."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from llm_api.core.functions.builtin.weather.answers import Place
from llm_api.core.functions.builtin.weather.open_meteo import WeatherError
from llm_api.core.functions.builtin.weather.us_states import US_STATES

MAX_ALTERNATIVES = 5
PLAUSIBLE_SHARE = 0.1
"""A place of this share of the inhabitants of the largest of its name may be meant as well."""

_COUNTRY_CODES = {"usa": "us", "uk": "gb", "great britain": "gb"}


@dataclass(frozen=True, slots=True)
class Location:
    """What was asked for: a name, and the areas that the place lies in."""

    name: str
    areas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlaceChoice:
    """The place that was taken, and those that may be meant as well."""

    place: Place
    alternatives: tuple[Place, ...]


def read_location(text: str) -> Location:
    """The parts between commas: first the name. Raises WeatherError where there is none."""
    name, *areas = (part.strip() for part in text.split(","))
    if not name:
        raise WeatherError("The location has no name; write it like: Paris, Texas.")
    return Location(name, tuple(area for area in areas if area))


def choose(location: Location, places: Sequence[Place]) -> PlaceChoice:
    """The place that is meant: of this very name if there is one, in all the areas, the largest.

    Raises WeatherError where there is none.
    """
    name = _folded(location.name)
    called_so = [place for place in places if _folded(place.name) == name] or list(places)
    within = [place for place in called_so if all(_lies_in(place, area) for area in location.areas)]
    if not within:
        raise WeatherError(_not_found(location, called_so))
    taken, *others = sorted(within, key=_inhabitants, reverse=True)
    plausible = {
        full_name(other): other
        for other in others
        if _inhabitants(other) >= PLAUSIBLE_SHARE * _inhabitants(taken)
        and full_name(other) != full_name(taken)
    }
    return PlaceChoice(taken, tuple(plausible.values())[:MAX_ALTERNATIVES])


def full_name(place: Place) -> str:
    """The place with its state and country: "Paris, Texas, United States". Pure."""
    return ", ".join(dict.fromkeys(filter(None, (place.name, place.admin1, place.country))))


def _not_found(location: Location, called_so: Sequence[Place]) -> str:
    if not called_so:
        return f"There is no place {location.name[:80]!r}; name a town, in English."
    names = dict.fromkeys(map(full_name, called_so))
    known = "; ".join(list(names)[:MAX_ALTERNATIVES])
    areas = ", ".join(location.areas)
    return f"There is no place {location.name[:80]!r} in {areas[:80]!r}; there are: {known}."


def _lies_in(place: Place, area: str) -> bool:
    wanted = _folded(area)
    areas = (place.country, place.admin1, place.admin2, place.admin3, place.admin4)
    country_code = _folded(place.country_code or "")
    return (
        wanted in {_folded(name) for name in areas if name}
        or _COUNTRY_CODES.get(wanted, wanted) == country_code
        or (country_code == "us" and US_STATES.get(wanted) == _folded(place.admin1 or ""))
    )


def _inhabitants(place: Place) -> int:
    return place.population or 0


def _folded(name: str) -> str:
    """A name as it is compared: without case, accents, full stops and hyphens."""
    letters = (x for x in unicodedata.normalize("NFKD", name) if not unicodedata.combining(x))
    return "".join(letters).casefold().replace(".", "").replace("-", " ").strip()
