"""What of a model is passed on to onnxruntime: an exact list, each value with its type and range.

onnxruntime's own list is longer: some of its options name files and folders to read and write, and
some a library to load. None of them is a model's to choose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from pyfunc.errors import InvalidArgumentError, shorten

__all__ = ["EXECUTION_MODES", "LEVELS", "THREADS", "check_providers", "check_session_options"]

THREADS = ("inter_op_num_threads", "intra_op_num_threads")
EXECUTION_MODES = {"sequential": "ORT_SEQUENTIAL", "parallel": "ORT_PARALLEL"}
LEVELS = {
    0: "ORT_DISABLE_ALL",
    1: "ORT_ENABLE_BASIC",
    2: "ORT_ENABLE_EXTENDED",
    99: "ORT_ENABLE_ALL",
}

_MAX_THREADS = 512
_EXTRA = "extra_session_config"
_KEYS = (*THREADS, "execution_mode", "graph_optimization_level", _EXTRA)
_PROVIDER = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")
_SWITCH = re.compile(r"[01]")
_NUMBER = re.compile(r"\d{1,18}")
_SMALL = re.compile(r"\d{1,3}")

# Keys of onnxruntime's session configuration, with what their text may be.
_CONFIG: dict[str, re.Pattern[str]] = {
    **dict.fromkeys(
        (
            "mlas.disable_kleidiai",
            "mlas.enable_gemm_fastmath_arm64_bfloat16",
            "optimization.enable_gelu_approximation",
            "session.allow_released_opsets_only",
            "session.disable_aot_function_inlining",
            "session.disable_cpu_ep_fallback",
            "session.disable_double_qdq_remover",
            "session.disable_prepacking",
            "session.disable_quant_qdq",
            "session.enable_quant_qdq_cleanup",
            "session.force_spinning_stop",
            "session.inter_op.allow_spinning",
            "session.intra_op.allow_spinning",
            "session.qdqisint8allowed",
            "session.set_denormal_as_zero",
            "session.strict_shape_type_inference",
            "session.use_device_allocator_for_initializers",
            "session.use_env_allocators",
            "session.x64quantprecision",
        ),
        _SWITCH,
    ),
    "session.dynamic_block_base": _SMALL,
}

# Options of the providers that a model may set; those of others, and others of these, name files.
_GPU: dict[str, re.Pattern[str]] = {
    "arena_extend_strategy": re.compile("kNextPowerOfTwo|kSameAsRequested"),
    "cudnn_conv_algo_search": re.compile("EXHAUSTIVE|HEURISTIC|DEFAULT"),
    "cudnn_conv_use_max_workspace": _SWITCH,
    "device_id": _SMALL,
    "do_copy_in_default_stream": _SWITCH,
    "enable_cuda_graph": _SWITCH,
    "gpu_mem_limit": _NUMBER,
    "prefer_nhwc": _SWITCH,
    "tunable_op_enable": _SWITCH,
    "tunable_op_tuning_enable": _SWITCH,
    "use_tf32": _SWITCH,
}
_PROVIDER_OPTIONS: dict[str, dict[str, re.Pattern[str]]] = {
    "CUDAExecutionProvider": _GPU,
    "ROCMExecutionProvider": _GPU,
    "DmlExecutionProvider": {"device_id": _SMALL},
}


def check_session_options(options: object) -> dict[str, object]:
    """Return the options of a session, checked by name, type and value.

    Raises:
        InvalidArgumentError: one is unknown or has a value that is not passed on; ``options`` is
            no mapping.
    """
    if not isinstance(options, Mapping):
        raise _refused("", "a mapping", options)
    unknown = sorted(str(key) for key in options if key not in _KEYS)
    if unknown:
        raise _refused("", ", ".join(_KEYS), ", ".join(unknown))
    given = {str(key): value for key, value in options.items() if value is not None}
    for key, value in given.items():
        if key in THREADS:
            _check(_is_number(value, _MAX_THREADS), key, f"0 to {_MAX_THREADS}", value)
        elif key == "execution_mode":
            _check(
                isinstance(value, str) and value in EXECUTION_MODES,
                key, f"one of {', '.join(EXECUTION_MODES)}", value,
            )  # fmt: skip
        elif key == "graph_optimization_level":
            _check(
                type(value) is int and value in LEVELS,
                key, f"one of {', '.join(map(str, LEVELS))}", value,
            )  # fmt: skip
    return {**given, _EXTRA: dict(_texts(given.get(_EXTRA, {}), _EXTRA, _CONFIG))}


def check_providers(providers: object) -> list[str | tuple[str, dict[str, str]]]:
    """Return the providers as onnxruntime takes them: names, and names with their options.

    YAML has lists where MLflow was given tuples.

    Raises:
        InvalidArgumentError: one is nothing of this, or has an option that is not passed on.
    """
    if not isinstance(providers, (list, tuple)):
        raise _refused_providers("a list", providers)
    return [_check_provider(item) for item in providers]


def _check_provider(item: object) -> str | tuple[str, dict[str, str]]:
    match item:
        case str(name) if _PROVIDER.fullmatch(name):
            return name
        case [str(name), options] if _PROVIDER.fullmatch(name):
            known = _PROVIDER_OPTIONS.get(name, {})
            return name, dict(_texts(options, name, known, _refused_provider_option))
    raise _refused_providers("a name, or a name with a mapping of options", item)


Refusal = Callable[[str, str, object], InvalidArgumentError]


def _texts(
    given: object, where: str, known: Mapping[str, re.Pattern[str]], refused: Refusal | None = None
) -> Iterator[tuple[str, str]]:
    """Yield the entries of a mapping, each value as text once its pattern fits."""
    refused = refused or _refused
    if not isinstance(given, Mapping):
        raise refused(where, "a mapping of texts", given)
    for key, value in given.items():
        pattern = known.get(key) if isinstance(key, str) else None
        if pattern is None:
            expected = ", ".join(known) or "no options"
            raise refused(where, expected, key)
        text = str(int(value)) if isinstance(value, (bool, int)) else value
        if not isinstance(text, str) or not pattern.fullmatch(text):
            raise refused(f"{where}.{key}", f"a value like {pattern.pattern}", value)
        yield key, text


def _is_number(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _check(fits: bool, key: str, expected: str, value: object) -> None:
    if not fits:
        raise _refused(key, expected, value)


def _refused(key: str, expected: str, found: object) -> InvalidArgumentError:
    where = f"onnx_session_options[{key!r}]" if key else "onnx_session_options"
    shown = found if isinstance(found, str) and not key else shorten(found)
    return InvalidArgumentError(f"{where}: expected {expected}, got {shown}")


def _refused_providers(expected: str, found: object) -> InvalidArgumentError:
    return InvalidArgumentError(f"providers: expected {expected}, got {shorten(found)}")


def _refused_provider_option(key: str, expected: str, found: object) -> InvalidArgumentError:
    return InvalidArgumentError(f"providers[{key!r}]: expected {expected}, got {shorten(found)}")
