"""Task files: JSON in, ``records.Task`` out, and back.

Owns the file's shape, its limits and the sentence that a person reads when a file can't be used. Leaves to others
whether the expert's workflow is sound (``workflow.preflight``) and where a task is kept (``store``).

A file comes from people and over uploads, so it is hostile until parsed: its size, the number of its objects and the
number of its seeds are bounded before anything is built from it, and every refusal is one ``TaskFileError`` that names
the file, the place and the remedy.
"""

from __future__ import annotations

import json
import keyword
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from autosynth_core.errors import TaskFileError
from autosynth_core.records import Example, FieldKind, OutputField, SeedInput, Task

__all__ = ["ExampleTask", "dump_task", "examples", "json_schema", "load_task", "parse_task"]

MAX_BYTES = 32 * 1024 * 1024
MAX_BRACKETS = 1_000_000  # an object or a list takes 2 bytes in the file and 60 or more once parsed
MAX_SEEDS = 20_000
MIN_SEEDS = 4  # on either side; fewer give no interval worth showing
MAX_SEED_CHARS = 4_000
MAX_OUTPUT_CHARS = 40_000
MAX_WORKFLOW_CHARS = 60_000
MAX_FIELDS = 12
MAX_NAME_CHARS = 40

_SHOWN = 60  # characters of a person's own text that a sentence repeats
_NAME = rf"[A-Za-z][A-Za-z0-9_]{{0,{MAX_NAME_CHARS - 1}}}"
# They take no room and change no other character: what differs in them alone looks the same. Joiners are none of them.
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"))
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")  # text after one is shown in another order than it is read in
_UNDRAWN = {"Cc", "Cf", "Zs", "Zl", "Zp"}
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and a pattern that are drawn as nothing
_TASKS = Path(__file__).resolve().parent.parent / "data" / "tasks"
_SCHEMA_FILE = "task.schema.json"


class ExampleTask(NamedTuple):
    """A task that comes with the product: its file's name without ``.json``, and the file."""

    slug: str
    path: Path


class _Refused(Exception):
    """Why a file can't be used: place, fault and remedy, without the file's name and the full stop."""


# --- the file's shape ---------------------------------------------------------------------------------------------


def _readable(text: str) -> str:
    """Refuse text that looks given and isn't, and NUL, at which databases and C libraries end a text."""
    if not _shows(text):
        raise PydanticCustomError("blank", "is empty: write something there or remove the entry")
    if "\0" in text:
        raise PydanticCustomError("nul", "holds a NUL character: remove it")
    return text


def _in_order(text: str) -> str:
    """Refuse what shows a line in another order than its characters have: a name must read as what it is."""
    if _TURNING.search(text):
        raise PydanticCustomError("turning", "holds a character that turns the direction of writing: remove it")
    return text


def _shows(text: str) -> bool:
    """Whether there is anything to see."""
    return any(unicodedata.category(c) not in _UNDRAWN and c not in _BLANK for c in text)


def _plain_name(text: str) -> str:
    """Names become ``{placeholders}`` and keyword arguments in workflows, so they keep to plain identifiers."""
    if not re.fullmatch(_NAME, text):
        raise PydanticCustomError(
            "name",
            "is not a plain name: use a letter, then letters, digits or underscores, {limit} characters at most, "
            'such as "student_belief"',
            {"limit": MAX_NAME_CHARS},
        )
    if keyword.iskeyword(text):
        raise PydanticCustomError("keyword", "is a word that Python keeps for itself: choose another name")
    return text


_Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_readable), AfterValidator(_in_order)]
_Paragraph = Annotated[str, Field(min_length=1, max_length=8_000), AfterValidator(_readable)]
_Rule = Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(_readable)]
_Value = Annotated[str, Field(min_length=1, max_length=MAX_SEED_CHARS), AfterValidator(_readable)]
_Name = Annotated[str, Field(json_schema_extra={"pattern": f"^{_NAME}$"}), AfterValidator(_plain_name)]
_Seed = Annotated[
    dict[_Name, _Value],
    Field(min_length=1, max_length=MAX_FIELDS, json_schema_extra={"additionalProperties": False}),
]
_Turn = {
    "type": "object",
    "properties": {"speaker": {"type": "string"}, "text": {"type": "string"}},
    "required": ["speaker", "text"],
    "additionalProperties": False,
}
# Which of the two a field holds depends on its kind, so the values are checked by _check_output.
_Output = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {
                "anyOf": [
                    {"type": "string", "minLength": 1, "maxLength": MAX_OUTPUT_CHARS},
                    {"type": "array", "items": _Turn, "minItems": 2},
                ]
            },
        }
    ),
]


class _FieldModel(BaseModel):
    """One field of what is to be written."""

    model_config = ConfigDict(strict=True, extra="forbid", title="Output field")

    name: _Name
    description: _Rule = Field(description="what goes into the field")
    kind: Literal["text", "turns"] = Field(
        "text", description='"text": a string; "turns": a dialogue, a list of {"speaker", "text"}'
    )


class _ExampleModel(BaseModel):
    """A seed, an output for it, and what makes that output good or bad."""

    model_config = ConfigDict(strict=True, extra="forbid", title="Example")

    seed: _Seed
    output: _Output = Field(description="one value for each output field")
    why: str = Field("", max_length=2_000, description="what makes it good, or what is wrong with it")


class _FileModel(BaseModel):
    """A task for AutoSynth Studio: what to write, for whom, from which seeds."""

    model_config = ConfigDict(strict=True, extra="forbid", title="Task file")

    schema_: str = Field("", alias="$schema", max_length=500, description="for editors; not read")
    title: _Line = Field(description="a few words that name the task")
    description: _Paragraph = Field(description="what is to be written, and what makes it good")
    audience: _Paragraph = Field(description="who reads it")
    language: _Line = Field("English", description="the language of what is written")
    output_fields: list[_FieldModel] = Field(min_length=1, max_length=MAX_FIELDS, description="what is to be written")
    must_nevers: list[_Rule] = Field([], max_length=50, description="what may never appear, one rule an entry")
    good_examples: list[_ExampleModel] = Field([], max_length=100, description="outputs to aim at")
    bad_examples: list[_ExampleModel] = Field([], max_length=100, description="outputs to avoid")
    seeds: list[_Seed] | None = Field(
        None, description="inputs to write from; a third is sealed. Give these, or both of the next two"
    )
    search_seeds: list[_Seed] | None = Field(None, description="inputs that the search works with")
    sealed_seeds: list[_Seed] | None = Field(None, description="inputs kept back to measure the winner on")
    expert_workflow: str | None = Field(
        None, max_length=MAX_WORKFLOW_CHARS, description="a workflow in Python, to compare with"
    )


# --- reading ------------------------------------------------------------------------------------------------------


def load_task(path: str | Path) -> Task:
    """The task in the file at ``path``. Raises TaskFileError."""
    path = Path(path)
    try:
        if not (path.is_file() or path.is_dir()) and path.exists():  # a pipe would be waited for, maybe for ever
            raise TaskFileError(f"{_file_name(path.name)}: this is no regular file; save the task in one.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise TaskFileError(f"{_file_name(path.name)}: there is no such file; check its name and folder.") from error
    except IsADirectoryError as error:
        raise TaskFileError(f"{_file_name(path.name)}: this is a folder; name a task file in it.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        cause = getattr(error, "strerror", None) or "its path is not valid"
        raise TaskFileError(f"{_file_name(path.name)}: the file can't be read ({cause}); check it.") from error
    return parse_task(data, path.name)


def parse_task(data: bytes, name: str) -> Task:
    """The task in ``data``, the bytes of a file called ``name``. Raises TaskFileError, in one sentence."""
    try:
        return _task(_validated(_bounded(_json(_text(data)))))
    except _Refused as refused:
        raise TaskFileError(f"{_file_name(name)}: {refused}.") from refused


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _Refused(f"the file is larger than {MAX_BYTES >> 20} MB; keep fewer or shorter seeds")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _Refused("the file is in UTF-16; save it again with the encoding UTF-8")
    if data[:1] == b"\0" or data[1:2] == b"\0":  # JSON begins with ASCII, which has a zero byte beside it there alone
        raise _Refused("the file is in UTF-16 or UTF-32; save it again with the encoding UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _Refused(f"line {line} is not in UTF-8; save the file again with the encoding UTF-8") from error
    if not text.strip():
        raise _Refused("the file is empty; start from one of the example tasks")
    return text


def _json(text: str) -> object:
    if text.count("{") + text.count("[") > MAX_BRACKETS:
        raise _Refused(f"the file holds more than {MAX_BRACKETS:,} objects and lists; keep fewer seeds")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _Refused(
            f"line {error.lineno}, column {error.colno} is not JSON ({error.msg}); "
            "look for a missing comma, quote or bracket there"
        ) from error
    except RecursionError as error:
        raise _Refused("the brackets are nested too deeply; a task file needs no more than five levels") from error
    except ValueError as error:  # a number of thousands of digits
        raise _Refused("it holds a number that is far too long; put values in quotes") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different: JSON would silently keep the last of two."""
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise _Refused(f"the key {_quoted(key)} stands twice in one object; remove one of them")
        if not _encodable(key):
            raise _Refused(f"the key {_quoted(key)} holds half a character; write it again")
        made[key] = value
    return made


def _no_constant(constant: str) -> object:
    raise _Refused(f"{constant} is not JSON; put a text in quotes in its place")


def _bounded(raw: object) -> dict[str, Any]:
    """``raw`` when it is an object with a bearable number of seeds: counted first, so that too many cost nothing."""
    if not isinstance(raw, dict):
        raise _Refused('the file must hold one object, {"title": ..., ...}; start from one of the example tasks')
    lists = [raw.get(key) for key in ("seeds", "search_seeds", "sealed_seeds")]
    count = sum(len(seeds) for seeds in lists if isinstance(seeds, list))
    if count > MAX_SEEDS:
        raise _Refused(f"it holds {count:,} seeds and {MAX_SEEDS:,} is the most; keep a varied choice of them")
    return raw


def _validated(raw: dict[str, Any]) -> _FileModel:
    try:
        return _FileModel.model_validate(raw)
    except ValidationError as error:
        raise _Refused(_sentence(error.errors(include_url=False)[0])) from error


def _task(file: _FileModel) -> Task:
    """The task of a file whose entries are sound one by one, once they are sound together."""
    seed_names = _seed_names(file)
    _check_names(file, seed_names)
    _check_examples("good_examples", file.good_examples, file.output_fields, seed_names)
    _check_examples("bad_examples", file.bad_examples, file.output_fields, seed_names)
    _check_sides(file)
    search, sealed = _sides(file)
    return Task(
        title=file.title,
        description=file.description,
        audience=file.audience,
        output_fields=tuple(OutputField(f.name, f.description, FieldKind(f.kind)) for f in file.output_fields),
        must_nevers=tuple(file.must_nevers),
        good_examples=tuple(Example(e.seed, e.output, e.why) for e in file.good_examples),
        bad_examples=tuple(Example(e.seed, e.output, e.why) for e in file.bad_examples),
        search_seeds=tuple(SeedInput(values) for values in search),
        sealed_seeds=tuple(SeedInput(values) for values in sealed),
        language=file.language,
        expert_workflow=file.expert_workflow,
    )


# --- names and examples -------------------------------------------------------------------------------------------


def _seed_lists(file: _FileModel) -> dict[str, list[dict[str, str]]]:
    """The seeds that the file gives, by the key they stand under. Either ``seeds``, or the two sides."""
    both = {"search_seeds": file.search_seeds, "sealed_seeds": file.sealed_seeds}
    given = {key: seeds for key, seeds in both.items() if seeds is not None}
    if file.seeds is not None and given:
        raise _Refused(f'it has both "seeds" and {_quoted(next(iter(given)))}; keep "seeds" alone, or the two sides')
    if file.seeds is not None:
        given = {"seeds": file.seeds}
    elif len(given) < 2:
        missing = next(iter(both.keys() - given.keys())) if given else "seeds"
        raise _Refused(f'"{missing}" is missing; add it (or give all seeds as one list, "seeds", to have it split)')
    for key, seeds in given.items():
        if not seeds:
            raise _Refused(f'"{key}" is an empty list; add at least {MIN_SEEDS * (2 if key == "seeds" else 1)} seeds')
    return given


def _seed_names(file: _FileModel) -> tuple[str, ...]:
    """The fields of the seeds, in the order of the first. All seeds must have the same."""
    lists = _seed_lists(file)
    names = tuple(next(iter(lists.values()))[0])
    for key, seeds in lists.items():
        for at, seed in enumerate(seeds, 1):
            _check_fields(seed, names, f'item {at} of "{key}"', "the first seed")
    return names


def _check_fields(found: Iterable[str], wanted: Sequence[str], place: str, model: str) -> None:
    """Refuse ``found`` unless it has the names of ``wanted``, in any order."""
    found = set(found)
    lacking = [name for name in wanted if name not in found]
    if lacking:
        raise _Refused(f'{place} has no "{lacking[0]}"; add it, as in {model}')
    beyond = sorted(found - set(wanted))
    if beyond:
        raise _Refused(f"{place} has {_quoted(beyond[0])}, which {model} lacks; remove it there or add it everywhere")


def _check_names(file: _FileModel, seed_names: Sequence[str]) -> None:
    """Refuse names that a workflow, a table or a reader would take for one another."""
    taken: dict[str, str] = {}
    for name in seed_names:
        if name.casefold() in taken:
            raise _Refused(f'the seed fields "{taken[name.casefold()]}" and "{name}" are too alike; rename one of them')
        taken[name.casefold()] = name
    for at, output in enumerate(file.output_fields, 1):
        if output.name.casefold() in taken:
            raise _Refused(
                f'"name" in item {at} of "output_fields", "{output.name}", is taken by another field; rename it'
            )
        taken[output.name.casefold()] = output.name


def _check_examples(
    key: str, given: Sequence[_ExampleModel], fields: Sequence[_FieldModel], seed_names: Sequence[str]
) -> None:
    for at, example in enumerate(given, 1):
        place = f'in item {at} of "{key}"'
        _check_fields(example.seed, seed_names, f'"seed" {place}', "the first seed")
        _check_fields(example.output, [f.name for f in fields], f'"output" {place}', '"output_fields"')
        for field in fields:
            _check_output(field, example.output[field.name], f'"{field.name}" in "output" {place}')


def _check_sides(file: _FileModel) -> None:
    """Refuse an example that is both good and bad: no judge could tell it from itself."""
    good = [(_content(each.seed), each.output) for each in file.good_examples]
    for at, each in enumerate(file.bad_examples, 1):
        if (same := (_content(each.seed), each.output)) in good:
            raise _Refused(
                f'item {at} of "bad_examples" is item {good.index(same) + 1} of "good_examples" too; remove one of them'
            )


def _check_output(field: _FieldModel, value: object, place: str) -> None:
    """Refuse a value that is not of the field's kind."""
    if field.kind == "text":
        _check_text(value, place)
        return
    if not isinstance(value, list) or len(value) < 2:
        raise _Refused(f'{place} must be a list of two or more turns; write each as {{"speaker": ..., "text": ...}}')
    for at, turn in enumerate(value, 1):
        if not isinstance(turn, dict) or turn.keys() != {"speaker", "text"}:
            raise _Refused(f'item {at} of {place} must have "speaker" and "text" and nothing else; write it so')
        for part in ("speaker", "text"):
            _check_text(turn[part], f'"{part}" in item {at} of {place}')


def _check_text(value: object, place: str) -> None:
    if not isinstance(value, str):
        raise _Refused(f"{place} must be text, not {_kind(value)}; put it in quotes")
    if not _shows(value):
        raise _Refused(f"{place} is empty; write something there")
    if len(value) > MAX_OUTPUT_CHARS:
        raise _Refused(f"{place} has {len(value):,} characters and {MAX_OUTPUT_CHARS:,} is the most; shorten it")
    if "\0" in value or not _encodable(value):
        raise _Refused(f"{place} holds a character that is not text; write it again")


# --- seeds --------------------------------------------------------------------------------------------------------


class _Sides(NamedTuple):
    search: list[dict[str, str]]
    sealed: list[dict[str, str]]


def _sides(file: _FileModel) -> _Sides:
    """The two sides, each with enough seeds, none twice, none sealed that an example or the search shows."""
    lists = _seed_lists(file)
    shown = {_content(e.seed) for e in (*file.good_examples, *file.bad_examples)}
    for key, seeds in lists.items():
        _check_repeats(key, seeds)
    sides = _split(lists["seeds"], shown) if "seeds" in lists else _Sides(lists["search_seeds"], lists["sealed_seeds"])
    _check_sealed(sides, shown)
    for key, side in (("search_seeds", sides.search), ("sealed_seeds", sides.sealed)):
        if len(side) < MIN_SEEDS:
            raise _Refused(f'"{key}" has {len(side)} and needs at least {MIN_SEEDS}; add {MIN_SEEDS - len(side)} more')
    return sides


def _content(seed: Mapping[str, str]) -> str:
    """What makes two seeds the same to a reader: their values, whatever the spacing, the Unicode form, the unseen."""
    return SeedInput({key: _seen(value) for key, value in seed.items()}).id


def _seen(text: str) -> str:
    bare = text if text.isascii() else _TURNING.sub("", text.translate(_UNSEEN))
    return " ".join(unicodedata.normalize("NFC", bare).split())


def _check_repeats(key: str, seeds: Sequence[Mapping[str, str]]) -> None:
    first: dict[str, int] = {}
    repeats = [(at, first[c]) for at, c in enumerate(map(_content, seeds), 1) if first.setdefault(c, at) != at]
    if repeats:
        at, of = repeats[0]
        count = "1 seed" if len(repeats) == 1 else f"{len(repeats):,} seeds"
        more = "it" if len(repeats) == 1 else "the repeats"
        raise _Refused(f'"{key}" holds {count} twice (item {at} repeats item {of}); remove {more}')


def _split(seeds: list[dict[str, str]], shown: set[str]) -> _Sides:
    """A third sealed, by content hash: the same whatever the order, and never a seed that an example shows."""
    if len(seeds) < 2 * MIN_SEEDS:
        raise _Refused(
            f'"seeds" has {len(seeds)} and needs at least {2 * MIN_SEEDS}; add {2 * MIN_SEEDS - len(seeds)} more'
        )
    hidden = sorted(content for content in map(_content, seeds) if content not in shown)
    if len(hidden) < MIN_SEEDS:
        raise _Refused(f'all but {len(hidden)} of "seeds" stand in examples; add {MIN_SEEDS - len(hidden)} other seeds')
    sealed = set(hidden[: max(MIN_SEEDS, len(seeds) // 3)])
    sides = _Sides([], [])
    for seed in seeds:
        (sides.sealed if _content(seed) in sealed else sides.search).append(seed)
    return sides


def _check_sealed(sides: _Sides, shown: set[str]) -> None:
    """A sealed seed that the search sees would let a workflow be praised for what it was fitted to."""
    searched = {_content(seed): at for at, seed in enumerate(sides.search, 1)}
    for at, seed in enumerate(sides.sealed, 1):
        content = _content(seed)
        if content in searched:
            raise _Refused(
                f'item {at} of "sealed_seeds" is also item {searched[content]} of "search_seeds"; '
                "keep it in one of the two"
            )
        if content in shown:
            raise _Refused(f'item {at} of "sealed_seeds" is also the seed of an example; move it to "search_seeds"')


# --- sentences ----------------------------------------------------------------------------------------------------


def _sentence(error: ErrorDetails) -> str:
    """Pydantic's finding as place, fault and remedy."""
    place, kind, context = _place(error["loc"]), error["type"], error.get("ctx", {})
    value = error.get("input")
    match kind:
        case "missing":
            return f"{place} is missing; add it"
        case "extra_forbidden":
            return f"{place} is not known here; {_spelling(str(error['loc'][-1]))}"
        case "string_type":
            return f"{place} must be text, not {_kind(value)}; put it in quotes"
        case "string_unicode":
            return f"{place} holds half a character; write it again"
        case "string_too_long":
            found = len(value) if isinstance(value, str) else 0
            return f"{place} has {found:,} characters and {context['max_length']:,} is the most; shorten it"
        case "string_too_short":
            return f"{place} is empty; write something there or remove the entry"
        case "too_long":
            return f"{place} has too many entries; keep {context['max_length']} at most"
        case "too_short":
            return f"{place} is empty; add at least {context['min_length']} entry"
        case "list_type":
            return f"{place} must be a list, not {_kind(value)}; write it in square brackets"
        case "dict_type" | "model_type":
            return f"{place} must be an object, not {_kind(value)}; write it in curly brackets"
        case "literal_error":
            return f"{place} must be {context['expected']}; choose one of them".replace("'", '"')
    return f"{place} {error['msg'].replace(': ', '; ', 1)}"


def _place(loc: Sequence[int | str]) -> str:
    """Where, in a person's words: ``"grade" in item 3 of "search_seeds"``. Items count from 1."""
    if loc and loc[-1] == "[key]":
        return f"the field name {_place(loc[:-1])}"
    place = ""
    for part in loc:
        if isinstance(part, int):
            place = f"item {part + 1} of {place}"
        else:
            place = f"{_quoted(part)} in {place}" if place else _quoted(part)
    return place


def _spelling(key: str) -> str:
    models: tuple[type[BaseModel], ...] = (_FileModel, _FieldModel, _ExampleModel)
    known = [field.alias or name for model in models for name, field in model.model_fields.items()]
    close = get_close_matches(key[:_SHOWN], known, n=1)
    return f'write "{close[0]}" if you meant that, or remove it' if close else "remove it"


def _kind(value: object) -> str:
    kinds: dict[type, str] = {bool: "true or false", int: "a number", float: "a number", str: "a text"}
    kinds |= {list: "a list", dict: "an object"}
    return kinds.get(type(value), "nothing")


def _quoted(text: str) -> str:
    """``text`` in quotes, short, on one line and free of characters that can't be shown."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in text[: _SHOWN + 1])
    return f'"{shown[:_SHOWN]}…"' if len(shown) > _SHOWN else f'"{shown}"'


def _file_name(name: str) -> str:
    """The last part of ``name``, as a sentence can show it: an upload's name is a person's text too."""
    last = re.split(r"[/\\]", name)[-1]
    return _quoted(last)[1:-1].strip() or "task file"


def _encodable(text: str) -> bool:
    """Whether ``text`` is free of lone surrogates, which JSON can spell and UTF-8 can't."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


# --- writing ------------------------------------------------------------------------------------------------------


def dump_task(task: Task) -> str:
    """The text of ``task``'s file: ``parse_task`` of it gives an equal task."""
    content = {
        "title": task.title,
        "description": task.description,
        "audience": task.audience,
        "language": task.language,
        "output_fields": [_field(field) for field in task.output_fields],
        "must_nevers": list(task.must_nevers),
        "good_examples": [_example(example) for example in task.good_examples],
        "bad_examples": [_example(example) for example in task.bad_examples],
        "search_seeds": [dict(seed.values) for seed in task.search_seeds],
        "sealed_seeds": [dict(seed.values) for seed in task.sealed_seeds],
        "expert_workflow": task.expert_workflow,
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _field(field: OutputField) -> dict[str, str]:
    return {"name": field.name, "description": field.description, "kind": str(field.kind)}


def _example(example: Example) -> dict[str, Any]:
    return {"seed": dict(example.seed), "output": dict(example.output), "why": example.why}


def json_schema() -> dict[str, Any]:
    """The JSON Schema of task files, for editors. What spans several entries is left to ``parse_task``."""
    schema = _FileModel.model_json_schema(by_alias=True)
    schema["oneOf"] = [{"required": ["seeds"]}, {"required": ["search_seeds", "sealed_seeds"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def examples() -> list[ExampleTask]:
    """The tasks that come with the product, by slug."""
    found = (path for path in _TASKS.glob("*.json") if path.name != _SCHEMA_FILE)
    return sorted(ExampleTask(path.stem, path) for path in found)
