"""loss_and_gradients is what PyTorch computes from the equations of the paper, on random networks with odd shapes.

Needs torch; prints SKIPPED without it. The reference below is written from the equations: float64, one time step after the other.
"""

import random
import unittest

import numpy as np

import spiketrain

try:
    import torch
    from torch.nn import functional as F
except ImportError:
    torch = None

CASES = 60
#: No potential may lie this near to where float32 could decide otherwise.
MARGIN = 1e-5
RULES = ["stbp", "stbp-detached", "bpsa", "bpsa+bpta"]


def lif(rule, alpha, threshold, decay, margins):
    """LIF neurons over [T, ...] (Eqs. 2-4) whose backward pass is e[t] = g S[t] + λ e[t+1] ((1 - o) + α g)."""

    class Lif(torch.autograd.Function):
        @staticmethod
        def forward(ctx, currents):
            rest, us, spikes = torch.zeros_like(currents[0]), [], []
            for current in currents:
                u = decay * rest + current
                o = (u > threshold).to(u)
                rest = u * (1 - o)
                us.append(u)
                spikes.append(o)
            ctx.save_for_backward(torch.stack(us), torch.stack(spikes))
            note_margins(torch.stack(us), threshold, rule, margins)
            return torch.stack(spikes)

        @staticmethod
        def backward(ctx, s):
            us, spikes = ctx.saved_tensors
            errors, e = [], torch.zeros_like(us[0])
            for t in reversed(range(len(us))):
                u, o = us[t], spikes[t]
                if rule.startswith("stbp"):
                    g = ((u - threshold).abs() < 0.5).to(u)
                    across = -u * g if rule == "stbp" else torch.zeros_like(u)
                else:
                    g = torch.where(o == 1, 1 / torch.where(o == 1, u, torch.ones_like(u)), torch.zeros_like(u))
                    across = alpha * g if rule == "bpsa+bpta" else torch.zeros_like(u)
                e = g * s[t] + decay * e * ((1 - o) + across)
                errors.append(e)
            return torch.stack(errors[::-1])

    return Lif.apply


def note_margins(u, threshold, rule, margins):
    margins.append((u - threshold).abs().min().item())
    moving = u[u != 0]  # an exact 0 is 0 in any precision
    if rule.startswith("stbp") and moving.numel():
        margins.append(((moving - threshold).abs() - 0.5).abs().min().item())


def norm(y, gamma, beta, merged):
    """BatchNorm with the statistics of the batch, for each step or over all."""
    over = (0, 1, 3, 4) if merged else (1, 3, 4)
    mean, var = y.mean(over, keepdim=True), y.var(over, unbiased=False, keepdim=True)
    shape = (1, 1, -1, 1, 1)
    return (y - mean) / torch.sqrt(var + 1e-5) * gamma.reshape(shape) + beta.reshape(shape)


def reference(notation, state, x, masks, case, margins):
    """Rates [B, classes], parameters with their gradients to come, and spikes of each layer."""
    fire = lif(case["rule"], case["alpha"], case["threshold"], case["decay"], margins)
    params = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in state.items() if "running" not in k}
    x, masks, spikes = torch.tensor(x, dtype=torch.float64), list(masks), []
    each_step = lambda f, x: torch.stack([f(v) for v in x])
    for i, token in enumerate(notation.split("-")):
        if token.startswith("MP"):
            x = each_step(lambda v: F.max_pool2d(v, int(token[2:])), x)
        elif token.startswith("AP"):
            x = each_step(lambda v: F.avg_pool2d(v, int(token[2:])), x)
        elif token == "DP":
            x = x * (2.0 * torch.tensor(masks.pop(0), dtype=torch.float64)).reshape(x.shape[1:])
        else:
            w, b = params[f"{i}.weight"], params[f"{i}.bias"]
            if w.ndim == 4:
                y = each_step(lambda v: F.conv2d(v, w, b, padding=w.shape[-1] // 2), x)
                y = F.relu(norm(y, params[f"{i}.bn.weight"], params[f"{i}.bn.bias"], case["bn"] == "merged"))
            else:
                y = F.linear(x.flatten(2), w, b)[..., None, None]
                y = F.relu(y) if token.endswith("FC") else y
            x = fire(y)
            spikes.append(int(x.sum().item()))
    return x.reshape(*x.shape[:2], -1, 10).mean((0, 3)), params, spikes


def loss_of(rates, labels, kind):
    labels = torch.tensor(labels)
    if kind == "ce":
        return F.cross_entropy(rates, labels)
    return ((rates - F.one_hot(labels, rates.shape[1])) ** 2).mean()


def draw_notation(r, h, w):
    tokens = []
    for _ in range(r.randint(0, 2)):
        tokens.append(f"{r.randint(1, 19)}C{r.choice([1, 3, 3, 5])}")
        k = r.choice([1, 2, 3])
        if k > 1 and min(h, w) >= k:
            tokens.append(f"{r.choice(['MP', 'AP'])}{k}")
            h, w = h // k, w // k
        if r.random() < 0.3:
            tokens.append("DP")
    if r.random() < 0.5:
        tokens.append(f"{r.randint(1, 33)}FC")
        if r.random() < 0.5:
            tokens.append("DP")
    return "-".join(tokens + [f"{r.randint(1, 5)}Voting"])


def draw(seed):
    """A random case: network, inputs, labels, options."""
    r, g = random.Random(seed), np.random.default_rng(seed)
    c, h, w, steps, samples = r.randint(1, 3), r.randint(3, 11), r.randint(3, 11), r.randint(1, 9), r.randint(2, 5)
    case = {
        "rule": RULES[seed % 4],
        "alpha": round(r.uniform(0, 1), 3),
        "threshold": r.choice([0.5, 0.5, 0.3]),
        "decay": r.choice([0.9, 0.9, 0.5]),
        "bn": r.choice(["per-step", "merged"]),
        "loss": r.choice(["mse", "ce"]),
    }
    notation = draw_notation(r, h, w)
    frames = r.random() < 0.5
    x = g.poisson(0.7, (steps, samples, c, h, w)) if frames else g.random((samples, c, h, w))
    net = spiketrain.Network(notation, (c, h, w), seed=seed, engine=r.choice(["cpu", "cpu", "reference"]), **case)
    state = net.state()
    # Fresh weights leave deep layers silent.
    louder = {k: v * 3 for k, v in state.items() if v.ndim == 2}
    norms = {k: g.normal(1, 0.2, v.shape) for k, v in state.items() if k.endswith("bn.weight")}
    shifts = {k: g.normal(0.1, 0.2, v.shape) for k, v in state.items() if k.endswith("bn.bias")}
    net.set_state({**louder, **norms, **shifts})
    return net, notation, x.astype(np.float32), g.integers(0, len(net.classes), samples), steps, frames, case


@unittest.skipIf(torch is None, "torch is not installed")
class Gradients(unittest.TestCase):
    def test_gradients_are_those_of_pytorch(self):
        compared = redrawn = spikes_seen = entries = 0
        worst, seed = 0.0, 0
        while compared < CASES:
            seed += 1
            net, notation, x, labels, steps, frames, case = draw(seed)
            masks, margins = net.dropout_masks(len(labels), step=seed), []
            every_step = x if frames else np.broadcast_to(x, (steps, *x.shape))
            rates, params, spikes = reference(notation, net.state(), every_step, masks, case, margins)
            if min(margins) < MARGIN:
                redrawn += 1
                continue
            loss = loss_of(rates, labels, case["loss"])
            loss.backward()
            got = net.loss_and_gradients(x, labels, steps, step=seed)
            with self.subTest(seed=seed, net=net, **case):
                self.assertEqual(got.spike_counts, spikes)
                np.testing.assert_allclose(got.rates, rates.detach().numpy(), atol=1e-6)
                self.assertAlmostEqual(got.loss, loss.item(), delta=1e-6 * max(1, abs(loss.item())))
                self.assertEqual(got.gradients.keys(), params.keys())
                for name, p in params.items():
                    want = p.grad.numpy()
                    # A bias before BatchNorm has gradient 0, which sums give only up to rounding.
                    bound = max(1e-4 * np.abs(want).max(), 1e-6)
                    off = np.abs(got.gradients[name] - want).max()
                    self.assertLess(off, bound, name)
                    worst, entries = max(worst, off / bound), entries + want.size
            compared, spikes_seen = compared + 1, spikes_seen + sum(spikes)
        self.assertGreater(spikes_seen, 100 * CASES, "too few spikes to say something")
        print(f"{compared} networks, {redrawn} drawn anew, {entries} gradients, {spikes_seen} spikes; worst {worst:.3f} of its bound")


if torch is None:
    print("SKIPPED: gradients against PyTorch: torch is not installed")

if __name__ == "__main__":
    unittest.main()
