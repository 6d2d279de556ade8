"""The task of a simulated search: seed inputs, and examples of known quality."""

from __future__ import annotations

from autosynth_core.records import Example, OutputField, SeedInput, Task
from benchmarks.simulated.draws import word
from benchmarks.simulated.texts import write_sample

__all__ = ["known", "known_quality", "simulated_task"]

_SEARCH, _SEALED = 64, 64  # seed inputs
_GOOD = (0.85, 0.8, 0.75, 0.8)
_BAD = (0.2, 0.25, 0.3, 0.25)
_MARK = "known"


def known(quality: float) -> str:
    """A genome of this quality on any landscape, for examples."""
    return f"{_MARK}{round(quality * 1e4):04d}"


def known_quality(genome: str) -> float | None:
    """The quality of a ``known`` genome; None for any other."""
    digits = genome.removeprefix(_MARK)
    return int(digits) / 1e4 if genome.startswith(_MARK) and digits.isdigit() else None


def simulated_task() -> Task:
    """Seed inputs with one field, four good and four bad examples, one rule."""
    topics = [f"topic {word('topic', number)}" for number in range(_SEARCH + _SEALED + len(_GOOD) + len(_BAD))]
    seeds = [SeedInput({"topic": topic}) for topic in topics[: _SEARCH + _SEALED]]
    given = iter(topics[_SEARCH + _SEALED :])

    def example(quality: float, why: str) -> Example:
        topic = next(given)
        return Example({"topic": topic}, {"text": write_sample(known(quality), topic, word("example", topic))}, why)

    return Task(
        title="Explain a topic",
        description="Explain the topic to a pupil in a few sentences.",
        audience="Pupils of twelve",
        output_fields=(OutputField("text", "the explanation"),),
        must_nevers=("It says that the answer is a secret.",),
        good_examples=tuple(example(quality, "It does what was asked.") for quality in _GOOD),
        bad_examples=tuple(example(quality, "It does not do what was asked.") for quality in _BAD),
        search_seeds=tuple(seeds[:_SEARCH]),
        sealed_seeds=tuple(seeds[_SEARCH:]),
    )
