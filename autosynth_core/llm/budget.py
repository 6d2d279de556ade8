"""What a run may still spend.

Owns the arithmetic of the caps, with what is in flight counted at its worst. The record of what was spent is the call
log's; a budget starts from its total.

Counted: answers, usable or not, at what the endpoint reports, and at the worst case what it does not report; so they
are recorded, and a resumed run starts from the same figure. A call without an answer whose bill was never seen
(time-out, cut connection) counts at its worst case too, until the program ends: there is no record to take it from.
Not counted: refused calls, and whatever an endpoint charges beyond the tokens it reports. The worst case takes a
prompt at two bytes a token; people's text in any script has more bytes than that, but random characters may not.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from autosynth_core.errors import BudgetReached, SettingsError
from autosynth_core.llm.calls import Checkpoint, never_pause
from autosynth_core.llm.prices import PriceTable
from autosynth_core.records import ChatRequest

BYTES_A_TOKEN = 2
TOKENS_A_MESSAGE = 16  # role and delimiters, rounded up


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one call may cost at worst."""

    tokens: int
    usd: float | None  # None: price unknown


class Budget:
    """Caps in US dollars and in tokens (prompt and completion) over everything that is charged to it.

    ``await reserve`` waits while calls in flight stand in the way and raises BudgetReached only when the call would
    not fit beside what is really spent; so no cap is overrun, and none ends a run early because many calls are
    in flight.
    """

    def __init__(
        self,
        usd_cap: float | None = None,
        token_cap: int | None = None,
        *,
        spent_usd: float = 0.0,
        spent_tokens: int = 0,
    ) -> None:
        self.usd_cap = usd_cap
        self.token_cap = token_cap
        self._spent_usd = spent_usd
        self._spent_tokens = spent_tokens
        self._held_usd = 0.0
        self._held_tokens = 0
        self._held = 0
        self._settled = asyncio.Event()

    @property
    def spent_usd(self) -> float:
        return self._spent_usd

    @property
    def spent_tokens(self) -> int:
        return self._spent_tokens

    @property
    def in_flight(self) -> int:
        """Reservations not yet settled."""
        return self._held

    def require_price(self, model: str, prices: PriceTable) -> None:
        """Raise SettingsError when there is a cap in dollars and ``model`` has no known price."""
        if self.usd_cap is not None and prices.price(model) is None:
            raise SettingsError(
                f"There is a budget in dollars but no price for {model!r}; give its price in a file named by "
                "AUTOSYNTH_PRICES, or set a budget in tokens instead."
            )

    async def reserve(self, worst: Reservation, checkpoint: Checkpoint = never_pause) -> Reservation:
        """Hold ``worst`` until it is settled. Raises BudgetReached when it can't fit any more.

        ``checkpoint`` is passed just before, also after a wait: a run may have been paused or stopped meanwhile, and
        what waits there holds nothing that others could use.
        """
        while True:
            await checkpoint()
            self._refuse_what_cannot_fit(worst)
            if self._fits(worst):
                break
            self._settled.clear()
            await self._settled.wait()
        self._held += 1
        self._held_tokens += worst.tokens
        self._held_usd += worst.usd or 0.0
        return worst

    def settle(self, held: Reservation, tokens: int | None, usd: float | None) -> None:
        """Replace a reservation by what was charged; None counts as the worst case."""
        self._held -= 1
        self._held_tokens -= held.tokens
        self._held_usd = self._held_usd - (held.usd or 0.0) if self._held else 0.0  # no rounding error stays behind
        self._spent_tokens += held.tokens if tokens is None else tokens
        self._spent_usd += (held.usd or 0.0) if usd is None else usd
        self._settled.set()

    def _refuse_what_cannot_fit(self, worst: Reservation) -> None:
        if self.token_cap is not None and self._spent_tokens + worst.tokens > self.token_cap:
            raise BudgetReached(
                f"The budget of {self.token_cap:,} tokens is used up: {self._spent_tokens:,} are spent and the next "
                f"call may take {worst.tokens:,}; raise the budget to go on."
            )
        if self.usd_cap is None:
            return
        if worst.usd is None:
            raise SettingsError(
                "There is a budget in dollars but a model without a known price was called; give its price in a "
                "file named by AUTOSYNTH_PRICES, or set a budget in tokens instead."
            )
        if self._spent_usd + worst.usd > self.usd_cap:
            raise BudgetReached(
                f"The budget of ${self.usd_cap:.2f} is used up: ${self._spent_usd:.4f} is spent and the next call may "
                f"cost ${worst.usd:.4f}; raise the budget to go on."
            )

    def _fits(self, worst: Reservation) -> bool:
        tokens = self._spent_tokens + self._held_tokens + worst.tokens
        usd = self._spent_usd + self._held_usd + (worst.usd or 0.0)
        return (self.token_cap is None or tokens <= self.token_cap) and (self.usd_cap is None or usd <= self.usd_cap)


def worst_case(request: ChatRequest, prices: PriceTable) -> Reservation:
    """The most ``request`` is expected to cost: its prompt by size, and all of its ``max_tokens``."""
    most = counted(request, None, None)
    return Reservation(most.prompt + most.completion, prices.cost(request.model, most.prompt, most.completion))


class Counted(NamedTuple):
    """Tokens of one call, as they are billed or at worst."""

    prompt: int
    completion: int


def counted(request: ChatRequest, prompt: int | None, completion: int | None) -> Counted:
    """The tokens that an endpoint reports, and the most there can be for what it does not (None).

    Not the length of the text: a model may have thought, unseen, before it wrote.
    """
    if prompt is None:
        size = sum(len(content.encode("utf-8", "surrogatepass")) for _, content in request.messages)
        size += len(request.schema)
        prompt = size // BYTES_A_TOKEN + TOKENS_A_MESSAGE * (len(request.messages) + 1)
    return Counted(prompt, request.max_tokens if completion is None else completion)
