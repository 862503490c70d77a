"""Open-Meteo's two services: from names to places, and from places to weather.

Which hosts are called is decided when the client is made. No argument of a call changes it: names
travel as query parameters, and redirects are not followed. Does not cover: what the services
learn, which is the place asked for and this machine's address.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, TypeAlias, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from llm_api.core.functions.builtin.weather.answers import (
    CurrentWeather,
    DailyWeather,
    Days,
    Moment,
    Place,
    Places,
)

Units: TypeAlias = Literal["metric", "imperial"]
Answer = TypeVar("Answer", bound=BaseModel)

MAX_ANSWER_BYTES = 1024 * 1024
_MAX_PLACES = 100  # the service gives no more

_UNIT_PARAMETERS: Mapping[Units, Mapping[str, str]] = {
    "metric": {},
    "imperial": {
        "temperature_unit": "fahrenheit",
        "wind_speed_unit": "mph",
        "precipitation_unit": "inch",
    },
}


class WeatherError(Exception):
    """There is no weather to tell. `str(error)` says why, for the model."""


@dataclass(frozen=True, slots=True)
class Service:
    """One of the two: what people call it, and the URL that is asked."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class OpenMeteo:
    """Asks the two services. Every method raises WeatherError, after `timeout_seconds` at most."""

    http: httpx2.AsyncClient
    geocoding: Service
    forecast: Service
    timeout_seconds: float

    async def places(self, name: str) -> list[Place]:
        """Places of this name, or whose name begins so, the likeliest first; all in English."""
        query = {"name": name, "count": str(_MAX_PLACES), "language": "en", "format": "json"}
        return (await self._ask(self.geocoding, query, Places)).results

    async def now(self, place: Place, units: Units) -> CurrentWeather:
        """The weather at the place."""
        query = {"current": _variables(Moment), **_at(place, units)}
        return await self._ask(self.forecast, query, CurrentWeather)

    async def days(self, place: Place, count: int, units: Units) -> DailyWeather:
        """The weather of `count` days, today the first."""
        query = {"daily": _variables(Days), "forecast_days": str(count), **_at(place, units)}
        return await self._ask(self.forecast, query, DailyWeather)

    async def _ask(
        self, service: Service, query: Mapping[str, str], answer: type[Answer]
    ) -> Answer:
        try:
            async with asyncio.timeout(self.timeout_seconds):
                body = await self._body(service, query)
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise WeatherError(
                f"The {service.name} did not answer within {self.timeout_seconds:g} seconds."
            ) from error
        except httpx2.HTTPError as error:
            raise WeatherError(f"The {service.name} cannot be reached.") from error
        try:
            return answer.model_validate_json(body)
        except ValidationError as error:
            raise WeatherError(f"The {service.name} gave an answer that cannot be read.") from error

    async def _body(self, service: Service, query: Mapping[str, str]) -> bytes:
        async with self.http.stream("GET", service.url, params=query) as response:
            if response.status_code != HTTPStatus.OK:  # a redirect as well
                raise WeatherError(f"The {service.name} answered with {response.status_code}.")
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    raise WeatherError(f"The {service.name} gave an answer that is too large.")
            return bytes(body)


@asynccontextmanager
async def open_meteo(
    geocoding_url: str, forecast_url: str, timeout_seconds: float
) -> AsyncGenerator[OpenMeteo, None]:
    """The client of these two services, until the end of the block."""
    async with httpx2.AsyncClient(follow_redirects=False, timeout=timeout_seconds) as http:
        yield OpenMeteo(
            http,
            Service("geocoding service", f"{geocoding_url.rstrip('/')}/v1/search"),
            Service("forecast service", f"{forecast_url.rstrip('/')}/v1/forecast"),
            timeout_seconds,
        )


def _at(place: Place, units: Units) -> Mapping[str, str]:
    coordinates = {"latitude": str(place.latitude), "longitude": str(place.longitude)}
    return {**coordinates, "timezone": "auto", **_UNIT_PARAMETERS[units]}


def _variables(model: type[BaseModel]) -> str:
    return ",".join(name for name in model.model_fields if name != "time")
