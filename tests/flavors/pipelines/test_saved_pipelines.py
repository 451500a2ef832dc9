"""What a pipeline is saved from, and what of it is read again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import pyfunc
import pyfunc.flavors
from pyfunc.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    ModelFormatError,
    ModelIncompleteError,
    PyfuncError,
    UntrustedModelError,
)

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.interop]

ONE = "a good day"
GREEDY = {"do_sample": False, "max_new_tokens": 5}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
# Tasks that one of the two releases of the library has not, and where a model of it comes from.
REMOVED = [
    "conversational",
    "question-answering",
    "summarization",
    "text2text-generation",
    "translation_en_to_de",
]


def change_section(model: Path, **keys: object) -> None:
    file = model / "MLmodel"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["flavors"]["transformers"].update(keys)
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    shutil.rmtree(model / ".pyfunc")  # it is another model now


@pytest.fixture(name="classifier")
def give_classifier(tiny: Any, ours: Any, tmp_path: Path) -> Path:
    ours.save_model(tiny.text_classification(), tmp_path / "classifier")
    return tmp_path / "classifier"


@pytest.mark.parametrize("removed", REMOVED)
def test_a_task_that_the_library_lacks_is_refused_before_the_weights_are_read(
    removed: str, tiny: Any, ours: Any, classifier: Path
) -> None:
    if tiny.is_there(removed):
        removed = f"another-{removed}"
    change_section(classifier, task=removed, transformers_version="4.40.2")
    shutil.rmtree(classifier / "model")
    (classifier / "model").mkdir()  # whoever reads it fails in another way
    for load in (pyfunc.load_model, ours.load_model):
        with pytest.raises(
            ModelIncompleteError, match=f"no pipelines of the task '{removed}'"
        ) as caught:
            load(classifier)
        assert caught.value.hint == "pip install 'transformers==4.40.2'"


@pytest.mark.parametrize("task", ["conversational", "no-such-task"])
def test_parts_for_a_task_that_is_not_there_are_refused(
    task: str, tiny: Any, ours: Any, tmp_path: Path
) -> None:
    pipeline = tiny.text_classification()
    parts = {"model": pipeline.model, "tokenizer": pipeline.tokenizer}
    with pytest.raises(InvalidArgumentError, match=task):
        ours.save_model(parts, tmp_path / "model", task=task)


def test_a_pipeline_is_saved_from_its_parts_and_from_a_folder(
    tiny: Any, ours: Any, tmp_path: Path
) -> None:
    pipeline = tiny.text_classification()
    pipeline.save_pretrained(str(tmp_path / "folder"))
    parts = {"model": pipeline.model, "tokenizer": pipeline.tokenizer}
    expected = pipeline([ONE])[0]
    for at, given in enumerate((parts, str(tmp_path / "folder"), tmp_path / "folder")):
        ours.save_model(given, tmp_path / str(at), task="text-classification")
        (found,) = pyfunc.load_model(tmp_path / str(at)).predict(ONE).to_dict("records")
        assert found["label"] == expected["label"]


@pytest.mark.parametrize(
    ("given", "task", "error"),
    [
        pytest.param({"tokenizer": None}, "ner", InvalidArgumentError, id="no_model"),
        pytest.param({"model": None, "other": 1}, "ner", InvalidArgumentError, id="unknown"),
        pytest.param({"model": None}, None, InvalidArgumentError, id="no_task"),
        pytest.param("no/such/folder", "ner", InvalidArgumentError, id="no_folder"),
        pytest.param(object(), "ner", InvalidTypeError, id="object"),
    ],
)
def test_what_makes_no_pipeline_is_refused(
    given: object, task: str | None, error: type[Exception], ours: Any, tmp_path: Path
) -> None:
    with pytest.raises(error):
        ours.save_model(given, tmp_path / "model", task=task)
    assert not (tmp_path / "model").exists()


def test_components_are_what_a_pipeline_is_made_of(ours: Any, classifier: Path) -> None:
    import transformers

    parts = ours.load_model(classifier, return_type="components")
    assert list(parts) == ["task", "model", "tokenizer"]
    assert transformers.pipeline(**parts)(ONE) == ours.load_model(classifier, device="cpu")(ONE)
    with pytest.raises(InvalidArgumentError, match="return_type"):
        ours.load_model(classifier, return_type="weights")


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_weights_have_the_type_that_they_had(
    dtype: str, tiny: Any, ours: Any, mlflow: Any, tmp_path: Path
) -> None:
    import torch

    pipeline = tiny.text_classification()
    pipeline.model.to(getattr(torch, dtype))
    for name, library in (("ours", ours), ("mlflow", mlflow.transformers)):
        library.save_model(pipeline, str(tmp_path / name), pip_requirements=["transformers"])
        assert ours.load_model(tmp_path / name).model.dtype is getattr(torch, dtype)


def test_another_type_of_weights_may_be_asked_for(tiny: Any, ours: Any, tmp_path: Path) -> None:
    import torch

    ours.save_model(tiny.text_classification(), tmp_path / "model", torch_dtype=torch.float16)
    assert ours.load_model(tmp_path / "model").model.dtype is torch.float16


@pytest.mark.parametrize("text", ["torch.nn", "float99"])
def test_a_type_that_there_is_not_is_named(text: str, classifier: Path) -> None:
    change_section(classifier, torch_dtype=text)
    with pytest.raises(ModelFormatError, match="torch_dtype"):
        pyfunc.load_model(classifier)


def test_a_template_is_around_every_prompt(
    tiny: Any, ours: Any, mlflow: Any, tmp_path: Path
) -> None:
    pipeline = tiny.text_generation()
    template = "is this {prompt} x"
    arguments = {"prompt_template": template, "model_config": GREEDY, "pip_requirements": ["x"]}
    found = {}
    for name, library in (("ours", ours), ("mlflow", mlflow.transformers)):
        library.save_model(
            pipeline, str(tmp_path / name), **{**arguments, "model_config": {**GREEDY}}
        )
        description = pyfunc.Model.load(tmp_path / name)
        assert description.metadata == {"prompt_template": template}
        assert description.flavors["python_function"]["config"]["return_full_text"] is False
        loaded = mlflow.pyfunc.load_model(str(tmp_path / name))
        here = pyfunc.load_model(tmp_path / name, suppress_warnings=True)
        found[name] = [loaded.predict([ONE, "x"]), here.predict([ONE, "x"])]
    expected = pipeline(template.format(prompt=ONE), return_full_text=False, **GREEDY)
    assert found["ours"] == found["mlflow"] == [found["ours"][0]] * 2
    assert found["ours"][0][0] == expected[0]["generated_text"].strip()


@pytest.mark.parametrize("template", ["no prompt", "{prompt} {other}", "{", "{prompt}{prompt}", 5])
def test_what_is_no_template_is_refused(
    template: Any, tiny: Any, ours: Any, tmp_path: Path
) -> None:
    with pytest.raises(PyfuncError, match="prompt_template"):
        ours.save_model(tiny.text_generation(), tmp_path / "model", prompt_template=template)


def test_a_task_without_prompts_takes_no_template(tiny: Any, ours: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="takes none"):
        ours.save_model(
            tiny.text_classification(), tmp_path / "model", prompt_template="a {prompt}"
        )


def test_a_metadata_of_another_task_is_refused(tiny: Any, ours: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="metadata"):
        ours.save_model(
            tiny.text_generation(), tmp_path / "model", metadata={"task": "llm/v1/chat"}
        )


def test_a_processor_is_saved_beside_the_parts(
    tiny: Any, ours: Any, mlflow: Any, tmp_path: Path
) -> None:
    import transformers

    pipeline = tiny.BUILDERS["automatic-speech-recognition"]()
    processor = transformers.Wav2Vec2Processor(pipeline.feature_extractor, pipeline.tokenizer)
    for name, library in (("ours", ours), ("mlflow", mlflow.transformers)):
        library.save_model(
            pipeline, str(tmp_path / name), processor=processor, pip_requirements=["transformers"]
        )
        section = pyfunc.Model.load(tmp_path / name).flavors["transformers"]
        assert section["components"] == ["feature_extractor", "tokenizer"]
        assert section["processor_type"] == "Wav2Vec2Processor"
        parts = ours.load_model(tmp_path / name, return_type="components")
        assert type(parts["processor"]) is transformers.Wav2Vec2Processor
    mlflow.transformers.load_model(str(tmp_path / "ours"), return_type="components")


@pytest.fixture(name="hub")
def give_hub(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a repository that this machine has fetched one commit of."""
    import huggingface_hub.constants

    cache = tmp_path / "hub"
    repository = cache / "models--someone--tiny"
    snapshot = repository / "snapshots" / COMMIT
    tiny.text_classification().save_pretrained(str(snapshot))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    # The library reads where its cache is once, when it is imported.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("transformers.utils.hub.TRANSFORMERS_CACHE", str(cache), raising=False)
    return "someone/tiny"


def test_a_model_of_the_hub_is_saved_as_its_commit(
    hub: str, ours: Any, mlflow: Any, tmp_path: Path
) -> None:
    import transformers

    pipeline = transformers.pipeline("text-classification", model=hub, device="cpu")
    ours.save_model(pipeline, tmp_path / "model", save_pretrained=False)
    assert not list(tmp_path.glob("model/**/*.safetensors"))
    section = pyfunc.Model.load(tmp_path / "model").flavors["transformers"]
    assert section["source_model_name"] == section["tokenizer_name"] == hub
    assert section["source_model_revision"] == section["tokenizer_revision"] == COMMIT
    assert "model_binary" not in section
    described = pyfunc.flavors.describe({"transformers": section}, [])
    assert not described["transformers"].is_pickle_free
    here = pyfunc.load_model(tmp_path / "model").predict(ONE)
    there = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(ONE)
    assert here.to_dict() == there.to_dict()
    with pytest.raises(UntrustedModelError):
        pyfunc.load_model(tmp_path / "model", trust="allowlist")


def test_a_model_that_is_not_of_the_hub_keeps_its_weights(
    tiny: Any, ours: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours.save_model(tiny.text_classification(), tmp_path / "model", save_pretrained=False)
    assert "no repository of the hub" in caplog.text
    assert (tmp_path / "model" / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize("revision", ["main", "", 5, COMMIT.upper()])
def test_only_a_commit_is_loaded_from_the_hub(revision: object, classifier: Path) -> None:
    change_section(classifier, source_model_name="someone/tiny", source_model_revision=revision)
    with pytest.raises(ModelFormatError, match="source_model_revision"):
        pyfunc.load_model(classifier)


@pytest.mark.parametrize("key", ["peft_adaptor", "local_base_model_path"])
def test_what_needs_a_model_elsewhere_is_refused(key: str, classifier: Path) -> None:
    change_section(classifier, **{key: "peft"})
    with pytest.raises(ModelFormatError, match=key):
        pyfunc.load_model(classifier)


def test_an_adapter_alone_is_not_saved(tiny: Any, ours: Any, tmp_path: Path) -> None:
    pipeline = tiny.text_classification()
    own = type(pipeline.model)
    pipeline.model.__class__ = type("Adapter", (own,), {"__module__": "peft.peft_model"})
    with pytest.raises(InvalidArgumentError, match="PEFT") as caught:
        ours.save_model(pipeline, tmp_path / "model")
    assert "merge_and_unload" in caught.value.hint
    assert not (tmp_path / "model").exists()


OWN_CODE = """
from transformers import BertForSequenceClassification

class OwnClassifier(BertForSequenceClassification):
    pass
"""


def test_a_class_in_the_folder_of_the_model_is_found(
    ours: Any, classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The library copies such code to its cache before it imports it.
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "own")
    )
    (classifier / "model" / "own_classifier.py").write_text(OWN_CODE, encoding="utf-8")
    config = classifier / "model" / "config.json"
    content = json.loads(config.read_text(encoding="utf-8"))
    content["auto_map"] = {"AutoModelForSequenceClassification": "own_classifier.OwnClassifier"}
    config.write_text(json.dumps(content), encoding="utf-8")
    change_section(classifier, pipeline_model_type="OwnClassifier")
    assert type(ours.load_model(classifier).model).__name__ == "OwnClassifier"
    change_section_again = {"pipeline_model_type": "NoSuchClassifier"}
    (classifier / ".pyfunc").mkdir()
    change_section(classifier, **change_section_again)
    with pytest.raises(ModelIncompleteError, match="NoSuchClassifier"):
        ours.load_model(classifier)


def test_an_example_that_fails_leaves_the_signature_of_the_task(
    tiny: Any, ours: Any, tmp_path: Path
) -> None:
    ours.save_model(tiny.fill_mask(), tmp_path / "model", input_example="nothing masked")
    found = pyfunc.Model.load(tmp_path / "model").signature
    assert found is not None
    assert str(found.inputs) == "[string (required)]"


def test_options_in_a_file_of_old_releases_are_read(
    tiny: Any, ours: Any, mlflow: Any, tmp_path: Path
) -> None:
    ours.save_model(tiny.text_generation(), tmp_path / "model")
    file = tmp_path / "model" / "components" / "inference_config.txt"
    file.write_text(json.dumps(GREEDY), encoding="utf-8")
    change_section(tmp_path / "model")
    expected = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(ONE)
    assert pyfunc.load_model(tmp_path / "model").predict(ONE) == expected
    for text in ("[1]", "{"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ModelFormatError, match="inference_config"):
            pyfunc.load_model(tmp_path / "model")


def test_no_signature_is_saved_if_none_is_wanted(tiny: Any, ours: Any, tmp_path: Path) -> None:
    ours.save_model(
        tiny.text_generation(), tmp_path / "model", signature=False, model_config=GREEDY
    )
    model = pyfunc.load_model(tmp_path / "model")
    assert model.metadata.signature is None
    (text,) = model.predict(ONE)
    assert model.predict({"any": ONE}) == model.predict([ONE]) == [text]
    assert model.predict([]) == []
