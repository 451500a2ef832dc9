"""A PyTorch network over images: a signature of tensors, and what it checks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

import pyfunc
import pyfunc.flavors.pytorch as pytorch_flavor


def train(images: np.ndarray, digits: np.ndarray) -> torch.nn.Module:
    """Return a small network that has seen all images sixty times, the same on every run."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            network(torch.from_numpy(images)), torch.from_numpy(digits)
        )
        loss.backward()
        optimizer.step()
    return network.eval()


def refuse(model: pyfunc.PyFuncModel, name: str, images: np.ndarray) -> None:
    """Say why the model does not take such images."""
    try:
        model.predict(images)
    except pyfunc.SchemaError as error:
        print(f"{name}: {error}")


def main() -> None:
    data = load_digits()
    images = (data.images / 16).astype(np.float32)
    network = train(images, data.target)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "digits")
        pytorch_flavor.save_model(network, path, input_example=images[:2])
        model = pyfunc.load_model(path)
        print("takes:", model.metadata.signature.inputs)
        print("gives:", model.metadata.signature.outputs)

        scores = model.predict(images)
        with torch.no_grad():
            own = network(torch.from_numpy(images)).numpy()
        print("as the network itself:", np.allclose(scores, own, atol=1e-5))
        print("more than 19 of 20 right:", (scores.argmax(axis=1) == data.target).mean() > 0.95)
        refuse(model, "another shape", images.reshape(-1, 64))
        refuse(model, "another type", images.astype(np.float64))


if __name__ == "__main__":
    main()
