"""A module as people write it, whose annotations are all text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

if TYPE_CHECKING:
    from decimal import Decimal


class Room(StrEnum):
    SINGLE = "single"
    DOUBLE = "double"


@dataclass
class Guest:
    name: str
    age: int


def book(guest: Guest, nights: Annotated[int, Field(ge=1)], room: Room = Room.SINGLE) -> Decimal:
    """Book a room."""
    raise NotImplementedError
