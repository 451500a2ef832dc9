"""Manifests on their way to a cluster and back: the official client does the talking."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from pyfunc.deploy.kubernetes import check_manifests
from pyfunc.deploy.kubernetes.findings import Tree, as_tree
from pyfunc.distributed.kubernetes.states import ObjectStatus, judge
from pyfunc.errors import MissingDependencyError, PyfuncError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, CoreV1Api
    from kubernetes.dynamic import DynamicClient

__all__ = ["ClusterError", "delete", "logs", "status", "submit"]

P = ParamSpec("P")
T = TypeVar("T")

_BAD_REQUEST, _NOT_FOUND, _CONFLICT = 400, 404, 409
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LABEL = "app.kubernetes.io/name"


class ClusterError(PyfuncError):
    """A cluster refused something, or cannot be asked.

    Attributes:
        status: the HTTP status that it answered with, or None.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.status)


def submit(
    manifests: Sequence[Tree], *, namespace: str | None = None, client: ApiClient | None = None
) -> None:
    """Have each manifest in the cluster, in their order; what is there already is changed to it.

    Args:
        manifests: as the functions of this package, or a YAML file, give them.
        namespace: for those that name none; by default that of the context, or ``default``.
        client: of the official library; by default of the kubeconfig, or of the pod this is in.

    Raises:
        ManifestError: no cluster would take one of them; nothing has been sent.
        ClusterError: the cluster refused one, which is named; those before it are there.
        MissingDependencyError: the official library is not installed.
    """
    check_manifests(manifests)
    with _connected(client) as cluster:
        for manifest in manifests:
            cluster.submit(manifest, namespace)


def status(
    manifests: Sequence[Tree], *, namespace: str | None = None, client: ApiClient | None = None
) -> list[ObjectStatus]:
    """Return how the object of each manifest is; for the arguments see :func:`submit`.

    Raises:
        ClusterError: the cluster cannot be asked.
        MissingDependencyError: the official library is not installed.
    """
    with _connected(client) as cluster:
        return [cluster.status(manifest, namespace) for manifest in manifests]


def delete(
    manifests: Sequence[Tree], *, namespace: str | None = None, client: ApiClient | None = None
) -> int:
    """Delete the object of each manifest, the last one first; return how many there were.

    A claim goes too, and what is on its volume may go with it.

    Raises:
        ClusterError: the cluster refused.
        MissingDependencyError: the official library is not installed.
    """
    with _connected(client) as cluster:
        return sum(cluster.delete(manifest, namespace) for manifest in reversed(manifests))


def logs(
    manifests: Sequence[Tree],
    *,
    namespace: str | None = None,
    client: ApiClient | None = None,
    lines: int | None = None,
) -> dict[str, str]:
    """Return what the pods of the manifests have written, by the names of the pods.

    A pod that has not started has written nothing. ``lines`` is how many, from the end.

    Raises:
        ClusterError: the cluster cannot be asked.
        MissingDependencyError: the official library is not installed.
    """
    with _connected(client) as cluster:
        found: dict[str, str] = {}
        for name, place in dict.fromkeys(_application(item, namespace) for item in manifests):
            found.update(cluster.logs(name, place, lines))
        return found


@contextlib.contextmanager
def _connected(client: ApiClient | None) -> Iterator[_Cluster]:
    """Give a cluster to talk to."""
    try:
        from kubernetes import client as library
        from kubernetes import config, dynamic
    except ImportError as error:
        command = "pip install 'pyfunc-format[k8s]'"
        raise MissingDependencyError("asking a Kubernetes cluster", command) from error
    if client is None:
        try:
            config.load_config()
        except config.ConfigException as error:
            raise ClusterError(f"no cluster is configured: {error}") from error
        client = library.ApiClient()
    # By default what a server offers is noted in a file that everyone on this machine can write.
    with tempfile.TemporaryDirectory(prefix="pyfunc-k8s-") as folder:
        with _asking("the cluster"):
            found = dynamic.DynamicClient(client, cache_file=str(Path(folder, "offers")))
        yield _Cluster(found, library.CoreV1Api(client))


@contextlib.contextmanager
def _asking(subject: str) -> Iterator[None]:
    """Tell what goes wrong in the body as an error of this library.

    Raises:
        ClusterError: the server refused, cannot be reached, or does not know the kind.
    """
    import urllib3
    from kubernetes.client import ApiException
    from kubernetes.dynamic.exceptions import ResourceNotFoundError

    try:
        yield
    except ApiException as error:
        told = f"{subject}: the cluster answered {error.status} {error.reason}"
        raise ClusterError(f"{told}: {_message_in(error.body)}", error.status) from error
    except ResourceNotFoundError as error:
        raise ClusterError(f"{subject}: the cluster knows no such kind", _NOT_FOUND) from error
    except urllib3.exceptions.HTTPError as error:
        raise ClusterError(f"{subject}: the cluster cannot be reached: {error}") from error


def _message_in(body: object) -> object:
    """Return the message in what a server answered, which is JSON as a rule."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    try:
        return as_tree(json.loads(text)).get("message", text)
    except ValueError:
        return text


class _Resource(Protocol):
    """What the client offers for one kind."""

    def get(self, **given: object) -> _Answer: ...
    def create(self, **given: object) -> _Answer: ...
    def patch(self, **given: object) -> _Answer: ...
    def delete(self, **given: object) -> _Answer: ...


class _Answer(Protocol):
    def to_dict(self) -> dict[str, object]: ...


class _Cluster:
    """A connection to a cluster."""

    def __init__(self, client: DynamicClient, core: CoreV1Api) -> None:
        self._client, self._core = client, core

    def submit(self, manifest: Tree, namespace: str | None) -> None:
        """Create the object, or change the one that is there."""
        place = _Place.of(manifest, namespace)
        with _asking(place.title):
            resource = self._resource(manifest)
            made = _unless(
                [_CONFLICT], resource.create, body=dict(manifest), namespace=place.namespace
            )
            if made is not None:
                return
            if place.kind == "Job":
                raise ClusterError(
                    f"{place.title} is there already, and a Job cannot be changed\n"
                    "hint: delete it first, or take another name",
                    _CONFLICT,
                )
            merge = {"body": dict(manifest), "content_type": "application/merge-patch+json"}
            resource.patch(name=place.name, namespace=place.namespace, **merge)

    def status(self, manifest: Tree, namespace: str | None) -> ObjectStatus:
        """Return how the object is."""
        place = _Place.of(manifest, namespace)
        with _asking(place.title):
            get = self._resource(manifest).get
            found = _unless([_NOT_FOUND], get, name=place.name, namespace=place.namespace)
        state, told = judge(place.kind, None if found is None else found.to_dict())
        return ObjectStatus(place.kind, place.name, state, told)

    def delete(self, manifest: Tree, namespace: str | None) -> bool:
        """Delete the object with all that belongs to it; return whether it was there."""
        place = _Place.of(manifest, namespace)
        with _asking(place.title):
            delete = self._resource(manifest).delete
            found = _unless(
                [_NOT_FOUND],
                delete,
                name=place.name,
                namespace=place.namespace,
                propagation_policy="Background",
            )
        return found is not None

    def logs(self, name: str, namespace: str, lines: int | None) -> Iterator[tuple[str, str]]:
        """Yield the names of the pods of an application, each with what it has written."""
        read = self._core.read_namespaced_pod_log
        given = {} if lines is None else {"tail_lines": lines}
        with _asking(f"the pods of {name}"):
            selector = f"{_LABEL}={name}"
            pods = self._core.list_namespaced_pod(namespace, label_selector=selector).items
            for pod in pods:
                # 400 is what a server says of a container that has not started.
                statuses = (_BAD_REQUEST, _NOT_FOUND)
                text = _unless(statuses, read, pod.metadata.name, namespace, **given)
                yield pod.metadata.name, text or ""

    def _resource(self, manifest: Tree) -> _Resource:
        found: _Resource = self._client.resources.get(
            api_version=manifest["apiVersion"], kind=manifest["kind"]
        )
        return found


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an object is."""

    kind: str
    name: str
    namespace: str

    @classmethod
    def of(cls, manifest: Tree, namespace: str | None) -> _Place:
        metadata = as_tree(manifest.get("metadata"))
        where = metadata.get("namespace") or namespace or _context_namespace()
        return cls(str(manifest["kind"]), str(metadata["name"]), str(where))

    @property
    def title(self) -> str:
        return f"{self.kind}/{self.name} in {self.namespace}"


def _application(manifest: Tree, namespace: str | None) -> tuple[str, str]:
    """Return by what label the pods of a manifest are found, and where."""
    labels = as_tree(as_tree(manifest.get("metadata")).get("labels"))
    place = _Place.of(manifest, namespace)
    return str(labels.get(_LABEL, place.name)), place.namespace


def _context_namespace() -> str:
    """Return the namespace that kubectl would take."""
    from kubernetes import config

    try:
        _, active = config.list_kube_config_contexts()
    except config.ConfigException:
        return _pod_namespace()
    return str(as_tree(active["context"]).get("namespace") or "default")


def _pod_namespace() -> str:
    """Return the namespace of the pod that this process is in, ``default`` outside of any."""
    try:
        return _OWN_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return "default"


def _unless(
    statuses: Collection[int], ask: Callable[P, T], *given: P.args, **named: P.kwargs
) -> T | None:
    """Return what the server answers, None if that is one of ``statuses``."""
    from kubernetes.client import ApiException

    try:
        return ask(*given, **named)
    except ApiException as error:
        if error.status in statuses:
            return None
        raise
