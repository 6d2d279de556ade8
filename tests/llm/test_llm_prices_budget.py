"""Prices and caps."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from llm_calls import ask

from autosynth_core.errors import BudgetReached, SettingsError
from autosynth_core.llm import Budget, Price, PriceTable, Reservation
from autosynth_core.llm.budget import worst_case

TABLE = PriceTable.load({})


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("gpt-4.1-mini", 0.4 + 1.6),
        ("gpt-4.1-mini-2025-04-14", 0.4 + 1.6),
        ("openai/gpt-4.1-mini", 0.4 + 1.6),
        ("gpt-4o-2024-05-13", 20.0),
        ("gpt-4o-2024-08-06", 12.5),
        ("gpt-4.1-mini-high", None),
        ("gpt-4", None),
        ("ft:gpt-4.1-mini-2025-04-14:school::x", None),
        ("llama3", None),
        ("", None),
    ],
)
def test_price_is_matched_by_name_and_date_alone(model: str, usd: float | None) -> None:
    cost = TABLE.cost(model, 1_000_000, 1_000_000)
    assert cost == (pytest.approx(usd) if usd is not None else None)


@pytest.mark.parametrize("counts", [(None, 5), (5, None), (None, None)])
def test_unknown_count_is_not_free(counts: tuple[int | None, int | None]) -> None:
    assert TABLE.cost("gpt-4.1", *counts) is None


def test_local_models_are_free_unless_priced_by_the_person() -> None:
    local = PriceTable(listed=TABLE.listed, own={"paid": Price(prompt=1, completion=1)}, local=True)
    assert local.cost("gpt-4.1", 10, 10) == 0.0
    assert local.cost("llama", None, None) == 0.0
    assert local.cost("paid", 1_000_000, 0) == 1.0


def test_own_file_wins_over_the_built_in_table(tmp_path: Path) -> None:
    own = tmp_path / "prices.json"
    own.write_text('{"models": {"gpt-4.1": {"prompt": 1, "completion": 1}}}')
    assert PriceTable.load({"AUTOSYNTH_PRICES": str(own)}).cost("gpt-4.1-2025-04-14", 10**6, 0) == 1.0
    assert PriceTable.load({}, path=own).cost("gpt-4o", 10**6, 0) == 2.5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        '{"models": {"m": 3}}',
        '{"models": {"m": {"prompt": 1}}}',
        '{"models": {"m": {"prompt": -1, "completion": 1}}}',
        '{"models": {"m": {"prompt": "NaN", "completion": 1}}}',
        '{"m": {"prompt": 1, "completion": 1}}',
        "[" * 10_000,
    ],
    ids=lambda text: text[:40] or "empty",
)
def test_bad_price_file_is_one_sentence(text: str, tmp_path: Path) -> None:
    own = tmp_path / "prices.json"
    own.write_text(text)
    with pytest.raises(SettingsError, match=r"prices\.json") as caught:
        PriceTable.load({}, path=own)
    assert "\n" not in str(caught.value)


def test_missing_price_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="AUTOSYNTH_PRICES"):
        PriceTable.load({"AUTOSYNTH_PRICES": str(tmp_path / "none.json")})
    with pytest.raises(SettingsError):
        PriceTable.load({}, path=tmp_path)


def test_dollar_cap_requires_a_price() -> None:
    with pytest.raises(SettingsError, match="llama"):
        Budget(usd_cap=1.0).require_price("llama", TABLE)
    Budget(usd_cap=1.0).require_price("gpt-4.1", TABLE)
    Budget(token_cap=5).require_price("llama", TABLE)


async def test_start_value_counts() -> None:
    budget = Budget(token_cap=100, spent_tokens=95)
    with pytest.raises(BudgetReached, match="100 tokens"):
        await budget.reserve(Reservation(6, None))
    await budget.reserve(Reservation(5, None))


async def test_what_is_in_flight_delays_and_then_decides() -> None:
    budget = Budget(token_cap=100)
    first = await budget.reserve(Reservation(60, None))
    second = asyncio.create_task(budget.reserve(Reservation(60, None)))
    third = asyncio.create_task(budget.reserve(Reservation(60, None)))
    await asyncio.sleep(0.01)
    assert not second.done()
    budget.settle(first, 20, None)
    assert (await second).tokens == 60
    budget.settle(second.result(), None, None)  # the bill was never seen: the worst case
    with pytest.raises(BudgetReached):
        await third
    assert budget.spent_tokens == 80


async def test_cancelled_waiter_holds_nothing() -> None:
    budget = Budget(usd_cap=1.0)
    first = await budget.reserve(Reservation(1, 0.9))
    waiting = asyncio.create_task(budget.reserve(Reservation(1, 0.9)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    budget.settle(first, 0, 0.0)
    assert (budget.in_flight, budget.spent_usd) == (0, 0.0)
    await budget.reserve(Reservation(1, 1.0))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("The cell membrane is like a gate that checks who may come in. " * 50, 650), ("细胞膜就像一扇门。" * 100, 900)],
    ids=["English", "Chinese"],
)
def test_worst_case_is_no_less_than_what_text_takes(text: str, tokens: int) -> None:
    assert worst_case(ask(text, max_tokens=10), TABLE).tokens >= tokens + 10
