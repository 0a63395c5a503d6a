"""How users, groups, service accounts and roles of a cluster are called in evidence, in manifests and logs alike.

A user is called as Kubernetes calls it, a service account `system:serviceaccount:NAMESPACE:NAME`, a group
`group/NAME`. A role is `role/NAMESPACE/NAME`; a cluster role is `clusterrole/NAME` where it holds in the whole
cluster, and `clusterrole/NAME@NAMESPACE` where a role binding gives it in one namespace only, which is another thing
to hold.
"""

from __future__ import annotations

from lapse.domain.errors import InvalidInput
from lapse.domain.names import check_name
from lapse.review.sources.source import Options

RESOURCE_OPTIONS = {
    "resource": "name of the resource that the cluster is; this or `cluster` is required",
    "cluster": "name of the cluster: the resource is called `k8s-` and this, if `resource` is not given",
}
POWER = "cluster-admin"
_SERVICE_ACCOUNT = "system:serviceaccount:"
_TAKEN = ("group/", "user/")


def resource_of(options: Options) -> str:
    """The resource that the options name.

    Raises:
        InvalidInput: neither of them does, or it is no name.
    """
    name, cluster = options.get("resource", "").strip(), options.get("cluster", "").strip()
    if not name and not cluster:
        hint = "give the option `resource` or `cluster`"
        raise InvalidInput("the files do not say of which cluster they are", hint=hint)
    return check_name(name or f"k8s-{cluster}", what="resource name")


def user_account(name: str) -> str:
    """The account of a user. One that is named like a group's account is told apart from it."""
    return f"user/{name}" if name.startswith(_TAKEN) else name


def group_account(name: str) -> str:
    """The account of a group."""
    return f"group/{name}"


def service_account(namespace: str, name: str) -> str:
    """The account of a service account."""
    return f"{_SERVICE_ACCOUNT}{namespace}:{name}"


def parts_of_service_account(account: str) -> tuple[str, str] | None:
    """Namespace and name, if the account is that of a service account."""
    namespace, colon, name = account.removeprefix(_SERVICE_ACCOUNT).partition(":")
    return (namespace, name) if colon and account.startswith(_SERVICE_ACCOUNT) else None


def subject_account(kind: str, name: str, namespace: str) -> str:
    """The account of a subject of a binding; `namespace` is only asked for that of a service account.

    Raises:
        ValueError: there is no such kind of subject.
    """
    if kind == "User":
        return user_account(name)
    if kind == "Group":
        return group_account(name)
    if kind == "ServiceAccount":
        return service_account(namespace, name)
    raise ValueError(f"`{kind}` is no kind of subject")


def role_name(kind: str, name: str, namespace: str) -> str:
    """A role that a binding gives; `namespace` is the binding's, empty for the whole cluster.

    Raises:
        ValueError: there is no such role; a cluster role binding gives cluster roles only.
    """
    if kind == "Role" and namespace:
        return f"role/{namespace}/{name}"
    if kind == "ClusterRole":
        return f"clusterrole/{name}@{namespace}" if namespace else f"clusterrole/{name}"
    raise ValueError(f"it refers to a `{kind}`, which it cannot give")
