"""Reading ``cortex.yaml`` and turning APIs into models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pyfunc
from pyfunc.cortex import CortexApi, convert_api, load_project
from pyfunc.errors import InvalidArgumentError, ModelFormatError, ModelNotFoundError, PyfuncError
from pyfunc.handlers.tracker import Tracker

Save = Callable[..., Path]
Project = Callable[..., Path]

HANDLER = (
    "def post_inference(prediction, signature, metadata):\n    return [prediction, metadata]\n"
)
DEPLOYMENT = "- kind: deployment\n  name: iris\n"
API = "- kind: api\n  name: {}\n  onnx: {{model: m.onnx}}\n"


def test_defaults(project: Project) -> None:
    found = load_project(project({"cortex.yaml": DEPLOYMENT + API.format("one")}))
    assert found.deployment == "iris"
    [api] = found.apis
    assert api == CortexApi(
        name="one",
        endpoint="/iris/one",
        model_format="onnx",
        model="m.onnx",
        compute={
            "min_replicas": 1,
            "max_replicas": 100,
            "init_replicas": 1,
            "target_cpu_utilization": 80,
            "cpu": "200m",
            "gpu": 0,
            "mem": None,
        },
    )


FULL = """
- kind: deployment
  name: iris
- kind: api
  name: a
  endpoint: /x
  {where}
  tracker: {{key: label, model_type: classification}}
  compute: {{min_replicas: 2, max_replicas: 3, cpu: 1}}
"""


@pytest.mark.parametrize(
    "where",
    [
        pytest.param(
            "tensorflow: {model: s3://b/m, request_handler: handler.py, signature_key: k, "
            "python_path: lib, metadata: {t: 1}}",
            id="in-the-block",
        ),
        pytest.param(
            "tensorflow: {model: s3://b/m, request_handler: handler.py, signature_key: k}\n"
            "  python_path: lib\n  metadata: {t: 1}",
            id="beside-the-block",
        ),
        pytest.param(
            "model: s3://b/m\n  model_format: tensorflow\n  request_handler: handler.py\n"
            "  tf_signature_key: k\n  python_path: lib\n  metadata: {t: 1}",
            id="flat",
        ),
        pytest.param(
            "model: s3://b/m\n  request_handler: handler.py\n"
            "  tf_signature_key: k\n  python_path: lib\n  metadata: {t: 1}",
            id="flat-without-format",
        ),
    ],
)
def test_all_forms_say_the_same(project: Project, where: str) -> None:
    files = {"cortex.yaml": FULL.format(where=where), "handler.py": HANDLER}
    [api] = load_project(project(files) / "cortex.yaml").apis
    assert (api.endpoint, api.model_format, api.model) == ("/x", "tensorflow", "s3://b/m")
    assert (api.request_handler, api.signature_key, api.python_path) == ("handler.py", "k", "lib")
    assert (api.metadata, api.tracker) == (
        {"t": 1},
        {"key": "label", "model_type": "classification"},
    )
    assert (api.compute["min_replicas"], api.compute["init_replicas"]) == (2, 2)


ONE = DEPLOYMENT + "- kind: api\n  name: one\n  "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: 1", "a list of mappings", id="no-list"),
        pytest.param("- 1", "a list of mappings", id="no-mapping"),
        pytest.param(API.format("one"), "exactly one deployment, found 0", id="no-deployment"),
        pytest.param(DEPLOYMENT * 2, "exactly one deployment, found 2", id="two-deployments"),
        pytest.param(DEPLOYMENT + "- kind: cron\n", "deployment or api", id="kind"),
        pytest.param("- kind: deployment\n", "expected text, missing", id="no-name"),
        pytest.param("- kind: deployment\n  name: Up\n", "lower-case letters", id="bad-name"),
        pytest.param(
            DEPLOYMENT + API.format("one") * 2, "2 APIs have the name 'one'", id="same-name"
        ),
        pytest.param(
            ONE + "endpoint: /a\n  model: m.onnx\n" + "- kind: api\n  name: two\n  endpoint: /a\n"
            "  model: m.onnx\n",
            "the endpoint '/a'",
            id="same-endpoint",
        ),
        pytest.param(ONE + "endpoint: /x\n", "found none", id="no-model"),
        pytest.param(ONE + "onnx: {model: a}\n  tensorflow: {model: b}\n", "found tens", id="two"),
        pytest.param(ONE + "onnx: {model: a}\n  model: b\n", "found onnx, model", id="both-forms"),
        pytest.param(ONE + "onnx: a\n", "expected a mapping", id="block"),
        pytest.param(ONE + "onnx: {}\n", "expected text, missing", id="model-missing"),
        pytest.param(ONE + "predictor: {path: p.py}\n", "PythonModel", id="predictor"),
        pytest.param(ONE + "model: a\n  model_format: pmml\n", "tensorflow or onnx", id="format"),
        pytest.param(
            ONE + "onnx: {model: a, request_handler: gone.py}\n",
            "gone.py: implementation file does not exist",
            id="handler",
        ),
        pytest.param(ONE + "model: a\n  metadata: [1]\n", "text keys", id="metadata"),
        pytest.param(ONE + "model: a\n  metadata: {1: 2}\n", "text keys", id="metadata-key"),
        pytest.param(ONE + "model: a\n  compute: {x: 1}\n", "unknown keys: x", id="compute"),
        pytest.param(
            ONE + "model: a\n  compute: {min_replicas: 5, max_replicas: 2}\n", "<=", id="replicas"
        ),
        pytest.param(
            ONE + "model: a\n  compute: {min_replicas: x}\n", "whole numbers", id="replicas-text"
        ),
    ],
)
def test_configurations_that_are_refused(project: Project, text: str, message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        load_project(project({"cortex.yaml": text}))


def test_a_folder_without_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"cortex\.yaml"):
        load_project(tmp_path)


@pytest.mark.parametrize("place", [Path, Path.as_uri], ids=["path", "uri"])
def test_a_model_directory_is_taken_with_the_handler(
    save: Save, project: Project, tmp_path: Path, place: Callable[[Path], str | Path]
) -> None:
    model = save("", handler=None, project_dir=None)
    root = project(
        {
            "cortex.yaml": ONE + "tensorflow: {model: s3://b/m, request_handler: h.py}\n"
            "  metadata: {k: 2}\n",
            "h.py": HANDLER,
            "config.json": "{}",
        }
    )
    path = convert_api(root, tmp_path / "out", model=place(model))
    loaded = pyfunc.load_model(path, suppress_warnings=True)
    assert loaded.predict_sample(1) == [1, {"k": 2}]
    assert (path / "project" / "config.json").is_file()


def test_a_tracker_goes_with_the_handler(save: Save, project: Project, tmp_path: Path) -> None:
    model = save("", handler=None, project_dir=None)
    configured = "tensorflow: {model: s3://b/m, request_handler: h.py}\n  tracker: {tracker}\n"
    text = ONE + configured.replace("{tracker}", "{model_type: regression}")
    root = project({"cortex.yaml": text, "h.py": HANDLER})
    loaded: Any = pyfunc.load_model(
        convert_api(root, tmp_path / "out", model=model), suppress_warnings=True
    )
    assert loaded.request_handler.tracker == Tracker("regression")
    text = ONE + configured.replace("{tracker}", "{model_type: clustering}")
    root = project({"cortex.yaml": text, "h.py": HANDLER}, "wrong")
    with pytest.raises(InvalidArgumentError, match="tracker: model_type: expected classification"):
        convert_api(root, tmp_path / "wrong-out", model=model)


def test_an_api_without_a_handler_is_only_a_model(
    save: Save, project: Project, tmp_path: Path
) -> None:
    model = save("", handler=None, project_dir=None)
    root = project({"cortex.yaml": ONE + f"model: {model}\n"})
    path = convert_api(root, tmp_path / "out")
    assert pyfunc.load_model(path, suppress_warnings=True).predict(2) == 2
    assert not (path / "project").exists()


@pytest.mark.parametrize(
    ("apis", "name", "message"),
    [
        pytest.param("", None, "The project has: none", id="none"),
        pytest.param(API.format("a") + API.format("b"), None, "which API", id="several"),
        pytest.param(API.format("a"), "z", "no API 'z'", id="unknown"),
    ],
)
def test_an_api_has_to_be_chosen(
    project: Project, tmp_path: Path, apis: str, name: str | None, message: str
) -> None:
    root = project({"cortex.yaml": DEPLOYMENT + apis})
    with pytest.raises(InvalidArgumentError, match=message):
        convert_api(root, tmp_path / "out", api=name)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        pytest.param("s3://bucket/m.onnx", ModelNotFoundError, "download it", id="remote"),
        pytest.param("gone.onnx", ModelNotFoundError, "no model at", id="missing"),
        pytest.param("folder", PyfuncError, "cannot be converted", id="saved-model"),
    ],
)
def test_models_that_cannot_be_converted(
    project: Project, tmp_path: Path, model: str, error: type[Exception], message: str
) -> None:
    root = project({"cortex.yaml": ONE + f"model: {model}\n", "folder/saved_model.pb": ""})
    with pytest.raises(error, match=message):
        convert_api(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()
