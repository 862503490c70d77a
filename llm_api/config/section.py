"""What every part of the configuration file is like: frozen, and without keys it does not know."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping in the file. Its values appear in no error of Pydantic's."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True
    )
