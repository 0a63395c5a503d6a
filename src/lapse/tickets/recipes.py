"""How well-known ticket systems are asked, as mappings.

- Jira: `GET /rest/api/2/issue/{key}` of Jira Cloud and Data Center. `statusCategory.key` is `new`, `indeterminate` or
  `done` whatever a project calls its states; 404 is a missing issue, or one that the account may not see.
- GitHub: `GET /repos/{owner}/{repo}/issues/{number}`. `state` is `open` or `closed`; a transferred issue answers 301 on
  the same host, a deleted one 410. A pull request is an issue there, too.
"""

from __future__ import annotations

from lapse.tickets.http import Mapping
from lapse.tickets.numbers import NumberForm
from lapse.web.urls import UrlTemplate

_PLACES = frozenset({"number"})
GITHUB = "https://api.github.com"
GITHUB_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


def jira(base: str, *, plain: bool = False) -> Mapping:
    """The Jira at `base`."""
    url = f"{base.rstrip('/')}/rest/api/2/issue/{{number}}?fields=status,summary,assignee"
    return Mapping(
        url=UrlTemplate.parse(url, _PLACES, plain=plain),
        state="/fields/status/statusCategory/key",
        open_states=frozenset({"new", "indeterminate"}),
        state_name="/fields/status/name",
        title="/fields/summary",
        assignee="/fields/assignee/displayName",
        numbers=NumberForm.KEY,
    )


def github(repository: str, base: str = GITHUB, *, plain: bool = False) -> Mapping:
    """The issues of `repository` (`owner/name`) on GitHub, or on the GitHub Enterprise API at `base`."""
    return Mapping(
        url=UrlTemplate.parse(f"{base.rstrip('/')}/repos/{repository}/issues/{{number}}", _PLACES, plain=plain),
        state="/state",
        open_states=frozenset({"open"}),
        title="/title",
        assignee="/assignee/login",
        numbers=NumberForm.DIGITS,
    )
