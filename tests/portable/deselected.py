"""Leaves out of a run on the poorer system what is about the very thing that it lacks.

Loaded by ``pytest -p deselected``, with this folder on ``PYTHONPATH``.
"""

from __future__ import annotations

import pytest

_ACCEPTED = "tests/saving/test_what_readers_accept.py"
_RUNS = "tests/functions/test_runs.py"
_STAGING = "tests/durability/test_staging.py"
_VERIFIED = "tests/loading/test_verified_files.py"

_MODES = "modes mean nothing on Windows"
_MISREAD = "names that Windows takes for others are refused there"
_NO_CHILD = "isolated models are refused on Windows"
_NO_DIRECTORY_FLUSH = "directories are not flushed"
_NO_FIFO = "there are no FIFOs"
_NO_KERNEL_COPY = "no call of the kernel copies files"
_NO_LOCK = "without locks nobody knows that the owner of a leftover is dead, so it stays"
_NO_LOCK_OF_DOCUMENTS = "without locks two processes change the same document at once"
_NO_PROCESS = "runs have no processes of their own on Windows"
_NO_SWAP = "overwriting takes two renames, between which nothing is at the target"
_OPEN_FILES = "what is open cannot be replaced"
_OTHER_CALLS = "counts calls of os.rename, of which the first is refused here before it is one"

# A test, a class or a file -> why it is left out. docs/security.md says the same to users.
DESELECTED = {
    "tests/code/test_folder_of_children.py::"
    "test_what_a_killed_process_left_is_removed_by_a_later_one": _NO_LOCK,
    "tests/durability/test_copying.py::TestS10::"
    "test_a_file_that_is_replaced_between_look_and_open[fifo]": _NO_FIFO,
    "tests/durability/test_copying.py::test_an_error_of_the_disk_comes_out": _NO_KERNEL_COPY,
    "tests/durability/test_faults_at_every_step.py::test_an_environment_is_made_as_a_whole": (
        _NO_CHILD
    ),
    "tests/durability/test_faults_at_every_step.py::test_signals_disturb_neither": _NO_CHILD,
    "tests/durability/test_faults_at_every_step.py::"
    "test_a_umask_takes_nothing_from_what_is_saved_or_made": _MODES,
    "tests/durability/test_kills.py": _NO_LOCK,
    "tests/durability/test_races.py::TestS7::test_the_target_is_always_there_and_complete": (
        _NO_SWAP
    ),
    "tests/durability/test_races.py::TestS7::"
    "test_a_checked_reader_gets_one_version_or_a_clean_error": _NO_SWAP,
    f"{_STAGING}::TestS1::test_kill_at_each_step[True]": _NO_SWAP,
    f"{_STAGING}::TestS2::test_an_old_temporary_of_a_dead_process_is_removed": _NO_LOCK,
    f"{_STAGING}::TestS2::test_old_content_that_is_the_only_copy_stays": _NO_LOCK,
    f"{_STAGING}::TestS4::test_a_parent_that_cannot_be_flushed": _NO_DIRECTORY_FLUSH,
    f"{_STAGING}::TestS7::test_an_open_handle_of_a_reader_stays_usable": _OPEN_FILES,
    f"{_STAGING}::TestS7::"
    "test_without_exchange_a_failing_rename_brings_the_old_content_back": _OTHER_CALLS,
    f"{_STAGING}::TestS7::test_the_system_of_these_tests_can_exchange": _NO_SWAP,
    f"{_STAGING}::TestS13::test_modes": _MODES,
    f"{_STAGING}::TestS14": _NO_DIRECTORY_FLUSH,
    f"{_STAGING}::TestWriteFileAtomically::"
    "test_what_a_killed_writer_left_is_removed_later[dead]": _NO_LOCK,
    f"{_RUNS}::test_a_failure_in_another_process_is_told": _NO_PROCESS,
    f"{_RUNS}::test_a_process_that_does_not_start_ends_the_run": _NO_PROCESS,
    f"{_RUNS}::test_a_run_fails_by_whatever_is_raised[cancelled-True]": _NO_PROCESS,
    f"{_RUNS}::test_a_run_fails_by_whatever_is_raised[end-True]": _NO_PROCESS,
    f"{_RUNS}::test_a_run_fails_by_whatever_is_raised[lone-True]": _NO_PROCESS,
    f"{_RUNS}::test_a_run_fails_by_whatever_is_raised[odd-True]": _NO_PROCESS,
    f"{_RUNS}::test_a_run_has_a_process_of_its_own_if_nobody_waits": _NO_PROCESS,
    f"{_RUNS}::test_a_timeout_ends_a_run_and_all_that_it_started": _NO_PROCESS,
    f"{_RUNS}::test_requirements_that_differ_get_an_environment": _NO_PROCESS,
    f"{_RUNS}::test_variables_and_secrets_are_in_the_environment_of_a_process": _NO_PROCESS,
    "tests/functions/test_store.py::test_a_change_is_made_by_one_at_a_time": _NO_LOCK_OF_DOCUMENTS,
    "tests/functions/test_store.py::"
    "test_a_kill_at_any_moment_loses_nothing_that_was_finished": _NO_LOCK,
    "tests/functions/test_store.py::test_what_a_killed_process_started_is_gone_too": _NO_PROCESS,
    "tests/loading/test_isolated_model.py": _NO_CHILD,
    f"{_VERIFIED}::test_a_file_that_is_removed_after_the_verification_is_missed": _NO_CHILD,
    f"{_VERIFIED}::test_a_file_that_takes_its_place_while_it_is_read_is_found": _NO_CHILD,
    f"{_VERIFIED}::test_nothing_is_left_of_the_copies": _NO_CHILD,
    f"{_VERIFIED}::test_what_changed_after_the_verification_is_not_installed": _NO_CHILD,
    f"{_VERIFIED}::test_without_an_attack_the_lines_are_those_of_the_model": _NO_CHILD,
    f"{_ACCEPTED}::test_a_manifest_beyond_the_reader_is_refused_at_save": _MISREAD,
    f"{_ACCEPTED}::test_a_refresh_beyond_the_reader_leaves_the_old_manifest": _MISREAD,
    f"{_ACCEPTED}::test_a_refused_save_leaves_the_old_model": _MISREAD,
    "tests/trust/test_confined_paths.py::"
    "test_a_file_that_becomes_a_fifo_before_it_is_opened_is_refused": _NO_FIFO,
    "tests/trust/test_confined_paths.py::test_odd_names_that_stay_inside_are_accepted": _MISREAD,
    "tests/trust/test_trust_cells.py::test_a_child_process_loads_what_is_trusted": _NO_CHILD,
    "tests/trust/test_trust_cells.py::test_a_child_process_obeys_the_mode": _NO_CHILD,
    "tests/trust/test_trust_cells.py::"
    "test_a_child_process_loads_the_very_files_that_were_checked": _NO_CHILD,
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop the tests of the table; what it names and a whole file does not have is an error."""
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    used: set[str] = set()
    for item in items:
        key = _key_of(item.nodeid)
        (kept if key is None else dropped).append(item)
        used.add(key or "")
    files = {item.nodeid.partition("::")[0] for item in items}
    stale = [key for key in DESELECTED if key.partition("::")[0] in files and key not in used]
    if stale and not any("::" in argument for argument in config.args):
        raise pytest.UsageError(f"no such tests: {stale}")
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


def _key_of(test: str) -> str | None:
    for key in DESELECTED:
        if test == key or test.startswith((f"{key}::", f"{key}[")):
            return key
    return None
