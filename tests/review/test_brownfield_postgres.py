"""A review of a real PostgreSQL that nobody prepared: read once, with a list of people."""

from __future__ import annotations

from lapse.connectors.postgresql import PostgresConnector
from lapse.domain.reviews import ItemDecision
from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.review.collection.collect import Inputs, collect_brownfield
from lapse.review.scope import parse_scope
from lapse.review.stages import run_stages
from support.postgres import name, run


async def test_an_unprepared_server_gets_a_useful_answer(postgres_target, tmp_path):
    target = postgres_target
    nina, otto, boss, team, wide = (target.role(suffix) for suffix in ("nina", "otto", "boss", "team", "wide"))
    run(
        target.admin_dsn,
        f"""
        CREATE ROLE {name(nina)} LOGIN; CREATE ROLE {name(otto)} LOGIN; CREATE ROLE {name(boss)} LOGIN SUPERUSER;
        CREATE ROLE {name(team)}; CREATE ROLE {name(wide)};
        GRANT {name(target.role("writer"))} TO {name(team)}; GRANT {name(team)} TO {name(nina)};
        GRANT pg_read_all_data TO {name(wide)}; GRANT {name(wide)} TO {name(otto)};
        CREATE TABLE left_behind (id int); ALTER TABLE left_behind OWNER TO {name(otto)};
        """,
    )
    try:
        result = await reviewed(
            target, tmp_path, f"name,login,active,left_at\nNina,{nina},true,\nOtto,{otto},no,2026-01-31\n"
        )
    finally:
        run(target.admin_dsn, f"DROP OWNED BY {name(otto)}; DROP ROLE {name(nina)}, {name(otto)}, {name(boss)}")
        run(target.admin_dsn, f"DROP ROLE {name(team)}, {name(wide)}")
    found = {(f.detector, f.subject.removeprefix("pg-old/")): str(f.severity) for f in result.findings}
    assert found["L1", f"{boss}/(superuser)"] == "critical"
    assert found["L1", f"{nina}/{team}"] == "medium"
    assert found["L18", boss] == "low"
    assert found["R1", otto] == "critical"
    assert found["R4", otto] == "medium"
    assert found["R5", boss] == "high"
    assert ("R7", f"{nina}/{target.role('writer')}") in found
    assert found["M2", wide] == "high"
    assert not any(subject.startswith("pg_") for _, subject in found)
    items = {(item.account, item.role): item for item in result.items}
    assert items[otto, wide].recommendation is ItemDecision.REVOKE
    assert items[nina, target.role("writer")].holding == "inherited"
    assert {run.detector for run in result.not_assessed} >= {"L2", "L5", "C1", "C24"}


async def reviewed(target, tmp_path, people):
    (tmp_path / "people.csv").write_text(people)
    connector = PostgresConnector("pg-old", target.admin_dsn)
    try:
        observation = await connector.observe()
    finally:
        await connector.close()
    assert observation.complete
    scope = parse_scope("all", "2026")
    inputs = Inputs(observations=[observation], people=tmp_path / "people.csv")
    snapshot = collect_brownfield(inputs, scope, tmp_path / "snapshot", observation.observed_at)
    return run_stages(DuckDbEngine, snapshot)
