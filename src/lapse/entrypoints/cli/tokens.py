"""`lapse token`: who may act, for what, until when."""

from __future__ import annotations

from typing import Annotated

import typer

from lapse.entrypoints.cli.commands import command, group
from lapse.entrypoints.cli.output import note, print_json, say, table, when
from lapse.entrypoints.cli.session import Session, quoted


def register(app: typer.Typer) -> None:
    """Add these commands."""
    token = group("token", "API tokens.")
    app.add_typer(token, name="token")
    command(token, "create")(create)
    command(token, "list")(list_tokens)
    command(token, "revoke")(revoke)


def create(
    session: Session,
    principal: Annotated[str, typer.Argument(metavar="NAME")],
    scope: Annotated[
        list[str], typer.Option(metavar="SCOPE", help="request, approve, review, audit or admin; repeat.")
    ],
    life: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long it lives.")] = "90d",
    remark: Annotated[str, typer.Option("--note", metavar="TEXT", help="What it is for.")] = "",
) -> None:
    """Issue a token for somebody; it is shown once."""
    body = {"principal": principal, "scopes": scope, "life": life, "note": remark}
    with session.api() as api:
        found = api.post("/tokens", body)
    if session.json:
        print_json(found)
        return
    say(found["secret"])
    token = found["token"]
    note(f"token {token['id']} of `{token['principal']}` ends {when(token['expires_at'])}; it is shown only now")
    note("next: they put it into LAPSE_TOKEN")


def list_tokens(session: Session) -> None:
    """List tokens, without their secrets."""
    with session.api() as api:
        rows = api.get("/tokens")["items"]
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("there are no tokens")
        return
    table(
        ("TOKEN", "OF", "SCOPES", "ENDS", "NOTE"),
        (
            (t["id"], t["principal"], ", ".join(t["scopes"]),
             "revoked" if t["revoked_at"] else when(t["expires_at"]), t["note"])
            for t in rows
        ),
        flexible=2,
    )  # fmt: skip


def revoke(session: Session, token_id: Annotated[str, typer.Argument(metavar="TOKEN-ID")]) -> None:
    """Stop a token at once."""
    with session.api() as api:
        api.delete(f"/tokens/{quoted(token_id)}")
    print_json({"revoked": token_id}) if session.json else say(f"token {token_id} is revoked")
