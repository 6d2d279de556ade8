"""The engine of AutoSynth Studio: search over generation workflows, without a user interface.

Layers, each importing only what stands to its right or below (held by import-linter):
``__main__`` > ``views | engine`` > ``initialization`` > ``search`` > ``judging`` > ``workflow | llm`` >
``prompts`` > ``records | config`` > ``errors``. ``store`` imports ``records`` and ``errors`` alone.
"""

__version__ = "0.1.0"
