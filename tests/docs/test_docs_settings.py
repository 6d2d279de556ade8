"""docs/settings.md says what config.py and the environment really take."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

import annotated_types
import pytest
from docs_reading import named, rows, sources, strings, text_of
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from autosynth_core import config
from autosynth_core.__main__ import parser

MODELS = [
    config.RunSettings,
    config.RoundSettings,
    config.ModelSettings,
    config.CallSettings,
    config.SampleLimits,
]
_VARIABLE = re.compile(r"(?:AUTOSYNTH|OPENAI|HF)_[A-Z_]+")


def section(title: str) -> str:
    """The part of the page under the heading that names ``title`` in code."""
    found = re.search(rf"^## [^\n]*`{title}`[^\n]*\n(.*?)(?=^## |\Z)", text_of("docs/settings.md"), re.M | re.S)
    assert found is not None, f"docs/settings.md has no section for {title}"
    return found.group(1)


def default_of(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Enum):
        return f"`{value.value}`"
    return f"{value:g}" if isinstance(value, float) else str(value) or "empty"


def range_of(field: FieldInfo) -> str:
    bounds: dict[str, Any] = {}
    for each in [*field.metadata, *(part for arg in getattr(field.annotation, "__args__", ()) for part in _of(arg))]:
        for name, kind in (("ge", annotated_types.Ge), ("le", annotated_types.Le), ("gt", annotated_types.Gt)):
            if isinstance(each, kind):
                bounds[name] = getattr(each, name)
    match bounds:
        case {"ge": low, "le": high}:
            return f"{low} to {high}"
        case {"gt": low, "le": high}:
            return f"above {low}, up to {high}"
        case {"ge": low}:
            return f"{low} or more"
        case {"gt": low}:
            return f"above {low}"
    if isinstance(field.annotation, type) and issubclass(field.annotation, Enum):
        return ", ".join(f"`{each.value}`" for each in field.annotation)
    if field.annotation is bool:
        return "on or off"
    return "text" if field.annotation is str else ""


def _of(arg: Any) -> tuple[Any, ...]:
    return tuple(getattr(arg, "__metadata__", ()))


def test_every_model_of_config_is_looked_at() -> None:
    there = {each for each in vars(config).values() if isinstance(each, type) and issubclass(each, BaseModel)}
    assert there - {BaseModel} == set(MODELS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_settings_page_gives_each_field_its_default_and_range(model: type[BaseModel]) -> None:
    told = {name: cells[:2] for name, cells in rows(section(model.__name__)).items()}
    assert told == {name: [default_of(field), range_of(field)] for name, field in model.model_fields.items()}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_settings_page_says_of_each_field_what_it_is(model: type[BaseModel]) -> None:
    assert [name for name, cells in rows(section(model.__name__)).items() if len(cells[2]) < 10] == []


def test_settings_page_names_the_variables_that_the_code_reads_and_no_others() -> None:
    read = {text for path in sources() for text in strings(path) if _VARIABLE.fullmatch(text)}
    told = {name for name in rows(text_of("docs/settings.md")) if _VARIABLE.fullmatch(name)}
    assert told == read


def test_no_page_names_a_variable_that_nothing_reads() -> None:
    known = {name for name in rows(text_of("docs/settings.md")) if _VARIABLE.fullmatch(name)}
    for path in [*sources()]:
        assert set(re.findall(r"AUTOSYNTH_[A-Z]+", path.read_text(encoding="utf-8"))) <= known, named(path)


def test_options_named_on_the_settings_page_exist() -> None:
    told = set(re.findall(r"`(--[a-z-]+)`", text_of("docs/settings.md")))
    there = set()
    for action in parser()._subparsers._group_actions[0].choices.values():  # type: ignore[union-attr]
        there |= {option for each in action._actions for option in each.option_strings}
    assert told
    assert told <= there
