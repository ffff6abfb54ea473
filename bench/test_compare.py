"""compare.py with stand-ins for both sides: what it runs in which order, what it makes of it, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

COMPARE = Path(__file__).resolve().parent / "compare.py"
# Each logs its words; the opponent's speed is that of its variant, ours rises from run to run.
STAND_IN = """#!{python}
import json, os, sys, time
words, log = sys.argv[1:], os.environ["LOG"]
with open(log, "a") as f:
    print(json.dumps([{side!r}, os.getpid(), words, os.environ.get("ONEDNN_MAX_CPU_ISA")]), file=f)
if os.environ.get("FAIL") == {side!r}:
    sys.exit("no luck today")
time.sleep(float(os.environ.get("SLEEP", 0)))
same = dict(isa=os.environ.get("ISA", "avx2"), torch="0", imported_rss_mb=1, peak_rss_mb=20)
if "--infer" in words:
    for t in (1, 2, 4, 8, 16, 32):
        print(json.dumps(dict(same, T=t, p50_ms={latency} * t, p99_ms=9)))
else:
    run = sum(1 for line in open(log) if {side!r} in line)
    print(json.dumps(dict(same, T=16, samples_per_s={speed})))
"""


class Compare(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = Path(folder.name)
        self.side("ours", "10 * run", 2)
        self.side("opponent", "5 if 'spikingjelly' in words else 4", 3)

    def side(self, name, speed, latency):
        path = self.dir / name
        path.write_text(STAND_IN.format(python=sys.executable, side=name, speed=speed, latency=latency))
        path.chmod(0o755)

    def start(self, *words, **env):
        given = ["--binary", self.dir / "ours", "--opponent", self.dir / "opponent", "--json", self.dir / "lines"]
        env = {**os.environ, "LOG": str(self.dir / "log"), **env}
        # A shell that put the tests into the background has them ignore Ctrl-C, and their children.
        heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
        command, pipe = [sys.executable, COMPARE, *given, *words], subprocess.PIPE
        return subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed)

    def compare(self, *words, **env):
        child = self.start(*words, **env)
        out, err = child.communicate(timeout=60)
        return child.returncode, out, err

    def log(self):
        return [json.loads(line) for line in (self.dir / "log").read_text().splitlines()]

    def medians(self):
        return [line for line in map(json.loads, (self.dir / "lines").read_text().splitlines()) if "median" in line]

    def test_pairs_alternate_and_their_ratios_are_summed_up(self):
        code, out, err = self.compare("--jobs", "small:16", "--settings", "initial,0.1", "--pairs", "3")
        self.assertEqual(code, 0, err)
        sides = [side for side, *_ in self.log()]
        self.assertEqual(sides, ["opponent"] * 4 + ["opponent", "ours"] * 6)
        self.assertTrue(all("spikingjelly" in words for side, _, words, _ in self.log()[4:] if side == "opponent"))
        initial, rate = self.medians()
        # Ours ran at 10, 20 … 60 samples/s, the settings in turn.
        self.assertEqual((initial["times_as_fast"], rate["times_as_fast"]), ([6, 2, 10], [8, 4, 12]))
        self.assertEqual(rate["samples_per_s"], [40, 5])
        self.assertIn("opponent: spikingjelly", out)
        self.assertLessEqual(max(map(len, out.splitlines())), 100)

    def test_latencies_are_compared_for_each_t_on_one_thread_and_on_two(self):
        code, _, err = self.compare("--jobs", "middle:infer", "--pairs", "1")
        self.assertEqual(code, 0, err)
        self.assertEqual([line["T"] for line in self.medians()], 2 * [1, 2, 4, 8, 16])
        self.assertTrue(all(line["times_as_fast"] == [1.5] * 3 for line in self.medians()))
        threads = [words[words.index("--threads") + 1] for side, _, words, _ in self.log() if side == "opponent"]
        self.assertEqual(threads, ["1"] * 3 + ["2"] * 3)

    def test_both_sides_are_held_to_an_instruction_set(self):
        few = ["--jobs", "small:2", "--settings", "initial", "--pairs", "1", "--variants", "torch", "--isa"]
        self.assertEqual(self.compare(*few, "avx2")[0], 0)
        self.assertEqual({held for _, _, _, held in self.log()}, {"AVX2"})
        self.assertIn("--isa", self.log()[-1][2])
        code, _, err = self.compare(*few, "avx2", ISA="avx512")
        self.assertEqual(code, 1)
        self.assertIn("ran avx512 instead of avx2", err)

    def test_a_failing_side_is_shown_with_what_it_said(self):
        for side in ("ours", "opponent"):
            code, _, err = self.compare("--pairs", "1", FAIL=side)
            self.assertEqual(code, 1)
            self.assertIn("no luck today\n(exit code 1)", err)

    def test_what_cannot_be_meant_is_refused_before_anything_runs(self):
        wrong = {"--jobs tiny:16": "no such job", "--variants jax": "no such variant", "--binary absent": "cargo build"}
        for words, why in wrong.items():
            code, _, err = self.compare(*words.split())
            self.assertEqual(code, 1)
            self.assertIn(why, err)
        self.assertFalse((self.dir / "log").exists())

    def test_no_child_outlives_a_stop(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            (self.dir / "log").unlink(missing_ok=True)
            stopped = self.start(SLEEP="600")
            self.wait_for(lambda: (self.dir / "log").exists() and self.log())
            child = self.log()[0][1]
            stopped.send_signal(number)
            stopped.communicate(timeout=60)
            self.assertEqual(stopped.returncode, code)
            with self.assertRaises(ProcessLookupError):
                os.kill(child, 0)

    def wait_for(self, condition):
        until = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)


if __name__ == "__main__":
    unittest.main()
