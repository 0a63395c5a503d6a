"""What hosts are called as resources, the same in every source about SSH. Called by those sources."""

from __future__ import annotations

from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name
from lapse.review.sources.source import Options

DEFAULT = "ssh-{host}"
MOST_HOSTS = 10_000
"""Hosts of one source whose state is kept."""


class Hosts:
    """Names of resources by name of host. `template` is what the option `resource` says.

    Raises:
        InvalidInput: the template makes no name.
    """

    def __init__(self, options: Options) -> None:
        self._template = options.get("resource", "").strip() or DEFAULT
        check_name(self._template.replace("{host}", "h"), what="resource name")
        self._names: dict[str, str] = {}

    def resource(self, host: str) -> str:
        """The resource that `host` is.

        Raises:
            ValueError: the host's name cannot be part of one.
        """
        known = self._names.get(host)
        if known is None:
            try:
                known = check_name(self._template.replace("{host}", host.lower()), what="name of a host")
            except InvalidInput as error:
                raise ValueError(error.message) from None
            if len(self._names) < MOST_HOSTS:
                self._names[host] = known
        return known
