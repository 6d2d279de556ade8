"""The commands behind ``python -m autosynth_core``, one a module. Everything a page can do works without a browser."""
