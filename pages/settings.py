"""Which models are used: an endpoint with a model for each role, or the small built-in one."""

from __future__ import annotations

import asyncio
import os

import streamlit as st

from autosynth_core import engine
from autosynth_core.config import ModelSettings
from autosynth_core.llm.embedded import DEFAULT_MODEL, MODEL_FILES, installed
from autosynth_core.llm.endpoint import NO_KEY, Found, discover
from pages.parts.download import download
from pages.parts.frame import in_frame
from pages.parts.model_note import endpoint
from pages.parts.session import guarded, guarded_call, store
from pages.parts.text import clean, plain

_ROLES = {
    "generator": ("Writes the samples", "The model that your recipes call. It is called most."),
    "optimizer": ("Improves the recipes", "The most capable model you have is best here."),
    "evaluator": ("Judges", "Scores the samples. Another model than the one that writes is fairer."),
    "second_judge": (
        "Second judge (optional)",
        "Another model that scores the race at the end, in place of the judge.",
    ),
}
_FIELDS = ("base_url", *_ROLES)


def _now() -> None:
    """Which model is in use at this moment, in one sentence."""
    place = endpoint()
    if place is not None:
        key = "no key" if place.api_key == NO_KEY else "a key from the environment"
        st.success(f"In use: the models at {plain(place.base_url)}, with {key}.", icon=":material/cloud:")
    elif installed(DEFAULT_MODEL):
        st.info("In use: the small built-in model on this computer.", icon=":material/memory:")
    else:
        st.warning(
            "In use: the small built-in model, which is not downloaded yet. Connect another one or download it below.",
            icon=":material/download:",
        )


def _endpoint_form(saved: ModelSettings) -> None:
    for name in _FIELDS:
        st.session_state.setdefault(f"models:{name}", clean(getattr(saved, name)))
    _found_locally()
    st.text_input(
        "Address of the service (base URL)",
        key="models:base_url",
        placeholder=os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1",
        help="Any service that speaks the OpenAI protocol. Empty: OPENAI_BASE_URL if it is set, OpenAI if only a key "
        "is set, else the built-in model.",
    )
    columns = st.columns(2)
    for at, (name, (label, help_text)) in enumerate(_ROLES.items()):
        columns[at % 2].text_input(
            label, key=f"models:{name}", help=help_text, placeholder="the service's first model" if at < 3 else "none"
        )
    with st.container(horizontal=True):
        st.button("Save", type="primary", icon=":material/save:", on_click=_save)
        tested = st.button("Test connection", icon=":material/network_check:", help="Tests what stands above.")
    if st.session_state.pop("models:saved", False):
        st.toast("Saved. New rounds and searches use these models.", icon=":material/check:")
    if tested:
        with guarded():
            _test()
    _about_the_key()


def _typed() -> ModelSettings:
    return ModelSettings(**{name: clean(st.session_state.get(f"models:{name}", "")).strip() for name in _FIELDS})


@guarded_call
def _save() -> None:
    engine.save_models(store(), _typed())
    st.session_state["models:saved"] = True


def _test() -> None:
    typed = _typed()
    if engine.uses_embedded(typed) and not installed(DEFAULT_MODEL):
        st.warning("Without an address the built-in model would be used, and it is not downloaded yet.")
        return
    with st.spinner("Asking the models a few short questions…"):
        lines = asyncio.run(engine.test_connection(typed, store()))
    for line in lines:
        st.markdown(f":material/check: {plain(line)}")


def _about_the_key() -> None:
    if os.environ.get("OPENAI_API_KEY"):
        st.caption(
            ":material/key: A key was found. It is never shown, and never written to the database or to exports."
        )
        return
    with st.expander("Where does my key go?"):
        st.markdown(
            "Not on this page: keys stay out of the database. Put it in the environment before you start the app, or "
            "in a file `.streamlit/secrets.toml` beside `app.py`, then start the app again:"
        )
        st.code('OPENAI_API_KEY = "your key"', language="toml")
        st.markdown("Servers on your own computer, such as Ollama or LM Studio, need no key.")


def _found_locally() -> None:
    if st.button("Look for models on this computer", icon=":material/search:"):
        st.session_state["models:found"] = asyncio.run(discover())
    found: list[Found] | None = st.session_state.get("models:found")
    if found is None:
        return
    if not found:
        st.caption("No Ollama, LM Studio or vLLM server answers on this computer. Start one, then look again.")
    for server in found:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(server.name)}**: {plain(', '.join(server.models[:6]) or 'no models yet')}")
            st.button("Use it", key=f"use:{server.base_url}", on_click=_use, args=(server,))


@guarded_call
def _use(server: Found) -> None:
    first = server.models[0] if server.models else ""
    st.session_state["models:base_url"] = server.base_url
    for name in ("generator", "optimizer", "evaluator"):
        st.session_state[f"models:{name}"] = first
    st.session_state["models:second_judge"] = ""
    _save()


def _built_in() -> None:
    model = MODEL_FILES[DEFAULT_MODEL]
    st.markdown(
        f"**{plain(model.name)}** runs on this computer, free and without an account. It lets you try everything. "
        "It is small and slow: it tells sense from nonsense, but not good material from better. Do not use what it "
        "writes in class without reading every word."
    )
    download(model)


def _page() -> None:
    st.title("Settings")
    _now()
    st.subheader("Connect models")
    with guarded():
        _endpoint_form(engine.load_models(store()))
    st.subheader("The built-in model")
    _built_in()


in_frame(_page)
