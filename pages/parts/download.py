"""The download of the built-in model: a button, a thread that outlives the page, a bar.

Owns that one thread a process. Fetching and checking the file is ``llm.embedded``'s.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

import streamlit as st

from autosynth_core.errors import ModelFileError
from autosynth_core.llm.embedded import ModelFile, Progress, installed, pull
from pages.parts.session import guarded_call
from pages.parts.text import plain

__all__ = ["Download", "download"]

logger = logging.getLogger("autosynth.pages")
_lock = threading.Lock()
_current: dict[str, Download] = {}


@dataclass
class Download:
    """One download as it stands. Written by its thread, read by any page."""

    progress: Progress | None = None
    problem: str = ""
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def running(self) -> bool:
        return not self.done.is_set()


def _begin(model: ModelFile) -> None:
    """Start the download unless one is going on."""
    with _lock:
        known = _current.get(model.name)
        if known is not None and known.running:
            return
        this = _current[model.name] = Download()
    threading.Thread(target=_fetch, args=(model, this), name="model download", daemon=True).start()


def _fetch(model: ModelFile, this: Download) -> None:
    def note(progress: Progress) -> None:
        this.progress = progress

    try:
        pull(model, note)
    except ModelFileError as error:
        this.problem = str(error)
    except Exception:  # the thread's end is the only place left to say it
        logger.exception("the download failed")
        this.problem = "The download failed; the terminal in which the app was started says why."
    finally:
        this.done.set()


def download(model: ModelFile) -> None:
    """The state of the model's file, with the button or the bar that belongs to it."""
    this = _current.get(model.name)
    running = this is not None and this.running
    st.fragment(_state, run_every=1 if running else None)(model, running)


@guarded_call
def _state(model: ModelFile, was_running: bool) -> None:
    this = _current.get(model.name)
    running = this is not None and this.running
    if running != was_running:
        st.rerun()
    if this is not None and running:
        progress = this.progress
        st.progress(progress.share if progress else 0.0, text=plain(progress.text if progress else "Starting…"))
        return
    if installed(model):
        st.markdown(":material/check: Downloaded and ready.")
        return
    if this is not None and this.problem:
        st.error(plain(this.problem), icon=":material/error:")
    size = f"{model.bytes / 1e9:.1f} GB"
    st.button(f"Download it ({size})", icon=":material/download:", on_click=_begin, args=(model,))
    st.caption("You can go on using the app meanwhile. A download that is cut off goes on where it was.")
