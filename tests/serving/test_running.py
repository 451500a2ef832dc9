"""The server as a process of its own: start, signals, workers, shared figures."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

import pyfunc
from pyfunc.errors import InvalidArgumentError, ModelNotFoundError
from pyfunc.serving import run
from pyfunc.serving.http.running import name_of, worker_app
from pyfunc.serving.running import model_app
from pyfunc.serving.settings import ServingSettings

CODE = """
import json, sys
from pyfunc.serving import ServingSettings, run
options = json.loads(sys.argv[1])
settings = ServingSettings(**options.pop("settings", {}))
run(**options, settings=settings, log_level="warning")
"""

# The signal comes when our handler is in place and uvicorn, which takes time to import, has none.
EARLY_SIGNAL = """
import os, signal, sys
import uvicorn
from pyfunc.serving.http.running import run_app
from pyfunc.serving.http.settings import HttpSettings

class Config(uvicorn.Config):
    def get_loop_factory(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return super().get_loop_factory()

    def setup_event_loop(self):  # what uvicorn calls before 0.36
        os.kill(os.getpid(), signal.SIGTERM)
        super().setup_event_loop()

uvicorn.Config = Config

async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    for step in ("startup", "shutdown"):
        await receive()
        print(step, flush=True)
        await send({"type": f"lifespan.{step}.complete"})

def make(plan):
    return app

options = {"host": "127.0.0.1", "port": 0, "workers": 1, "settings": HttpSettings()}
run_app(make, {}, **options, drain_timeout=30, log_level="critical")
"""


class Slow(pyfunc.PythonModel):
    """Answers after as many seconds as it is told."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        import os
        import time

        time.sleep(float(model_input[0]))
        return [os.getpid()]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the directory of a saved model."""
    path = tmp_path_factory.mktemp("models") / "slow"
    pyfunc.save_model(str(path), python_model=Slow(), pip_requirements=[])
    return str(path)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def server(**options: Any) -> Iterator[tuple[Any, str]]:
    port = free_port()
    arguments = json.dumps({"port": port, **options})
    environment = {k: v for k, v in os.environ.items() if k != "PROMETHEUS_MULTIPROC_DIR"}
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, arguments], env=environment, stderr=subprocess.PIPE
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None
            assert time.monotonic() < deadline
            try:
                requests.get(f"{url}/ping", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield process, url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()


def wait_until_it_works(url: str) -> None:
    """Return once a thread of the server predicts."""
    while "pyfunc_busy_threads 1.0" not in requests.get(f"{url}/metrics", timeout=60).text:
        time.sleep(0.01)


def test_what_is_being_answered_is_answered_before_the_end(saved: str) -> None:
    with server(model_path=saved) as (process, url), ThreadPoolExecutor(1) as threads:
        answer = threads.submit(
            requests.post, f"{url}/invocations", json={"inputs": [1.0]}, timeout=60
        )
        wait_until_it_works(url)
        process.send_signal(signal.SIGTERM)
        assert answer.result().json() == {"predictions": [process.pid]}
        process.communicate(timeout=60)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{url}/ping", timeout=5)


def test_a_signal_that_comes_while_the_server_starts_ends_it() -> None:
    command = [sys.executable, "-c", EARLY_SIGNAL]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout.split() == ["startup", "shutdown"]


def test_a_prediction_that_does_not_end_does_not_keep_the_process(saved: str) -> None:
    with (
        server(model_path=saved, drain_timeout=1) as (process, url),
        ThreadPoolExecutor(1) as threads,
    ):
        hung = threads.submit(
            requests.post, f"{url}/invocations", json={"inputs": [600.0]}, timeout=60
        )
        wait_until_it_works(url)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=50)
        assert hung.exception() is not None or hung.result().status_code >= 500


def test_workers_share_the_load_and_their_figures(saved: str) -> None:
    with server(model_path=saved, workers=2, name="slow") as (process, url):
        body = {"inputs": [0.05]}
        with ThreadPoolExecutor(6) as threads:
            futures = [
                threads.submit(requests.post, f"{url}/invocations", json=body, timeout=30)
                for _ in range(60)
            ]
            answers = {future.result().json()["predictions"][0] for future in futures}
        assert len(answers) == 2
        assert process.pid not in answers
        for _ in range(4):
            text = requests.get(f"{url}/metrics", timeout=60).text
            assert 'pyfunc_requests_total{endpoint="invocations",status="200"} 60.0' in text
        assert requests.get(f"{url}/v2/models/slow", timeout=60).json()["name"] == "slow"


def test_settings_and_names_reach_the_application(saved: str) -> None:
    plan = {
        "model_path": saved,
        "name": None,
        "settings": ServingSettings(max_body_bytes=5, page=False).to_dict(),
        "load_options": {},
        "routes": None,
    }
    service = model_app(plan).state.service
    assert service.name == "slow"
    assert service.settings.max_body_bytes == 5


def extra(service: Any) -> list[Any]:
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    return [Route("/extra", lambda request: PlainTextResponse(service.name))]


def test_a_worker_makes_what_it_is_told(
    saved: str, monkeypatch: pytest.MonkeyPatch, ask: Callable[..., Any]
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    plan = {
        "model_path": saved,
        "name": "given",
        "settings": ServingSettings().to_dict(),
        "load_options": {},
        "routes": "test_running:extra",
    }
    told = {"app": name_of(model_app), "plan": plan}
    assert ask(worker_app(json.loads(json.dumps(told))), "/extra").text == "given"


def test_what_cannot_be_served_is_refused(saved: str, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="nothing"):
        run(tmp_path / "nothing", port=0)
    with pytest.raises(InvalidArgumentError, match="workers"):
        run(saved, port=0, workers=0)
    with pytest.raises(InvalidArgumentError, match="without a request handler"):
        run(saved, port=0, workers=2, settings=ServingSettings(handler_on_invocations=True))
    with pytest.raises(InvalidArgumentError, match="JSON"):
        run(saved, port=0, workers=2, load_options={"model_config": object()})


def test_importing_the_settings_loads_no_server() -> None:
    code = (
        "import sys; from pyfunc.serving import ServingSettings; "
        "print({'starlette', 'uvicorn', 'pandas'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == "set()"
