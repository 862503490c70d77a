"""Every function of a service put together: built in, from files, from installed packages."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from llm_api.core.functions.builtin.weather.functions import Weather
from llm_api.core.functions.builtin.weather.open_meteo import open_meteo
from llm_api.core.functions.catalog import FunctionCatalog
from llm_api.core.functions.plugins import (
    builtin_plugins,
    file_plugins,
    load_plugins,
    package_plugins,
)
from llm_api.core.functions.python_function import PythonFunction
from llm_api.core.functions.registry import declare, function_registry
from llm_api.core.functions.runner import FunctionRunner
from llm_api.core.functions.threads import FunctionThreads
from llm_api.core.functions.types import Origin


@dataclass(frozen=True, slots=True)
class FunctionOptions:
    """Where functions come from, and what limits them."""

    folder: Path | None
    timeout_seconds: float
    result_bytes: int
    max_rounds: int
    weather_geocoding_url: str
    weather_forecast_url: str


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions there are, and what runs them.

    A model may call functions in `max_rounds` rounds before it has to answer.
    """

    catalog: FunctionCatalog
    runner: FunctionRunner
    max_rounds: int


@asynccontextmanager
async def open_functions(options: FunctionOptions) -> AsyncGenerator[Functions, None]:
    """Import every plugin. What could not be imported is among the catalog's problems.

    Belongs to the running event loop. The weather ends with the block.
    """
    catalog, threads = FunctionCatalog(), FunctionThreads()
    async with open_meteo(
        options.weather_geocoding_url,
        options.weather_forecast_url,
        # Two requests, and time left to say which of them took too long.
        timeout_seconds=options.timeout_seconds / 3,
    ) as service:
        # Bound methods, since they need a client: registered here and not by a decorator.
        weather = Weather(service)
        for function in (weather.get_weather, weather.get_weather_forecast):
            origin = Origin("built_in", "weather")
            catalog.add(PythonFunction(declare(function), origin, threads))
        files = () if options.folder is None else file_plugins(options.folder)
        plugins = chain(builtin_plugins(), files, package_plugins())
        await asyncio.to_thread(load_plugins, plugins, function_registry, catalog, threads)
        runner = FunctionRunner(options.timeout_seconds, options.result_bytes)
        yield Functions(catalog, runner, options.max_rounds)
