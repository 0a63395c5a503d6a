"""Whatever people and files say: one clear sentence, and nothing half applied. Below the CLI and the API.

Names reach a real PostgreSQL with every quote and letter they have.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.connectors import connect
from lapse.control import catalogs, targets, tokens
from lapse.control.aftermath import judge
from lapse.control.decisions import approve, deny
from lapse.control.grants import issue_credential, release, release_all, revoke
from lapse.control.locks import lock, preview_lock, unlock
from lapse.control.policies import activate_policy
from lapse.control.prepared import Filling, ask_again, ask_from_template
from lapse.control.questions import NewRequest
from lapse.control.requests import cancel_request, create_bundle, create_request, extend_grant, preview_request
from lapse.control.templates import NewTemplate, put_template
from lapse.domain.actors import Actor, Scope
from lapse.domain.aftermath import Judgement
from lapse.domain.errors import Fault, InvalidInput, LapseError, NotFound, Refused, Unavailable
from lapse.domain.grants import GrantState
from lapse.domain.locks import LockKind
from lapse.domain.names import is_printable
from lapse.domain.principals import Account, Principal
from lapse.domain.recurrence import read_recurrence
from lapse.domain.requests import Recurrence, Ticket
from lapse.domain.resources import Entitlement
from lapse.enforcement.reconcile import plan_resource, reconcile_resource
from lapse.identity.catalog_files import catalog_from_files
from lapse.ports import Page
from support.clock import START
from support.company import HOUR, catalog_for, company_on
from support.ports import free_port
from support.postgres import PASSWORD, name, run
from support.proxy import speaks_nonsense
from support.stores import opened
from support.world import CATALOG, POLICY, World

ALL = Page(limit=10_000, newest_first=False)
DAY = timedelta(days=1)


@pytest.fixture
async def world(tmp_path):
    async with opened("sqlite", tmp_path) as store:
        yield await World.create(store)


async def everything(world):
    async def work(reader):
        return (
            await reader.requests(ALL),
            await reader.grants(ALL),
            await reader.locks(in_force=False),
            await reader.catalog(),
            await reader.active_policy(),
            await reader.targets(),
            await reader.tokens(),
        )

    return await world.store.read(work), len(await world.store.ledger.pending(10_000))


def clear(error):
    """One sentence that can be printed: lowercase or a quoted name first, no full stop, nothing that deceives."""
    assert error.message == error.message.strip()
    assert is_printable(error.message), error.message
    assert is_printable(error.hint), error.hint
    assert error.message[0] in "`'" or error.message[0].islower() or error.message.split(":")[0].endswith(".yaml")
    assert not error.message.endswith(".")
    assert len(error.message) < 1000


WANTED = NewRequest(entitlement="pg-prod/reader", duration=HOUR, justification="incident 4711 in billing")


def asking(**changes):
    return lambda w: create_request(w.control, w.actor("alice"), replace(WANTED, **changes))


def activating(text):
    return lambda w: activate_policy(w.control, w.admin(), {"p.yaml": text})


def as_admin(work):
    return lambda w: work(w, w.admin())


def _bomb():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(lines)


async def _apply_without_reader(world, admin):
    resource = CATALOG.resources["pg-prod"]
    less = replace(resource, entitlements=tuple(e for e in resource.entitlements if e.role != "reader"))
    return await catalogs.apply(world.control, admin, replace(CATALOG, resources={"pg-prod": less}))


def repeating(**changes):
    given = {"days": (0,), "at_minute": 540, "timezone": "UTC", "until": START + 20 * DAY, **changes}
    return asking(repeats=Recurrence(**given))


def keeping(**changes):
    wanted = NewTemplate(**({"name": "t", "entitlements": ("pg-prod/reader",), "duration": HOUR} | changes))
    return lambda w: put_template(w.control, w.actor("alice"), wanted)


def together(*names):
    return lambda w: create_bundle(
        w.control, w.actor("alice"), [replace(WANTED, entitlement=f"pg-prod/{name}") for name in names]
    )


BAD = {
    "no bundle at all": (together(), InvalidInput, "nothing is asked for"),
    "a bundle of the same": (together("reader", "reader"), InvalidInput, "asked for twice"),
    "a bundle without end": (together(*map(str, range(500))), InvalidInput, "20 at most"),
    "a bundle with something unknown": (together("reader", "nothing"), NotFound, "pg-prod/nothing"),
    "a repetition on no day": (repeating(days=()), InvalidInput, "the days or the time of day"),
    "a repetition on day eight": (repeating(days=(8,)), InvalidInput, "the days or the time of day"),
    "a repetition at minute 5000": (repeating(at_minute=5000), InvalidInput, "the days or the time of day"),
    "a repetition on Mars": (repeating(timezone="Mars/Base"), InvalidInput, "`Mars/Base` is not a time zone"),
    "a repetition in a file": (repeating(timezone="../../etc/passwd"), InvalidInput, "is not a time zone"),
    "a repetition for ever": (repeating(until=START.replace(year=9999)), InvalidInput, "90 days away"),
    "a repetition that is over": (repeating(until=START - DAY), InvalidInput, "no such day before the end"),
    "a repeated emergency": (
        asking(break_glass=True, starts_at=START + HOUR),
        InvalidInput,
        "an emergency begins now, and once",
    ),
    "a ticket without a system": (asking(ticket=Ticket(system=" ", number="7")), InvalidInput, "a system and a number"),
    "a template with a name of quotes": (keeping(name="it's"), InvalidInput, "`it's` is not a template name"),
    "a template of nothing": (keeping(entitlements=()), InvalidInput, "nothing is asked for"),
    "a template for ever": (keeping(duration=timedelta.max), InvalidInput, "366 days"),
    "no such template": (
        lambda w: ask_from_template(w.control, w.actor("alice"), "t", Filling()),
        NotFound,
        "there is no template `t`",
    ),
    "nothing to ask again": (
        lambda w: ask_again(w.control, w.actor("alice"), "req_none", Filling()),
        NotFound,
        "req_none",
    ),
    "nothing to judge": (
        lambda w: judge(w.control, w.actor("bob"), "aft_none", Judgement.JUSTIFIED, "fine"),
        NotFound,
        "aft_none",
    ),
    "a preview of a lock on nobody": (
        as_admin(lambda w, a: preview_lock(w.control, a, LockKind.PRINCIPAL, "nobody")),
        NotFound,
        "nobody",
    ),
    "an unknown role": (asking(entitlement="pg-prod/nothing"), NotFound, "pg-prod/nothing"),
    "an unknown resource": (asking(entitlement="nowhere/reader"), NotFound, "nowhere"),
    "no role at all": (asking(entitlement=""), InvalidInput, "resource/role"),
    "a name of quotes": (asking(entitlement="pg-prod/x'; DROP TABLE grants; --"), InvalidInput, "role name"),
    "an unknown beneficiary": (asking(beneficiary="nobody-here"), NotFound, "nobody-here"),
    "no time": (asking(duration=timedelta(0)), InvalidInput, "longer than zero"),
    "negative time": (asking(duration=-HOUR), InvalidInput, "longer than zero"),
    "a thousand years": (asking(duration=365_250 * DAY), InvalidInput, "366 days"),
    "all the time there is": (asking(duration=timedelta.max), InvalidInput, "366 days"),
    "a start in the past": (asking(starts_at=START - HOUR), InvalidInput, "in the past"),
    "a start in a thousand years": (asking(starts_at=START.replace(year=3026)), InvalidInput, "days away"),
    "a megabyte of reasons": (asking(justification="x" * 1_000_000), InvalidInput, "1000000 characters"),
    "a bell in the reason": (asking(justification="please\x07 now"), InvalidInput, "control character"),
    "half a letter": (asking(justification="please \ud800 now"), InvalidInput, "control character"),
    "text that runs backwards": (asking(justification="please \u202e now"), InvalidInput, "control character"),
    "a ticket of nothing but NUL": (asking(ticket=Ticket(system="jira", number="\x00")), InvalidInput, "ticket"),
    "an extension of nothing": (asking(extends="gra_none"), NotFound, "gra_none"),
    "somebody unknown": (
        lambda w: preview_request(w.control, w.actor("x\x1b[31m"), WANTED),
        Refused,
        "catalog",
    ),
    "a vote on nothing": (lambda w: approve(w.control, w.actor("bob"), "req_none"), NotFound, "req_none"),
    "a denial without a reason": (lambda w: deny(w.control, w.actor("bob"), "req_none", " "), InvalidInput, "reason"),
    "a withdrawal of nothing": (lambda w: cancel_request(w.control, w.actor("bob"), "'"), NotFound, "'"),
    "a release of nothing": (lambda w: release(w.control, w.actor("bob"), "\x00"), NotFound, "x00"),
    "a revocation of nothing": (
        as_admin(lambda w, a: revoke(w.control, a, "gra_none", "why not")),
        NotFound,
        "gra_none",
    ),
    "a credential for nothing": (
        lambda w: issue_credential(w.control, w.actor("bob"), "gra_none"),
        NotFound,
        "gra_none",
    ),
    "more of nothing": (
        lambda w: extend_grant(w.control, w.actor("bob"), "gra_none", HOUR, "more please"),
        NotFound,
        "gra_none",
    ),
    "a lock on nobody": (
        as_admin(lambda w, a: lock(w.control, a, LockKind.PRINCIPAL, "nobody", "x")),
        NotFound,
        "nobody",
    ),
    "a lock on quotes": (
        as_admin(lambda w, a: lock(w.control, a, LockKind.ENTITLEMENT, "a'/b", "x")),
        InvalidInput,
        "a'",
    ),
    "no such lock": (as_admin(lambda w, a: unlock(w.control, a, "loc_none")), NotFound, "loc_none"),
    "a token for quotes": (
        as_admin(lambda w, a: tokens.issue_token(w.control, a, "al'ice", [Scope.REQUEST], life=HOUR)),
        InvalidInput,
        "al'ice",
    ),
    "a token for ever": (
        as_admin(lambda w, a: tokens.issue_token(w.control, a, "alice", [Scope.REQUEST], life=400 * DAY)),
        InvalidInput,
        "366 days",
    ),
    "no such token": (as_admin(lambda w, a: tokens.revoke_token(w.control, a, "tok_none")), NotFound, "tok_none"),
    "a target for nothing": (
        as_admin(lambda w, a: targets.add_target(w.control, a, "nowhere", "env:X")),
        NotFound,
        "nowhere",
    ),
    "a DSN in the clear": (
        as_admin(lambda w, a: targets.add_target(w.control, a, "pg-prod", "postgresql://u:hunter2@h/db")),
        InvalidInput,
        "sealed",
    ),
    "a policy that is no YAML": (activating("a: ["), InvalidInput, "p.yaml:"),
    "a policy with a key twice": (activating(POLICY + "\noffers: []\n"), InvalidInput, "p.yaml:"),
    "a policy with a wrong condition": (
        activating(POLICY.replace("max_duration: 4h", "when: principal.nam ==\n    max_duration: 4h")),
        InvalidInput,
        "p.yaml:9:27",
    ),
    "a policy that explodes": (activating(_bomb()), InvalidInput, "anchors and aliases"),
    "a catalog without what is granted": (as_admin(_apply_without_reader), Refused, "is granted"),
}


@pytest.mark.parametrize("what", BAD)
async def test_it_is_one_clear_sentence_and_leaves_nothing(world, what):
    await approve(world.control, world.actor("bob"), (await world.ask("dave")).id)
    await world.enforcer.tick()
    act, kind, words = BAD[what]
    before = await everything(world)
    with pytest.raises(kind) as caught:
        await act(world)
    clear(caught.value)
    assert caught.value.fault is Fault.CALLER
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
    assert await everything(world) == before


async def reading(days="mon", at="9:00", until="2026-03-09"):
    """A repetition as people write it."""
    return read_recurrence(days, at, "UTC", until)


PLACES = {
    "bundle": lambda w, t: together("reader", t)(w),
    "time zone": lambda w, t: repeating(timezone=t)(w),
    "days": lambda w, t: reading(days=t),
    "time of day": lambda w, t: reading(at=t),
    "last day": lambda w, t: reading(until=t),
    "template": lambda w, t: keeping(name=t, description=t, ticket_system=t)(w),
    "used template": lambda w, t: ask_from_template(w.control, w.actor("alice"), t, Filling()),
    "asked again": lambda w, t: ask_again(w.control, w.actor("alice"), t, Filling()),
    "released": lambda w, t: release_all(w.control, w.actor("alice"), t),
    "judged": lambda w, t: judge(w.control, w.actor("bob"), t, Judgement.JUSTIFIED, t),
    "entitlement": lambda w, t: asking(entitlement=t)(w),
    "role": lambda w, t: asking(entitlement=f"pg-prod/{t}")(w),
    "beneficiary": lambda w, t: asking(beneficiary=t)(w),
    "justification": lambda w, t: asking(justification=t)(w),
    "ticket": lambda w, t: asking(ticket=Ticket(system=t, number=t))(w),
    "extends": lambda w, t: asking(extends=t)(w),
    "requester": lambda w, t: create_request(w.control, w.actor(t), WANTED),
    "request id": lambda w, t: approve(w.control, w.actor("bob"), t),
    "vote": lambda w, t: deny(w.control, w.actor("bob"), "req_none", t),
    "cancelled id": lambda w, t: cancel_request(w.control, w.actor("bob"), t),
    "grant id": lambda w, t: release(w.control, w.actor("bob"), t),
    "revoked id": lambda w, t: revoke(w.control, w.admin(), t, t),
    "administrator": lambda w, t: revoke(w.control, Actor(name=t, scopes=frozenset({Scope.APPROVE})), "gra_none", "x"),
    "locked principal": lambda w, t: lock(w.control, w.admin(), LockKind.PRINCIPAL, t, "x"),
    "locked entitlement": lambda w, t: lock(w.control, w.admin(), LockKind.ENTITLEMENT, t, "x"),
    "lock id": lambda w, t: unlock(w.control, w.admin(), t),
    "token principal": lambda w, t: tokens.issue_token(w.control, w.admin(), t, [Scope.REQUEST], life=HOUR),
    "token note": lambda w, t: tokens.issue_token(w.control, w.admin(), "alice", [Scope.REQUEST], life=HOUR, note=t),
    "token id": lambda w, t: tokens.revoke_token(w.control, w.admin(), t),
    "token": lambda w, t: tokens.actor_of(w.control, t, via="api"),
    "target": lambda w, t: targets.add_target(w.control, w.admin(), t, "env:X"),
    "policy": lambda w, t: activate_policy(w.control, w.admin(), {"p.yaml": t}),
}
HOSTILE = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(categories=["Cc", "Cs", "Cf", "Zl"]), min_size=1, max_size=8),
    st.sampled_from(
        ["'", '"; DROP TABLE grants; --', "\x00", "../../etc/passwd", "%s%(x)s", "{0}", "a" * 5000, "\uff41lice"]
    ),
)


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=HOSTILE)
async def test_any_text_anywhere_is_taken_or_refused_in_a_clear_sentence(world, place, text):
    try:
        await PLACES[place](world, text)
    except LapseError as error:
        clear(error)


# names on a real server


HOSTILE_NAMES = [
    "with space",
    'quo"te',
    "it's",
    "semi;colon -- DROP ROLE postgres",
    "per%scent %(x)s $1 {0}",
    "back\\slash",
    "Ünïcödé ロール 😀",
    "UPPER lower",
    "select",
]


async def lives_and_ends(company, target, role):
    """A grant of `pg/odd` to alice from its start to its end; the account it used."""
    grant = await company.give(what="pg/odd")
    assert grant.state is GrantState.ACTIVE, grant.last_error
    assert target.holds(grant.account, role)
    await company.pass_time(HOUR)
    assert (await company.grant(grant.id)).state is GrantState.ENDED
    assert not target.holds(grant.account, role)
    return grant.account


def with_native(store, target, login="alice", **native):
    """A company with `pg/odd`, which is `native`, and whose alice logs in as `login`."""
    catalog = catalog_for({"pg": target})
    resource = catalog.resources["pg"]
    odd = Entitlement(resource="pg", role="odd", native=native)
    alice = Principal(name="alice", accounts=(Account(resource="pg", login=login),))
    return company_on(
        store,
        {"pg": target},
        catalog=replace(
            catalog,
            principals={**catalog.principals, "alice": alice},
            resources={"pg": replace(resource, entitlements=(*resource.entitlements, odd))},
        ),
    )


@pytest.mark.parametrize("odd", HOSTILE_NAMES)
async def test_odd_names_of_roles_logins_owners_and_databases_work_to_the_letter(tmp_path, postgres_target, odd):
    target = postgres_target
    role, login, owner = (target.role(f"{odd} {kind}") for kind in "rlo")
    lapse = name(target.lapse_role)
    target.admin(
        f"CREATE ROLE {name(role)}; CREATE ROLE {name(owner)}; CREATE ROLE {name(login)} LOGIN PASSWORD '{PASSWORD}';"
        f"GRANT {name(role)}, {name(owner)} TO {lapse} WITH ADMIN OPTION"
    )
    others = target.admin("SELECT count(*) FROM pg_roles")
    async with (
        opened("sqlite", tmp_path) as store,
        with_native(store, target, login, role=role, mode="membership") as company,
    ):
        assert await lives_and_ends(company, target, role) == login
        await reconcile_resource(company.parts, "pg")
    database = f"{target.dbname} {odd}"
    run(target.server.dsn(), f"CREATE DATABASE {name(database)}")
    try:
        folder = tmp_path / "second"
        folder.mkdir()
        native = {"role": role, "mode": "ephemeral", "reassign_to": owner, "database": database}
        async with opened("sqlite", folder) as store, with_native(store, target, login, **native) as company:
            grant = await company.give(what="pg/odd")
            secret = await issue_credential(company.control, company.actor("alice"), grant.id)
            with psycopg.connect(**dict(secret)) as session:
                assert session.execute("SELECT current_database()").fetchone() == (database,)
            await company.pass_time(HOUR)
            assert not target.exists(grant.account)
    finally:
        run(target.server.dsn(), f"DROP DATABASE {name(database)} WITH (FORCE)")
    assert target.admin("SELECT count(*) FROM pg_roles") == others


async def test_a_name_of_exactly_63_bytes_works_and_one_of_64_is_refused_before_it_is_cut(tmp_path, postgres_target):
    target = postgres_target
    base = target.role("")
    longest = base + "ä" * ((63 - len(base)) // 2)
    longest += "x" * (63 - len(longest.encode()))
    target.admin(f"CREATE ROLE {name(longest)}; GRANT {name(longest)} TO {name(target.lapse_role)} WITH ADMIN OPTION")
    async with (
        opened("sqlite", tmp_path) as store,
        with_native(store, target, target.role("alice"), role=longest, mode="membership") as company,
    ):
        await lives_and_ends(company, target, longest)
    folder = tmp_path / "second"
    folder.mkdir()
    async with (
        opened("sqlite", folder) as store,
        with_native(store, target, target.role("alice"), role=longest + "x") as company,
    ):
        with pytest.raises(InvalidInput, match="has 64 bytes, PostgreSQL cuts it at 63") as caught:
            await company.ask(what="pg/odd")
        clear(caught.value)


@pytest.mark.parametrize(
    ("login", "native", "error", "words"),
    [
        ("alice", {"role": "public"}, InvalidInput, "word of PostgreSQL"),
        ("alice", {"role": ""}, InvalidInput, "role name"),
        ("alice", {}, InvalidInput, "role name"),
        ("alice", {"role": "x\ny"}, InvalidInput, "role name"),
        ("alice", {"role": "x", "mode": "for ever"}, InvalidInput, "is not a mode"),
        ("alice", {"role": "x", "with": "admin"}, InvalidInput, "means nothing"),
        ("pg_monitor", {"role": "x"}, InvalidInput, "role of PostgreSQL itself"),
        ("x", {"role": "x"}, InvalidInput, "cannot be given to itself"),
        ("\x00", {"role": "x"}, InvalidInput, "account name"),
        ("none", {"role": "x"}, InvalidInput, "word of PostgreSQL"),
        ("", {"role": "x"}, Refused, "existing login"),
    ],
)
async def test_what_no_server_could_hold_is_said_when_it_is_asked_for(
    tmp_path, postgres_target, login, native, error, words
):
    async with opened("sqlite", tmp_path) as store, with_native(store, postgres_target, login, **native) as company:
        before = len(await company.entries())
        with pytest.raises(error, match=words) as caught:
            await company.ask(what="pg/odd")
        clear(caught.value)
        assert len(await company.entries()) == before


@pytest.mark.parametrize(
    "answer", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 4096], ids=["silence", "http", "noise"]
)
async def test_a_target_that_answers_nonsense_or_never_is_said_in_one_sentence(tmp_path, postgres_target, answer):
    async with opened("sqlite", tmp_path) as store, speaks_nonsense(answer) as port:
        dsns = {"pg": f"postgresql://lapse:secret-word@127.0.0.1:{port}/db"}
        async with company_on(store, {"pg": postgres_target}, dsns) as company:
            grant = await company.schedule()
            for asked in (plan_resource, reconcile_resource):
                with pytest.raises(Unavailable) as caught:
                    await asked(company.parts, "pg")
                clear(caught.value)
            await company.enforcer.tick()
            waiting = await company.grant(grant.id)
            assert waiting.state is GrantState.SCHEDULED
            assert is_printable(waiting.last_error)
            assert "secret-word" not in f"{waiting.last_error} {company.troubles} {caught.value}"
            assert await company.store.read(lambda r: r.target_reads("pg")) == []


@pytest.mark.parametrize(
    "dsn",
    ["", "nonsense", "postgresql://u:hunter2@h:port/db", "mysql://u:hunter2@h/db", "host=a\x00b password=hunter2"],
)
async def test_a_dsn_that_cannot_be_read_is_not_repeated(dsn):
    async def observe():
        await connect("postgresql", "pg", dsn or f"host=127.0.0.1 port={free_port()} password=hunter2").observe()

    with pytest.raises(LapseError) as caught:
        await observe()
    clear(caught.value)
    assert "hunter2" not in str(caught.value)


# files


@pytest.mark.parametrize(
    "text",
    [
        "principals: [{name: alice}, {name: alice}]",
        "principals: [{name: 'al ice'}]",
        "principals: [{name: alice, name: bob}]",
        'principals: [{name: "a\\x07b"}]',
        "groups: [{name: dba, members: [nobody]}]",
        "resources: [{name: pg}]",
        "\x00",
        "- - - -",
        "[" * 100_000,
        "x" * 1_000_000,
        _bomb(),
    ],
    ids=lambda text: text[:30],
)
async def test_a_catalog_file_that_cannot_be_used_says_where(text):
    with pytest.raises(InvalidInput, match=r"^c\.yaml:\d+:\d+: ") as caught:
        catalog_from_files({"c.yaml": text})
    clear(caught.value)


async def test_a_thousand_wrong_lines_do_not_take_a_second_each():
    text = "principals:\n" + "".join(f"  - {{name: 'no {n}', bogus: 1}}\n" for n in range(1000))
    with pytest.raises(InvalidInput) as caught:
        catalog_from_files({"c.yaml": text})
    assert "more" in caught.value.message
