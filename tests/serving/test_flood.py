"""Minutes of good and hostile load in seconds: intended statuses only, and memory stays flat."""

from __future__ import annotations

import gc
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from pyfunc.schema import ColSpec, Schema

pytestmark = pytest.mark.slow

COLUMNS = Schema([ColSpec("double", "a"), ColSpec("long", "n")])
SETTINGS = {
    "max_body_bytes": 200_000,
    "max_pending_bytes": 2_000_000,
    "body_timeout": 0.5,
    "predict_timeout": 0.5,
    "threads": 2,
    "max_queue": 16,
    "batching": True,
}
SECONDS = 5.0
PROVOKED = {200, 400, 413, 415, 500, 504}
INTENDED = {200, 400, 404, 405, 408, 413, 415, 500, 503, 504}
FAILS, SLEEPS = -1.0, -2.0


def predict(frame: Any, params: Any) -> Any:
    if (frame["a"] == FAILS).any():
        raise ValueError("a bad row")
    if (frame["a"] == SLEEPS).any():
        time.sleep(0.7)
    return frame["a"].to_numpy() * 2


def split(*rows: Any) -> bytes:
    return json.dumps({"dataframe_split": {"columns": ["a", "n"], "data": rows}}).encode()


JSON = "application/json"
GOOD: list[tuple[bytes, str]] = [
    (split([1.5, 2]), JSON),
    (split(*[[float(i), i] for i in range(1000)]), JSON),
    (b"a,n\n1,2\n", "text/csv"),
    (b'{"inputs": {"a": [1], "n": [2]}}', JSON),
]
HOSTILE: list[tuple[bytes, str]] = [
    (split([FAILS, 1]), JSON),
    (b"[" * 100_000, JSON),
    (b"\xff" * 1000, JSON),
    (b'{"inputs": {"a": [1e999]}}', JSON),
    (b'{"inputs": ' + b"9" * 5000 + b"}", JSON),
    (b" " * 300_000, JSON),
    (b'"' * 100_000, "text/csv"),
    (b"a" * 190_000, "text/csv"),
    (b"PAR1" + b"\0" * 1000, "application/vnd.apache.parquet"),
    (b"{}", "text/plain"),
    (split([[1]], [2, 3]), JSON),
    (json.dumps({"k" * 100_000: 1}).encode(), JSON),
]


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def send_bodies(
    url: str, bodies: list[tuple[bytes, str]], over: threading.Event, seen: Any
) -> None:
    session = requests.Session()
    while not over.is_set():
        for body, content_type in bodies:
            headers = {"content-type": content_type}
            try:
                response = session.post(f"{url}/invocations", body, headers=headers, timeout=60)
            except requests.ConnectionError:
                seen["closed"] += 1
                continue
            seen[response.status_code] += 1
            response.json()


def send_raw(port: int, over: threading.Event) -> None:
    """Break off heads and bodies, and send what is no HTTP."""
    parts = [
        b"GET / HTT",
        b"\0" * 100,
        b"POST /invocations HTTP/1.1\r\nContent-Length: 100\r\n\r\nx",
        b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /invocations HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx",
    ]
    while not over.is_set():
        for part in parts:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                connection.sendall(part)
                time.sleep(0.002)


def send_sleepers(url: str, over: threading.Event, seen: Any) -> None:
    while not over.is_set():
        response = requests.post(
            f"{url}/invocations",
            split([SLEEPS, 1]),
            headers={"content-type": JSON},
            timeout=60,
        )
        seen[response.status_code] += 1
        time.sleep(0.8)


def flood(port: int, seconds: float) -> Any:
    url = f"http://127.0.0.1:{port}"
    """Send all kinds of requests for that long, and until there was enough of each."""
    over = threading.Event()
    until = time.monotonic() + seconds
    seen: Any = Counter()
    work: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        (send_bodies, (url, GOOD, over, seen)),
        (send_bodies, (url, GOOD, over, seen)),
        (send_bodies, (url, HOSTILE, over, seen)),
        (send_bodies, (url, [*HOSTILE, *GOOD], over, seen)),
        (send_raw, (port, over)),
        (send_sleepers, (url, over, seen)),
    ]
    threads = [threading.Thread(target=call, args=arguments) for call, arguments in work]
    for thread in threads:
        thread.start()
    pings = 0
    while time.monotonic() < until or pings < 6 or seen[200] < 100 or not set(seen) >= PROVOKED:
        assert requests.get(f"{url}/ping", timeout=60).status_code == 200
        pings += 1
        time.sleep(0.1)
    over.set()
    for thread in threads:
        thread.join()
    return seen


def test_a_mixed_flood_leaves_the_server_as_it_was(
    app_of: Callable[..., Any], live: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(100)
    app = app_of(predict, COLUMNS, settings=SETTINGS)
    service = app.state.service
    with live(app) as port:
        flood(port, SECONDS / 2)
        gc.collect()
        before, threads = resident(), threading.active_count()
        seen = flood(port, SECONDS)
        while threading.active_count() > threads or service.pool.waiting:
            time.sleep(0.01)
        gc.collect()
        grown = resident() - before
        good = requests.post(
            f"http://127.0.0.1:{port}/invocations",
            GOOD[0][0],
            headers={"content-type": JSON},
            timeout=60,
        )
    assert good.json() == {"predictions": [3.0]}
    assert set(seen) <= INTENDED | {"closed"}
    assert service.bodies.pending_bytes == 0
    assert grown < 30_000_000, (grown, seen)


def test_a_large_answer_is_not_kept(app_of: Callable[..., Any], ask: Callable[..., Any]) -> None:
    app = app_of(lambda data, params: np.zeros((200_000, 5)))
    ask(app, body={"inputs": [1]})
    gc.collect()
    before = resident()
    for _ in range(5):
        assert ask(app, body={"inputs": [1]}).status_code == 200
    gc.collect()
    assert resident() - before < 60_000_000
