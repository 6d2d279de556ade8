"""Projects and their rounds of feedback, as lists.

Owns what stands on a project's card and what a round's screen needs. Scores of searches are ``runs``'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from autosynth_core.errors import InputError
from autosynth_core.records import Event, Feedback, Project, Rating, Run, RunKind, Sample, SampleState
from autosynth_core.store import Store
from autosynth_core.views import words
from autosynth_core.views.describe import incomplete
from autosynth_core.views.settings import in_words, round_settings

__all__ = ["ProjectCard", "RoundView", "projects", "rounds", "searches"]


@dataclass(frozen=True, slots=True)
class ProjectCard:
    """One project in the list. ``missing`` says what keeps it from being used; None: it is complete."""

    id: str
    title: str
    description: str
    created: float
    rounds: int
    rated: int  # samples with feedback
    searches: int
    latest: str  # the newest run's state in words; "" when there is none
    missing: str | None


@dataclass(frozen=True, slots=True)
class RoundView:
    """One round: its samples in order, and the latest feedback by sample id."""

    run: Run
    number: int
    wanted: int
    in_words: str
    what_changed: str
    samples: tuple[Sample, ...]
    failed: int
    feedback: Mapping[str, Feedback]
    latest: Event | None

    @property
    def active(self) -> bool:
        return self.run.state in words.ACTIVE

    @property
    def ratings(self) -> Counter[Rating]:
        """How many samples have each rating."""
        return Counter(feedback.rating for feedback in self.feedback.values())

    @property
    def good_enough(self) -> bool:
        """Five of six rated, and five of six of those usable as they are or with edits: time to stop rating."""
        usable = self.ratings[Rating.USE] + self.ratings[Rating.USE_EDITED]
        rated = self.ratings.total()
        return rated >= 3 and 6 * rated >= 5 * len(self.samples) and 6 * usable >= 5 * rated

    @property
    def reasons(self) -> Counter[str]:
        """How often each reason was given."""
        return Counter(reason for feedback in self.feedback.values() for reason in feedback.reasons)


def projects(store: Store) -> list[ProjectCard]:
    """All projects, the newest first."""
    return [_card(store, project) for project in store.projects()]


def _card(store: Store, project: Project) -> ProjectCard:
    runs = store.runs(project.id)
    rounds = [run for run in runs if run.kind is RunKind.ROUND]
    newest = runs[-1] if runs else None
    return ProjectCard(
        id=project.id,
        title=project.task.title,
        description=project.task.description,
        created=project.created,
        rounds=len(rounds),
        rated=sum(len(store.feedback(run.id)) for run in rounds),
        searches=len(runs) - len(rounds),
        latest=in_words(newest) if newest else "",
        missing=incomplete(project.task),
    )


def rounds(store: Store, project_id: str) -> list[RoundView]:
    """The project's rounds, the first one first. One whose settings can't be read counts by its place."""
    return [_round(store, run, place) for place, run in enumerate(store.runs(project_id, RunKind.ROUND), 1)]


def _round(store: Store, run: Run, place: int) -> RoundView:
    samples = store.samples(run.id)
    number, wanted = _asked_for(run, place, len(samples))
    nodes = store.nodes(run.id)
    events = store.events(run.id, limit=1, newest=True)
    return RoundView(
        run=run,
        number=number,
        wanted=wanted,
        in_words=in_words(run),
        what_changed=nodes[0].modification if nodes else "",
        samples=tuple(sample for sample in samples if sample.state is SampleState.OK),
        failed=sum(sample.state is not SampleState.OK for sample in samples),
        feedback={feedback.sample_id: feedback for feedback in store.feedback(run.id)},
        latest=events[-1] if events else None,
    )


def _asked_for(run: Run, place: int, made: int) -> tuple[int, int]:
    """The round's number, and how many samples it was to have."""
    try:
        settings = round_settings(run)
    except InputError:
        return place, made
    return settings.number, settings.samples


def searches(store: Store, project_id: str | None = None) -> list[Run]:
    """Searches, the newest first; of one project, or of all."""
    return list(reversed(store.runs(project_id, RunKind.SEARCH)))
