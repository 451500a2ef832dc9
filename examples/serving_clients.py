"""One server, three clients: requests, httpx and Triton's, each in the protocol that it knows."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import requests
import tritonclient.http as triton
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import pyfunc.flavors.sklearn as sklearn_flavor

PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 5000


def save(path: Path) -> np.ndarray:
    """Save a classifier of flowers, and return three of them."""
    flowers, kinds = load_iris(return_X_y=True, as_frame=True)
    flowers.columns = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    classifier = LogisticRegression(max_iter=500).fit(flowers, kinds)
    sklearn_flavor.save_model(classifier, path, input_example=flowers.head(2))
    return flowers.iloc[[0, 60, 120]]


@contextmanager
def served(path: Path) -> Iterator[str]:
    """Serve the model as ``pyfunc serve`` does; give the address once it answers."""
    address = f"127.0.0.1:{PORT}"
    command = [sys.executable, "-m", "pyfunc", "serve", str(path), "--port", str(PORT)]
    server = subprocess.Popen([*command, "--name", "iris"], stderr=subprocess.DEVNULL)
    try:
        while server.poll() is None:
            try:
                requests.get(f"http://{address}/ping", timeout=10).raise_for_status()
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        else:
            sys.exit(f"the server ended with {server.returncode}: is port {PORT} free?")
        yield address
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "iris")
        flowers = save(path)
        with served(path) as address:
            body = {"dataframe_records": flowers.to_dict("records")}
            answer = requests.post(f"http://{address}/invocations", json=body, timeout=10)
            print("requests, MLflow's protocol:", answer.json())

            table = flowers.to_csv(index=False)
            answer = requests.post(
                f"http://{address}/invocations",
                data=table,
                headers={"Content-Type": "text/csv"},
                timeout=10,
            )
            print("requests, a table of CSV:", answer.json())

            with httpx.Client(base_url=f"http://{address}/v2/models/iris") as client:
                columns = [
                    {"name": name, "shape": [3], "datatype": "FP64", "data": values.tolist()}
                    for name, values in flowers.items()
                ]
                answer = client.post("/infer", json={"inputs": columns})
                print("httpx, Open Inference Protocol:", answer.json()["outputs"])
                columns[0]["data"] = ["long", 5.0, 6.0]
                refused = client.post("/infer", json={"inputs": columns})
                print("httpx, what does not fit:", refused.status_code, refused.json()["error"])

            with triton.InferenceServerClient(address) as client:
                inputs = []
                for name, values in flowers.items():
                    inputs.append(triton.InferInput(name, [3], "FP64"))
                    inputs[-1].set_data_from_numpy(values.to_numpy())
                answer = client.infer("iris", inputs)
                print("tritonclient, binary tensors:", answer.as_numpy("predictions"))


if __name__ == "__main__":
    main()
