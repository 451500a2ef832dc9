"""Record what the real packages make of return values; run by 0.10.3 and 0.13.4, which agree.

python record_digitalhub.py ../data/digitalhub/results.json
"""

import json, logging, os, sys, tempfile

os.chdir(tempfile.mkdtemp())
logging.disable(logging.CRITICAL)
CASES = {
    "none": "return None",
    "text": "return 'hello world'",
    "whole": "return 3",
    "fraction": "return 1.5",
    "truth": "return True",
    "bytes": "return b'abc'",
    "pair": "return 1, 'two'",
    "list": "return [1, 2, 3]",
    "empty_tuple": "return ()",
    "empty_list": "return []",
    "one_tuple": "return (5,)",
    "one_list": "return ['x']",
    "list_of_truths": "return [True, False]",
    "nan": "return float('nan')",
    "infinite": "return float('inf')",
    "empty_text": "return ''",
    "numpy_float64": "import numpy; return numpy.float64(0.5)",
    "huge": "return 10 ** 30",
    "inner_list": "return ([1, 2, 3])",
}
DECORATIONS = {
    "none": None,
    "empty": [],
    "one": ["first"],
    "two": ["first", "second"],
    "four": ["a", "b", "c", "d"],
    "shifted": ["output_1"],
}
import digitalhub as dh

p = dh.get_or_create_project("demo", local=True)
out = {}
for c, body in CASES.items():
    for d, outputs in DECORATIONS.items():
        head = (
            ""
            if outputs is None
            else f"from digitalhub_runtime_python import handler\n@handler(outputs={outputs!r})\n"
        )
        code = head + "def f():\n    " + body + "\n"
        open("main.py", "w").write(code)
        fn = p.new_function(
            name=f"f-{c}-{d}".replace("_", "-"),
            kind="python",
            code_src="main.py",
            handler="f",
            python_version="PYTHON3_10",
        )
        try:
            r = fn.run("job", local_execution=True, inputs={}, parameters={})
            results = {
                k: (
                    {
                        "type": type(v).__name__,
                        "value": v.decode() if isinstance(v, bytes) else repr(v),
                    }
                )
                for k, v in r.results().items()
            }
            out[f"{c}/{d}"] = {
                "body": body,
                "outputs": outputs,
                "state": r.status.state,
                "results": results,
            }
        except Exception as e:
            out[f"{c}/{d}"] = {"body": body, "outputs": outputs, "error": type(e).__name__}
json.dump(out, open(sys.argv[1], "w"), indent=1, sort_keys=True)
print(len(out), sum("error" in v for v in out.values()))
