"""A portable NIR file in the real SpikingJelly, snnTorch and Norse, against the golden trace beside it.

    python run.py FILE.nir

Prints one JSON line per framework and batch: the largest difference of the outputs (class rates per time step), or the error.
The output of the network at a step is the mean of each class's voters; the trace holds the voters' spikes.
"""

import json
import sys

import numpy as np
import torch

DT = 1e-4


def spikingjelly(path):
    from spikingjelly.activation_based import nir_exchange

    net = nir_exchange.import_from_nir(path, dt=DT)

    def step(x, state):
        return net(x, state)

    return step


def snntorch(path):
    import nir
    from snntorch import import_nir

    net = import_nir.import_from_nir(nir.read(path))

    def step(x, state):
        return net(x, state) if state is not None else net(x)

    return step


def norse(path):
    import nir
    import norse.torch

    net = norse.torch.from_nir(nir.read(path), dt=DT)

    def step(x, state):
        return net(x, state)

    return step


def main(path):
    trace = np.load(path + ".trace.npz")
    x = torch.from_numpy(trace["input"])
    last = max((k for k in trace.files if k.startswith("spikes.")), key=lambda k: int(k.split(".")[1]))
    voters = trace[last].astype(np.float32)
    steps, samples, neurons = voters.shape[:3]
    want = voters.reshape(steps, samples, neurons // 10, 10).mean(-1)
    for name, load in [("spikingjelly", spikingjelly), ("snntorch", snntorch), ("norse", norse)]:
        for batch in (1, samples):
            line = {"framework": name, "batch": batch, "steps": steps}
            try:
                step = load(path)
                state, off = None, 0.0
                with torch.no_grad():
                    for t in range(steps):
                        y, state = step(x[t, :batch], state)
                        off = max(off, float(np.abs(y.numpy().reshape(batch, -1) - want[t, :batch]).max()))
                line["difference"] = off
                line["spikes"] = float(voters.sum())
            except Exception as e:  # whatever a framework raises is the finding
                line["error"] = f"{type(e).__name__}: {e}"
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
