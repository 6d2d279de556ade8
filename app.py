"""AutoSynth Studio in a browser. Start it with ``streamlit run app.py``.

The frame around the screens is ``pages.parts.frame``; each screen is a file under ``pages``.
"""

from __future__ import annotations

from pages.parts.frame import run_app

run_app()
