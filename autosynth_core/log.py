"""How the program logs: through ``logging``, one line an event, never a key, prompts at debug level alone."""

from __future__ import annotations

import logging
import os

__all__ = ["set_up"]

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_OURS = "autosynth_core"


def set_up(default: str = "WARNING") -> None:
    """Log the engine's events to standard error, at the level in ``AUTOSYNTH_LOG`` or else at ``default``.

    Touches our own logger alone; called again it only sets the level.
    """
    asked = os.environ.get("AUTOSYNTH_LOG", "").upper()
    logger = logging.getLogger(_OURS)
    logger.setLevel(asked if asked in _LEVELS else default)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
