"""The embedded model: a small GGUF file, fetched once and checked, served by a child process on loopback.

It lets the whole product run with no endpoint and no key. It is small: good for trying, and for tests, and no
judge of fine differences. This package owns the files, their fetching and the process; calls to it go through the
same client as calls to any endpoint.
"""

from __future__ import annotations

from autosynth_core.llm.embedded.files import (
    CALL_EXTRA,
    DEFAULT_MODEL,
    MODEL_FILES,
    ModelFile,
    ModelRow,
    cache_dir,
    installed,
    models_list,
    path,
)
from autosynth_core.llm.embedded.process import EmbeddedModel, RunningModel, shared, stop_shared
from autosynth_core.llm.embedded.pull import Progress, pull

__all__ = [
    "CALL_EXTRA",
    "DEFAULT_MODEL",
    "MODEL_FILES",
    "EmbeddedModel",
    "ModelFile",
    "ModelRow",
    "Progress",
    "RunningModel",
    "cache_dir",
    "installed",
    "models_list",
    "path",
    "pull",
    "shared",
    "stop_shared",
]
