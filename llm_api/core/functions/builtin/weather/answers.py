"""What Open-Meteo answers, as far as it is used. Fields are named as the service names them."""

from pydantic import BaseModel, model_validator


class Place(BaseModel):
    """A place of the geocoding service, larger areas from `country` down to `admin4`."""

    name: str
    latitude: float
    longitude: float
    population: int | None = None
    country: str | None = None
    country_code: str | None = None
    admin1: str | None = None
    admin2: str | None = None
    admin3: str | None = None
    admin4: str | None = None


class Places(BaseModel):
    """Places by relevance."""

    results: list[Place] = []


class Moment(BaseModel):
    """The weather at a time of the place. The fields' names are the service's variables."""

    time: str
    weather_code: int | None
    temperature_2m: float | None
    apparent_temperature: float | None
    relative_humidity_2m: float | None
    precipitation: float | None
    cloud_cover: float | None
    wind_speed_10m: float | None
    wind_direction_10m: float | None


class Days(BaseModel):
    """The weather of days: parallel lists, an item for each day."""

    time: list[str]
    weather_code: list[int | None]
    temperature_2m_max: list[float | None]
    temperature_2m_min: list[float | None]
    precipitation_sum: list[float | None]
    precipitation_probability_max: list[float | None]
    wind_speed_10m_max: list[float | None]
    sunrise: list[str | None]
    sunset: list[str | None]

    @model_validator(mode="after")
    def _are_parallel(self) -> "Days":
        if len({len(values) for _, values in self}) != 1:
            raise ValueError("lists of different lengths")
        return self


class CurrentWeather(BaseModel):
    timezone: str
    current: Moment


class DailyWeather(BaseModel):
    timezone: str
    daily: Days
