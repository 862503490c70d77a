"""Open-Meteo's two services on this machine, as far as their real answers are known, and faults."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.live import live_server


def place(
    name: str, admin1: str, country: str, code: str, population: int | None
) -> dict[str, object]:
    """An entry of the geocoding service, which leaves out what it does not know."""
    entry = {
        "name": name,
        "latitude": 48.85,
        "longitude": 2.35,
        "elevation": 38.0,
        "feature_code": "PPL",
        "country_code": code,
        "timezone": "Europe/Paris",
        "population": population,
        "country": country,
        "admin1": admin1,
    }
    return {key: value for key, value in entry.items() if value is not None}


PLACES = [
    place("Paris", "Île-de-France", "France", "FR", 2_138_551),
    place("Paris", "Texas", "United States", "US", 24_782),
    place("Paris", "Kentucky", "United States", "US", 9_870),
    place("Parisot", "Tarn", "France", "FR", None),
    place("Springfield", "Missouri", "United States", "US", 170_178),
    place("Springfield", "Massachusetts", "United States", "US", 155_929),
    place("Springfield", "Illinois", "United States", "US", 114_394),
    place("Springfield", "Oregon", "United States", "US", 62_256),
    place("Springfield", "Vermont", "United States", "US", 3_979),
    place("Springfield", "Ohio", "United States", "US", 59_357),
    place("Springfield", "Tennessee", "United States", "US", 17_020),
    place("São Paulo", "São Paulo", "Brazil", "BR", 10_021_295),
    place("Washington", "District of Columbia", "United States", "US", 689_545),
    place("London", "England", "United Kingdom", "GB", 8_961_989),
    place("London", "Ontario", "Canada", "CA", 422_324),
    place("Twin", "North", "Nowhere", "NW", None),
    place("Twin", "South", "Nowhere", "NW", None),
]

CURRENT = {
    "time": "2026-02-14T13:00",
    "interval": 900,
    "weather_code": 61,
    "temperature_2m": 7.3,
    "apparent_temperature": 4.1,
    "relative_humidity_2m": 87,
    "precipitation": 0.4,
    "cloud_cover": 100,
    "wind_speed_10m": 17.6,
    "wind_direction_10m": 240,
}

DAILY: dict[str, list[object]] = {
    "time": ["2026-02-14", "2026-02-15", "2026-02-16"],
    "weather_code": [61, 0, None],
    "temperature_2m_max": [8.1, 9.4, None],
    "temperature_2m_min": [3.0, 2.2, None],
    "precipitation_sum": [2.2, 0.0, None],
    "precipitation_probability_max": [90, 3, None],
    "wind_speed_10m_max": [22.0, 11.5, None],
    "sunrise": ["2026-02-14T07:58", "2026-02-15T07:56", "2026-02-16T07:54"],
    "sunset": ["2026-02-14T18:12", "2026-02-15T18:14", "2026-02-16T18:15"],
}


@dataclass
class Fault:
    """What a path answers instead."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0


@dataclass
class StandIn:
    """What the services do, and what they have seen: paths, and the queries of each path."""

    url: str = ""
    faults: dict[str, Fault] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    queries: dict[str, dict[str, str]] = field(default_factory=dict)

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        self.paths.append(path)
        self.queries[path] = dict(request.query_params)
        if (fault := self.faults.get(path)) is not None:
            await asyncio.sleep(fault.delay_seconds)
            return Response(fault.body, fault.status, fault.headers)
        return JSONResponse(_ANSWERS[path](request) if path in _ANSWERS else {"stolen": True})


def _search(request: Request) -> dict[str, object]:
    name = request.query_params["name"].casefold().replace("sao", "são")
    found = [entry for entry in PLACES if str(entry["name"]).casefold().startswith(name)]
    return {"results": found, "generationtime_ms": 0.5} if found else {"generationtime_ms": 0.5}


def _forecast(request: Request) -> dict[str, object]:
    head = {
        "latitude": 48.86,
        "longitude": 2.36,
        "timezone": "Europe/Paris",
        "utc_offset_seconds": 3600,
    }
    asked = request.query_params
    if "current" in asked:
        known = {"time", "interval", *asked["current"].split(",")}
        return {**head, "current": {key: CURRENT[key] for key in CURRENT if key in known}}
    known = {"time", *asked["daily"].split(",")}
    days = int(asked["forecast_days"])
    return {**head, "daily": {key: values[:days] for key, values in DAILY.items() if key in known}}


_ANSWERS = {"/v1/search": _search, "/v1/forecast": _forecast}


@contextmanager
def running_stand_in() -> Iterator[StandIn]:
    """Both services on a free port, until the end of the block."""
    stand_in = StandIn()
    app = FastAPI(openapi_url=None)
    app.add_route("/{path:path}", stand_in.answer)
    with live_server(app) as stand_in.url:
        yield stand_in
