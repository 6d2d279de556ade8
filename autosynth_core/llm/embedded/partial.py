"""A model file in the making: bytes are appended by any source and checked part by part.

What was written before a kill is kept: whole parts are hashed again when the file is opened, and everything from
the first wrong one on is cut away.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from autosynth_core.errors import ModelFileError
from autosynth_core.llm.embedded.files import ModelFile

BLOCK = 1 << 20


class WrongBytes(Exception):
    """A part does not have its hash. It is cut away already; the parts before it stay."""


class PartialFile:
    """The bytes of ``model`` so far, in order from the first. Use as a context manager, under the file's lock."""

    def __init__(self, model: ModelFile, path: Path) -> None:
        self._model = model
        self._path = path
        self._file: BinaryIO = path.open("r+b" if path.exists() else "w+b")
        self._done = 0
        self._hash = hashlib.sha256()
        self._read_again()

    def __enter__(self) -> PartialFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # what could not be written was said by ``append`` already
            self._file.close()

    @property
    def done(self) -> int:
        """Bytes so far. Those of whole parts have their hash; a tail shorter than a part has not been checked."""
        return self._done

    @property
    def complete(self) -> bool:
        return self._done == self._model.bytes

    @property
    def parts_done(self) -> int:
        """Whole parts that are here and right."""
        return self._model.parts.count if self.complete else self._done // self._model.parts.bytes

    def append(self, data: bytes) -> None:
        """Write ``data`` at the end. WrongBytes when a part it ends is wrong; ModelFileError when the disk fails."""
        for piece in self._pieces(data):
            self._write(piece)
            self._take(piece)

    def cut_to_whole_parts(self) -> None:
        """Drop the unchecked tail."""
        if not self.complete:
            self._cut(self.parts_done)

    def sync(self) -> None:
        """Put everything on the disk, so that a rename never comes before the bytes it names."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _disk_error(self._path, error) from error

    def _read_again(self) -> None:
        """Take what an earlier fetch left, up to the first part that is wrong."""
        try:
            while block := self._file.read(BLOCK):
                for piece in self._pieces(block):
                    self._take(piece)
        except WrongBytes:
            self._cut(self.parts_done)

    def _pieces(self, data: bytes) -> Iterator[memoryview]:
        """Cut ``data`` where parts end. Each piece must be taken before the next is asked for."""
        view = memoryview(data)
        while view:
            if self.complete:
                raise WrongBytes("more bytes came than the file has")
            index = self._done // self._model.parts.bytes
            piece = view[: self._end_of(index) - self._done]
            yield piece
            view = view[len(piece) :]

    def _take(self, piece: memoryview) -> None:
        """Count and hash a piece that does not reach past its part; where it ends the part, compare."""
        index = self._done // self._model.parts.bytes
        self._hash.update(piece)
        self._done += len(piece)
        if self._done < self._end_of(index):
            return
        found, self._hash = self._hash.hexdigest(), hashlib.sha256()
        if found != self._model.parts.sha256[index]:
            self._cut(index)
            raise WrongBytes(f"part {index + 1} of {self._model.parts.count} has the wrong hash")

    def _end_of(self, index: int) -> int:
        return index * self._model.parts.bytes + self._model.part_bytes(index)

    def _write(self, piece: memoryview) -> None:
        try:
            self._file.write(piece)
            self._file.flush()
        except OSError as error:
            raise _disk_error(self._path, error) from error

    def _cut(self, parts: int) -> None:
        self._done = min(parts * self._model.parts.bytes, self._model.bytes)
        self._hash = hashlib.sha256()
        try:
            self._file.flush()
            self._file.truncate(self._done)
            self._file.seek(self._done)
        except OSError as error:
            raise _disk_error(self._path, error) from error


def _disk_error(path: Path, error: OSError) -> ModelFileError:
    reason = error.strerror or str(error)
    return ModelFileError(f"The model file can't be written to {path.parent}: {reason}. Free some space and try again.")
