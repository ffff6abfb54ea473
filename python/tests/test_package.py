"""What the package promises: shapes, the bits of the command line, errors with place and remedy, Ctrl-C, readers."""

import ast
import inspect
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import numpy as np

import spiketrain
from spiketrain import _spiketrain

SMALL = "5C3-MP2-DP-20FC-3Voting"
#: A run that takes seconds; options of the command, and of Python.
RUN = {"net": "4C3-MP2-20FC-10Voting", "T": 3, "epochs": 2, "batch": 50, "train_limit": 230, "test_limit": 60, "seed": 7}


def small(**options):
    return spiketrain.Network(SMALL, (2, 9, 7), **options)


def pictures(samples=4, seed=0):
    return np.random.default_rng(seed).random((samples, 2, 9, 7)).astype(np.float32)


def command(*words, **more):
    return subprocess.run([sys.executable, "-m", "spiketrain", *map(str, words)], capture_output=True, text=True, **more)


def words_of(options):
    names = {"T": "-T"}
    return [str(w) for k, v in options.items() for w in (names.get(k, "--" + k.replace("_", "-")), v)]


class InFolder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)


class Networks(InFolder):
    def test_forward_gives_rates_and_spikes_of_every_layer(self):
        tried = 0
        for engine in ["cpu", "reference"]:
            net = small(engine=engine)
            for x, steps in [(pictures(), 5), (np.repeat(pictures()[None], 5, axis=0), None)]:
                out = net.forward(x, steps)
                self.assertEqual(out.rates.shape, (4, 3))
                self.assertEqual([s.shape for s in out.spikes], [(5, 4, 5, 9, 7), (5, 4, 20, 1, 1), (5, 4, 30, 1, 1)])
                self.assertEqual([s.dtype for s in out.spikes], [np.bool_] * 3)
                votes = out.spikes[-1].reshape(5, 4, 3, 10).mean((0, 3))
                np.testing.assert_allclose(out.rates, votes, atol=1e-6)
                np.testing.assert_allclose(out.firing_rates, [s.mean() for s in out.spikes])
                self.assertEqual(net.forward(x, steps, spikes=False).spikes, [])
                tried += 1
        # The same picture at every step is what frames of it are.
        np.testing.assert_array_equal(*[small().forward(v, t).spikes[0] for v, t in [(pictures(), 5), (np.repeat(pictures()[None], 5, axis=0), 5)]])
        print(f"{tried} passes")

    def test_any_array_will_do(self):
        want = small().forward(pictures(), 4).rates
        doubles = pictures().astype(np.float64)
        strided = np.asfortranarray(np.repeat(pictures(), 2, axis=0))[::2]
        for x in [doubles, doubles.tolist(), strided]:
            np.testing.assert_array_equal(small().forward(x, 4).rates, want)

    def test_state_goes_out_and_in(self):
        net, other = small(seed=1), small(seed=2)
        self.assertNotEqual(net.weights_sha256, other.weights_sha256)
        self.assertEqual(net.state()["0.weight"].shape, (5, 2, 3, 3))
        self.assertIn("0.bn.running_var", net.state())
        other.set_state(net.state())
        self.assertEqual(net.weights_sha256, other.weights_sha256)
        before = net.weights_sha256
        bad = {"4.bias": np.zeros(7)}, {"9.bias": np.zeros(30)}, {"4.bias": np.full(30, np.nan)}
        for values in bad:
            with self.assertRaises(spiketrain.UsageError):
                net.set_state({"0.bias": np.ones(5), **values})
            self.assertEqual(net.weights_sha256, before, "a part was set")

    def test_gradients_change_nothing_unless_asked(self):
        net = small()
        before = net.weights_sha256
        first = net.loss_and_gradients(pictures(), [0, 1, 2, 0], 4)
        again = net.loss_and_gradients(pictures(), [0, 1, 2, 0], 4)
        self.assertEqual(before, net.weights_sha256)
        self.assertEqual(first.loss, again.loss)
        self.assertEqual({k: v.shape for k, v in first.gradients.items()}, {k: v.shape for k, v in net.state().items() if "running" not in k})
        net.loss_and_gradients(pictures(), [0, 1, 2, 0], 4, update_statistics=True)
        self.assertNotEqual(before, net.weights_sha256)
        masks = net.dropout_masks(4)
        self.assertEqual([m.shape for m in masks], [(4, 5, 4, 3)])

    def test_save_and_load_keep_everything(self):
        net = small(rule="stbp", alpha=0.3, decay=0.8, T=6)
        net.train(pictures(12), np.arange(12) % 3, epochs=2, batch=4)
        net.save(self.path / "net.ckpt")
        back = spiketrain.load(self.path / "net.ckpt")
        self.assertEqual(back.weights_sha256, net.weights_sha256)
        self.assertEqual({k: v for k, v in back.options.items() if k != "isa"}, {k: v for k, v in net.options.items() if k != "isa"})
        np.testing.assert_array_equal(back.forward(pictures()).rates, net.forward(pictures()).rates)
        unrectified = small(relu=False)
        unrectified.save(self.path / "unrectified.ckpt")
        again = spiketrain.load(self.path / "unrectified.ckpt")
        np.testing.assert_array_equal(again.forward(pictures(), 4).rates, unrectified.forward(pictures(), 4).rates)
        # A fresh one has not been warmed up, whatever its data set's defaults are.
        small().save(self.path / "fresh.ckpt")
        self.assertEqual(len(spiketrain.load(self.path / "fresh.ckpt").forward(pictures(), 2).spikes), 3)

    def test_threads_may_share_a_network_and_the_gil_is_released(self):
        net = spiketrain.Network("32C3-32C3-10Voting", (1, 28, 28))
        x, counted, done = np.random.default_rng(0).random((64, 1, 28, 28)), 0, threading.Event()
        rates = []
        worker = threading.Thread(target=lambda: (rates.append(net.forward(x, 16, spikes=False).rates), done.set()))
        worker.start()
        while not done.is_set():
            counted += 1
            time.sleep(0.001)
        worker.join()
        np.testing.assert_array_equal(rates[0], net.forward(x, 16, spikes=False).rates)
        self.assertGreater(counted, 10, "Python stood still")
        print(f"Python counted to {counted} meanwhile")


class SameBits(InFolder):
    def test_train_is_the_command(self):
        done = command("train", *words_of(RUN), "--out", self.path / "command")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = []
        result = spiketrain.train(**RUN, out=self.path / "python", callback=told.append)
        theirs = json.loads((self.path / "command" / "result.json").read_text())
        for key in theirs.keys() - {"samples_per_s", "train_seconds", "peak_rss_mb"}:
            self.assertEqual(result[key], theirs[key], key)
        self.assertEqual(*[(self.path / f / "config.toml").read_text() for f in ["command", "python"]])
        self.assertEqual([t["kind"] for t in told].count("step"), 2 * 5)
        self.assertEqual([t["epoch"] for t in told if t["kind"] == "epoch"], [1, 2])

        by_command = json.loads(command("eval", self.path / "python", "--json").stdout)
        by_python = spiketrain.evaluate(self.path / "python")
        self.assertEqual(by_python, {k: v for k, v in by_command.items() if k != "checkpoint"})
        loaded = spiketrain.load(self.path / "python")
        data = spiketrain.dataset("glyphs", train_limit=230, test_limit=60, seed=7)
        test = loaded.evaluate(data.batch("test"), data.labels("test"), batch=50)
        self.assertEqual((test["accuracy"], test["loss"]), (by_python["test_accuracy"], by_python["test_loss"]))

    def test_training_on_arrays_is_the_command(self):
        tried = 0
        for name, options in [("glyphs", RUN), ("motions", {**RUN, "T": 4, "net": "AP4-30FC-11Voting", "rule": "stbp", "warm_up": "tssl:1"})]:
            result = spiketrain.train(dataset=name, out=self.path / name, **options)
            data = spiketrain.dataset(name, **{k: options[k] for k in ["T", "train_limit", "test_limit", "seed"]})
            said = {k: v for k, v in options.items() if k in ("T", "seed", "rule")}
            net = spiketrain.Network(options["net"], data.shape, dataset=name, **said)
            more = {k: v for k, v in options.items() if k in ("epochs", "batch", "warm_up")}
            test = data.batch("test"), data.labels("test")
            lines = net.train(data.batch("train"), data.labels("train"), test=test, **more)
            self.assertEqual(net.weights_sha256, result["weights_sha256"], name)
            self.assertEqual(lines[-1]["test_accuracy"], result["last_test_accuracy"], name)
            tried += 1
        print(f"{tried} runs")

    def test_augmented_samples_are_those_of_training(self):
        data = spiketrain.dataset("glyphs", train_limit=20, test_limit=10)
        plain, chosen = data.batch("train"), data.batch("train", [3, 0, 19])
        np.testing.assert_array_equal(chosen, plain[[3, 0, 19]])
        self.assertEqual((plain.dtype, plain.shape, data.labels("train").dtype), (np.float32, (20, 1, 28, 28), np.int64))
        moving = spiketrain.dataset("motions", T=4, train_limit=6, test_limit=2)
        self.assertEqual((moving.batch("test").shape, moving.steps), ((4, 2, 2, 34, 34), 4))


class Commands(InFolder):
    def test_the_command_has_its_exit_codes(self):
        script = Path(sys.executable).with_name("spiketrain")
        version = command("--version")
        self.assertEqual((version.returncode, version.stdout.split()), (0, ["spiketrain", spiketrain.__version__]))
        if script.exists():
            self.assertEqual(subprocess.run([script, "--version"], capture_output=True, text=True).stdout, version.stdout)
        self.assertEqual(command().returncode, 2)
        self.assertEqual(command("train", "--epochs", "none").returncode, 2)
        self.assertEqual(command("eval", self.path / "nothing").returncode, 2)
        self.assertIn("Usage: spiketrain", command("--help").stdout)

    @unittest.skipIf(os.name == "nt", "signals of POSIX")
    def test_ctrl_c_stops_the_command_with_a_checkpoint(self):
        words = words_of({**RUN, "epochs": 1000, "train_limit": 2000})
        going = subprocess.Popen([sys.executable, "-m", "spiketrain", "train", *words, "--out", self.path / "run"], stderr=subprocess.PIPE)
        self.assertTrue(wait_for(lambda: list(self.path.glob("run/live.json")) or list(self.path.glob("run/*.ckpt"))))
        going.send_signal(signal.SIGINT)
        said = going.communicate(timeout=120)[1]
        self.assertEqual(going.returncode, 130, said)
        self.assertTrue(list(self.path.glob("run/checkpoint-*.ckpt")))


def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()


class Stopping(InFolder):
    @unittest.skipIf(os.name == "nt", "signals of POSIX")
    def test_ctrl_c_stops_training_and_a_resume_ends_in_the_same_bits(self):
        whole = spiketrain.train(**RUN, out=self.path / "whole")

        def interrupt(report):
            if report["kind"] == "step" and (report["epoch"], report["step"]) == (1, 3):
                os.kill(os.getpid(), signal.SIGINT)

        with self.assertRaises(KeyboardInterrupt) as stopped:
            spiketrain.train(**RUN, out=self.path / "run", callback=interrupt)
        self.assertIn("resume", str(stopped.exception))
        result = spiketrain.train(resume=self.path / "run")
        self.assertEqual(result["weights_sha256"], whole["weights_sha256"])

    def test_what_a_callback_raises_stops_the_run_and_is_passed_on(self):
        def stop_at_three(report):
            if report.get("step") == 3:
                raise LookupError("enough")

        with self.assertRaisesRegex(LookupError, "enough"):
            spiketrain.train(**RUN, out=self.path / "run", callback=stop_at_three)
        self.assertTrue((self.path / "run" / "checkpoint-3.ckpt").exists())
        net = small()
        before = net.weights_sha256
        with self.assertRaisesRegex(LookupError, "enough"):
            net.train(pictures(40), np.arange(40) % 3, epochs=9, batch=8, callback=stop_at_three)
        self.assertNotEqual(net.weights_sha256, before, "what was learned stays")

    @unittest.skipUnless(hasattr(os, "fork"), "no fork")
    def test_a_forked_process_is_told_and_does_not_hang(self):
        small().forward(pictures(), 2)
        child = os.fork()
        if child == 0:
            try:
                small().forward(pictures(), 2)
                os._exit(0)
            except spiketrain.UsageError as e:
                os._exit(7 if "spawn" in e.remedy else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 7)


class Errors(InFolder):
    def test_every_error_says_where_and_what_to_do(self):
        net, x = small(), pictures()
        nothing = self.path / "nothing"
        (self.path / "bad.ckpt").write_bytes(b"not a checkpoint" * 9)
        (self.path / "bad.npz").write_bytes(b"PK\x03\x04 and no more")
        events = np.zeros(3, spiketrain.EVENT)
        cases = [
            (spiketrain.UsageError, lambda: spiketrain.Network("5C4-3Voting", (1, 8, 8)), "column"),
            (spiketrain.UsageError, lambda: spiketrain.Network("MP9-3Voting", (1, 8, 8)), "column"),
            (spiketrain.UsageError, lambda: spiketrain.Network("3Voting", (1, 0, 8)), ""),
            (spiketrain.UsageError, lambda: small(learning_rate=1), "options"),
            (spiketrain.UsageError, lambda: small(decay=2.0), "decay"),
            (spiketrain.UsageError, lambda: small(rule="hebb"), "options"),
            (spiketrain.UsageError, lambda: small(init="net.ckpt"), "init"),
            (spiketrain.UsageError, lambda: net.forward(x[0], 4), "x"),
            (spiketrain.UsageError, lambda: net.forward(x[:0], 4), "x"),
            (spiketrain.UsageError, lambda: net.forward(x, 65), "T"),
            (spiketrain.UsageError, lambda: net.forward(x[None], 4), "T"),
            (spiketrain.DivergedError, lambda: net.forward(x * np.float32(np.nan), 4), ""),
            (spiketrain.DivergedError, lambda: net.loss_and_gradients(x * np.float32(np.inf), [0, 1, 2, 0], 4), ""),
            (spiketrain.UsageError, lambda: net.loss_and_gradients(x, [0, 1, 2], 4), "labels"),
            (spiketrain.UsageError, lambda: net.loss_and_gradients(x, [0, 1, 3, 0], 4), "labels[2]"),
            (spiketrain.UsageError, lambda: net.loss_and_gradients(x, [0, 1, -1, 0], 4), "labels[2]"),
            (spiketrain.UsageError, lambda: net.train(x, [0, 1, 2, 0], batch=5), "batch="),
            (spiketrain.UsageError, lambda: net.train(x, [0, 1, 2, 0], batch=2, net="3Voting"), "net"),
            (spiketrain.UsageError, lambda: spiketrain.dataset("mnsit"), ""),
            (spiketrain.UsageError, lambda: spiketrain.dataset("mnist", data_dir=nothing), ""),
            (spiketrain.UsageError, lambda: spiketrain.train(resume=nothing), "nothing"),
            (spiketrain.UsageError, lambda: spiketrain.train(resume=nothing, lr=0.3), "resume"),
            (spiketrain.UsageError, lambda: spiketrain.load(nothing), "nothing"),
            (spiketrain.FormatError, lambda: spiketrain.load(self.path / "bad.ckpt"), "byte 0"),
            (spiketrain.FormatError, lambda: spiketrain.read_events(self.path / "bad.npz"), "bad.npz"),
            (spiketrain.UsageError, lambda: spiketrain.read_events(nothing), "nothing"),
            (spiketrain.StorageError, lambda: net.save(nothing / "net.ckpt"), "nothing"),
            (spiketrain.UsageError, lambda: spiketrain.frames(events, 4), "sensor"),
            (spiketrain.UsageError, lambda: spiketrain.frames(events, 0, (8, 8)), "T"),
            (spiketrain.UsageError, lambda: spiketrain.frames(events[["t", "x"]], 4, (8, 8)), "events"),
            (spiketrain.MemoryPlanError, lambda: spiketrain.Network("large", (2, 512, 512)).loss_and_gradients(np.zeros((64, 2, 512, 512)), [0] * 64, 64), "batch="),
        ]
        for kind, work, place in cases:
            with self.subTest(place=place, kind=kind.__name__):
                with self.assertRaises(kind) as raised:
                    work()
                e = raised.exception
                self.assertIn(place, e.place)
                self.assertTrue(e.what)
                again = pickle.loads(pickle.dumps(e))
                self.assertEqual((type(again), str(again), again.remedy), (kind, str(e), e.remedy))
        for wrong in [lambda: net.forward("no numbers", 4), lambda: net.loss_and_gradients(x, [0.5, 1, 2, 0], 4)]:
            with self.assertRaises(TypeError):
                wrong()
        self.assertEqual({c.exit_code for c in spiketrain.Error.__subclasses__()}, {1, 2, 3, 4, 5})
        self.assertTrue(issubclass(spiketrain.UsageError, ValueError))
        print(f"{len(cases)} errors")


class Events(InFolder):
    def test_recordings_come_as_structured_arrays(self):
        r = np.random.default_rng(5)
        n = 1003
        t, x, y, p = np.sort(r.integers(0, 1 << 20, n)), r.integers(0, 34, n), r.integers(0, 30, n), r.integers(0, 2, n)
        np.savez(self.path / "r.npz", t=t, x=x, y=y, p=p)
        nmnist = bytearray()
        for e in zip(t, x, y, p):
            word = int(e[3]) << 23 | int(e[0])
            nmnist += bytes([e[1], e[2]]) + word.to_bytes(3, "big")
        (self.path / "r.bin").write_bytes(nmnist)
        for name, kind in [("r.npz", "npz"), ("r.bin", "nmnist")]:
            recording = spiketrain.read_events(self.path / name)
            self.assertEqual((recording.format, recording.events.dtype, len(recording.events)), (kind, spiketrain.EVENT, n))
            for field, want in zip("txyp", (t, x, y, p)):
                np.testing.assert_array_equal(recording.events[field], want)
        for by, steps in [("number", 7), ("time", 5), ("number", 64)]:
            counts = spiketrain.frames(recording, steps, (34, 30), split_by=by)
            self.assertEqual((counts.shape, counts.dtype, counts.sum()), ((steps, 2, 30, 34), np.uint16, n))
            want = np.zeros_like(counts)
            slices = np.minimum(np.arange(n) // (n // steps), steps - 1)
            if by == "time":
                slices = np.minimum((t - t[0]) // ((t[-1] - t[0]) // steps), steps - 1)
            np.add.at(want, (slices, p, y, x), 1)
            np.testing.assert_array_equal(counts, want)
        # Other field types and orders are taken as well; what does not fit is not.
        other = np.zeros(n, [("p", "?"), ("x", "<i4"), ("y", "<i8"), ("t", "<u8")])
        for field, values in zip("txyp", (t, x, y, p)):
            other[field] = values
        np.testing.assert_array_equal(spiketrain.frames(other, 7, (34, 30)), spiketrain.frames(recording, 7, (34, 30)))
        other["x"][3] = -1
        with self.assertRaises(spiketrain.UsageError):
            spiketrain.frames(other, 7, (34, 30))
        with self.assertRaises(spiketrain.FormatError):
            spiketrain.frames(recording, 7, (10, 10))
        backwards = np.ascontiguousarray(recording.events[::-1])
        with self.assertRaisesRegex(spiketrain.FormatError, "(?s)out of order.*sort="):
            spiketrain.frames(backwards, 7, (34, 30), split_by="time")
        expected = spiketrain.frames(recording, 7, (34, 30), split_by="time")
        np.testing.assert_array_equal(spiketrain.frames(backwards, 7, (34, 30), split_by="time", sort=True), expected)


class Stubs(unittest.TestCase):
    def test_stubs_name_what_there_is(self):
        text = Path(_spiketrain.__file__).with_name("_spiketrain.pyi").read_text(encoding="utf-8")
        named = {}
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") or isinstance(node, ast.FunctionDef):
                named[node.name] = node
        there = {n for n in dir(_spiketrain) if not n.startswith("_")}
        self.assertEqual(set(named), there)
        checked = 0
        for name, node in named.items():
            thing = getattr(_spiketrain, name)
            if isinstance(node, ast.FunctionDef):
                functions = [(thing, node)]
            else:
                members = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
                self.assertEqual({m for m in members if m != "__new__"}, {m for m in vars(thing) if not m.startswith("_")}, name)
                functions = [(getattr(thing, m), n) for m, n in members.items() if not n.decorator_list and m != "__new__"]
            for function, stub in functions:
                real = [p.name for p in inspect.signature(function).parameters.values() if p.name not in ("self", "keywords")]
                self.assertEqual(real, [a.arg for a in stub.args.args + stub.args.kwonlyargs if a.arg != "self"], stub.name)
                self.assertTrue(function.__doc__ and len(function.__doc__) > 30, f"{stub.name} says too little")
                checked += 1
        print(f"{checked} signatures")


if __name__ == "__main__":
    unittest.main()
