"""``pyfunc inspect, verify, env, dependencies, update-requirements, convert`` and the frame."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pyfunc
from pyfunc.cli import main
from pyfunc.cli.exits import Exit, code_of
from pyfunc.cli.options import load_options
from pyfunc.errors import (
    EnvironmentCreationError,
    HandlerError,
    InvalidArgumentError,
    InvalidTypeError,
    MissingDependencyError,
    ModelFormatError,
    PyfuncError,
    SaveConflictError,
    SchemaError,
    UntrustedModelError,
)
from pyfunc.version import VERSION

Command = Callable[..., Any]
Saved = Callable[..., Path]


def test_inspect(command: Command, saved: Saved) -> None:
    path = saved()
    done = command("inspect", path)
    assert done.code == 0
    assert "integrity: verified" in done.out
    tree = json.loads(command("inspect", "-m", path, "--json").out)
    assert (tree["path"], tree["integrity"]) == (str(path), "verified")


def test_verify(command: Command, saved: Saved) -> None:
    path = saved()
    done = command("verify", path)
    assert done.code == 0
    assert "as they were saved" in done.out
    tree = json.loads(command("verify", path, "--json").out)
    digest = pyfunc.inspect(path).digest
    assert tree == {"ok": True, "files": tree["files"], "digest": digest, "additions": []}


def test_verify_finds_changes(command: Command, saved: Saved) -> None:
    path = saved()
    (path / "requirements.txt").write_text("other")
    (path / "more.txt").write_text("")
    done = command("verify", path)
    assert done.code == 1
    assert "requirements.txt" in done.out
    done = command("verify", path, "--extra", "ignore", "--json")
    assert done.code == 1
    tree = json.loads(done.out)
    assert (tree["ok"], tree["modified"]) == (False, ["requirements.txt"])


def test_env_check(command: Command, saved: Saved) -> None:
    assert command("env", "check", saved()).code == 0
    path = saved(name="other", pip_requirements=["not-installed-anywhere==1"])
    done = command("env", "check", path)
    assert done.code == 1
    assert "not-installed-anywhere" in done.out
    done = command("env", "check", path, "--json")
    assert (done.code, json.loads(done.out)["ok"]) == (1, False)


def test_env_check_needs_a_lock_to_compare_with_one(command: Command, saved: Saved) -> None:
    done = command("env", "check", saved(), "--lock")
    assert (done.code, done.out) == (3, "")


def test_env_lock(command: Command, saved: Saved) -> None:
    path = saved()
    done = command("env", "lock", path, "--no-resolve")
    assert (done.code, done.out) == (0, f"{path}/.pyfunc/pylock.toml\n")
    assert command("env", "check", path, "--lock").code == 0
    done = command("env", "lock", path, "--no-resolve", "--json")
    assert json.loads(done.out) == {"lock": f"{path}/.pyfunc/pylock.toml"}


def test_env_create(
    command: Command, saved: Saved, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from pyfunc.env.creating.environments import Environment

    seen: list[Any] = []

    def prepare(path: str, **options: Any) -> Environment:
        seen.append((path, options))
        return Environment("uv", tmp_path, tmp_path / "bin/python", "3.11.7", reused=False)

    monkeypatch.setattr("pyfunc.env.prepare_environment", prepare)
    path = saved()
    asked = ["--env-manager", "uv", "--root", tmp_path, "-r", "six==1.16,numpy>=2,<3"]
    done = command("env", "create", path, *asked)
    assert (done.code, done.out) == (0, f"{tmp_path}/bin/python\n")
    tree = json.loads(command("env", "create", path, "--json").out)
    assert (tree["python_version"], tree["manager"], tree["reused"]) == ("3.11.7", "uv", False)
    options = {
        "env_manager": "uv",
        "root": str(tmp_path),
        "install_mlflow": None,
        "pip_requirements_override": ["six==1.16", "numpy>=2,<3"],
    }
    assert seen[0] == (str(path), options)
    command("env", "create", path, "--install-mlflow")
    assert (seen[2][1]["install_mlflow"], seen[2][1]["pip_requirements_override"]) == (True, [])


def test_dependencies(command: Command, saved: Saved) -> None:
    path = saved()
    assert command("dependencies", path).out == f"{path}/requirements.txt\n"
    assert command("dependencies", path, "--format", "conda").out == f"{path}/conda.yaml\n"
    assert "numpy" in command("dependencies", path, "--show").out.splitlines()
    tree = json.loads(command("dependencies", path, "--json").out)
    assert tree["lines"][-1] == "numpy"


def test_update_requirements(command: Command, saved: Saved) -> None:
    path = saved()
    done = command("update-requirements", "-m", path, "add", "pandas>=2.2", "six")
    assert (done.code, done.out.splitlines()[1:]) == (0, ["numpy", "pandas>=2.2", "six"])
    done = command("update-requirements", "-m", path, "remove", "six", "--json")
    assert json.loads(done.out)["requirements"][1:] == ["numpy", "pandas>=2.2"]
    assert command("verify", path).code == 0
    assert command("update-requirements", "-m", path, "add", "!!").code == 2
    assert command("update-requirements", "-m", path, "replace", "six").code == 2


def test_convert(command: Command, saved: Saved, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "cortex.yaml").write_text(
        "- {kind: deployment, name: d}\n"
        "- {kind: api, name: a, tensorflow: {model: s3://b/m, request_handler: h.py}}\n"
    )
    (project / "h.py").write_text(
        "def post_inference(prediction, signature, metadata):\n    return 'handled'\n"
    )
    model = saved("model_input", signature=None)
    target = tmp_path / "converted"
    done = command("convert", project, "-o", target, "--model", model)
    assert (done.code, done.out) == (0, f"{target}\n")
    done = command("predict", target, "--sample", stdin="1")
    assert done.out == '"handled"\n'
    assert command("convert", project, "-o", target, "--model", model).code == 8
    done = command("convert", project, "-o", target, "--model", model, "--overwrite", "--json")
    assert json.loads(done.out) == {"path": str(target)}


def test_the_version(command: Command) -> None:
    assert command("--version").out == f"{VERSION}\n"


COMMANDS = [
    "serve",
    "predict",
    "inspect",
    "verify",
    "dependencies",
    "update-requirements",
    "dockerfile",
    "convert",
    "env check",
    "env lock",
    "env create",
]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_json(command: Command, name: str) -> None:
    done = command(*name.split(), "--help")
    assert done.code == 0
    assert f"pyfunc {name} " in done.out.replace("\n", " ") or f"pyfunc {name}" in done.out
    assert "Examples:" in done.out
    assert "--json" in done.out


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("serve",)])
def test_a_missing_model_is_no_traceback(command: Command, tmp_path: Path, name: str) -> None:
    gone = tmp_path / "gone"
    arguments: dict[str, list[Any]] = {
        "update-requirements": ["-m", gone, "add", "six"],
        "convert": [gone, "-o", tmp_path / "out"],
        "dockerfile": [gone, "-d", tmp_path / "out"],
    }
    done = command(*name.split(), *arguments.get(name, [gone]), stdin="{}")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("error: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(HandlerError("x", stage="init"), Exit.MODEL_FAILED, id="handler"),
        pytest.param(UntrustedModelError("x"), Exit.REFUSED, id="untrusted"),
        pytest.param(SchemaError([]), Exit.INPUT, id="schema"),
        pytest.param(InvalidArgumentError("x", "BAD_REQUEST"), Exit.INPUT, id="request"),
        pytest.param(InvalidArgumentError("x"), Exit.USAGE, id="argument"),
        pytest.param(InvalidTypeError("x"), Exit.USAGE, id="type"),
        pytest.param(SaveConflictError("x"), Exit.OUTPUT, id="conflict"),
        pytest.param(MissingDependencyError("x", "y"), Exit.ENVIRONMENT, id="dependency"),
        pytest.param(EnvironmentCreationError("x"), Exit.ENVIRONMENT, id="environment"),
        pytest.param(ModelFormatError("x"), Exit.MODEL, id="format"),
        pytest.param(PyfuncError("x"), Exit.MODEL, id="other"),
        pytest.param(PyfuncError("x", "INVALID_PARAMETER_VALUE"), Exit.USAGE, id="parameter"),
        pytest.param(PermissionError(13, "no"), Exit.OUTPUT, id="system"),
        pytest.param(KeyError("x"), Exit.BUG, id="defect"),
        pytest.param(KeyboardInterrupt(), Exit.INTERRUPTED, id="interrupt"),
    ],
)
def test_codes_of_errors(error: BaseException, code: Exit) -> None:
    assert code_of(error) is code


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(KeyError("x"), "KeyError: 'x'\nhint: this is a defect", id="defect"),
        pytest.param(PermissionError(13, "no way", "/x"), "/x: no way", id="system"),
        pytest.param(KeyboardInterrupt(), "interrupted", id="interrupt"),
    ],
)
def test_texts_of_errors(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, text: str
) -> None:
    def fail(path: object) -> None:
        raise error

    monkeypatch.setattr("pyfunc.inspection.inspect", fail)
    done = command("inspect", "anything")
    assert done.err.startswith(f"error: {text}")
    assert "Traceback" not in done.err
    assert json.loads(command("inspect", "anything", "--json").out)["exit_code"] == done.code


def test_a_traceback_is_there_for_the_asking(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYFUNC_TRACEBACK", "1")
    assert "Traceback" in command("inspect", "gone").err


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        pytest.param(("local", "full", None, None), {"trust": "full"}, id="defaults"),
        pytest.param(
            ("uv", "full", None, None),
            {"trust": "full", "env": "isolated", "env_manager": "uv"},
            id="isolated",
        ),
        pytest.param(
            ("local", "full", "ab", None),
            {"trust": "digest", "expected_digest": "ab"},
            id="digest",
        ),
        pytest.param(
            ("local", "full", None, "k"), {"trust": "signature", "public_key": "k"}, id="signature"
        ),
    ],
)
def test_options_of_loading(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    assert load_options(*arguments) == options


def test_it_runs_as_a_module(saved: Saved) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "pyfunc", "predict", str(saved()), "-t", "csv"],
        input=b"a,b\n1,2\n",
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (finished.returncode, finished.stdout) == (0, b'{"predictions": [3.0]}\n')
    assert finished.stderr == b""


def test_a_reader_that_goes_away_is_no_error(saved: Saved) -> None:
    rows = b"a,b\n" + b"1,2\n" * 100_000
    process = subprocess.Popen(
        [sys.executable, "-m", "pyfunc", "predict", str(saved()), "-t", "csv"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stdin, process.stderr:
        process.stdin.write(rows)
        process.stdin.close()
        error = process.stderr.read()
    assert (process.wait(60), error) == (0, b"")


def test_importing_the_command_is_light() -> None:
    code = (
        "import sys, pyfunc.cli.app\n"
        "print([n for n in ('pandas', 'numpy', 'starlette', 'uvicorn') if n in sys.modules])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert finished.stdout == "[]\n"


def test_without_its_libraries_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "pyfunc.cli.app")
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.setattr("pyfunc.cli.app", None, raising=False)
    for name in [
        n for n in sys.modules if n.startswith("pyfunc.cli.") and n != "pyfunc.cli.entry"
    ]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 7
    assert "pip install 'pyfunc-format[cli]'" in capsys.readouterr().err


def test_serve_runs_the_server_with_what_was_asked_for(
    command: Command, saved: Saved, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("pyfunc.serving.run", lambda path, **options: seen.append((path, options)))
    handler = tmp_path / "h.py"
    handler.write_text("")
    path = saved(handler=handler)
    monkeypatch.setenv("PYFUNC_PROJECT_DIR", "before")
    arguments = ["-p", 8123, "-h", "0.0.0.0", "-w", 3, "-t", 5, "--error-style", "cortex"]
    more = ["--batching", "--handler-on-invocations", "--env-manager", "uv", "--install-mlflow"]
    done = command("serve", path, *arguments, *more)
    assert done.code == 0
    [(root, options)] = seen
    settings = options.pop("settings")
    assert (settings.predict_timeout, settings.batching) == (5.0, True)
    assert settings.handler_on_invocations
    assert (root, options) == (
        path,
        {
            "host": "0.0.0.0",
            "port": 8123,
            "workers": 3,
            "name": None,
            "load_options": {
                "trust": "full",
                "env": "isolated",
                "env_manager": "uv",
                "install_mlflow": True,
            },
            "log_level": "info",
            "routes": "pyfunc.serving.samples.routes:cortex_routes",
        },
    )
    assert os.environ["PYFUNC_PROJECT_DIR"] == str(path / "project")


def test_serve_takes_mlflow_s_variables(
    command: Command, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("pyfunc.serving.run", lambda path, **options: seen.append(options))
    monkeypatch.setenv("MLFLOW_PORT", "8124")
    monkeypatch.setenv("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "7")
    done = command("serve", saved(), "--json")
    assert json.loads(done.out)["port"] == 8124
    assert (seen[0]["port"], seen[0]["settings"].predict_timeout) == (8124, 7.0)
    assert "routes" not in seen[0]


def test_serve_cannot_mount_what_is_not_there(command: Command, saved: Saved) -> None:
    done = command("serve", saved(), "-p", 0, "--mount-project")
    assert done.code == 2
    assert "there is no project" in done.err


def test_serve_cannot_run_a_handler_that_is_not_there(command: Command, saved: Saved) -> None:
    done = command("serve", saved(), "-p", 0, "-w", 2, "--handler-on-invocations")
    assert done.code == 2
    assert "without a request handler" in done.err


def test_serve_says_what_to_install(
    command: Command, saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyfunc.serving

    monkeypatch.delitem(vars(pyfunc.serving), "run", raising=False)
    for name in ("pyfunc.serving.running", "pyfunc.serving.http.running"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = command("serve", saved())
    assert done.code == 7
    assert "pip install 'pyfunc-format[serve]'" in done.err
