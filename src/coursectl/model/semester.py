"""A semester: a season and a year, and their order in time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import total_ordering


class Season(StrEnum):
    """Seasons in the order in which they come within a calendar year."""

    WINTER = "winter"
    SPRING = "spring"
    SUMMER = "summer"
    AUTUMN = "autumn"
    FALL = "fall"


_ORDER = {Season.WINTER: 0, Season.SPRING: 1, Season.SUMMER: 2, Season.AUTUMN: 3, Season.FALL: 3}
_PATTERN = re.compile(r"(winter|spring|summer|autumn|fall)(20\d\d)")


@total_ordering
@dataclass(frozen=True, slots=True, kw_only=True)
class Semester:
    """One term of a course.

    >>> Semester.parse("fall2025")
    Semester(season=<Season.FALL: 'fall'>, year=2025)
    >>> str(Semester.parse("spring2026"))
    'spring2026'
    >>> Semester.parse("fall2025") < Semester.parse("spring2026")
    True
    """

    season: Season
    year: int

    @classmethod
    def parse(cls, text: str) -> Semester:
        """Read ``fall2025``.

        Raises:
            ValueError: it is not a season followed by a year from 2000 to 2099.
        """
        found = _PATTERN.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is not a semester: write a season and a year, such as fall2025")
        return cls(season=Season(found[1]), year=int(found[2]))

    def __str__(self) -> str:
        return f"{self.season}{self.year}"

    def __lt__(self, other: Semester) -> bool:
        return (self.year, _ORDER[self.season]) < (other.year, _ORDER[other.season])
