"""The tasks ``llm/v1/*``: requests and answers of OpenAI's interface, made by a pipeline.

A request is one mapping, or one row of a frame, with its own parameters.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pyfunc.code.calling import errors_named, told
from pyfunc.errors import BAD_REQUEST, InvalidArgumentError, shorten
from pyfunc.flavors.libraries import import_library
from pyfunc.flavors.pipelines.forms import rows_of
from pyfunc.flavors.pipelines.llm_signatures import llm_task_named
from pyfunc.flavors.pipelines.predictor import Predict, options_named
from pyfunc.handlers.samples import to_plain
from pyfunc.schema.data_types import is_missing

__all__ = ["find_predict", "read_embedding_inputs", "to_embeddings"]

_logger = logging.getLogger("pyfunc.flavors")

# What a request may say that generation here has nothing for.
_WITHOUT_EFFECT = ("frequency_penalty", "presence_penalty", "custom_inputs")
# What is worked out here, and would be refused beside it.
_OURS = ("stream", "return_full_text", "return_tensors", "include_prompt", "collapse_whitespace")


def find_predict(task: str, model_name: str) -> Predict:
    """Return what predicts for a task of :data:`~.llm_signatures.LLM_TASKS`.

    Args:
        task: its name.
        model_name: what answers call the model.

    Raises:
        InvalidArgumentError: there is no such task.
    """
    if llm_task_named(task).name == "llm/v1/embeddings":
        return _embed

    def predict(pipeline: Any, data: object, options: Mapping[str, object]) -> object:
        make = _chat if task == "llm/v1/chat" else _completion
        return [
            {
                "id": str(uuid.uuid4()),
                "object": "chat.completion" if task == "llm/v1/chat" else "text_completion",
                "created": int(time.time()),
                "model": model_name,
                **make(pipeline, request, options),
            }
            for request in _read_requests(data)
        ]

    return predict


def read_embedding_inputs(data: object) -> list[str]:
    """Return the texts of a request ``{"input": text or texts}``, or of rows with that column.

    Raises:
        InvalidArgumentError: there is no ``input``, or it is no text and no list of texts.
    """
    found: list[str] = []
    for row in _read_requests(data):
        given = _field(row, "input")
        texts = given if isinstance(given, list) else [given]
        if not texts or not all(isinstance(text, str) for text in texts):
            raise InvalidArgumentError(
                f"input: expected a text or a list of texts, got {shorten(given)}", BAD_REQUEST
            )
        found += [str(text) for text in texts]
    return found


def to_embeddings(vectors: Sequence[Any], tokens: int) -> dict[str, object]:
    """Return the answer to a request for embeddings: one vector for each text of ``tokens``."""
    data = [
        {"object": "embedding", "index": index, "embedding": np.asarray(vector).tolist()}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "usage": usage}


def _embed(pipeline: Any, data: object, options: Mapping[str, object]) -> object:
    texts = read_embedding_inputs(data)
    with options_named(pipeline, options):
        found = pipeline(texts, **options)
    tokens = sum(len(pipeline.tokenizer(text)["input_ids"]) for text in texts)
    # As in MLflow, a text is what its first token is.
    return to_embeddings([one[0][0] for one in found], tokens)


def _completion(
    pipeline: Any, request: Mapping[str, object], options: Mapping[str, object]
) -> dict[str, object]:
    prompt = _field(request, "prompt")
    if not isinstance(prompt, str):
        raise InvalidArgumentError(f"prompt: expected a text, got {shorten(prompt)}", BAD_REQUEST)
    asked = {key: value for key, value in request.items() if key != "prompt"}
    return _answer(pipeline, prompt, {**options, **asked}, lambda text: {"text": text})


def _chat(
    pipeline: Any, request: Mapping[str, object], options: Mapping[str, object]
) -> dict[str, object]:
    messages = _field(request, "messages")
    if not isinstance(messages, list) or not all(isinstance(one, Mapping) for one in messages):
        raise InvalidArgumentError(
            f"messages: expected a list of mappings, got {shorten(messages)}", BAD_REQUEST
        )
    asked = {key: value for key, value in request.items() if key != "messages"}
    tools = {"tools": asked.pop("tools")} if asked.get("tools") else {}
    with errors_named(_no_prompt):
        prompt = pipeline.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **tools
        )
    asked["add_special_tokens"] = False  # the template has written them
    return _answer(
        pipeline,
        prompt,
        {**options, **asked},
        lambda text: {"message": {"role": "assistant", "content": text}},
    )


def _no_prompt(error: Exception) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"messages: the chat template of the tokenizer cannot be applied: {told(error)}\n"
        "hint: the tokenizer needs a chat_template that takes these messages"
    )


def _answer(
    pipeline: Any,
    prompt: str,
    asked: Mapping[str, object],
    choice: Callable[[str], dict[str, object]],
) -> dict[str, object]:
    options = _generation_options(asked)
    stops = _stops(options.pop("stop", None))
    start = _count_tokens(pipeline, prompt, options)
    if stops:
        options["stopping_criteria"] = _until(pipeline.tokenizer, stops, start)
    with options_named(pipeline, options):
        found = pipeline(prompt, return_tensors=True, **options)
    ends = _ends(pipeline, options)
    made = [_completed(pipeline, one, start, ends, stops) for one in found]
    generated = sum(count for _, _, count in made)
    return {
        "usage": {
            "prompt_tokens": start,
            "completion_tokens": generated,
            "total_tokens": start + generated,
        },
        "choices": [
            {"index": index, "finish_reason": reason, **choice(text)}
            for index, (text, reason, _) in enumerate(made)
        ],
    }


def _generation_options(asked: Mapping[str, object]) -> dict[str, Any]:
    """Return the keyword arguments of transformers for parameters of OpenAI."""
    options = {key: value for key, value in asked.items() if key not in _OURS}
    dropped = [key for key in _WITHOUT_EFFECT if options.pop(key, None)]
    if dropped:
        _logger.warning("%s of a request have no effect here", ", ".join(dropped))
    if "max_tokens" in options:
        options["max_new_tokens"] = options.pop("max_tokens")
    if options.get("temperature") == 0:
        del options["temperature"]
        options["do_sample"] = False
    count = options.pop("n", None)
    if count is not None and count != 1:
        options.update(num_return_sequences=count, do_sample=True)
    return options


def _stops(stop: object) -> list[str]:
    given = [stop] if isinstance(stop, str) else _plain(stop) or ()
    return [str(one) for one in given if one]


def _until(tokenizer: Any, stops: Sequence[str], start: int) -> object:
    """Return what ends the generation where one of ``stops`` has been written."""
    torch = import_library("torch", extra="transformers")

    def is_reached(input_ids: Any, scores: object, **kwargs: object) -> object:
        texts = [_decoded(tokenizer, tokens) for tokens in input_ids[:, start:]]
        reached = [any(stop in text for stop in stops) for text in texts]
        return torch.tensor(reached, device=input_ids.device)

    library = import_library("transformers", extra="transformers")
    return library.StoppingCriteriaList([is_reached])


def _count_tokens(pipeline: Any, prompt: str, options: Mapping[str, object]) -> int:
    special = options.get("add_special_tokens", True)
    return len(pipeline.tokenizer(prompt, add_special_tokens=special)["input_ids"])


def _ends(pipeline: Any, options: Mapping[str, object]) -> set[object]:
    """Return the tokens that end a text."""
    configured = getattr(pipeline.model, "generation_config", None)
    end = options.get("eos_token_id", getattr(configured, "eos_token_id", None))
    return set(end) if isinstance(end, (list, tuple)) else {end}


def _completed(
    pipeline: Any, found: Mapping[str, Any], start: int, ends: set[object], stops: Sequence[str]
) -> tuple[str, str, int]:
    """Return the text after the prompt, why it ends there, and how many tokens were generated."""
    tokens = [int(token) for token in found["generated_token_ids"]][start:]
    at = next((place for place, token in enumerate(tokens) if token in ends), None)
    if at is not None:
        tokens = tokens[: at + 1]
    while tokens and tokens[-1] == pipeline.tokenizer.pad_token_id and tokens[-1] not in ends:
        tokens.pop()  # what follows the end of one text pads it to the longest
    text = _decoded(pipeline.tokenizer, tokens)
    cut = min((text.find(stop) for stop in stops if stop in text), default=None)
    reason = "length" if at is None and cut is None else "stop"
    return text[:cut].lstrip(), reason, len(tokens)


def _decoded(tokenizer: Any, tokens: object) -> str:
    return str(
        tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=True)
    )


def _read_requests(data: object) -> Iterator[dict[str, object]]:
    for row in rows_of(data):
        if not isinstance(row, Mapping):
            raise InvalidArgumentError(
                f"inputs: expected a request as a mapping, got {shorten(row)}", BAD_REQUEST
            )
        yield _plain(row)


def _field(request: Mapping[str, object], name: str) -> object:
    if name not in request:
        raise InvalidArgumentError(
            f"inputs: expected a request with {name!r}, got one with "
            f"{', '.join(request) or 'nothing'}",
            BAD_REQUEST,
        )
    return request[name]


def _plain(value: object) -> Any:
    """Return values of Python; a missing one is None, and as the value of a key there is none."""
    return _without_missing(to_plain(value))


def _without_missing(value: object) -> object:
    if isinstance(value, dict):
        present = {str(key): _without_missing(inner) for key, inner in value.items()}
        return {key: inner for key, inner in present.items() if inner is not None}
    if isinstance(value, list):
        return [_without_missing(item) for item in value]
    return None if is_missing(value) else value
