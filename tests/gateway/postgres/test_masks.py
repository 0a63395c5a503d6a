"""Masked results of a real PostgreSQL with real clients, in both formats."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID

import asyncpg
import psycopg
import pytest

from lapse.domain.guards import Guard, Mask, MaskKind
from support.postgres_front import LOGIN, SECRET

TABLE = """
CREATE TABLE public.staff (
    id int PRIMARY KEY, email varchar(40), note text, salary numeric(10, 2), born date, key uuid, tags text[],
    facts jsonb, code char(6), big bigint
);
INSERT INTO public.staff VALUES (
    1, 'alice@example.com', 'card 4111 1111 1111 1111, phone +49 30 1234567, mail bob@mail.example.org', 5000.50,
    '1990-05-04', '11111111-2222-3333-4444-555555555555', ARRAY['x', 'carol@example.com'],
    '{"mail": "dan@example.com"}',
    'secret', 12345678901
);
"""


@pytest.fixture
def masked(front, target):
    target.admin(TABLE)
    target.admin(f'GRANT ALL ON public.staff TO "{target.role("writer")}"')

    def give(*masks, **more):
        front.plane.allowed[LOGIN] = replace(front.plane.allowed[LOGIN], guard=Guard(masks=masks, **more))
        return front

    return give


def mask(kind, columns="*", tables="", **more):
    return Mask(name=f"{kind}", kind=kind, columns=tuple(columns.split()), tables=tuple(tables.split()), **more)


PAY = mask(MaskKind.FULL, "salary born key tags facts code big email", "public.staff")
LOOKS = (mask(MaskKind.EMAIL), mask(MaskKind.CARD), mask(MaskKind.PHONE))


@pytest.mark.parametrize("binary", [False, True])
async def test_whole_values_are_of_their_column_s_type(masked, binary):
    front = masked(PAY)
    async with await front.connect() as connection:
        cursor = await connection.execute("SELECT * FROM staff WHERE id = %s", [1], binary=binary)
        row = await cursor.fetchone()
    assert row[0] == 1
    assert (row[1], row[3], row[4]) == ("****", 0, date(2000, 1, 1))
    assert (row[5], row[6], row[7], row[8], row[9]) == (UUID(int=0), [], None, "****  ", 0)
    assert "4111 1111" in row[2]


@pytest.mark.parametrize("binary", [False, True])
async def test_what_looks_like_an_address_card_or_phone_is_masked_in_texts_of_all_kinds(masked, binary):
    front = masked(*LOOKS)
    async with await front.connect() as connection:
        cursor = await connection.execute(
            "SELECT email, note, tags, facts, note || '!' AS made, id FROM staff WHERE id = %s", [1], binary=binary
        )
        email, note, tags, facts, made, number = await cursor.fetchone()
    assert email == "a****@*******.com"
    assert note == "card **** **** **** 1111, phone +** ** *****67, mail b**@****.*******.org"
    assert tags == ["x", "c****@*******.com"]
    assert facts == {"mail": "d**@*******.com"}
    assert (made, number) == (note + "!", 1)


async def test_a_column_is_masked_by_its_own_name_whatever_the_query_calls_it(masked):
    front = masked(mask(MaskKind.FULL, "email"))
    async with await front.connect() as connection:
        cursor = await connection.execute("SELECT email AS x, note AS email, id FROM staff; SELECT 'e' AS email")
        assert await cursor.fetchone() == ("****", "****", 1)
        cursor = await connection.execute("SELECT upper(email) FROM staff")
        assert await cursor.fetchone() == ("ALICE@EXAMPLE.COM",)


async def test_masks_of_a_table_leave_others_alone(masked):
    front = masked(mask(MaskKind.NULL, "*", "*.staff"))
    async with await front.connect() as connection:
        cursor = await connection.execute("SELECT s.note, o.item FROM staff s, orders o ORDER BY o.id")
        assert await cursor.fetchall() == [(None, "lamp"), (None, "chair")]


async def test_a_table_that_only_the_session_sees_is_masked_by_all_that_could_be_meant(masked):
    front = masked(mask(MaskKind.FULL, "salary", "public.staff"))
    async with await front.connect() as connection, connection.transaction():
        await connection.execute("CREATE TEMP TABLE mine AS SELECT note AS n FROM staff")
        cursor = await connection.execute("SELECT n FROM mine")
        assert await cursor.fetchone() == ("****",)


async def test_hash_last_four_and_custom(masked):
    front = masked(
        mask(MaskKind.HASH, "key big email"),
        mask(MaskKind.LAST4, "code"),
        mask(MaskKind.CUSTOM, "note", pattern="(?i)card [0-9 ]+", replacement="no card"),
    )
    async with await front.connect() as connection:
        cursor = await connection.execute("SELECT email, email, key, big, code, note FROM staff")
        one, same, key, big, code, note = await cursor.fetchone()
    assert one == same
    assert len(one) == 16
    assert (key.version, big < 32_768, code) == (key.version, True, "**cret")
    assert note.startswith("no card, phone +49")


async def test_copy_to_is_refused_and_copy_from_is_not(masked):
    front = masked(PAY)
    async with await front.connect() as connection, connection.cursor() as cursor:
        for text in ("COPY staff TO STDOUT", "COPY (SELECT * FROM staff) TO STDOUT"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="masked"):
                async with cursor.copy(text):
                    pass
        async with cursor.copy("COPY orders FROM STDIN") as copy:
            await copy.write_row([9, "sofa"])
        await cursor.execute("SELECT item, %s FROM orders WHERE id = 9", ["x"])
        assert await cursor.fetchone() == ("sofa", "x")


async def test_an_error_does_not_say_what_a_result_would_not(masked):
    front = masked(PAY)
    async with await front.connect() as connection:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation) as failed:
            await connection.execute("SELECT email::int FROM staff")
        assert "alice" not in str(failed.value)
        with pytest.raises(psycopg.errors.UniqueViolation) as failed:
            await connection.execute("INSERT INTO staff (id) VALUES (1)")
        assert "(1)" not in str(failed.value)


async def test_rows_of_portals_that_are_fetched_in_parts_are_masked(masked):
    front = masked(mask(MaskKind.FULL, "email"))
    given = psycopg.conninfo.conninfo_to_dict(front.dsn())
    connection = await asyncpg.connect(
        host=given["host"], port=int(given["port"]), user=LOGIN, password=SECRET, database=front.dbname, ssl=False
    )
    try:
        await connection.execute("INSERT INTO staff (id, email) SELECT n, 'x@y.org' FROM generate_series(2, 99) n")
        statement = await connection.prepare("SELECT id, email FROM staff WHERE id > $1 ORDER BY id")
        assert {row["email"] for row in await statement.fetch(0)} == {"****"}
        async with connection.transaction():
            rows = [row async for row in connection.cursor("SELECT email FROM staff", prefetch=10)]
        assert (len(rows), {row["email"] for row in rows}) == (99, {"****"})
        await connection.copy_records_to_table("orders", records=[(50, "a"), (51, "b")])
        assert await connection.fetchval("SELECT count(*) FROM orders WHERE id >= $1", 50) == 2
    finally:
        await connection.close()


async def test_pipelines_and_errors_do_not_mix_results_up(masked):
    front = masked(mask(MaskKind.FULL, "email"), denied_patterns=("forbidden",))
    async with await front.connect() as connection:
        for _ in range(3):
            with pytest.raises(psycopg.Error):  # noqa: PT012  the pipeline is what raises
                async with connection.pipeline():
                    first = await connection.execute("SELECT email, %s FROM staff", ["x"])
                    await connection.execute("SELECT 1 / %s::int", [0])
                    await connection.execute("SELECT note, %s FROM staff", ["skipped"])
            assert await first.fetchone() == ("****", "x")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute("SELECT 'forbidden', %s", ["x"])
            cursor = await connection.execute("SELECT id, email FROM staff WHERE id = %s", [1])
            assert await cursor.fetchone() == (1, "****")


async def test_psql_describes_tables_and_prints_masked_rows(masked):
    front = masked(*LOOKS, mask(MaskKind.FULL, "salary", "public.staff"))
    done = await front.psql("-c", "\\d staff", "-c", "SELECT email, salary FROM staff", "-At")
    assert "a****@*******.com|0" in done.stdout
    assert "varying" in done.stdout
    assert done.stderr == ""
