"""``doctor``: what is configured, reachable and installed, and what to do about what is not."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from autosynth_core.commands.report import existing, is_there, plain, print_json
from autosynth_core.config import ModelSettings
from autosynth_core.engine import load_models, test_connection
from autosynth_core.errors import AutoSynthError, SettingsError, StoreError
from autosynth_core.llm import PriceTable, discover, embedded, resolve
from autosynth_core.llm.prices import VARIABLE as PRICES_VARIABLE
from autosynth_core.store import Store
from autosynth_core.views import words

__all__ = ["doctor_command"]

_PACKAGES = ("streamlit", "openai", "pydantic-monty", "xllamacpp", "sqlite-utils", "pandas", "plotly", "networkx")
_MODEL_BYTES = 1_200_000_000
_INSTALL = "Run: source .venv/bin/activate (made by make run), or: pip install -r requirements.txt"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``remedy`` is "" when it is well."""

    what: str
    state: str
    remedy: str = ""


def doctor_command(args: argparse.Namespace) -> int:
    """Print the findings. Returns 0 when a search could start, 3 when the models can't be used, 2 for the rest."""
    findings = [_python(), *_packages(), _database(args.db), *_prices()]
    models = asyncio.run(_models(args.db, args.base_url or ""))
    if args.json:
        rows = [{"what": each.what, "state": each.state, "remedy": each.remedy} for each in findings + models]
        print_json({"ok": not any(each.remedy for each in findings + models), "findings": rows})
    else:
        for each in findings + models:
            print(f"{'!!' if each.remedy else 'ok'}  {each.what}: {each.state}")
            if each.remedy:
                print(f"      {each.remedy}")
    if any(each.remedy for each in findings):
        return 2
    return 3 if any(each.remedy for each in models) else 0


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    remedy = "" if sys.version_info >= (3, 11) else "Install Python 3.11 or newer."
    return Finding("Python", version, remedy)


def _packages() -> list[Finding]:
    found = []
    for name in _PACKAGES:
        try:
            found.append(Finding(name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append(Finding(name, "not installed", _INSTALL))
    return found


def _database(path: Path) -> Finding:
    try:
        if not is_there(path):
            return Finding("Database", f"{path} will be made when it is first used")
        with Store.open(path) as store:
            return Finding("Database", f"{path}, {len(store.runs())} runs")
    except StoreError as error:
        return Finding("Database", str(path), str(error))


def _prices() -> list[Finding]:
    """The price file of a person's own, where there is one: a search stops at one that can't be read."""
    if not os.environ.get(PRICES_VARIABLE):
        return []
    place = plain(os.environ[PRICES_VARIABLE])
    try:
        return [Finding("Prices", f"{place}, {words.count(len(PriceTable.load(os.environ).own), 'model')}")]
    except SettingsError as error:
        return [Finding("Prices", place, str(error))]


async def _models(path: Path, base_url: str) -> list[Finding]:
    findings = [
        Finding("Model server on this machine", f"{found.name} at {found.base_url}: {', '.join(found.models[:5])}")
        for found in await discover()
    ]
    try:
        settings = _chosen(path, base_url)
        if resolve(settings, os.environ) is None:
            return [*findings, _embedded()]
        # a database of its own: what is found out here is not to be remembered, and the user's may not be there yet
        with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "doctor.db") as store:
            lines = await test_connection(settings, store)
        return [*findings, *(Finding("Models", line) for line in lines)]
    except AutoSynthError as error:
        return [*findings, Finding("Models", "can't be used", str(error))]


def _chosen(path: Path, base_url: str) -> ModelSettings:
    if base_url or not is_there(path):
        return ModelSettings(base_url=base_url)
    with existing(path, reading=True) as store:
        return load_models(store)


def _embedded() -> Finding:
    what = "Built-in model"
    if embedded.installed():
        return Finding(what, f"{embedded.DEFAULT_MODEL} is installed; good for trying, connect a larger one for work")
    place = embedded.cache_dir()
    near = next(folder for folder in (place, *place.parents) if folder.exists())
    if shutil.disk_usage(near).free < _MODEL_BYTES:
        return Finding(
            what, "not fetched", f"Free 1.2 GB on the disk of {place}, then: python -m autosynth_core models pull"
        )
    return Finding(what, "not fetched yet; it is when first needed (1.1 GB)")
