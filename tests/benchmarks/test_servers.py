"""Servers are processes that have answered; they end with all that they started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import process_tree
from benchmarks.load import Request, ask
from benchmarks.results import Effort
from benchmarks.servers import Target, compare, started

# Two processes: one answers, the one below it only waits.
FORKING = """
import http.server, subprocess, sys
below = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = str(below.pid).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def command(code: str) -> Callable[[int], list[str]]:
    return lambda port: [sys.executable, "-c", code, str(port)]


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False


def test_a_server_ends_with_the_processes_that_it_has_made() -> None:
    with started("forking", command(FORKING), lambda port: bool(ask(port, Request("/")))) as one:
        below = int(ask(one.port, Request("/")))
        assert set(process_tree.find_processes(one.pid)) == {one.pid, below}
        assert is_running(below)
        assert one.start.cpu
        assert one.start.wall
    assert not is_running(one.pid)
    while is_running(below):  # it was killed; the system takes a moment
        time.sleep(0.01)


def test_a_server_that_ends_before_it_answers_is_told_with_its_last_words() -> None:
    code = "import sys; sys.exit('no model here')"
    with (
        pytest.raises(RuntimeError, match=r"broken did not start: .*no model here"),
        started("broken", command(code), lambda port: bool(ask(port, Request("/")))),
    ):
        pass


def test_servers_are_compared_by_what_one_answer_took_and_one_that_fails_is_told() -> None:
    with started("forking", command(FORKING), lambda port: bool(ask(port, Request("/")))) as one:
        targets = {"a": Target(one, Request("/")), "b": Target(one, Request("/", b"unwanted"))}
        figures, failures = compare(targets, 2, Effort(1, 0.02))
    assert list(figures) == ["a"]
    assert [one.what for one in failures] == ["forking, /, 2 at once"]
    assert "HTTP/1.1 501" in failures[0].why
    found = figures["a"]
    assert found.cpu
    assert found.wall
    assert found.p99
    assert found.count > 1


def test_the_cpu_of_a_tree_is_that_of_all_its_processes_those_that_ended_too() -> None:
    spin = "import time\nwhile time.process_time() < 0.3: pass\n"
    code = f"""
import subprocess, sys
code = {spin!r}
subprocess.run([sys.executable, "-c", code])
below = subprocess.Popen([sys.executable, "-c", code + "print(flush=True); input()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
below.stdout.readline()
print("ready", flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert process_tree.cpu_seconds(process.pid) >= 0.6
        assert process_tree.resident_bytes(process.pid) > 2**20
        for pid in reversed(process_tree.find_processes(process.pid)):
            os.kill(pid, 9)


def test_nothing_is_known_of_a_process_that_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert process_tree.find_processes(process.pid) == []
    assert process_tree.cpu_seconds(process.pid) == process_tree.resident_bytes(process.pid) == 0
