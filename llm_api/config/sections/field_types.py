"""What sections are made of: types of fields that several share, and the base of the file's."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode


def upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def split(value: object) -> object:
    """Distinct names out of a comma-separated list, in its order."""
    if not isinstance(value, str):
        return value
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


def split_all(value: object) -> object:
    """Every item of a comma-separated list, in its order."""
    return tuple(value.split(",")) if isinstance(value, str) else value


def expand_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(str(error)) from error


Text = Annotated[str, Field(min_length=1)]
HomePath = Annotated[Path, AfterValidator(expand_home)]
Names = Annotated[tuple[Text, ...], NoDecode, BeforeValidator(split)]
URLs = Annotated[tuple[AnyHttpUrl, ...], NoDecode, BeforeValidator(split)]


class Section(BaseModel):
    """A mapping in the file. Its values appear in no error of Pydantic's."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True
    )
