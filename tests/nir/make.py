"""Makes the graphs of this folder with the `nir` package, and golden.json: what they answer, computed with numpy in f64.

    pip install nir numpy h5py; python tests/nir/make.py [folder of real .nir files]

The evaluation knows nothing of spiketrain: node by node as NIR documents them, LIF by Euler steps v += dt/tau * (v_leak - v + r i),
IF by v += dt r i, a spike where v > v_threshold, after which v = 0. Inputs are counts 0..3. Seeds are tried until no membrane potential
comes nearer to its threshold than 1e-4 of it, so that no rounding decides a spike. Of real files only inputs and spikes are kept.
"""
import json
import pathlib
import sys

import h5py
import nir
import numpy as np

HERE = pathlib.Path(__file__).parent
T = 40


def conv(x, w, b, pad, stride, dilation):
    o, _, kh, kw = w.shape
    pad = pad.decode() if isinstance(pad, bytes) else pad
    if isinstance(pad, str) and pad == "same":
        total = [dilation[i] * (k - 1) for i, k in enumerate((kh, kw))]
        pads = [(t // 2, t - t // 2) for t in total]
    else:
        p = (0, 0) if isinstance(pad, str) else np.broadcast_to(pad, 2)
        pads = [(int(p[0]),) * 2, (int(p[1]),) * 2]
    x = np.pad(x, [(0, 0), *pads])
    h = (x.shape[1] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    v = (x.shape[2] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((o, h, v))
    for i in range(h):
        for j in range(v):
            window = x[:, i * stride[0]:, j * stride[1]:][:, :dilation[0] * (kh - 1) + 1:dilation[0], :dilation[1] * (kw - 1) + 1:dilation[1]]
            y[:, i, j] = (w * window).sum((1, 2, 3)) + b
    return y


def walk(h, prefix="", nodes=None, edges=None, ends=None):
    """All nodes and edges of a file, subgraphs opened."""
    nodes, edges, ends = ({}, [], {}) if nodes is None else (nodes, edges, ends)
    for name, g in h["nodes"].items():
        if g["type"][()] == b"NIRGraph":
            walk(g, f"{prefix}{name}.", nodes, edges, ends)
            inside = {k: f"{prefix}{name}.{n}" for n, c in g["nodes"].items() for k in ("Input", "Output") if c["type"][()] == k.encode()}
            ends[prefix + name] = inside
        else:
            nodes[prefix + name] = {k: (v[()] if isinstance(v, h5py.Dataset) else None) for k, v in g.items()}
    edges += [[prefix + a.decode(), prefix + b.decode()] for a, b in h["edges"][()]]
    return nodes, edges, ends


def evaluate(path, shape, dt, counts):
    """Spikes [T, n] of every layer of neurons, and how near a potential came to its threshold."""
    with h5py.File(path) as h:
        nodes, edges, ends = walk(h["node"])
    nxt = {ends.get(a, {}).get("Output", a): ends.get(b, {}).get("Input", b) for a, b in edges}
    at = next(n for n, d in nodes.items() if d["type"] == b"Input" and n not in [e["Input"] for e in ends.values()])
    order = []
    while at in nxt:
        at = nxt[at]
        order.append(at)
    f = lambda v: np.asarray(v, np.float32).astype(np.float64)
    v, spikes, margin = {}, {}, np.inf
    for t in range(len(counts)):
        x = np.array(counts[t], float).reshape(shape)
        for name in order:
            d, kind = nodes[name], nodes[name]["type"].decode()
            if kind in ("Affine", "Linear"):
                x = f(d["weight"]) @ x.reshape(-1) + (f(d["bias"]) if kind == "Affine" else 0)
            elif kind == "Conv2d":
                x = conv(x, f(d["weight"]), f(d["bias"]), d["padding"], np.broadcast_to(d["stride"], 2), np.broadcast_to(d["dilation"], 2))
            elif kind in ("SumPool2d", "AvgPool2d"):
                k = d["kernel_size"]
                x = x[:, :x.shape[1] // k[0] * k[0], :x.shape[2] // k[1] * k[1]]
                x = x.reshape(x.shape[0], x.shape[1] // k[0], k[0], -1, k[1])
                x = x.sum((2, 4)) if kind == "SumPool2d" else x.mean((2, 4))
            elif kind in ("LIF", "IF"):
                u, threshold = v.get(name, 0.0), f(d["v_threshold"]).flat[0]
                r = f(d["r"]).flat[0]
                if kind == "LIF":
                    u = u + dt / f(d["tau"]).flat[0] * (f(d["v_leak"]).flat[0] - u + r * x)
                else:
                    u = u + dt * r * x
                margin = min(margin, np.abs(u / threshold - 1).min())
                x = (u > threshold).astype(float)
                v[name] = np.where(x > 0, 0.0, u)
                spikes.setdefault(name, []).append(x.reshape(-1))
    return [np.array(s) for s in spikes.values()], margin


def neurons(shape, tau=None, r=1.0, threshold=1.0):
    o = np.ones(shape, np.float32)
    return nir.LIF(tau=tau * o, r=r * o, v_leak=0 * o, v_threshold=threshold * o) if tau else nir.IF(r=r * o, v_threshold=threshold * o)


def graph(nodes, edges=None, **more):
    names = list(nodes)
    return nir.NIRGraph(nodes=nodes, edges=edges or list(zip(names, names[1:])), type_check=False, **more)


def graphs(rng):
    w = lambda *s: (rng.normal(size=s) * 2 / np.sqrt(np.prod(s[1:]))).astype(np.float32)
    b = lambda n: (rng.random(n) * 0.2).astype(np.float32)
    c = lambda o, i, k, n, pad, stride=1, size=None: nir.Conv2d(size, w(o, i, k, k), stride, pad, 1, 1, b(n))
    io = lambda s: np.array(s)
    flat = {"input": nir.Input(io([16])), "a": nir.Affine(w(6, 16) * 5, b(6)), "b": neurons(6, 1e-3), "c": nir.Linear(w(3, 6) * 12),
            "d": neurons(3, 1e-3), "output": nir.Output(io([3]))}
    yield "flat", (1, 4, 4), {"shape": "1x4x4"}, 1e-4, graph(flat)
    # "same" of an odd and of an even window, no input_shape, a sum, and "valid" of the whole map with a stride.
    same = {"input": nir.Input(io([2, 6, 8])), "a": c(5, 2, 3, 5, "same", 1, (6, 8)), "b": neurons((5, 6, 8), 2e-3, 20), "s": nir.SumPool2d(io([2, 2]), io([2, 2]), io([0, 0])),
            "c": c(4, 5, 2, 4, "same", 1, (3, 4)), "d": neurons((4, 3, 4), 2e-3, 20), "e": nir.AvgPool2d(io([1, 1]), io([1, 1]), io([0, 0])),
            "f": nir.Conv2d((3, 4), w(3, 4, 3, 4), 2, "valid", 1, 1, b(3)), "g": neurons((3, 1, 1), 2e-3, 20), "output": nir.Output(io([3, 1, 1]))}
    yield "paddings", (2, 6, 8), {"dt": 1e-3}, 1e-3, graph(same)
    counting = lambda r: {"input": nir.Input(io([1, 6, 6])), "a": c(4, 1, 3, 4, 1, 1, (6, 6)), "b": neurons((4, 6, 6), None, r),
                "s": nir.SumPool2d(io([2, 2]), io([2, 2]), io([0, 0])), "f": nir.Flatten({"input": io([4, 3, 3])}, 0, -1),
                "c": nir.Affine(w(5, 36), b(5)), "d": neurons(5, None, r), "output": nir.Output(io([5]))}
    yield "if_steps", (1, 6, 6), {}, 1.0, graph(counting(1.0))
    yield "if_seconds", (1, 6, 6), {}, 1e-4, graph(counting(1e4))
    inside = graph({"in": nir.Input(io([6])), "lif": neurons(6, 5e-3, 5), "fc": nir.Linear(w(4, 6)), "lif2": neurons(4, 5e-3, 5), "out": nir.Output(io([4]))})
    outer = {"input": nir.Input(io([2, 2, 2])), "f": nir.Flatten({"input": io([2, 2, 2])}, 0, -1), "a": nir.Affine(w(6, 8), b(6)), "hidden": inside,
             "b": nir.Affine(w(2, 4), b(2)), "c": neurons(2, 5e-3, 5), "output": nir.Output(io([2]))}
    yield "subgraph", (2, 2, 2), {}, 1e-3, graph(outer, metadata={"dt": 1e-3})


def entry(path, shape, hints, dt, rng):
    counts = rng.integers(0, 4, (T, int(np.prod(shape)))).tolist()
    spikes, margin = evaluate(path, shape, dt, counts)
    text = lambda a: "".join("01"[int(v)] for v in a.reshape(-1))
    good = margin > 1e-4 and all(0.02 < s.mean() < 0.9 for s in spikes)
    return good, {"input": "".join(str(c) for row in counts for c in row), **hints, "spikes": [text(s) for s in spikes]}


golden, left = {}, {"flat", "paddings", "if_steps", "if_seconds", "subgraph"}
for seed in range(3000):
    for name, shape, hints, dt, g in graphs(np.random.default_rng(seed)):
        if name in left:
            nir.write(HERE / f"{name}.nir", g)
            if name == "paddings":
                with h5py.File(HERE / f"{name}.nir", "a") as h:  # as older versions of nir wrote it
                    for n in "acf":
                        del h[f"node/nodes/{n}/input_shape"]
            good, e = entry(HERE / f"{name}.nir", shape, hints, dt, np.random.default_rng(seed + 1))
            if good:
                golden[f"{name}.nir"] = e
                left.discard(name)
    if not left:
        break
assert not left, left
for path in sorted(pathlib.Path(sys.argv[1]).glob("*lif_*.nir")) if len(sys.argv) > 1 else []:
    for seed in range(3000):
        if "two_lif" in path.name:
            break
        good, e = entry(path, (1, 1, 1), {}, 1e-4, np.random.default_rng(seed))
        if good:
            golden[path.name] = e
            break
    else:
        sys.exit(f"{path}: no seed")
(HERE / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
print({k: [len(s) for s in v["spikes"]] for k, v in golden.items()})
