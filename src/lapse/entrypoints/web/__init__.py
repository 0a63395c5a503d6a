"""The web pages: what people see of lapse in a browser. Translates and presents; every rule is below, in `control`."""

from lapse.entrypoints.web.app import create_web

__all__ = ["create_web"]
