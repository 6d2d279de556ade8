"""What a call costs.

Owns the price table: the built-in one, a person's own, and the rule that a model on this machine is free. Adding up
and stopping at a cap is ``budget``'s business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autosynth_core.errors import SettingsError

VARIABLE = "AUTOSYNTH_PRICES"

_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4})$")
_Usd = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class Price(BaseModel):
    """US dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: _Usd
    completion: _Usd


class _PriceFile(BaseModel):
    """The shape of a price file. ``note`` is for its reader."""

    model_config = ConfigDict(extra="forbid")

    models: dict[str, Price]
    note: str = ""


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by model name. An unknown price is None, never free.

    A dated name (``gpt-4.1-mini-2025-04-14``) falls back on the undated one, and a provider's prefix
    (``openai/gpt-4.1``) is dropped; a mere common beginning is no match. ``own`` are the person's own prices, which
    win; ``local`` makes every model without a price of the person's own cost nothing.
    """

    listed: Mapping[str, Price] = field(default_factory=dict)
    own: Mapping[str, Price] = field(default_factory=dict)
    local: bool = False

    @classmethod
    def load(cls, environ: Mapping[str, str], *, path: Path | None = None, local: bool = False) -> PriceTable:
        """The built-in table, and over it the file at ``path`` or, without one, at ``$AUTOSYNTH_PRICES``.

        Raises SettingsError when that file can't be read or has another shape than
        ``{"models": {"NAME": {"prompt": USD, "completion": USD}}}``.
        """
        own = path or (Path(environ[VARIABLE]) if environ.get(VARIABLE) else None)
        built_in = _PriceFile.model_validate_json((files(__package__) / "prices.json").read_bytes())
        return cls(built_in.models, _read(own) if own else {}, local)

    def price(self, model: str) -> Price | None:
        """The price of ``model``, None when unknown."""
        found = _look_up(self.own, model)
        if found is None and self.local:
            return Price(prompt=0.0, completion=0.0)
        return found or _look_up(self.listed, model)

    def cost(self, model: str, prompt_tokens: int | None, completion_tokens: int | None) -> float | None:
        """US dollars for so many tokens; None when the price or, for a priced model, a count is unknown."""
        price = self.price(model)
        if price is None:
            return None
        if price.prompt == price.completion == 0.0:
            return 0.0
        if prompt_tokens is None or completion_tokens is None:
            return None
        return (prompt_tokens * price.prompt + completion_tokens * price.completion) / 1e6


def _look_up(table: Mapping[str, Price], model: str) -> Price | None:
    bare = model.rpartition("/")[2]
    for name in (model, bare, _DATED.sub("", bare)):
        if name in table:
            return table[name]
    return None


def _read(path: Path) -> dict[str, Price]:
    hint = 'it should hold {"models": {"NAME": {"prompt": USD per million tokens, "completion": USD}}}'
    try:
        return _PriceFile.model_validate_json(path.read_bytes()).models
    except OSError as error:
        raise SettingsError(
            f"The price file {path} can't be read ({error.strerror}); correct its path or unset {VARIABLE}."
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = " > ".join(str(part) for part in first["loc"]) or "the whole file"
        raise SettingsError(f"The price file {path} is wrong at {where} ({first['msg']}); {hint}.") from error
