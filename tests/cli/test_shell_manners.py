"""How ``pyfunc`` behaves in a shell: JSON that parses, narrow help, colours, MLflow's options."""

from __future__ import annotations

import inspect
import json
import os
import pickle
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from pyfunc.cli.app import app
from pyfunc.cli.dockerfile import parse_truth
from pyfunc.cli.exits import text_for_command
from pyfunc.cli.options import load_options, log_to_stderr, split_requirements
from pyfunc.env.checking.report import Mismatch, Report, raise_mismatches, warn_mismatches
from pyfunc.errors import InvalidArgumentError, ModelNotFoundError, PyfuncError
from pyfunc.trust import TrustPolicy

Command = Callable[..., Any]
Saved = Callable[..., Path]

CSV = "a,b\n1,2\n"
START = "import sys; sys.argv = ['pyfunc']; from pyfunc.cli import main; main()"
WITH_JSON = [
    pytest.param(["inspect", "{model}"], 0, id="inspect"),
    pytest.param(["inspect", "{gone}"], 3, id="inspect-gone"),
    pytest.param(["inspect"], 2, id="inspect-nothing"),
    pytest.param(["verify", "{model}"], 0, id="verify"),
    pytest.param(["verify", "{model}", "--extra", "x"], 2, id="verify-choice"),
    pytest.param(["env", "check", "{model}"], 0, id="check"),
    pytest.param(["env", "check", "{model}", "--lock"], 3, id="check-lock"),
    pytest.param(["env", "lock", "{model}", "--no-resolve"], 0, id="lock"),
    pytest.param(["env", "lock", "{gone}"], 3, id="lock-gone"),
    pytest.param(["env", "create", "{gone}"], 3, id="create-gone"),
    pytest.param(["env", "create", "{model}", "-r", "a b"], 2, id="create-override"),
    pytest.param(["dependencies", "{model}"], 0, id="dependencies"),
    pytest.param(["dependencies", "{model}", "--format", "x"], 2, id="dependencies-choice"),
    pytest.param(["update-requirements", "-m", "{model}", "add", "six"], 0, id="update"),
    pytest.param(["update-requirements", "{model}", "add", "six"], 0, id="update-in-front"),
    pytest.param(["update-requirements", "add", "six", "-m", "{model}"], 0, id="update-behind"),
    pytest.param(["update-requirements", "{model}"], 2, id="update-what"),
    pytest.param(["update-requirements", "{model}", "six"], 2, id="update-how"),
    pytest.param(["update-requirements", "{model}", "add"], 2, id="update-with-nothing"),
    pytest.param(["update-requirements", "add", "six"], 2, id="update-which"),
    pytest.param(
        ["update-requirements", "-m", "{model}", "{model}", "add", "six"], 2, id="update-twice"
    ),
    pytest.param(["update-requirements", "-m", "{model}", "add", "!"], 2, id="update-line"),
    pytest.param(["update-requirements", "-m", "{model}", "add"], 2, id="update-nothing"),
    pytest.param(["dockerfile", "{model}", "-d", "{out}"], 0, id="dockerfile"),
    pytest.param(["dockerfile", "{model}", "-d", "{model}"], 8, id="dockerfile-conflict"),
    pytest.param(["dockerfile", "{model}", "-d", "{out}", "-p", "80"], 2, id="dockerfile-port"),
    pytest.param(["convert", "{gone}", "-o", "{out}"], 3, id="convert-gone"),
    pytest.param(["serve", "{gone}", "-p", "0"], 3, id="serve-gone"),
    pytest.param(["serve", "{model}", "--port", "x"], 2, id="serve-port"),
    pytest.param(["predict", "{model}", "-t", "csv"], 0, id="predict"),
    pytest.param(["predict", "{model}"], 5, id="predict-input"),
    pytest.param(["predict", "{model}", "-t", "csv", "-o", "{out}"], 0, id="predict-file"),
    pytest.param(["predict", "{model}", "--output-type", "csv"], 2, id="predict-two-types"),
    pytest.param(["predict", "{model}", "--unheard-of"], 2, id="predict-option"),
    pytest.param(["unheard-of"], 2, id="command"),
]


@pytest.mark.parametrize(("arguments", "code"), WITH_JSON)
def test_with_json_standard_output_is_one_object(
    command: Command, saved: Saved, tmp_path: Path, arguments: list[str], code: int
) -> None:
    places = {"model": saved(), "gone": tmp_path / "gone", "out": tmp_path / "out"}
    done = command(*[text.format(**places) for text in arguments], "--json", stdin=CSV)
    tree = json.loads(done.out)
    assert done.out.count("\n") == 1
    assert (done.code, isinstance(tree, dict)) == (code, True)
    if code > 1:
        assert (tree["exit_code"], bool(tree["error"]), bool(tree["kind"])) == (code, True, True)


def test_without_json_wrong_usage_is_on_standard_error(command: Command, saved: Saved) -> None:
    done = command("inspect", saved(), "--unheard-of")
    assert (done.code, done.out) == (2, "")
    assert "--unheard-of" in done.err


def leaves() -> dict[str, Any]:
    root: Any = typer.main.get_command(app)
    found = dict(root.commands)
    env = found.pop("env")
    return {**found, **{f"env {name}": each for name, each in env.commands.items()}}


@pytest.mark.parametrize("name", ["", "env", *sorted(leaves())])
def test_help_fits_a_narrow_terminal(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = command(*name.split(), "--help")
    assert max(map(len, done.out.splitlines())) <= 80
    assert "..." not in done.out.partition("Commands:")[2]
    assert "list[str]" not in done.out.partition("Options:")[2]
    if name in leaves():
        page = inspect.getdoc(leaves()[name].callback) or ""
        examples = page.partition("Examples:")[2].splitlines()
        assert {line.strip() for line in examples} <= {
            line.strip() for line in done.out.splitlines()
        }


@pytest.mark.parametrize("no_colour", ["", "1"])
def test_colours_are_for_terminals_that_want_them(saved: Saved, no_colour: str) -> None:
    path = saved(pip_requirements=["not-installed-anywhere==1"])
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "pyfunc", "env", "check", str(path)],
            stdout=theirs,
            env={**os.environ, "NO_COLOR": no_colour},
        )
        os.close(theirs)
        assert process.wait(60) == 1
        text = screen.read(100_000)
    assert b"not-installed-anywhere" in text
    assert (b"\x1b[" in text) is (not no_colour)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    script = subprocess.run(
        [sys.executable, "-c", START],
        env={**os.environ, "_PYFUNC_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    words = {"bash": "complete -o", "zsh": "#compdef", "fish": "complete --command"}
    assert words[shell] in script.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["inspect", "{model}"], ["predict", "--help"]])
def test_a_closed_pipe_is_no_traceback(saved: Saved, arguments: list[str]) -> None:
    path = saved()
    given = [text.format(model=path) for text in arguments]
    process = subprocess.Popen(
        [sys.executable, "-m", "pyfunc", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert "Traceback" not in process.stderr.read()
    process.wait(60)


MLFLOW_OPTIONS = {
    "serve": "-m -p -h -t -w --model-uri --port --host --timeout --workers --env-manager "
    "--no-conda --install-mlflow",
    "predict": "-m -i -o -t -r --model-uri --input-path --output-path --content-type "
    "--env-manager --install-mlflow --pip-requirements-override --env",
    "env create": "-m --model-uri --env-manager --install-mlflow",
    "dockerfile": "-m -d -n --model-uri --output-directory --name --env-manager --mlflow-home "
    "--install-java --install-mlflow",
    "update-requirements": "-m --model-uri",
}


@pytest.mark.parametrize("name", sorted(MLFLOW_OPTIONS))
def test_options_have_mlflow_s_names(name: str) -> None:
    options = {text for parameter in leaves()[name].params for text in parameter.opts}
    assert set(MLFLOW_OPTIONS[name].split()) <= options


@pytest.mark.parametrize(
    ("texts", "lines"),
    [
        pytest.param(["a==1,b==2"], ["a==1", "b==2"], id="mlflow-s-form"),
        pytest.param(["a>=1,<2,b"], ["a>=1,<2", "b"], id="range"),
        pytest.param(["a>=1, !=1.5 , b"], ["a>=1, !=1.5", "b"], id="spaces"),
        pytest.param(["a[x,y]==1,b~=2"], ["a[x,y]==1", "b~=2"], id="extras"),
        pytest.param(["a", "b,c"], ["a", "b", "c"], id="repeated"),
        pytest.param(["a,,"], ["a"], id="empty-ones"),
    ],
)
def test_requirements_between_commas(texts: list[str], lines: list[str]) -> None:
    assert split_requirements(texts) == lines


OVERRIDDEN = {"install_mlflow": True, "pip_requirements_override": ["a==1,b"]}


def test_options_of_an_environment_that_is_made() -> None:
    found = load_options("uv", "full", None, None, **OVERRIDDEN)  # type: ignore[arg-type]
    assert found == {
        "trust": "full",
        "env": "isolated",
        "env_manager": "uv",
        "install_mlflow": True,
        "pip_requirements_override": ["a==1", "b"],
    }
    assert load_options("local", "full", None, None, no_conda=True) == {"trust": "full"}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        pytest.param(["-r", "numpy==1"], "add --env-manager uv", id="override-here"),
        pytest.param(["--no-conda", "--env-manager", "uv"], "contradicts", id="two-managers"),
    ],
)
def test_options_that_mean_nothing_here(
    command: Command, saved: Saved, options: list[str], text: str
) -> None:
    done = command("predict", saved(), *options, "-t", "csv", stdin=CSV)
    assert (done.code, done.out) == (2, "")
    assert text in done.err


def test_installing_mlflow_here_is_only_remarked_on(command: Command, saved: Saved) -> None:
    done = command("predict", saved(), "--install-mlflow", "-t", "csv", stdin=CSV)
    assert (done.code, json.loads(done.out)) == (0, {"predictions": [3.0]})
    assert "--install-mlflow does nothing here" in done.err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        pytest.param(["--env-manager", "conda"], "the image is the environment", id="manager"),
        pytest.param(["--mlflow-home", "."], "made without MLflow", id="mlflow-home"),
        pytest.param(["--install-java", "maybe"], "expected true or false", id="java"),
        pytest.param(["-n", "Not A Name", "--build"], "not the name of an image", id="name"),
    ],
)
def test_options_of_mlflow_s_images_that_are_refused(
    command: Command, saved: Saved, tmp_path: Path, options: list[str], text: str
) -> None:
    done = command("dockerfile", saved(), "-d", tmp_path / "out", *options)
    assert (done.code, done.out) == (2, "")
    assert text in done.err
    assert not (tmp_path / "out").exists()


def test_truths() -> None:
    assert [parse_truth("-", text) for text in ("TRUE", "1", "no", None)] == [
        True,
        True,
        False,
        False,
    ]
    with pytest.raises(InvalidArgumentError):
        parse_truth("-", "")


MISMATCHES = Report(
    "model", (Mismatch("x", "x==1", "1.1", "version", "likely"),), "3.11.7", "3.11.7", 1
)


def failing_with(call: Callable[[], object]) -> PyfuncError:
    with pytest.raises(PyfuncError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    ("call", "told"),
    [
        pytest.param(lambda: raise_mismatches(MISMATCHES), "--env-manager uv", id="isolated"),
        pytest.param(lambda: raise_mismatches(MISMATCHES), "pyfunc dependencies", id="file"),
        pytest.param(
            lambda: TrustPolicy.from_arguments("digest"), "--expected-digest", id="digest"
        ),
        pytest.param(
            lambda: TrustPolicy.from_arguments("signature"), "--public-key", id="signature"
        ),
    ],
)
def test_hints_name_options(call: Callable[[], object], told: str) -> None:
    error = failing_with(call)
    assert told not in str(error)
    assert told in text_for_command(error)


def test_the_hint_of_an_error_is_data() -> None:
    text = "it is not there\nhint: put it there"
    for error in (ModelNotFoundError(text), pickle.loads(pickle.dumps(ModelNotFoundError(text)))):
        assert (str(error), error.hint) == (text, "put it there")
        assert error.with_hint("") == "it is not there"
    assert InvalidArgumentError("no").hint == ""


def test_warnings_name_options(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr()
    warn_mismatches(MISMATCHES)
    assert "or give --env-manager uv\n" in capsys.readouterr().err


def test_conflicts_say_which_option_replaces(
    command: Command, saved: Saved, tmp_path: Path
) -> None:
    path = saved()
    assert command("dockerfile", path, "-d", tmp_path / "out").code == 0
    done = command("dockerfile", path, "-d", tmp_path / "out")
    assert (done.code, "--overwrite" in done.err) == (8, True)
    assert command("dockerfile", path, "-d", tmp_path / "out", "--overwrite").code == 0
