"""Which models are in use, said on every screen, and loudly where it is the small one.

Owns that note. Choosing models is the settings screen's.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import streamlit as st

from autosynth_core import engine
from autosynth_core.config import ModelSettings
from autosynth_core.engine.models import OPENAI_DEFAULT
from autosynth_core.llm.embedded import DEFAULT_MODEL, installed
from autosynth_core.llm.endpoint import Endpoint, resolve
from pages.parts.session import store
from pages.parts.text import plain

__all__ = ["by_role", "endpoint", "gives_logprobs", "model_note", "warn_if_embedded"]


def endpoint() -> Endpoint | None:
    """The endpoint in use; None: the embedded model. Raises SettingsError for an address that can't be used."""
    return resolve(engine.load_models(store()), os.environ)


def model_note() -> None:
    """One line for the sidebar."""
    place = endpoint()
    if place is None:
        st.caption("Model: the small built-in one, for trying things out. You can connect a better one in Settings.")
    else:
        chosen = dict.fromkeys(by_role(place, engine.load_models(store())).values())
        name = ", ".join(name or "the service's first model" for name in chosen)
        st.caption(plain(f"Model: {name} at {urlsplit(place.base_url).netloc}"))


def by_role(place: Endpoint, models: ModelSettings) -> dict[str, str]:
    """The model of each role but the second judge, as far as it is known before the service is asked: else ""."""
    first = next(filter(None, (models.optimizer, models.evaluator, models.generator)), "")
    default = first or (OPENAI_DEFAULT if place.base_url.startswith("https://api.openai.com/") else "")
    return {name: getattr(models, name) or default for name in ("generator", "optimizer", "evaluator")}


def gives_logprobs(place: Endpoint | None, models: ModelSettings, judge: str = "") -> bool:
    """Whether a judge, if not the evaluator then the one named, is known to give each verdict in one call."""
    if place is None:
        return True
    known = store().capabilities(place.base_url, judge or by_role(place, models)["evaluator"])
    return known is not None and known.logprobs


def warn_if_embedded() -> bool:
    """Say on a screen that starts work that the embedded model is used, and what is missing. True when it is used."""
    if endpoint() is not None:
        return False
    if installed(DEFAULT_MODEL):
        st.info(
            "**The built-in model is in use.** It is small: fine for seeing how everything works, too weak to trust "
            "for real material, and slow without a fast computer. For real work, connect a better model.",
            icon=":material/info:",
        )
    else:
        st.warning(
            "**No model is connected yet.** Connect one, or download the small built-in one (1.1 GB, free) to try "
            "things out.",
            icon=":material/download:",
        )
    st.page_link("pages/settings.py", label="Open Settings", icon=":material/settings:")
    return True
