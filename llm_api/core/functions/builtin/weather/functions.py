"""Built in: the weather now and on the days to come.

The service adds these two itself, bound to a client that knows which URLs the settings name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints

from llm_api.core.functions.builtin.weather.choice import (
    PlaceChoice,
    choose,
    full_name,
    read_location,
)
from llm_api.core.functions.builtin.weather.open_meteo import OpenMeteo, Units
from llm_api.core.functions.builtin.weather.wmo_codes import weather_in_words

LocationText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)
]

_UNIT_NAMES: Mapping[Units, Mapping[str, str]] = {
    "metric": {"temperature": "°C", "wind_speed": "km/h", "precipitation": "mm"},
    "imperial": {"temperature": "°F", "wind_speed": "mph", "precipitation": "inch"},
}


@dataclass(frozen=True, slots=True)
class Weather:
    """The functions. Each raises WeatherError where there is nothing to tell."""

    service: OpenMeteo

    async def get_weather(
        self, location: LocationText, units: Units = "metric"
    ) -> dict[str, object]:
        """Tell the weather at a place now.

        Args:
            location: A town, in English, if needed with its state or country: Paris, Texas.
            units: metric (°C, km/h, mm) or imperial (°F, mph, inch).
        """
        choice = await self._find(location)
        weather = await self.service.now(choice.place, units)
        now = weather.current
        return {
            **_in_words(choice),
            "local_time": now.time,
            "timezone": weather.timezone,
            "weather": weather_in_words(now.weather_code),
            "temperature": now.temperature_2m,
            "feels_like": now.apparent_temperature,
            "humidity_percent": now.relative_humidity_2m,
            "precipitation": now.precipitation,
            "cloud_cover_percent": now.cloud_cover,
            "wind_speed": now.wind_speed_10m,
            "wind_direction_degrees": now.wind_direction_10m,
            "units": _UNIT_NAMES[units],
        }

    async def get_weather_forecast(
        self,
        location: LocationText,
        days: Annotated[int, Field(ge=1, le=16)] = 3,
        units: Units = "metric",
    ) -> dict[str, object]:
        """Tell the weather of the next days at a place, today included.

        Args:
            location: A town, in English, if needed with its state or country: Paris, Texas.
            days: How many days, from 1 to 16.
            units: metric (°C, km/h, mm) or imperial (°F, mph, inch).
        """
        choice = await self._find(location)
        weather = await self.service.days(choice.place, days, units)
        daily = weather.daily
        columns = {
            "date": daily.time,
            "weather": [weather_in_words(code) for code in daily.weather_code],
            "highest_temperature": daily.temperature_2m_max,
            "lowest_temperature": daily.temperature_2m_min,
            "precipitation": daily.precipitation_sum,
            "precipitation_probability_percent": daily.precipitation_probability_max,
            "highest_wind_speed": daily.wind_speed_10m_max,
            "sunrise": daily.sunrise,
            "sunset": daily.sunset,
        }
        return {
            **_in_words(choice),
            "timezone": weather.timezone,
            "days": [
                dict(zip(columns, day, strict=True)) for day in zip(*columns.values(), strict=True)
            ],
            "units": _UNIT_NAMES[units],
        }

    async def _find(self, location: str) -> PlaceChoice:
        wanted = read_location(location)
        return choose(wanted, await self.service.places(wanted.name))


def _in_words(choice: PlaceChoice) -> dict[str, object]:
    """The place that was taken and, where others may be meant, which."""
    place: dict[str, object] = {"place": full_name(choice.place)}
    if choice.alternatives:
        place["note"] = "Several places may be meant; the largest was taken."
        place["other_places"] = [full_name(other) for other in choice.alternatives]
    return place
