"""Landscapes: which workflows there could be, how good each truly is, and how a child comes of its parent.

Owns the file format and the drawing of a landscape from a seed. A workflow's *genome* is a short text of lower-case
letters and digits; its true quality is in reward units, 0..1. What a judge makes of a quality is ``judge``'s.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random
from typing import Annotated, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from benchmarks.simulated.draws import generator

__all__ = ["Landscape", "LandscapeError", "LandscapeFile", "read_landscape"]

_LONGEST_FILE = 1_000_000  # bytes
_LEVELS = "0123456789abcdefghijklmnopqrstuvwxyz"
_GENOME = r"^[0-9a-z]{1,40}$"
_MOST_STATES = 20_000  # of a landscape whose best is looked up by trying all

Quality = Annotated[float, Field(ge=0.05, le=0.95)]


class LandscapeError(ValueError):
    """A landscape file that can't be used; one sentence that says what to do."""


class Landscape(Protocol):
    """One landscape, drawn: everything in it is settled."""

    @property
    def first(self) -> str:
        """The first workflow's genome."""
        ...

    @property
    def best(self) -> float | None:
        """The best true quality there is; None where there is no telling."""
        ...

    def quality(self, genome: str) -> float:
        """The true quality of a workflow, 0..1."""
        ...

    def child(self, genome: str, random: Random) -> str:
        """The genome of a new child; it may be as good as, better or worse than its parent, and differs from it."""
        ...


# --- the file -----------------------------------------------------------------------------------------------------


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=60)]
    about: Annotated[str, Field(max_length=1000)] = ""

    def draw(self, seed: int) -> Landscape:
        """The landscape of one repeat; the same seed, the same landscape."""
        raise NotImplementedError


class _Ranged(_Spec):
    first: Quality = 0.5
    best: Quality = 0.8

    @model_validator(mode="after")
    def _best_is_better(self) -> Self:
        if self.best <= self.first:
            raise ValueError("best must be above first")
        return self


class AdditiveSpec(_Ranged):
    """Places that count each for itself; a child changes one of them."""

    kind: Literal["additive"]
    places: Annotated[int, Field(ge=1, le=40)] = 8
    levels: Annotated[int, Field(ge=2, le=36)] = 3

    def draw(self, seed: int) -> Landscape:
        return _Additive(_worths(self, seed), self.first, 0.0)


class PlateauSpec(_Ranged):
    """As additive, but quality moves only when enough has come together for a whole step."""

    kind: Literal["plateau"]
    places: Annotated[int, Field(ge=1, le=40)] = 8
    levels: Annotated[int, Field(ge=2, le=36)] = 3
    step: Annotated[float, Field(gt=0, le=0.5)] = 0.06

    def draw(self, seed: int) -> Landscape:
        return _Additive(_worths(self, seed), self.first, self.step)


class RuggedSpec(_Ranged):
    """Kauffman's NK: each of n bits counts by itself and by k others, so that changes get in each other's way."""

    kind: Literal["rugged"]
    bits: Annotated[int, Field(ge=2, le=14)] = 12
    others: Annotated[int, Field(ge=0, le=8)] = 2

    @model_validator(mode="after")
    def _enough_bits(self) -> Self:
        if self.others >= self.bits:
            raise ValueError("others must be fewer than bits")
        return self

    def draw(self, seed: int) -> Landscape:
        return _rugged(self, seed)


class DeceptiveSpec(_Ranged):
    """Traps: in each block the easy gain leads away from the large one, which lies behind a loss."""

    kind: Literal["deceptive"]
    blocks: Annotated[int, Field(ge=1, le=12)] = 4
    lure: Annotated[float, Field(ge=0, le=1)] = 0.5
    loss: Annotated[float, Field(ge=0, le=1)] = 0.5

    def draw(self, seed: int) -> Landscape:
        prize = (self.best - self.first) / self.blocks
        return _Traps(self.blocks, self.first, (self.lure * prize, 0.0, -self.loss * prize, prize), self.best)


class WalkSpec(_Spec):
    """No structure: a child's quality is its parent's and a normal step."""

    kind: Literal["walk"]
    first: Quality = 0.5
    mean: Annotated[float, Field(ge=-0.3, le=0.3)] = -0.005
    sd: Annotated[float, Field(ge=0, le=0.3)] = 0.045

    def draw(self, seed: int) -> Landscape:
        return _Walk(self.first, self.mean, self.sd)


class TableSpec(_Spec):
    """States written out with their quality, and how likely each leads to which."""

    kind: Literal["table"]
    first: Annotated[str, Field(pattern=_GENOME)]
    states: Annotated[dict[Annotated[str, Field(pattern=_GENOME)], Quality], Field(min_length=2, max_length=5000)]
    moves: dict[str, dict[str, Annotated[float, Field(gt=0, le=1e6)]]]

    @model_validator(mode="after")
    def _moves_lead_somewhere(self) -> Self:
        named = [self.first, *self.moves, *(child for children in self.moves.values() for child in children)]
        unknown = sorted(set(named) - set(self.states))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not among the states")
        if any(state in children for state, children in self.moves.items()):
            raise ValueError("a state can't be its own child; unchanged children are drawn apart")
        stuck = [state for state in self._reached() if not self.moves.get(state)]
        if stuck:
            raise ValueError(f"{stuck[0]!r} has no moves, and a search can get there")
        return self

    def _reached(self) -> list[str]:
        reached = [self.first]
        for state in reached:
            reached += [child for child in self.moves.get(state, {}) if child not in reached]
        return reached

    def draw(self, seed: int) -> Landscape:
        return _Table(self.first, self.states, self.moves, max(self.states[state] for state in self._reached()))


LandscapeFile = Annotated[
    AdditiveSpec | PlateauSpec | RuggedSpec | DeceptiveSpec | WalkSpec | TableSpec, Field(discriminator="kind")
]
_FILE: TypeAdapter[LandscapeFile] = TypeAdapter(LandscapeFile)


def read_landscape(path: Path) -> LandscapeFile:
    """The landscape a file describes. Raises LandscapeError."""
    try:
        text = path.read_bytes()[: _LONGEST_FILE + 1]
    except OSError as error:
        raise LandscapeError(f"{path} can't be read ({error.strerror}); give a landscape's JSON file.") from error
    if len(text) > _LONGEST_FILE:
        raise LandscapeError(f"{path} is larger than a megabyte; give a landscape's JSON file.")
    try:
        return _FILE.validate_python(json.loads(text))
    except (ValueError, RecursionError) as error:
        problem = _first_problem(error) if isinstance(error, ValidationError) else f"not JSON: {error}"
        raise LandscapeError(f"{path.name}: {problem}; correct it (docs/benchmarks.md has the format).") from error


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])[:100]
    message = first["msg"].removeprefix("Value error, ")[:300]
    return f"{where}: {message}" if where else message


# --- the kinds ----------------------------------------------------------------------------------------------------


def _worths(spec: AdditiveSpec | PlateauSpec, seed: int) -> list[list[float]]:
    """What each level of each place adds: normal, 0 for the first workflow's, scaled so that the best is ``best``."""
    random = generator("additive", spec.name, seed)
    while True:
        rows = [[0.0, *(random.gauss() for _ in range(spec.levels - 1))] for _ in range(spec.places)]
        if (most := math.fsum(max(row) for row in rows)) > 0.3 * spec.places**0.5:  # else steps would be giant
            return [[(spec.best - spec.first) / most * value for value in row] for row in rows]


@dataclass(frozen=True, slots=True)
class _Additive:
    worths: Sequence[Sequence[float]]
    start: float
    step: float  # quality moves in whole steps of this; 0: freely

    @property
    def first(self) -> str:
        return "0" * len(self.worths)

    @property
    def best(self) -> float:
        return self._at(math.fsum(max(row) for row in self.worths))

    def quality(self, genome: str) -> float:
        return self._at(math.fsum(row[_LEVELS.index(level)] for row, level in zip(self.worths, genome, strict=True)))

    def _at(self, gain: float) -> float:
        # A step is taken when half of it is there, so that the first workflow stands in the middle of its plateau.
        moved = self.step * math.floor(gain / self.step + 0.5) if self.step else gain
        return min(0.95, max(0.05, self.start + moved))

    def child(self, genome: str, random: Random) -> str:
        place = random.randrange(len(genome))
        others = [level for level in _LEVELS[: len(self.worths[place])] if level != genome[place]]
        return genome[:place] + random.choice(others) + genome[place + 1 :]


@dataclass(frozen=True, slots=True)
class _Listed:
    """All genomes are bits, and each has its quality written down."""

    first: str
    best: float
    qualities: Mapping[str, float]

    def quality(self, genome: str) -> float:
        return self.qualities[genome]

    def child(self, genome: str, random: Random) -> str:
        return _flipped(genome, random)


def _rugged(spec: RuggedSpec, seed: int) -> Landscape:
    """Scaled so that the best of all genomes is ``best``; the first is one whose sum is nearest to the mean."""
    random = generator("rugged", spec.name, seed)
    places = [[i, *random.sample([j for j in range(spec.bits) if j != i], spec.others)] for i in range(spec.bits)]
    tables = [[random.gauss() for _ in range(2 ** (spec.others + 1))] for _ in range(spec.bits)]

    def worth(bits: tuple[int, ...]) -> float:
        return math.fsum(
            table[sum(bits[j] << at for at, j in enumerate(row))] for row, table in zip(places, tables, strict=True)
        )

    worths = {"".join(map(str, bits)): worth(bits) for bits in product((0, 1), repeat=spec.bits)}
    middle = math.fsum(worths.values()) / len(worths)
    first = min(worths, key=lambda genome: (abs(worths[genome] - middle), genome))
    scale = (spec.best - spec.first) / (max(worths.values()) - worths[first])
    return _Listed(
        first,
        spec.best,
        {genome: max(0.05, spec.first + scale * (value - worths[first])) for genome, value in worths.items()},
    )


@dataclass(frozen=True, slots=True)
class _Traps:
    """Blocks of three bits; what a block adds depends on how many are set: lure, nothing, a loss, the prize."""

    blocks: int
    start: float
    worths: tuple[float, float, float, float]
    best: float

    @property
    def first(self) -> str:
        return "100" * self.blocks

    def quality(self, genome: str) -> float:
        parts = [genome[at : at + 3].count("1") for at in range(0, len(genome), 3)]
        return max(0.05, self.start + math.fsum(self.worths[ones] for ones in parts))

    def child(self, genome: str, random: Random) -> str:
        return _flipped(genome, random)


def _flipped(genome: str, random: Random) -> str:
    place = random.randrange(len(genome))
    return genome[:place] + ("0" if genome[place] == "1" else "1") + genome[place + 1 :]


@dataclass(frozen=True, slots=True)
class _Walk:
    """The genome is the quality itself, in ten-millionths."""

    start: float
    mean: float
    sd: float
    best: None = None

    @property
    def first(self) -> str:
        return f"{round(self.start * 1e7):07d}"

    def quality(self, genome: str) -> float:
        return int(genome) / 1e7

    def child(self, genome: str, random: Random) -> str:
        moved = self.quality(genome) + random.gauss(self.mean, self.sd)
        moved = 0.1 - moved if moved < 0.05 else 1.9 - moved if moved > 0.95 else moved  # thrown back at the ends
        moved = min(0.95, max(0.05, moved))
        return f"{round(moved * 1e7):07d}"


@dataclass(frozen=True, slots=True)
class _Table:
    first: str
    states: Mapping[str, float]
    moves: Mapping[str, Mapping[str, float]]
    best: float

    def quality(self, genome: str) -> float:
        return self.states[genome]

    def child(self, genome: str, random: Random) -> str:
        children = self.moves[genome]
        return random.choices(list(children), list(children.values()))[0]
