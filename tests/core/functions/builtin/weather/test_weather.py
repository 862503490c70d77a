"""The weather functions over real HTTP, against services that answer well, badly or not at all."""

import json
import socket
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from llm_api.assembly.functions import FunctionOptions, open_functions
from llm_api.core.errors import FunctionFailedError, InvalidArgumentsError
from llm_api.core.functions.builtin.weather.open_meteo import MAX_ANSWER_BYTES
from llm_api.core.functions.runner import Functions
from llm_api.core.functions.types import FunctionResult
from tests.core.functions.builtin.weather.stand_in import Fault, StandIn

SEARCH, FORECAST = "/v1/search", "/v1/forecast"


def options(url: str, timeout_seconds: float = 10) -> FunctionOptions:
    return FunctionOptions(
        folder=None,
        timeout_seconds=timeout_seconds,
        result_bytes=64 * 1024,
        max_rounds=8,
        weather_geocoding_url=url,
        weather_forecast_url=f"{url}/",
    )


@pytest.fixture
async def functions(services: StandIn) -> AsyncGenerator[Functions, None]:
    async with open_functions(options(services.url)) as functions:
        yield functions


async def call(functions: Functions, name: str, **arguments: Any) -> FunctionResult:
    return await functions.runner.run(functions.catalog.get(name), arguments)


async def weather(functions: Functions, **arguments: Any) -> dict[str, Any]:
    result = await call(functions, "get_weather", **arguments)
    assert result.error is None, result.content
    return dict(json.loads(result.content))


async def failure(functions: Functions, **arguments: Any) -> str:
    result = await call(functions, "get_weather", **arguments)
    assert isinstance(result.error, FunctionFailedError)
    return result.error.message


async def test_the_weather_now(functions: Functions, services: StandIn) -> None:
    assert await weather(functions, location="London") == {
        "place": "London, England, United Kingdom",
        "local_time": "2026-02-14T13:00",
        "timezone": "Europe/Paris",
        "weather": "light rain",
        "temperature": 7.3,
        "feels_like": 4.1,
        "humidity_percent": 87,
        "precipitation": 0.4,
        "cloud_cover_percent": 100,
        "wind_speed": 17.6,
        "wind_direction_degrees": 240,
        "units": {"temperature": "°C", "wind_speed": "km/h", "precipitation": "mm"},
    }
    assert services.paths == [SEARCH, FORECAST]
    assert services.queries[SEARCH]["name"] == "London"
    asked = services.queries[FORECAST]
    assert (asked["latitude"], asked["longitude"]) == ("48.85", "2.35")
    assert asked["timezone"] == "auto"
    assert "temperature_unit" not in asked


async def test_the_weather_of_the_next_days(functions: Functions, services: StandIn) -> None:
    result = await call(functions, "get_weather_forecast", location="London")
    days = json.loads(result.content)["days"]
    assert services.queries[FORECAST]["forecast_days"] == "3"
    assert days[0] == {
        "date": "2026-02-14",
        "weather": "light rain",
        "highest_temperature": 8.1,
        "lowest_temperature": 3.0,
        "precipitation": 2.2,
        "precipitation_probability_percent": 90,
        "highest_wind_speed": 22.0,
        "sunrise": "2026-02-14T07:58",
        "sunset": "2026-02-14T18:12",
    }
    assert [day["weather"] for day in days] == ["light rain", "clear sky", "unknown"]
    result = await call(functions, "get_weather_forecast", location="London", days="1")
    assert len(json.loads(result.content)["days"]) == 1


@pytest.mark.parametrize("name", ["get_weather", "get_weather_forecast"])
async def test_units_may_be_imperial(functions: Functions, services: StandIn, name: str) -> None:
    result = await call(functions, name, location="London", units="imperial")
    assert json.loads(result.content)["units"]["temperature"] == "°F"
    asked = services.queries[FORECAST]
    assert asked["temperature_unit"] == "fahrenheit"
    assert asked["wind_speed_unit"] == "mph"
    assert asked["precipitation_unit"] == "inch"


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("Paris", "Paris, Île-de-France, France"),
        ("Paris, Texas", "Paris, Texas, United States"),
        ("paris,TX", "Paris, Texas, United States"),
        ("Paris, TX, USA", "Paris, Texas, United States"),
        ("Paris, France", "Paris, Île-de-France, France"),
        ("Paris, Ile de France", "Paris, Île-de-France, France"),
        ("London, UK", "London, England, United Kingdom"),
        ("Springfield, IL", "Springfield, Illinois, United States"),
        ("Washington, D.C.", "Washington, District of Columbia, United States"),
        ("Sao Paulo", "São Paulo, Brazil"),
        ("Pariso", "Parisot, Tarn, France"),
    ],
)
async def test_a_place_that_is_named_well_is_taken_without_ado(
    functions: Functions, location: str, place: str
) -> None:
    told = await weather(functions, location=location)
    assert told["place"] == place
    assert "other_places" not in told


@pytest.mark.parametrize(
    ("location", "place", "others"),
    [
        (
            "Springfield",
            "Springfield, Missouri, United States",
            ["Massachusetts", "Illinois", "Oregon", "Ohio", "Tennessee"],
        ),
        ("Springfield, USA", "Springfield, Missouri, United States", ["Massachusetts"]),
        ("Twin", "Twin, North, Nowhere", ["South"]),
    ],
)
async def test_of_several_plausible_places_one_is_taken_and_the_others_are_told(
    functions: Functions, location: str, place: str, others: list[str]
) -> None:
    told = await weather(functions, location=location)
    assert told["place"] == place
    assert "largest" in told["note"]
    found = [other.split(", ")[1] for other in told["other_places"]]
    assert found[: len(others)] == others
    assert "Vermont" not in found


async def test_a_place_that_is_not_found_is_an_error_that_says_so(
    functions: Functions, services: StandIn
) -> None:
    told = await failure(functions, location="Atlantis")
    assert told == "WeatherError: There is no place 'Atlantis'; name a town, in English."
    assert services.paths == [SEARCH]


async def test_a_place_elsewhere_is_an_error_that_says_where_it_is(functions: Functions) -> None:
    assert await failure(functions, location="Paris, Ohio") == (
        "WeatherError: There is no place 'Paris' in 'Ohio'; there are:"
        " Paris, Île-de-France, France; Paris, Texas, United States;"
        " Paris, Kentucky, United States."
    )


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(status=500), "answered with 500."),
        (Fault(status=429), "answered with 429."),
        (Fault(status=400, body=b'{"error":true,"reason":"x"}'), "answered with 400."),
        (Fault(status=204), "answered with 204."),
        (Fault(body=b"<html>"), "gave an answer that cannot be read."),
        (Fault(body=b"[]"), "gave an answer that cannot be read."),
        (Fault(body=b'{"results": [{}], "current": {}}'), "gave an answer that cannot be read."),
        (Fault(body=b""), "gave an answer that cannot be read."),
        (Fault(body=b" " * (MAX_ANSWER_BYTES + 1)), "gave an answer that is too large."),
        (Fault(body=b"no gzip", headers={"content-encoding": "gzip"}), "cannot be reached."),
    ],
)
@pytest.mark.parametrize(
    ("path", "service"), [(SEARCH, "geocoding service"), (FORECAST, "forecast service")]
)
async def test_a_service_that_fails_is_an_error_that_says_how(
    functions: Functions, services: StandIn, path: str, service: str, fault: Fault, told: str
) -> None:
    services.faults[path] = fault
    assert await failure(functions, location="London") == f"WeatherError: The {service} {told}"


async def test_a_forecast_with_days_missing_cannot_be_read(
    functions: Functions, services: StandIn
) -> None:
    daily = {"time": ["2026-02-14"], "weather_code": []}
    services.faults[FORECAST] = Fault(body=json.dumps({"timezone": "x", "daily": daily}).encode())
    result = await call(functions, "get_weather_forecast", location="London")
    assert "cannot be read" in result.content


@pytest.mark.parametrize("path", [SEARCH, FORECAST])
async def test_a_slow_service_is_an_error_before_the_functions_timeout(
    services: StandIn, path: str
) -> None:
    services.faults[path] = Fault(delay_seconds=30)
    async with open_functions(options(services.url, timeout_seconds=1.5)) as functions:
        began = time.monotonic()
        told = await failure(functions, location="London")
    assert told.endswith("service did not answer within 0.5 seconds.")
    assert time.monotonic() - began < 20


async def test_a_service_that_is_down_is_an_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with open_functions(options(url)) as functions:
            told = await failure(functions, location="London")
    assert told == "WeatherError: The geocoding service cannot be reached."


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", [SEARCH, FORECAST])
async def test_a_redirect_to_another_host_is_not_followed(
    functions: Functions, services: StandIn, path: str, status: int
) -> None:
    elsewhere = services.url.replace("127.0.0.1", "localhost") + "/stolen"
    services.faults[path] = Fault(status=status, headers={"location": elsewhere})
    assert (await failure(functions, location="London")).endswith(f"answered with {status}.")
    assert "/stolen" not in services.paths


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "//evil.example/",
        "@evil.example",
        "evil.example:80/#",
        "../../admin?x=",
        "London&latitude=0&longitude=0",
        "London#fragment",
        "London\r\nHost: evil.example\r\n\r\n",
        "London\0",
        "%2e%2e%2fadmin",
        "{name}",
        "😀" * 50,
    ],
)
async def test_a_hostile_location_is_only_a_name(
    functions: Functions, services: StandIn, location: str
) -> None:
    told = await failure(functions, location=location)
    assert told.startswith("WeatherError: There is no place ")
    assert "\n" not in told
    assert services.paths == [SEARCH]
    assert set(services.queries[SEARCH]) == {"name", "count", "language", "format"}
    assert services.queries[SEARCH]["name"] == location.partition(",")[0].strip()


@pytest.mark.parametrize("location", ["", "   ", "x" * 201, None, "\ud800", ["London"]])
@pytest.mark.parametrize("name", ["get_weather", "get_weather_forecast"])
async def test_a_location_that_is_no_short_text_is_refused(
    functions: Functions, services: StandIn, name: str, location: object
) -> None:
    result = await call(functions, name, location=location)
    assert isinstance(result.error, InvalidArgumentsError)
    assert result.error.param == "location"
    assert services.paths == []


@pytest.mark.parametrize("location", [",", ", Texas", " , "])
async def test_a_location_without_a_name_is_an_error(functions: Functions, location: str) -> None:
    assert "has no name" in await failure(functions, location=location)


@pytest.mark.parametrize(("days", "is_error"), [(0, True), (1, False), (16, False), (17, True)])
async def test_the_service_forecasts_16_days(
    functions: Functions, days: int, is_error: bool
) -> None:
    result = await call(functions, "get_weather_forecast", location="London", days=days)
    assert result.is_error is is_error


async def test_the_weather_comes_before_plugins_that_would_take_its_name(
    services: StandIn, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "from llm_api.core.functions.registry import function_registry\n"
        "@function_registry.register\n"
        "def get_weather(location: str) -> str: return 'always fine'\n"
    )
    opened = FunctionOptions(tmp_path, 5, 1024, 8, services.url, services.url)
    async with open_functions(opened) as functions:
        assert functions.catalog.get("get_weather").origin.kind == "built_in"
        [problem] = functions.catalog.problems()
    assert str(problem) == "mine.py: get_weather is already taken by weather, which stays."
