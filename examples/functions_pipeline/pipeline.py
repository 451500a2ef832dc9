"""Ingest, train, predict and serve, from one directory: ``python pipeline.py [STORE]``.

The second time nothing is computed again: each step says which earlier run it is the same as.
``python pipeline.py STORE --no-serve`` leaves out the server.
"""

import argparse
import sys
import time
from pathlib import Path

import pyfunc.functions as dh

HERE = Path(__file__).parent
PYTHON = f"PYTHON3_{sys.version_info[1]}"


def step(project, name, **arguments):
    """Run one step, unless an equal one has been run, and say what came of it."""
    function = project.new_function(
        name, code_src=str(HERE / "functions.py"), handler=name, python_version=PYTHON
    )
    run = function.run("job", cache=True, **arguments)
    how = "taken from an earlier run" if run.status.cached_from else "computed"
    print(f"{name}: {how}", *(f"{key}={value}" for key, value in run.results().items()))
    return run


def prepare(project):
    """Run the three jobs and return the key of the model, and of the table."""
    rows = step(project, "ingest").output("rows", as_key=True)
    training = step(project, "train", inputs={"rows": rows}, parameters={"trees": 50})
    model = training.output("model", as_key=True)
    step(project, "predict", inputs={"model": model, "rows": rows})
    return model, rows


def serve(project, model, rows):
    """Serve the model and ask it once."""
    function = project.new_function(
        "classify",
        code_src=str(HERE / "functions.py"),
        handler="classify",
        init_function="init",
        python_version=PYTHON,
    )
    run = function.run("serve", init_parameters={"model": model}, workers=1)
    try:
        sample = project.get_dataitem(rows).as_df().drop(columns="target").head(3)
        answer = run.invoke(json={"rows": sample.to_dict("records")})
        answer.raise_for_status()
        print("served:", answer.json()["diagnoses"])
    finally:
        run.stop()


def main():
    """Run the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", nargs="?", default=".pyfunc-functions")
    parser.add_argument("--no-serve", action="store_true")
    arguments = parser.parse_args()
    project = dh.get_or_create_project("cancer", root=arguments.store)
    begin = time.process_time()
    model, rows = prepare(project)
    print(f"the jobs took {time.process_time() - begin:.2f} s of CPU", file=sys.stderr)
    if not arguments.no_serve:
        serve(project, model, rows)
    print(f"all took {time.process_time():.2f} s of CPU", file=sys.stderr)


if __name__ == "__main__":
    main()
