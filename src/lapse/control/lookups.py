"""Asks ticket systems before a transaction begins, so that no transaction waits for a system elsewhere.

What they say is remembered by the ticket source for a while; the question that is put inside the transaction finds it
there. Called by use cases that let the policy evaluate a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from lapse.control.context import Control
from lapse.domain.requests import Ticket
from lapse.policy import Policy


async def look_up_first(control: Control, tickets: Iterable[Ticket | None]) -> None:
    """Look `tickets` up if any rule of the policy in force checks tickets; what they say is not looked at here."""
    source, wanted = control.tickets, {ticket for ticket in tickets if ticket is not None}
    if source is None or not wanted:
        return
    version = await control.store.read(lambda reader: reader.active_policy())
    if version is not None and _checks_tickets(control.policies.parsed(version)):
        await asyncio.gather(*(source.look_up(ticket) for ticket in wanted))


def _checks_tickets(policy: Policy) -> bool:
    needs = [rule.needs for rule in policy.offers] + [rule.needs for rule in policy.limits]
    return any(need.ticket is not None and need.ticket.checked for need in needs)
