"""A project as one file, to keep or to hand on.

Owns the archive's format: gzip over JSON lines, a header, then one row a line as ``["kind", values...]``, then the
count of rows. Lines, because a hostile file can then be checked in little memory, before anything of it is written.

Left out: keys (they are never stored), leases and commands (they belong to a running program), and what endpoints can
do (it is probed anew). An import gets ids of its own. Its model answers are shown and counted, but never served for a
question: an archive may claim that a model said anything.
"""

# Only this package's own column lists are put into SQL text; every value is a parameter.
# ruff: noqa: S608

from __future__ import annotations

import gzip
import io
import json
import keyword
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple

from autosynth_core.errors import InputError
from autosynth_core.records import (
    Form,
    Gate,
    NodeState,
    Project,
    Rating,
    RunKind,
    RunState,
    SampleState,
    SeedInput,
    Standing,
    VerdictMethod,
    sample_id,
)
from autosynth_core.store import rows
from autosynth_core.store.connections import Connection
from autosynth_core.store.projects import slug
from autosynth_core.store.store import Store

__all__ = ["export_project", "import_project"]

FORMAT = "autosynth project"
VERSION = 1

MAX_PACKED = 256 * 2**20  # bytes
MAX_UNPACKED = 2**30  # bytes
MAX_LINE = 64 * 2**20  # bytes
MAX_ROWS = 2_000_000
MAX_PARTS = 2_000_000  # strings, commas and brackets of one stored JSON text; parsed, each may take 60 bytes
MAX_COUNT = 10**9  # of tokens, milliseconds, nodes; what an endpoint reports is held to the same
MAX_USD = 10**10  # of one call: so many tokens at the highest price that a price file may give
MAX_TIME = 10**11  # seconds since the epoch, the year 5138
MAX_WEIGHT = 10**6

Check = Callable[[Any], bool]

_NAME = re.compile("[A-Za-z][A-Za-z0-9_]{0,39}")
_TOKENS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[,\[{]', re.DOTALL)  # possessive: it never looks back

_FOREIGN = "This is no project archive; choose a file that was exported from a project."
_DAMAGED = "The archive is cut off or damaged; export the project again."
_NEWER = "The archive was written by a newer release; update this program to import it."
_TOO_LARGE = f"The archive is too large (more than {MAX_UNPACKED // 2**20} MB unpacked); it can't be imported."


# --- what a row may hold ------------------------------------------------------------------------------------------


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_COUNT


def _is_time(value: Any) -> bool:
    return _is_number(value) and abs(value) <= MAX_TIME


def _is_usd(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= MAX_USD


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


def _is_flag(value: Any) -> bool:
    return type(value) is int and value in (0, 1)


def _is_score(value: Any) -> bool:
    return _is_number(value) and 1 <= value <= 5


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _is_one_of(kind: type[StrEnum]) -> Check:
    values = {str(member) for member in kind}
    return lambda value: isinstance(value, str) and value in values


def _reads(read: Callable[[str], object]) -> Check:
    """A check that a text can be read by ``read``."""

    def check(value: Any) -> bool:
        try:
            return isinstance(value, str) and _is_small(value, MAX_PARTS) and read(value) is not False
        except (ValueError, TypeError, KeyError, IndexError, RecursionError, InputError):
            return False

    return check


def _is_small(text: str, most: int) -> bool:
    """Whether a JSON text has at most so many strings, commas and brackets: it is told before the text is parsed."""
    if sum(map(text.count, '",[{')) <= most:
        return True
    return next(islice(_TOKENS.finditer(text), most, None), None) is None


def _object(stored: str) -> bool:
    return isinstance(json.loads(stored), dict)


def _object_of_texts(stored: str) -> bool:
    value = json.loads(stored)
    return isinstance(value, dict) and all(isinstance(content, str) for content in value.values())


def _texts(stored: str) -> bool:
    value = json.loads(stored)
    return isinstance(value, list) and all(isinstance(content, str) for content in value)


def _task(stored: str) -> bool:
    seeds = [*(task := rows.task_from_json(stored)).search_seeds, *task.sealed_seeds]
    alike = bool(task.search_seeds) and len({tuple(sorted(seed.values)) for seed in seeds}) == 1
    outputs = [field.name for field in task.output_fields]
    return alike and bool(outputs) and len(set(outputs)) == len(outputs) and _plain([*task.seed_fields, *outputs])


def _plain(names: Iterable[str]) -> bool:
    """Whether they are what a task file may call its fields: programs, prompts and tables are made with them."""
    return all(_NAME.fullmatch(name) and not keyword.iskeyword(name) for name in names)


def _brief(stored: str) -> bool:
    """A run's own copy of its task must be as sound as the project's."""
    brief = json.loads(stored) if stored else {}
    return isinstance(brief, dict) and (not isinstance(brief.get("task"), str) or _task(brief["task"]))


def _metrics(stored: str) -> bool:
    metrics = rows.metrics_from_json(stored).metrics
    sound = all(
        all(isinstance(part, str) for part in (metric.name, metric.description, metric.low, metric.high))
        and _is_number(metric.weight)
        and 0 <= metric.weight <= MAX_WEIGHT
        and isinstance(metric.anchor, bool)
        for metric in metrics
    )
    return sound and any(metric.weight > 0 for metric in metrics)  # a mean divides by the weights' sum


def _criteria(stored: str) -> bool:
    """As metrics, but there may be none."""
    return json.loads(stored) == [] or _metrics(stored)


def _race(stored: str) -> bool:
    race = rows.read_race(("", 0.0, stored))
    rewards = (race.sealed, race.claimed, race.first)
    figures = [race.probability, *race.gain, *(each.total for each in rewards)]
    return isinstance(race.judge, str) and isinstance(race.version, str) and all(map(_is_number, figures))


def _first_token(stored: str) -> bool:
    alternatives = rows.token_choice_from_json(stored).alternatives
    return all(isinstance(token, str) and type(logprob) in (int, float) for token, logprob in alternatives)


def _request(stored: str) -> bool:
    request = rows.request_from_json(stored)
    texts = [
        request.model,
        request.schema,
        request.draw,
        request.extra,
        *(part for pair in request.messages for part in pair),
    ]
    counts = (request.max_tokens, request.top_logprobs)
    return all(map(_is_text, texts)) and all(map(_is_count, counts)) and _is_number(request.temperature)


class _Kind(NamedTuple):
    """One kind of row: its table, its columns in order with what each may hold, and how a project's rows are found."""

    table: str
    columns: Mapping[str, Check]
    found_by: str = "run_id IN (SELECT id FROM runs WHERE project_id = ?) ORDER BY rowid"


_KINDS: Mapping[str, _Kind] = {
    "project": _Kind("projects", {"task": _reads(_task), "created": _is_time}, "id = ?"),
    "anchors": _Kind("anchors", {"metrics": _reads(_criteria), "at": _is_time}, "project_id = ?"),
    "run": _Kind(
        "runs",
        {
            "id": _is_name,
            "kind": _is_one_of(RunKind),
            "settings": _reads(_object),
            "state": _is_one_of(RunState),
            "reason": _is_text,
            "created": _is_time,
            "finished": _or_none(_is_time),
            "brief": _reads(_brief),
        },
        "project_id = ? ORDER BY created, rowid",
    ),
    "metric set": _Kind(
        "metric_sets",
        {"version": _is_name, "metrics": _reads(_metrics)},
        "version IN (SELECT version FROM run_metric_sets WHERE run_id IN (SELECT id FROM runs WHERE project_id = ?)) "
        "ORDER BY rowid",
    ),
    "run metric set": _Kind(
        "run_metric_sets",
        {
            "run_id": _is_name,
            "version": _is_name,
            "iteration": _is_count,
            "agreement": _or_none(_is_number),
            "provenance": _is_text,
            "standing": _is_one_of(Standing),
            "reason": _is_text,
        },
    ),
    "node": _Kind(
        "nodes",
        {
            "run_id": _is_name,
            "number": _is_count,
            "parent": _or_none(_is_count),
            "state": _is_one_of(NodeState),
            "form": _is_one_of(Form),
            "operator": _is_text,
            "target": _is_text,
            "modification": _is_text,
            "weakness": _is_text,
            "source": _is_text,
            "fingerprint": _is_text,
            "gate": _or_none(_is_one_of(Gate)),
            "reason": _is_text,
            "repairs": _is_count,
            "metric_version": _is_text,
            "duplicate_of": _or_none(_is_count),
        },
        "run_id IN (SELECT id FROM runs WHERE project_id = ?) ORDER BY run_id, number",
    ),
    "sample": _Kind(
        "samples",
        {
            "id": _is_name,
            "run_id": _is_name,
            "fingerprint": _is_text,
            "seed_id": _is_name,
            "replicate": _is_count,
            "state": _is_one_of(SampleState),
            "ms": _is_count,
            "reason": _is_text,
            "seed": _reads(_object_of_texts),
            "output": _or_none(_reads(_object)),
        },
    ),
    "verdict": _Kind(
        "verdicts",
        {
            "run_id": _is_name,
            "subject": _is_text,
            "metric": _is_text,
            "version": _is_text,
            "judge": _is_text,
            "prompt_hash": _is_text,
            "score": _or_none(_is_score),
            "method": _is_one_of(VerdictMethod),
            "reason": _is_text,
            "repeat": _is_count,
        },
    ),
    "look": _Kind(
        "looks",
        {
            "run_id": _is_name,
            "iteration": _is_count,
            "node": _is_count,
            "version": _is_name,
            "seeds": _reads(_texts),
        },
    ),
    "race": _Kind("races", {"run_id": _is_name, "at": _is_time, "result": _reads(_race)}),
    "event": _Kind(
        "events",
        {"run_id": _is_name, "at": _is_time, "kind": _is_text, "message": _is_text, "node": _or_none(_is_count)},
    ),
    "feedback": _Kind(
        "feedback",
        {
            "run_id": _is_name,
            "sample_id": _is_name,
            "rating": _is_one_of(Rating),
            "reasons": _reads(_texts),
            "comment": _is_text,
            "edited": _or_none(_reads(_object)),
            "at": _is_time,
        },
    ),
    "call": _Kind(
        "calls",
        {
            "id": _is_id,
            "key": _is_name,
            "run_id": _or_none(_is_name),
            "model": _is_text,
            "status": _is_text,
            "finish_reason": _is_text,
            "prompt_tokens": _or_none(_is_count),
            "completion_tokens": _or_none(_is_count),
            "usd": _or_none(_is_usd),
            "ms": _is_count,
            "at": _is_time,
            "first_token": _or_none(_reads(_first_token)),
            "request": _reads(_request),
            "answer": _is_text,
        },
        "id IN (SELECT call_id FROM call_uses JOIN runs ON runs.id = run_id WHERE project_id = ?) ORDER BY id",
    ),
    "call use": _Kind(
        "call_uses",
        {
            "call_id": _is_id,
            "run_id": _is_name,
            "purpose": _is_text,
            "node": _or_none(_is_count),
            "sample_id": _is_text,
            "paid": _is_flag,
        },
    ),
    "call failure": _Kind("call_failures", {"run_id": _is_name, "kind": _is_text, "detail": _is_text, "at": _is_time}),
}


_LINE_PARTS = 3 * max(len(kind.columns) for kind in _KINDS.values())


# --- export -------------------------------------------------------------------------------------------------------


def export_project(store: Store, project_id: str) -> bytes:
    """Everything of a project as one archive.

    Raises InputError when there is no such project, or when the archive would be larger than an import accepts.
    """
    store.project(project_id)  # raises when there is none
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=0) as file:
        size = sum(file.write(line) for line in _export_lines(store, project_id))
    if size > MAX_UNPACKED or packed.tell() > MAX_PACKED:
        raise InputError(f"The project is too large to export (more than {MAX_UNPACKED // 2**20} MB of records).")
    return packed.getvalue()


def _export_lines(store: Store, project_id: str) -> Iterator[bytes]:
    yield _line({"format": FORMAT, "version": VERSION})
    count = 0
    with store._db.snapshot() as db:
        for name, kind in _KINDS.items():
            sql = f"SELECT {', '.join(kind.columns)} FROM {kind.table} WHERE {kind.found_by}"
            for row in db.execute(sql, (project_id,)):
                count += 1
                yield _line([name, *_exported(name, row)])
    yield _line(["end", count])


def _exported(name: str, row: rows.Row) -> list[Any]:
    values = [rows.text(value) if isinstance(value, bytes) else value for value in row]
    if name == "run":
        values[2] = _without_credentials(values[2])
    return values


def _without_credentials(settings: str) -> str:
    """Settings in which no address carries a user name or password."""
    return re.sub(r"(://)[^/@\s\"]*@", r"\1", settings)


def _line(content: object) -> bytes:
    return rows.to_json(content).encode("ascii") + b"\n"


# --- import -------------------------------------------------------------------------------------------------------


def import_project(store: Store, data: bytes) -> Project:
    """The project of an archive as a new project with runs of its own. All of it is written or nothing.

    Runs that were under way or waiting arrive INTERRUPTED. Raises InputError for whatever is not a sound archive.
    """
    seen = _Seen()
    for name, row in _rows(data):
        seen.add(name, row, lambda kind: f"{kind}-{store._token()}")
    seen.finish()
    task = rows.task_from_json(seen.project["task"])
    project = Project(f"{slug(task.title)}-{store._token()}", task, float(seen.project["created"]))
    with store._db.write() as db:
        db.put("INSERT INTO projects VALUES (?, ?, ?)", (project.id, rows.task_to_json(task), project.created))
        _write(db, _rows(data), seen, project.id)
    return project


class _Seen:
    """What an archive holds, gathered while it is checked: which rows there are, and the ids that they get here."""

    def __init__(self) -> None:
        self.project: dict[str, Any] = {}
        self.runs: dict[str, str] = {}  # id in the archive -> id here
        self.samples: dict[str, str] = {}
        self._calls: set[int] = set()
        self._versions: set[str] = set()
        self._nodes: set[tuple[str, int]] = set()
        self._named_nodes: set[tuple[str, int]] = set()
        self._sound: Mapping[str, Check] = {
            "metric set": self._sound_metric_set,
            "run metric set": lambda row: row["version"] in self._versions,
            "node": self._sound_node,
            "sample": self._sound_sample,
            "call": self._sound_call,
            "call use": lambda row: row["call_id"] in self._calls,
        }

    def add(self, name: str, row: dict[str, Any], new_id: Callable[[str], str]) -> None:
        """Raises InputError for a row that is there twice, contradicts itself or names what is not there."""
        if name == "project":
            sound = not self.project
            self.project = row
        elif name == "run":
            sound = row["id"] not in self.runs
            self.runs[row["id"]] = new_id(row["kind"])
        else:
            of_known_run = name == "call" or row.get("run_id") in self.runs or "run_id" not in row
            sound = of_known_run and self._sound.get(name, lambda row: True)(row)
        if not sound:
            raise InputError(_unsound(name))

    def finish(self) -> None:
        """Raises InputError when the archive as a whole lacks something."""
        if not self.project or not self._named_nodes <= self._nodes:
            raise InputError(_DAMAGED)

    def _sound_metric_set(self, row: dict[str, Any]) -> bool:
        # A version is the hash of its content. Taken on trust, it could replace another project's yardstick.
        twice = row["version"] in self._versions
        self._versions.add(row["version"])
        return not twice and rows.metrics_from_json(row["metrics"]).version == row["version"]

    def _sound_node(self, row: dict[str, Any]) -> bool:
        node, parent = (row["run_id"], row["number"]), row["parent"]
        twice = node in self._nodes
        self._nodes.add(node)
        if row["duplicate_of"] is not None:
            self._named_nodes.add((row["run_id"], row["duplicate_of"]))
        # Parents come before their children, so there is no circle for a reader of the tree to be caught in.
        return not twice and (parent is None or (parent < row["number"] and (row["run_id"], parent) in self._nodes))

    def _sound_sample(self, row: dict[str, Any]) -> bool:
        twice = row["id"] in self.samples
        parts = (row["fingerprint"], SeedInput(json.loads(row["seed"])).id, row["replicate"])
        self.samples[row["id"]] = sample_id(self.runs[row["run_id"]], *parts)
        whole = row["output"] is not None or row["state"] != SampleState.OK
        return not twice and whole and row["id"] == sample_id(row["run_id"], *parts) and row["seed_id"] == parts[1]

    def _sound_call(self, row: dict[str, Any]) -> bool:
        twice = row["id"] in self._calls
        self._calls.add(row["id"])
        return not twice


def _rows(data: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """The archive's rows, each with the columns of its kind and values that are possible there."""
    lines = _lines(data)
    _check_header(next(lines, None))
    for count, line in enumerate(lines):
        if line == ["end", count]:
            if next(lines, None) is not None:
                raise InputError(_DAMAGED)
            return
        if count >= MAX_ROWS:
            raise InputError(_TOO_LARGE)
        yield _row(line)
    raise InputError(_DAMAGED)


def _check_header(header: Any) -> None:
    if not isinstance(header, dict) or header.get("format") != FORMAT or type(header.get("version")) is not int:
        raise InputError(_FOREIGN)
    if header["version"] > VERSION:
        raise InputError(_NEWER)


def _row(line: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(line, list) or not line or not isinstance(line[0], str) or line[0] not in _KINDS:
        raise InputError(_DAMAGED)
    name, *values = line
    columns = _KINDS[name].columns
    if len(values) != len(columns) or not all(map(_passes, columns.values(), values)):
        raise InputError(_unsound(name))
    return name, dict(zip(columns, values, strict=True))


def _passes(check: Check, value: Any) -> bool:
    return check(value)


def _lines(data: bytes) -> Iterator[Any]:
    """The archive's lines, read as JSON a line at a time, so that a bomb is noticed before it is in memory."""
    if len(data) > MAX_PACKED:
        raise InputError(_TOO_LARGE)
    size = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while line := file.readline(MAX_LINE + 1):
                size += len(line)
                if len(line) > MAX_LINE or size > MAX_UNPACKED:
                    raise InputError(_TOO_LARGE)
                yield _read(line.decode("utf-8"))
    except gzip.BadGzipFile as error:
        raise InputError(_FOREIGN) from error
    except (EOFError, zlib.error, ValueError, RecursionError) as error:
        raise InputError(_DAMAGED) from error


def _read(line: str) -> Any:
    if not _is_small(line, _LINE_PARTS):  # a row is flat: a kind, then texts and numbers
        raise InputError(_DAMAGED)
    return json.loads(line, parse_constant=_no_number)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _unsound(name: str) -> str:
    return f"The archive holds a {name} that can't be right; export the project again."


def _write(db: Connection, archive: Iterator[tuple[str, dict[str, Any]]], seen: _Seen, project_id: str) -> None:
    calls: dict[int, int] = {}  # id in the archive -> id here
    for name, row in archive:
        if name == "project":
            continue
        if name == "call":
            number = row.pop("id")
            calls[number] = _insert(db, "calls", {**row, "run_id": seen.runs.get(row["run_id"]), "imported": 1})
        elif name == "call use":
            _insert(db, "call_uses", {**_moved(row, seen), "call_id": calls[row["call_id"]]})
        elif name == "anchors":
            _insert(db, "anchors", {**row, "project_id": project_id})
        elif name == "run":
            _insert(db, "runs", {**_moved_run(row, seen), "project_id": project_id})
        else:
            _insert(db, _KINDS[name].table, _moved(row, seen))


def _moved(row: dict[str, Any], seen: _Seen) -> dict[str, Any]:
    """The row with the ids that its run and sample have here. Sample ids are hashes of run ids, so they change too."""
    moved = dict(row)
    for column, ids in (
        ("run_id", seen.runs),
        ("id", seen.samples),
        ("sample_id", seen.samples),
        ("subject", seen.samples),
    ):
        if column in moved:
            moved[column] = ids.get(moved[column], moved[column])
    return moved


def _moved_run(row: dict[str, Any], seen: _Seen) -> dict[str, Any]:
    """The run under its id here, with a round's link to the round before it."""
    moved = {**row, "id": seen.runs[row["id"]]}
    settings = json.loads(row["settings"])
    if isinstance(settings.get("previous"), str) and settings["previous"] in seen.runs:
        moved["settings"] = json.dumps({**settings, "previous": seen.runs[settings["previous"]]})
    if row["state"] in (RunState.QUEUED, RunState.RUNNING, RunState.PAUSED):
        moved |= {"state": RunState.INTERRUPTED, "reason": "It was not finished when the project was exported."}
    return moved


def _insert(db: Connection, table: str, row: Mapping[str, Any]) -> int:
    """Returns the row's id. What is there already (a metric set, a verdict given twice) stays as it is."""
    marks = ", ".join("?" * len(row))
    sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    return int(db.put(sql, list(row.values())).lastrowid or 0)
