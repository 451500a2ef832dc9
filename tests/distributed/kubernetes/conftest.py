"""A server of the Kubernetes API that keeps what it is told, and knows no schema and no pods."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import kmock
import pytest
import yaml
from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config


class ApiServer:
    """kmock in a thread of its own, with all kinds of Kubernetes and those of KServe."""

    def __init__(self) -> None:
        self.url = ""
        self.handler = kmock.KubernetesEmulator()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready, self._end = threading.Event(), asyncio.Event()
        # Should a test hang, this thread must not keep the process alive.
        self._thread = threading.Thread(target=asyncio.run, args=[self._run()], daemon=True)
        self._thread.start()
        assert self._ready.wait(60)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.handler.resources.load_bundled()
        service = {"kind": "InferenceService", "namespaced": True, "verbs": {"get", "create"}}
        self.handler.resources["serving.kserve.io/v1beta1/inferenceservices"] = service
        # kmock calls the first group "/v1", and kubectl finds nothing of it by that name.
        self.handler["get /api/v1"] << _first_group(self.handler)
        async with self.handler, kmock.Server(self.handler) as server:
            self.url = str(server.url)
            self._ready.set()
            await self._end.wait()

    def close(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60)

    def requests(self) -> list[tuple[str, str]]:
        """Return the methods and paths of what was asked, apart from what there is at all."""
        return [
            (str(request.method.value), request.url.path_qs)
            for request in self.handler
            if "/namespaces/" in request.url.path
        ]


def _first_group(handler: kmock.KubernetesEmulator) -> dict[str, object]:
    resources = [
        {
            "name": resource.plural,
            "kind": handler.resources[resource].kind,
            "singularName": handler.resources[resource].singular,
            "namespaced": handler.resources[resource].namespaced,
            "verbs": sorted(handler.resources[resource].verbs),
        }
        for resource in handler.resources
        if resource.group == ""
    ]
    return {"kind": "APIResourceList", "groupVersion": "v1", "resources": resources}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    started = ApiServer()
    yield started
    started.close()


@pytest.fixture
def kubeconfig(server: ApiServer, tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server.url}}],
        "users": [{"name": "test", "user": {"token": "t0ken"}}],
        "contexts": [
            {"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "models"}}
        ],
        "current-context": "test",
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def client(kubeconfig: Path) -> ApiClient:
    return new_client_from_config(str(kubeconfig))
