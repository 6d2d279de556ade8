"""The Start step: how long and how much, in plain numbers, and the button.

Owns the widgets; the suggested numbers are the engine's, the estimate ``views.estimate``'s.
"""

from __future__ import annotations

import os

import streamlit as st

from autosynth_core import engine
from autosynth_core.config import ModelSettings, RunSettings, Strategy
from autosynth_core.engine.brief import make_brief
from autosynth_core.llm import Endpoint, PriceTable
from autosynth_core.records import Project
from autosynth_core.views import Estimate, estimate, rounds, searches, words
from autosynth_core.views.describe import missing
from autosynth_core.workflow.edits import stages
from pages.parts.criteria_box import anchor_share, approved, criteria_box
from pages.parts.model_note import by_role, endpoint, gives_logprobs
from pages.parts.session import store
from pages.parts.text import plain

__all__ = ["start_step"]

_STRATEGIES = {
    Strategy.SOFT_TOP_K: "Build on the best few (recommended)",
    Strategy.UCT: "Balance the best with the little tried",
    Strategy.BEST_OF_N: "Always start from the first recipe",
    Strategy.RANDOM: "Build on any recipe",
    Strategy.AFLOW: "Build on the first or one of the best few (AFlow)",
}


def start_step(project: Project) -> None:
    """What will happen, its settings, its cost, and the button."""
    in_mind = " with what you said in mind" if any(this.feedback for this in rounds(store(), project.id)) else ""
    st.markdown(
        "The app now tries many variations of the recipe by itself. It runs each on the same inputs, an AI judge "
        f"scores the results{in_mind}, and good recipes are built on. You can watch, pause and stop "
        "it at any time, and close this page: it goes on as long as the app runs."
    )
    problem = missing(project.task)
    if problem:
        st.warning(f"{plain(problem)} You can add it in step 1.", icon=":material/edit:")
    criteria_box(project)
    settings = _settings(project)
    _cost(project, settings)
    running = [run for run in searches(store(), project.id) if run.state in words.ACTIVE]
    if running:
        st.info("A search of this project is going on already. You can start another one; they share the models.")
        st.page_link("pages/search.py", label="Watch it", query_params={"run": running[0].id, "project": project.id})
    if st.button("Start the search", type="primary", icon=":material/rocket_launch:", disabled=problem is not None):
        run = engine.start_search(store(), project.id, settings)
        st.switch_page("pages/search.py", query_params={"run": run.id, "project": project.id})


def _settings(project: Project) -> RunSettings:
    suggested = engine.suggested_settings(endpoint() is None)
    left, middle, right = st.columns(3)
    chosen: dict[str, object] = {
        "iterations": left.number_input("Recipes to try", 1, 10_000, suggested.iterations, key="iterations"),
        "seed_inputs": middle.number_input(
            "Inputs each is tried on",
            2,
            max(2, min(200, len(project.task.search_seeds))),
            min(suggested.seed_inputs, max(2, len(project.task.search_seeds))),
            key="seed inputs",
            help="More inputs make the scores surer and the search slower. A recipe is tried on some of them at first, "
            "on more if others are made from it, and on inputs kept aside if it may be the best.",
        ),
        "budget_usd": right.number_input(
            "Spend at most (US dollars)",
            0.01,
            None,
            suggested.budget_usd,
            step=1.0,
            placeholder="no limit",
            key="budget usd",
            help="The search stops before it would spend more. Leave empty for no limit.",
        ),
    }
    if approved(project):
        chosen["anchor_share"] = anchor_share(suggested)
    with st.expander("More settings"):
        chosen |= _more(suggested)
    models = engine.load_models(store())
    return RunSettings.model_validate(suggested.model_dump() | chosen | {"models": models.model_dump()})


def _more(suggested: RunSettings) -> dict[str, object]:
    left, right = st.columns(2)
    strategy = left.selectbox(
        "Which recipes to build on",
        list(Strategy),
        list(Strategy).index(suggested.strategy),
        format_func=_STRATEGIES.__getitem__,
        key="strategy",
    )
    workers = right.number_input("Recipes at the same time", 1, 64, suggested.workers, key="workers")
    tokens = left.number_input(
        "Use at most (tokens)", 1, None, suggested.budget_tokens, step=100_000, placeholder="no limit", key="tokens"
    )
    refresh = right.number_input(
        "Think the judging criteria over after every … recipes",
        0,
        1000,
        suggested.metric_refresh,
        key="metric refresh",
        help="0: never; the first criteria stay.",
    )
    seed = left.number_input(
        "Random seed", 0, None, suggested.seed, key="seed", help="The same number repeats the same choices."
    )
    return {
        "strategy": strategy,
        "workers": workers,
        "budget_tokens": tokens,
        "metric_refresh": refresh,
        "seed": seed,
    }


def _cost(project: Project, settings: RunSettings) -> None:
    place = endpoint()
    embedded = place is None
    logprobs = gives_logprobs(place, settings.models)
    brief = make_brief(store(), project.id)
    expected = estimate(
        settings,
        brief.task,
        stages=_stages(project),
        logprobs=logprobs,
        embedded=embedded,
        anchors=len(brief.anchors),
    )
    text = (
        f"If all recipes are tried: about {expected.samples:,} samples, {expected.calls:,} model calls and "
        f"{words.many(expected.tokens)} tokens; often fewer. "
    )
    if expected.seconds is not None:
        text += (
            f"With the built-in model that takes {words.span(*expected.seconds)} on two processor cores, the longer "
            "the more else they have to do. It is free: it runs on this computer."
        )
    elif place is not None:
        text += f"{_price(place, settings.models, expected)} How long it takes depends on the service."
    st.caption(plain(text))
    st.caption(plain(expected.basis))


def _price(place: Endpoint, models: ModelSettings, expected: Estimate) -> str:
    """What the tokens cost, as far as prices are known."""
    prices = PriceTable.load(os.environ, local=place.is_loopback)
    usd = expected.usd(prices, **by_role(place, models), second_judge=models.second_judge)
    if usd is None:
        return "What they cost is not known here: look up your service's price for a million tokens."
    return f"At listed prices that costs about {words.money(usd)}." if usd else "They are free: on this computer."


def _stages(project: Project) -> int:
    """How many model calls a sample takes, guessed from the newest round's recipe, and a stage more to come."""
    for this in reversed(rounds(store(), project.id)):
        nodes = store().nodes(this.run.id)
        if nodes and nodes[0].fingerprint:
            return len(stages(nodes[0].source)) + 1
    return 2
