"""The engine of AutoSynth Studio: search over generation workflows, without a user interface.

Layers, each importing only what stands to its right or below (held by import-linter):
``__main__`` > ``commands`` > ``views | engine`` > ``initialization`` > ``search`` > ``judging`` >
``workflow | llm | store`` > ``prompts | taskfile`` > ``records | config | log`` > ``errors``. ``store`` imports
``records`` and ``errors`` alone, and only ``engine``, ``views`` and ``commands`` import ``store``.
"""

__version__ = "0.1.0"
