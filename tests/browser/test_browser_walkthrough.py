"""A newcomer's way through the whole app, in Chromium, with the server killed in the middle."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from app_process import App
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from autosynth_core.records import NodeState, RunKind, RunState
from autosynth_core.store import Store

pytestmark = pytest.mark.browser

SHOTS = os.environ.get("AUTOSYNTH_SCREENSHOTS")  # a folder: keep a picture of each step


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(800)
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def no_error(page: Page) -> None:
    expect(page.get_by_text("Traceback")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def wait_for(condition: object, seconds: float, what: str) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.3)


def press_until(page: Page, button: str, text: str) -> None:
    """Press a button, again where the page was being redrawn under the first press."""
    for _ in range(4):
        try:
            page.get_by_role("button", name=button).click()
            expect(page.get_by_text(text).first).to_be_visible(timeout=15_000)
        except (AssertionError, PlaywrightTimeout):
            continue
        return
    raise AssertionError(f"{button} did not lead to: {text}")


def open_tab(page: Page, name: str) -> None:
    """Press a tab until it stays open: in its first moments a page still opens the first tab by itself."""
    tab = page.get_by_role("tab", name=name)
    for _ in range(10):
        tab.click()
        page.wait_for_timeout(500)
        if tab.get_attribute("aria-selected") == "true":
            return
    raise AssertionError(f"the tab {name} did not stay open")


def circle_opens_its_recipe(page: Page) -> bool:
    """Click a circle of the tree where it is now; whether the address names a recipe then."""
    circle = page.locator(".js-plotly-plot").last.locator(".scatterlayer .point").first
    circle.scroll_into_view_if_needed()
    page.wait_for_timeout(1000)  # for the picture to come to rest
    box = circle.bounding_box()
    if box is None:
        return False
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(300)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_timeout(1500)
    return re.search(r"node=\d+", page.url) is not None


def test_from_an_example_to_the_best_workflow_through_a_killed_server(app: App, page: Page) -> None:
    page.goto(app.url)
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
    shot(page, "01-projects")
    card = page.get_by_test_id("stVerticalBlock").filter(has_text="Science analogies").last
    card.get_by_role("button", name="Use this example").first.click()

    # one round of feedback
    page.get_by_role("button", name="Make 6 samples").click()
    expect(page.get_by_text(re.compile(r"of 6 rated"))).to_be_visible()
    shot(page, "02-samples")
    for number in range(1, 7):
        expect(page.get_by_text(f"Sample {number} of 6")).to_be_visible()
        verdicts = page.get_by_role("radiogroup", name="Your verdict")
        expect(verdicts.get_by_role("radio", checked=True)).to_have_count(0)  # the card before this one is gone
        page.get_by_role("radio", name="Not usable" if number == 2 else "Use as is").click()
        if number == 2:
            page.get_by_label("Anything to add? (optional)").fill("Too dry <script>alert(1)</script> **for grade 5**")
            page.get_by_label("Anything to add? (optional)").press("Tab")
        expect(page.get_by_text(f"{number} of 6 rated")).to_be_visible()
        if number < 6:
            page.get_by_role("button", name="Next").click()
    press_until(page, "Make improved samples", "What changed after your feedback")
    shot(page, "03-improved")
    page.reload()
    page.get_by_text("Round 1").click()
    expect(page.get_by_text("6 of 6 rated")).to_be_visible()

    # start a search and watch it grow
    page.get_by_text("3 · Start the search").click()
    shot(page, "04-start")
    page.get_by_label("Recipes to try").fill("14")
    page.get_by_label("Recipes to try").press("Tab")
    page.get_by_role("button", name="Start the search").click()
    expect(page.get_by_text("Best so far", exact=True)).to_be_visible(timeout=60_000)
    no_error(page)
    with Store.open(app.database) as store:
        run = store.runs(kind=RunKind.SEARCH)[0]
        wait_for(lambda: len(_done(store, run.id)) >= 2, 90, "two recipes")
        shot(page, "05-running")

        page.get_by_role("button", name="Pause").click()
        wait_for(lambda: store.run(run.id).state is RunState.PAUSED, 10, "the pause")
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        page.get_by_role("button", name="Resume").click()
        wait_for(lambda: store.run(run.id).state is RunState.RUNNING, 10, "the run to go on")
        page.get_by_role("button", name="Stop").click()
        wait_for(lambda: store.run(run.id).state is RunState.STOPPED, 30, "the stop")
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        shot(page, "06-stopped")
        page.get_by_role("button", name="Resume").click()
        wait_for(lambda: store.run(run.id).state is RunState.RUNNING, 10, "the run to go on")

        wait_for(lambda: len(_done(store, run.id)) >= 4, 90, "four recipes")

        # kill the server, start it again, resume from the same address
        before = _done(store, run.id)
        address = page.url
        app.kill()
        app.start()
        page.goto(address)
        wait_for(lambda: store.run(run.id).state is RunState.INTERRUPTED, 60, "the lost run to be noticed")
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        shot(page, "07-interrupted")
        page.get_by_role("button", name="Resume").click()
        wait_for(lambda: store.run(run.id).state is RunState.FINISHED, 180, "the end")
        after = _done(store, run.id)
        assert before.items() <= after.items()
        assert run.id in address

    # read the best workflow, its samples and scores; choose another one in the list and in the picture
    expect(page.get_by_text("the best so far")).to_be_visible()
    for tab in ("Prompts and code", "Samples (", "Scores", "Model calls ("):
        open_tab(page, tab)
        no_error(page)
        shot(page, f"08-{tab.split()[0].lower()}")
    wait_for(lambda: circle_opens_its_recipe(page), 60, "a click on a circle to open its recipe")
    no_error(page)

    # what the scores rest on, and a race asked for
    page.get_by_test_id("stSidebarNavItems").get_by_role("link", name="Criteria").click()
    for heading in ("What counts now", "Can the judge tell good from bad?", "How much is chance?"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
    expect(page.get_by_text(re.compile(r"Tried on your good and bad examples"))).to_be_visible()  # the judge was
    expect(page.get_by_text(re.compile(r"The same recipe|the same recipe"))).to_be_visible()  # and chance measured
    page.get_by_text(re.compile(r"^1 · from recipe 0 on")).click()
    expect(page.get_by_text("The first criteria.")).to_be_visible()
    no_error(page)
    shot(page, "09-criteria")
    expect(page.get_by_text(re.compile(r"A race takes at most \d+ samples"))).to_be_visible()
    with Store.open(app.database) as store:
        raced = len(store.races(run.id))
        page.get_by_role("button", name="Race the best").click()
        wait_for(lambda: len(store.races(run.id)) > raced, 60, "the race")
        wait_for(lambda: store.run(run.id).state is RunState.FINISHED, 20, "the search to be finished as it was")
    expect(page.get_by_text("Winning recipe")).to_be_visible()
    expect(page.get_by_role("button", name="Race the best again")).to_be_visible()
    no_error(page)
    shot(page, "09-race")

    # the sentence of the teacher was shown as text and nothing of the key leaked
    assert "sk-walkthrough-secret" not in page.content()
    assert b"sk-walkthrough-secret" not in app.log.read_bytes()
    assert b"sk-walkthrough-secret" not in app.database.read_bytes()
    for name in ("Projects", "Settings"):
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        shot(page, f"09-{name.lower()}")
        no_error(page)
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text(re.compile("Connected"))).to_be_visible()
    shot(page, "10-connected")


def _done(store: Store, run_id: str) -> dict[int, str]:
    """Finished nodes and their programs."""
    return {node.number: node.source for node in store.nodes(run_id) if node.state is not NodeState.RUNNING}


_TASK = {
    "title": "Exit tickets",
    "description": "Write one question that shows whether a lesson was understood.",
    "audience": "Grade 6.",
    "output_fields": [{"name": "question", "description": "one question"}],
    "seeds": [{"topic": f"topic number {number}"} for number in range(12)],
}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (json.dumps({name: value for name, value in _TASK.items() if name != "audience"}).encode(), "audience"),
        (json.dumps({**_TASK, "seeds": []}).encode(), "seeds"),
        (json.dumps({**_TASK, "title": "Hör zu"}, ensure_ascii=False).encode("latin-1"), "UTF-8"),
        (json.dumps({**_TASK, "seeds": [{"topic": f"t {n}"} for n in range(100_000)]}).encode(), "20,000"),
        (b"{not json", "JSON"),
    ],
    ids=["missing field", "no seeds", "wrong encoding", "100,000 seeds", "no JSON"],
)
def test_task_file_that_cannot_be_used_gets_one_sentence_and_makes_no_project(
    quiet_app: App, page: Page, content: bytes, sentence: str
) -> None:
    page.goto(quiet_app.url)
    open_tab(page, "From a file")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
        files=[{"name": "task.json", "mimeType": "application/json", "buffer": content}]
    )
    press_until(page, "Create project from this file", sentence)
    expect(page.get_by_test_id("stAlert").filter(has_text=sentence)).to_be_visible()
    assert "Traceback" not in page.inner_text("body")
    with Store.open(quiet_app.database) as store:
        assert store.projects() == []
