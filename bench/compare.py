#!/usr/bin/env python3
"""The comparison of docs/performance.md: the fastest way of the Python stack beside spiketrain, on the same work and the same threads.

    bench/compare.sh PYTHON                              # training, as in the document; PYTHON has torch, numpy, spikingjelly
    bench/compare.sh PYTHON --jobs infer                 # latency of one sample, on one and on two threads
    bench/compare.sh PYTHON --jobs small:64 large:16 --settings initial,0.1 --variants plain,torch --json compare.jsonl

The speed of a shared machine changes by half within minutes, so runs are made in pairs, one of the opponent and one of spiketrain right
after it, and a ratio is of the two runs of one pair: what counts is the median of the ratios. The opponent of a job is the fastest of
the variants below, found in one round before the pairs. Nothing else should run on the machine.
"""
import argparse
import json
import math
import os
import platform
import signal
import statistics
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NETS = ["small", "middle", "large"]
TUNED = ["--channels-last", "--conv1-once"]
# What a user of the Python stack may run.
VARIANTS = {
    "plain": [],
    "torch": TUNED,
    "torch-fused": [*TUNED, "--fused-adamw"],
    "spikingjelly": ["--impl", "spikingjelly", *TUNED],
    "spikingjelly-fused": ["--impl", "spikingjelly", *TUNED, "--fused-adamw"],
}
TIME_STEPS = 16
LATENCY_STEPS = [1, 2, 4, 8, 16]
LATENCY_RUNS = 20  # of each T in each run; the 99th percentile of so few is their longest
OURS_STEPS, THEIR_STEPS = 3, 2


class Failed(Exception):
    """A command did not do what it was to do."""


class Runner:
    """Runs the commands of both sides, one at a time, and keeps what they print."""

    def __init__(self, options):
        self.options = options
        self.lines = open(options.json, "w", encoding="utf-8") if options.json else None

    def keep(self, **line):
        if self.lines:
            print(json.dumps(line), file=self.lines, flush=True)

    def run(self, command, threads, **about):
        """The JSON objects that a command prints, by T."""
        env = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        if self.options.isa == "avx2":
            env.update(ATEN_CPU_CAPABILITY="avx2", ONEDNN_MAX_CPU_ISA="AVX2", MKL_ENABLE_INSTRUCTIONS="AVX2")
        words = [str(word) for word in command]
        try:
            # When `stop` ends the wait, `run` kills the child and sees it gone before it passes that on.
            done = subprocess.run(words, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        except OSError as e:
            raise Failed(f"{words[0]}: {e.strerror}") from e
        if done.returncode != 0:
            how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
            raise Failed(f"{' '.join(words)}\n{done.stderr.rstrip()}\n({how})")
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if not found:
            raise Failed(f"{' '.join(words)}\nprinted no JSON object\n{done.stdout}{done.stderr}")
        for line in found:
            if self.options.isa and line["isa"] != self.options.isa:
                raise Failed(f"{' '.join(words)}\nran {line['isa']} instead of {self.options.isa}")
            self.keep(**about, command=words, **line)
        return {line["T"]: line for line in found}

    def ours(self, job, setting, **about):
        words = ["bench", "--json", "--net", job.net, "-j", job.threads]
        words += ["--infer", "--steps", LATENCY_RUNS] if job.infer else ["-b", job.batch, "-T", TIME_STEPS, "--steps", OURS_STEPS]
        words += ["--isa", self.options.isa] if self.options.isa else []
        command = [self.options.binary, *words, *of_setting(setting)]
        return self.run(command, job.threads, side="ours", job=str(job), setting=setting, **about)

    def theirs(self, job, variant, **about):
        words = [job.net, "--threads", job.threads]
        if job.infer:
            words += ["--infer", "--runs", LATENCY_RUNS, "--T", ",".join(map(str, LATENCY_STEPS))]
            words += [] if variant == "plain" else ["--fold-bn"]
        else:
            words += ["--batch", job.batch, "--T", TIME_STEPS, "--steps", THEIR_STEPS]
        command = [sys.executable, self.options.opponent, *words, *VARIANTS[variant]]
        return self.run(command, job.threads, side="opponent", job=str(job), variant=variant, **about)


class Job:
    """A network and its batch; without one, the latency of a sample."""

    def __init__(self, net, batch, threads):
        self.net, self.batch, self.threads, self.infer = net, batch, threads, batch is None

    def __str__(self):
        work = "one sample" if self.infer else f"batch {self.batch}, T {TIME_STEPS}"
        return f"{self.net}, {work}, {self.threads} {'thread' if self.threads == 1 else 'threads'}"

    def speed(self, by_t):
        """Of a run: samples per second, of latencies the mean over the T that gives each the same say."""
        if not self.infer:
            return by_t[TIME_STEPS]["samples_per_s"]
        return math.exp(statistics.fmean(math.log(1e3 / by_t[t]["p50_ms"]) for t in LATENCY_STEPS))


def of_setting(setting):
    """The words of spiketrain that a setting stands for."""
    if setting == "initial":
        return []
    try:
        return ["--rate", str(float(setting))]
    except ValueError:
        return ["--rule", setting]


def called(setting):
    return f"rate {setting}" if "--rate" in of_setting(setting) else setting


def jobs_of(words, threads):
    """`small:16` trains, `small:infer` classifies; `train` and `infer` are short for several."""
    short = {"train": ["small:16", "middle:16", "large:2"], "infer": [f"{net}:infer" for net in NETS]}
    jobs = []
    for word in (w for given in words for w in short.get(given, [given])):
        net, _, batch = word.partition(":")
        if net not in NETS or not (batch == "infer" or batch.isdecimal() and int(batch) > 0):
            raise Failed(f"no such job: {word}; write NET:BATCH or NET:infer with NET one of {', '.join(NETS)}, or train, or infer")
        if batch == "infer":
            jobs += [Job(net, None, t) for t in sorted({1, threads})]
        else:
            jobs.append(Job(net, int(batch), threads))
    return jobs


def choose(runner, job):
    """The fastest variant, after one run of each, and what to say of it."""
    variants = [v for v in runner.options.variants if not (job.infer and v.endswith("-fused"))]
    if not variants:
        raise Failed(f"{job}: AdamW takes no part in it; choose other variants")
    speeds = {}
    for variant in variants:
        by_t = runner.theirs(job, variant, round="choice")
        speeds[variant] = job.speed(by_t)
        say(f"{job}: {variant}: {speeds[variant]:.2f} samples/s")
    best = max(speeds, key=speeds.get)
    line = next(iter(by_t.values()))
    runner.keep(choice=best, job=str(job), samples_per_s=speeds)
    others = "; ".join(f"{v} {s:.2f}" for v, s in sorted(speeds.items(), key=lambda of: -of[1]))
    mean = ", mean over T" if job.infer else ""
    print(f"\n{job}; opponent: {best}")
    print(textwrap.fill(f"samples/s in the round before{mean}: {others}", width=84, initial_indent="  ", subsequent_indent="    "))
    print(f"  PyTorch {line['torch']}, {line['isa']}; {line['imported_rss_mb']} MB of the opponent's memory is the imported library")
    return best


def pairs_of(runner, job, settings):
    """Pairs of runs, the opponent's first, by setting; the settings take turns, so that each sees the whole time that passes."""
    opponent = choose(runner, job)
    pairs = {setting: [] for setting in settings}
    for n in range(runner.options.pairs):
        for setting in settings:
            theirs = runner.theirs(job, opponent, pair=n + 1)
            ours = runner.ours(job, setting, pair=n + 1)
            pairs[setting].append((ours, theirs))
            times = job.speed(ours) / job.speed(theirs)
            say(f"{job}: pair {n + 1} of {runner.options.pairs}, {called(setting)}: {times:.2f} times as fast")
    return pairs


def middle(pairs, t, key):
    """The median of a figure on both sides."""
    return [statistics.median(run[t][key] for run in side) for side in zip(*pairs)]


def spread(ratios):
    return statistics.median(ratios), min(ratios), max(ratios)


HEADING = "{:10} {:^23}{:>4}{:^19}{:>4}{:^19}"
COLUMNS = "{:10} {:>8}{:>8}{:>8} {:>11}{:>10} {:>11}{:>10}"
ROW = "{:10} {:>8.2f}{:>8.2f}{:>8.2f} {:>11.2f}{:>10.2f} {:>11.{}f}{:>10.{}f}"


def heading(first, second):
    print(HEADING.format("", "times as fast", "", first, "", second).rstrip())
    print(COLUMNS.format("", "median", "min", "max", "ours", "opponent", "ours", "opponent"))


def train(runner, job):
    settings = runner.options.settings or ["initial", "0.1", "stbp"]
    pairs = pairs_of(runner, job, settings)
    heading("samples/s", "peak memory, MB")
    for setting, runs in pairs.items():
        times = spread([job.speed(ours) / job.speed(theirs) for ours, theirs in runs])
        speed, memory = (middle(runs, TIME_STEPS, key) for key in ("samples_per_s", "peak_rss_mb"))
        print(ROW.format(called(setting), *times, *speed, memory[0], 0, memory[1], 0), flush=True)
        runner.keep(median=str(job), setting=setting, pairs=len(runs), times_as_fast=times, samples_per_s=speed, peak_rss_mb=memory)


def infer(runner, job):
    # No rule takes part in it.
    settings = [s for s in runner.options.settings or [] if "--rule" not in of_setting(s)] or ["initial"]
    pairs = pairs_of(runner, job, settings)
    for setting, runs in pairs.items():
        print(f"  {called(setting)}:")
        heading("p50, ms", "p99, ms")
        for t in LATENCY_STEPS:
            times = spread([theirs[t]["p50_ms"] / ours[t]["p50_ms"] for ours, theirs in runs])
            p50, p99 = (middle(runs, t, key) for key in ("p50_ms", "p99_ms"))
            print(ROW.format(f"  T {t}", *times, *p50, p99[0], 2, p99[1], 2), flush=True)
            runner.keep(median=str(job), setting=setting, T=t, pairs=len(runs), times_as_fast=times, p50_ms=p50, p99_ms=p99)


def say(text):
    """How far it is; the table alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


def about_the_machine(runner):
    """Where it runs, and what would spoil it."""
    try:
        models = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    except OSError:
        models = []
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load, threads = os.getloadavg()[0], runner.options.threads
    model = models[0] if models else platform.processor()
    print(f"{model}, {processors} processors for {threads} threads, {runner.options.pairs} pairs")
    if load > 0.5:
        print(f"note: the load was {load:.1f} at the start: other programs run")
    if processors < threads:
        print("note: fewer processors than threads: no figure of this run is of use")
    runner.keep(machine=model, processors=processors, threads=threads, load=load, isa=runner.options.isa)


def options(words):
    def several(text):
        return text.split(",")

    def positive(text):
        if int(text) < 1:
            raise ValueError
        return int(text)

    a = argparse.ArgumentParser(prog="compare.sh PYTHON", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--jobs", nargs="+", default=["train"], metavar="JOB",
                   help="NET:BATCH trains, NET:infer classifies; train: small:16 middle:16 large:2, infer: all three [default: train]")
    a.add_argument("--pairs", type=positive, default=5, metavar="N", help="pairs of runs of each job and setting [default: 5]")
    a.add_argument("--settings", type=several, metavar="LIST",
                   help="initial, a firing rate such as 0.1, or a rule [default: initial,0.1,stbp; of infer: initial]")
    a.add_argument("--variants", type=several, default=[v for v in VARIANTS if v != "plain"], metavar="LIST",
                   help=f"whom to choose the opponent from: {', '.join(VARIANTS)} [default: all but plain]")
    a.add_argument("-j", "--threads", type=positive, default=2, metavar="N", help="of both sides; infer: one, too [default: 2]")
    a.add_argument("--isa", choices=["avx2", "avx512"], help="hold both sides to it [default: whatever each takes]")
    a.add_argument("--json", type=Path, metavar="FILE", help="write every run and median into this file, one JSON object a line")
    a.add_argument("--binary", type=Path, default=ROOT / "target/release/spiketrain", metavar="FILE",
                   help="spiketrain [default: target/release/spiketrain]")
    a.add_argument("--opponent", type=Path, default=ROOT / "bench/opponent.py", metavar="FILE",
                   help="the Python stack's side [default: bench/opponent.py]")
    a = a.parse_args(words)
    a.binary, a.opponent = a.binary.resolve(), a.opponent.resolve()
    for variant in a.variants:
        if variant not in VARIANTS:
            raise Failed(f"no such variant: {variant}; choose {', '.join(VARIANTS)}")
    if not a.binary.is_file():
        raise Failed(f"{a.binary} is not there; cargo build --release makes it, --binary names another")
    return a


def stop(number, _frame):
    say("stopped")
    raise SystemExit(128 + number)


def main(words):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, stop)
    try:
        given = options(words)
        jobs = jobs_of(given.jobs, given.threads)
        runner = Runner(given)
        about_the_machine(runner)
        for job in jobs:
            (infer if job.infer else train)(runner, job)
    except (Failed, OSError) as e:
        say(f"error: {e}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
