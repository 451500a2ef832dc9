"""``pyfunc serve`` as a process: where it listens, its workers, its logs and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests

import pyfunc

Saved = Callable[..., Path]
BODY = {"dataframe_records": [{"a": 1, "b": 2}]}
WORKERS = pytest.mark.parametrize("workers", [1, 2])


class Served:
    """A server as a process, and what it wrote."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.address = ""

    def read(self, pattern: str) -> str:
        """Return the first match of ``pattern`` in standard error, from here on."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            found = re.search(pattern, line)
            if found:
                return found[0]
        raise AssertionError("".join(self.lines))

    def follow(self) -> None:
        """Go on reading, so that the server never waits for that."""
        assert self.process.stderr is not None
        self._reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr))  # type: ignore[arg-type]
        self._reader.start()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; return the exit code and standard output."""
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._reader.join()
        assert self.process.stdout is not None
        return code, self.process.stdout.read()


@contextlib.contextmanager
def serving(
    *arguments: object, env: dict[str, str] | None = None, port: str = "0"
) -> Iterator[Served]:
    """Run ``pyfunc serve`` until it serves; end it afterwards."""
    command = [sys.executable, "-m", "pyfunc", "serve", *map(str, arguments)]
    command += [] if "--uds" in arguments else ["--port", port]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )
    served = Served(process)
    try:
        served.address = served.read(r"Serving on \S+").partition("Serving on ")[2]
        served.follow()
        yield served
    finally:
        if process.poll() is None:
            served.end()
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def refused(*arguments: object, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Return the exit code and standard error of a server that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "pyfunc", "serve", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Return a model that cannot be loaded; each try adds a line to ``loads``."""
    script = tmp_path / "broken.py"
    script.write_text(
        "import pyfunc\n"
        "class Broken(pyfunc.PythonModel):\n"
        "    def load_context(self, context):\n"
        f"        with open({str(tmp_path / 'loads')!r}, 'a') as file:\n"
        "            file.write('x\\n')\n"
        "        raise RuntimeError('no weights here')\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return [1]\n"
        "pyfunc.set_model(Broken())\n"
    )
    pyfunc.save_model(tmp_path / "broken", python_model=str(script), pip_requirements=[])
    return tmp_path / "broken"


@WORKERS
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_server_well(saved: Saved, workers: int, number: int) -> None:
    with serving(saved(), "-w", workers) as served:
        answer = requests.post(f"{served.address}/invocations", json=BODY, timeout=60)
        assert answer.json() == {"predictions": [3.0]}
        code, out = served.end(number)
    assert (code, out) == (0, "")
    assert "Traceback" not in "".join(served.lines)


@WORKERS
def test_a_model_that_cannot_be_loaded_is_tried_once(broken: Path, workers: int) -> None:
    single = refused(broken, "-p", "0")
    (broken.parent / "loads").unlink()
    code, err = refused(broken, "-p", "0", "-w", workers)
    assert (broken.parent / "loads").read_text() == "x\n"
    assert "no weights here" in err
    assert (code, err.splitlines()[-1]) == (single[0], single[1].splitlines()[-1])


@pytest.mark.parametrize("value", ["2", "many", "0"])
def test_web_concurrency_decides_nothing(saved: Saved, value: str) -> None:
    with serving(saved(), env={"WEB_CONCURRENCY": value}) as served:
        assert requests.get(f"{served.address}/ping", timeout=60).status_code == 200
        assert served.end()[0] == 0


def test_a_worker_that_dies_is_replaced_whatever_its_status(tmp_path: Path) -> None:
    script = tmp_path / "mortal.py"
    script.write_text(
        "import os, pyfunc\n"
        "class Mortal(pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        if model_input[0]:\n"
        "            os._exit(int(model_input[0]))\n"
        "        return [os.getpid()]\n"
        "pyfunc.set_model(Mortal())\n"
    )
    pyfunc.save_model(tmp_path / "mortal", python_model=str(script), pip_requirements=[])
    with serving(tmp_path / "mortal", "-w", 2) as served:
        url = f"{served.address}/invocations"
        for status in (3, 1, 3):
            with pytest.raises(requests.ConnectionError):
                requests.post(url, json={"inputs": [status]}, timeout=60)
            answer = requests.post(url, json={"inputs": [0]}, timeout=60)
            assert answer.status_code == 200
        assert served.process.poll() is None
        assert served.end()[0] == 0
    assert "ended with status 3; it is replaced" in "".join(served.lines)


@pytest.mark.parametrize("port", ["99999", "65536", "-1"])
@WORKERS
def test_a_number_that_is_no_port_is_refused(saved: Saved, port: str, workers: int) -> None:
    code, err = refused(saved(), "--port", port, "-w", workers)
    assert (code, "port must be" in err) == (2, True)


@WORKERS
def test_a_port_in_use_is_said(saved: Saved, broken: Path, workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        code, err = refused(broken, "--port", port, "-w", workers)
    assert code == 2
    assert f"port {port}" in err
    assert "hint: " in err
    assert not (broken.parent / "loads").exists()  # nothing was loaded for it


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1", "a" * 300, "300.1.1.1"])
def test_a_host_that_is_none_of_here_is_said(saved: Saved, host: str) -> None:
    code, err = refused(saved(), "--host", host, "-p", "0")
    assert (code, host[:20] in err) == (2, True)


@WORKERS
def test_a_unix_socket_serves(saved: Saved, tmp_path: Path, workers: int) -> None:
    path = tmp_path / "s"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(path))  # as a server leaves it that was killed
    model = saved()
    with serving(model, "--uds", path, "-w", workers) as served:
        assert served.address == f"unix:{path}"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        code, err = refused(model, "--uds", path)
        assert (code, "another server" in err) == (2, True)
        assert served.end()[0] == 0
    assert not path.exists()
    path.write_text("kept")
    assert refused(model, "--uds", path)[0] == 2
    assert path.read_text() == "kept"


@WORKERS
def test_the_access_log_is_lines_of_json(saved: Saved, workers: int) -> None:
    with serving(saved(body="print('hello') or [1.0]"), "--access-log", "-w", workers) as served:
        requests.post(f"{served.address}/invocations?key=secret", json=BODY, timeout=60)
        requests.get(f"{served.address}/n%22%0aothing", timeout=60)
        _, out = served.end()
    first, second = (json.loads(line) for line in out.splitlines())
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first.pop("seconds") > 0
    assert first == {
        "client": "127.0.0.1",
        "method": "POST",
        "path": "/invocations",
        "status": 200,
        "bytes": len('{"predictions": [1.0]}'),
    }
    assert (second["path"], second["status"]) == ('/n"\nothing', 404)
    assert "hello" in "".join(served.lines)


@WORKERS
@pytest.mark.parametrize("option", ["--max-cells", "--max-names", "--max-rows"])
def test_what_a_request_may_become_is_an_option(saved: Saved, option: str, workers: int) -> None:
    body = {"dataframe_records": [{"a": 1, "b": 2, "c": 3}] * 3}
    with serving(saved(), option, "2", "-w", workers) as served:
        refused = requests.post(f"{served.address}/invocations", json=body, timeout=60)
        served.end()
    assert refused.status_code == 413
    assert option.strip("-").replace("-", "_") in refused.text


@pytest.mark.parametrize("trusted", [None, "127.0.0.1", "*", "10.0.0.1"])
def test_whose_word_for_the_client_is_taken(saved: Saved, trusted: str | None) -> None:
    env = {} if trusted is None else {"FORWARDED_ALLOW_IPS": trusted}
    with serving(saved(), "--access-log", env=env) as served:
        headers = {"X-Forwarded-For": "203.0.113.9"}
        requests.get(f"{served.address}/ping", headers=headers, timeout=60)
        _, out = served.end()
    is_believed = trusted in ("127.0.0.1", "*")
    assert json.loads(out)["client"] == ("203.0.113.9" if is_believed else "127.0.0.1")


@WORKERS
def test_doors_reach_every_worker(saved: Saved, tmp_path: Path, workers: int) -> None:
    (tmp_path / "token").write_text("secret\n")
    options = ("--auth-token-file", tmp_path / "token", "--allowed-host", "models.example",
               "--cors-origin", "https://a.example", "--root-path", "/m",
               "--keep-alive", "1")  # fmt: skip
    with serving(saved(), *options, "-w", workers) as served:
        for _ in range(4):
            right = {"Host": "models.example", "Authorization": "Bearer secret",
                     "Origin": "https://a.example"}  # fmt: skip
            url = f"{served.address}/m/invocations"
            answer = requests.post(url, json=BODY, headers=right, timeout=60)
            assert answer.json() == {"predictions": [3.0]}
            assert answer.headers["access-control-allow-origin"] == "https://a.example"
            for name, status in (("Host", 403), ("Authorization", 401)):
                wrong = {key: value for key, value in right.items() if key != name}
                assert (
                    requests.post(url, json=BODY, headers=wrong, timeout=60).status_code == status
                )
        with socket.create_connection(served.address[7:].split(":"), timeout=60) as idle:  # type: ignore[arg-type]
            idle.sendall(b"GET /ping HTTP/1.1\r\nHost: models.example\r\n\r\n")
            while idle.recv(65536):
                pass


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Return a certificate of this machine and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certfile, keyfile = tmp_path / "cert.pem", tmp_path / "key.pem"
    certfile.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    keyfile.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certfile, keyfile


@WORKERS
def test_a_certificate_makes_it_tls(
    saved: Saved, certificate: tuple[Path, Path], workers: int
) -> None:
    certfile, keyfile = certificate
    with serving(saved(), "--certfile", certfile, "--keyfile", keyfile, "-w", workers) as served:
        assert served.address.startswith("https://127.0.0.1:")
        url = served.address.replace("127.0.0.1", "localhost")
        answer = requests.post(f"{url}/invocations", json=BODY, verify=str(certfile), timeout=60)
        assert answer.json() == {"predictions": [3.0]}
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http{url[5:]}/ping", timeout=60)


def test_certificates_that_cannot_be_are_refused(
    broken: Path, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    certfile, keyfile = certificate
    for options in (
        ("--certfile", tmp_path / "none", "--keyfile", keyfile),
        ("--certfile", certfile),
        ("--certfile", certfile, "--keyfile", certfile),
        ("--keyfile", keyfile),
        ("--auth-token-file", tmp_path / "none"),
    ):
        assert refused(broken, "-p", "0", *options)[0] == 2
    assert not (tmp_path / "loads").exists()
