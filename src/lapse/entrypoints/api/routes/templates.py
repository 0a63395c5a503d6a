"""Request templates: what is asked often, filled in already."""

from __future__ import annotations

from lapse.control import prepared, templates
from lapse.domain.durations import parse_duration
from lapse.domain.templates import Template
from lapse.entrypoints.api.operations import Body, Call, Listing, Routes
from lapse.entrypoints.api.routes.asking import Bundle, FillingBody
from lapse.entrypoints.api.routes.bundles import bundle_of

ROUTES = Routes("templates")


class TemplateBody(Body, frozen=True, kw_only=True):
    """What is kept. A `shared` template is for everybody, and takes an administrator."""

    entitlements: list[str]
    duration: str
    justification: str = ""
    ticket_system: str = ""
    description: str = ""
    shared: bool = False


@ROUTES.get("/api/v1/templates", Listing[Template])
async def list_templates(call: Call) -> Listing[Template]:
    """One's own templates and the shared ones."""
    return Listing(await templates.list_templates(call.control, call.actor))


@ROUTES.get("/api/v1/templates/{name}", Template)
async def show_template(call: Call) -> Template:
    """One template."""
    return await call.app.store.read(lambda reader: templates.template_called(reader, call.actor, call.path["name"]))


@ROUTES.put("/api/v1/templates/{name}", Template, body=TemplateBody)
async def put_template(call: Call) -> Template:
    """Keep a template, or change it. It gives nothing: the policy answers each request that comes from it."""
    body: TemplateBody = call.body
    wanted = templates.NewTemplate(
        name=call.path["name"],
        entitlements=tuple(body.entitlements),
        duration=parse_duration(body.duration),
        justification=body.justification,
        ticket_system=body.ticket_system,
        description=body.description,
        shared=body.shared,
    )
    return await templates.put_template(call.control, call.actor, wanted)


@ROUTES.delete("/api/v1/templates/{name}", Template)
async def remove_template(call: Call) -> Template:
    """Keep a template no longer."""
    return await templates.remove_template(call.control, call.actor, call.path["name"])


@ROUTES.post("/api/v1/templates/{name}/requests", Bundle, body=FillingBody, status=201)
async def ask_from_template(call: Call) -> Bundle:
    """Ask for everything a template names. What is given counts, the rest is as it was prepared."""
    made = await prepared.ask_from_template(call.control, call.actor, call.path["name"], call.body.filling())
    return bundle_of(made)
