"""What the made-up company's targets show at the end of the year, with what should not be there. Used by `history`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from lapse.domain.grants import GrantState
from lapse.entrypoints.demo import history_company as company
from lapse.entrypoints.demo.history_year import Year

Plant = Callable[[str, str, str], None]
_LIVE = {str(GrantState.ACTIVE), str(GrantState.REVOKE_FAILED)}


def read_targets(year: Year, plant: Plant) -> None:
    """Write accounts, access, reads and ledger checks as of the end of the year."""
    for resource in company.OWNERS:
        _logins(year, resource)
        _roles(year, resource)
    _granted_access(year)
    _planted_access(year, plant)
    _planted_accounts(year, plant)
    _planted_setup(year, plant)


def _logins(year: Year, resource: str) -> None:
    """Everybody who works here has a login that holds nothing by itself; who left has none."""
    for name in company.PEOPLE:
        if name not in company.LEAVERS:
            _account(year, resource, name, principal=name)


def _roles(year: Year, resource: str) -> None:
    for role in company.ROLES:
        _account(year, resource, company.native_role(resource, role), can_login=False)


def _granted_access(year: Year) -> None:
    for grant in year.tables["grants"]:
        if grant["state"] in _LIVE:
            _access(
                year,
                grant["resource"],
                grant["account"],
                grant["native_role"],
                principal=grant["beneficiary"],
                grant_id=grant["grant_id"],
                managed=True,
                baseline=False,
            )


def _planted_access(year: Year, plant: Plant) -> None:
    _access(year, "pg-billing", "fred", "billing_writer", principal="fred", managed=True, baseline=False)
    plant("L2", "pg-billing/fred/billing_writer", "a colleague added the role by hand")
    _account(year, "pg-analytics", "etl", principal="svc-etl")
    _access(year, "pg-analytics", "etl", "analytics_writer", principal="svc-etl", managed=True, baseline=True)
    plant("L1", "pg-analytics/etl/analytics_writer", "the loader has held its role for ever")
    plant("L18", "pg-analytics/etl", "and its login has no end")
    for day in range(365):
        begin = year.now - timedelta(days=day + 1, hours=-2)
        row = {"resource": "pg-analytics", "account": "etl", "started_at": begin, "source": "postgresql log"}
        year.add("usage", row | {"ended_at": begin + timedelta(minutes=20)})
    _access(year, "pg-search", "anna", "(superuser)", principal="anna", holding="power", powers="superuser")
    plant("L1", "pg-search/anna/(superuser)", "a person is superuser")
    plant("L18", "pg-search/anna", "and the login has no end")
    _access(year, "pg-orders", "ada", "orders_reader", principal="ada", managed=True, baseline=True)
    until = year.now + timedelta(days=90)
    year.add(
        "exceptions",
        {"resource": "pg-orders", "account": "ada", "owner": "grace", "until": until, "reason": "nightly checks"},
    )
    _account(year, "pg-crm", "support_team", can_login=False)
    _access(
        year,
        "pg-crm",
        "jana",
        "crm_reader",
        principal="jana",
        holding="nested",
        depth=1,
        via="support_team",
        managed=True,
    )
    plant("R7", "pg-crm/jana/crm_reader", "reads customers through a team role")


def _planted_accounts(year: Year, plant: Plant) -> None:
    _account(year, "pg-orders", "nils", principal="nils")
    plant("R1", "pg-orders/nils", "left in spring, and still has a login")
    _account(year, "pg-legacy", "backup_old")
    plant("R5", "pg-legacy/backup_old", "nobody knows whose login it is")
    year.add(
        "object_privileges",
        {"resource": "pg-legacy", "grantee": "PUBLIC", "object_kind": "schema", "object_name": "public"},
    )


def _planted_setup(year: Year, plant: Plant) -> None:
    resource, role = company.WILDCARD
    for row in year.tables["accounts"]:
        if (row["resource"], row["account"]) == (resource, role):
            row["powers"] = "superuser"
    plant("M2", f"{resource}/{role}", "an entitlement that is a superuser")
    plant("M1", company.UNGOVERNED, "no owner and no policy")
    plant("R4", company.OWNER_GONE, "its owner left in summer")
    plant("M7", company.SHADOWED_OFFER, "another offer asks fewer people")
    plant("M8", company.UNBOUNDED_OFFER, "three days at once")
    plant("M9", company.UNATTENDED, "a service may have it and nobody decides")
    plant("M10", company.SHORT_OF_APPROVERS, "four leads agree to what one of four asks for")
    for name in company.OWNERS:
        complete = name != "pg-search"
        row = {"resource": name, "finished_at": year.now - timedelta(minutes=10), "complete": complete}
        year.add("target_reads", row | {"gaps": None if complete else "pg_auth_members could not be read"})
    plant("M12", "pg-search", "never read completely")
    for check, ok in (("sequence", True), ("hashes", False), ("consistency", True)):
        detail = None if ok else "entry 1841 is not what was sealed"
        row = {"check_name": check, "ok": ok, "checked_at": year.now, "first_bad": None if ok else 1841}
        year.add("ledger_checks", row | {"detail": detail})
    plant("C24", "check hashes", "an entry was changed in the database")


def _account(year: Year, resource: str, account: str, **more: Any) -> None:
    row = {
        "resource": resource,
        "account": account,
        "can_login": True,
        "observed": True,
        "observed_at": year.now,
        "builtin": False,
    }
    year.add("accounts", row | more)


def _access(year: Year, resource: str, account: str, role: str, **more: Any) -> None:
    row = {
        "resource": resource,
        "account": account,
        "role": role,
        "holding": "direct",
        "depth": 0,
        "observed_at": year.now,
        "can_login": True,
        "inherits": True,
        "may_set": True,
        "baseline": True,
        "managed": False,
    }
    year.add("access_observed", row | more)
