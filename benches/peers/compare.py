"""Headcount beside its peers: see `benches/peers/run --help`, which is how it is started."""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import environment
import measure

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "target" / "peers"
PEERS = ["duckdb", "polars", "chdb", "datafusion", "flink"]
EVENTS_MIN, EVENTS_MAX, RUNS_MAX = 1_000, 50_000_000, 20
EVENT_BYTES = 560  # of JSON, with its arrival time
CORES = 2

HELP = """\
What is measured: whole processes, from their start to their end, in rounds in which every contestant has one run, so that a slow minute of
the machine falls on all of them. All are held to the same two cores, the files are in the page cache. The table has the medians.

  windows      distinct sessions and events of each stream by the minute, from NDJSON to Parquet. All peers; Headcount with one
               pipeline (benches/peers/pipelines) and --windows-only.                  goal: 0.65 of the best peer's time, aim 0.45
  raw          every event as Parquet, Zstandard level 1. DuckDB, Polars, chDB; Headcount with the pipeline of `windows` besides.
  everything   Headcount: all shipped tables, with concurrent viewers, and the raw events. DuckDB: the raw events, `windows`, and peaks
               of concurrent viewers by heartbeats alone.                              goal: 0.45 of DuckDB's time, aim 0.3

Answers are compared row by row, and exactly: `windows` of each peer with ours, raw events of each with ours, field by field (but for
`properties` of Polars, which does not escape what is in an object). Exit code 0 if all are equal, 1 if not or if a contestant failed,
2 if it cannot be started. The ratios do not decide on the exit code.

The events are simulated (headcount simulate --undisturbed): none is malformed, late or sent twice, so that there is one right answer, and
peers need no tolerance for errors, which would slow them down. Headcount looks for duplicates and wrong clocks all the same.
Peers are given the columns and their types, and only those columns that the query needs.

Examples:
  benches/peers/run --events 4400000
      The whole comparison: half an hour the first time, most of it for packages (pip) and for Flink.

  benches/peers/run --events 20000 --peers duckdb --runs 1
      Does it still work? A minute.

  benches/peers/run --events 20000 --peers duckdb,polars --runs 1 --spoil polars; echo $?
      Is a wrong answer seen? Changes one value of a peer's answers; it has to end with 1.
"""


class Fault(Exception):
    """What stands in the way, in words."""


@dataclass
class Contestant:
    """One program at one task, and what its runs cost."""

    task: str
    name: str
    version: str
    costs: list[measure.Cost] = field(default_factory=list)

    def median(self, of: str) -> float:
        return statistics.median(getattr(cost, of) for cost in self.costs)


def main() -> int:
    args = arguments()
    # As Ctrl-C does: what runs is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return compare(args)
    except Fault as e:
        print(f"error: {e}", file=sys.stderr)
        return 2
    except measure.Failed as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as e:
        said = (e.stderr or "") if isinstance(e.stderr, str) else ""
        print(f"error: {' '.join(map(str, e.cmd))} ended with exit code {e.returncode}\n{said}", file=sys.stderr)
        return 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benches/peers/run",
        description="The same queries over the same files by Headcount and its peers: times, memory, equal answers.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--events", type=number(EVENTS_MIN, EVENTS_MAX), default=4_400_000, help="how many events [4400000]")
    parser.add_argument("--peers", type=peers, default=PEERS, help=f"which, separated by commas [{','.join(PEERS)}]")
    parser.add_argument("--runs", type=number(1, RUNS_MAX), default=3, help="rounds, of which the medians are shown [3]")
    parser.add_argument(
        "--binary", type=Path, default=ROOT / "target" / "release" / "headcount", help="Headcount [target/release/headcount]"
    )
    parser.add_argument("--tasks", type=tasks, default=TASKS, help=f"which, separated by commas [{','.join(TASKS)}]")
    parser.add_argument("--out", type=Path, default=WORK / "out", help="what is written: input, answers, logs, results.json [target/peers/out]")
    parser.add_argument("--timeout", type=number(1, 7200), default=900, help="seconds that one run may take [900]")
    parser.add_argument("--spoil", choices=PEERS, help="change one value of this peer's answers, which has to be found")
    return parser.parse_args()


TASKS = ["windows", "raw", "everything"]
WHO = {"windows": PEERS, "raw": ["duckdb", "polars", "chdb"], "everything": ["duckdb"]}
# Our tables with the answers.
WINDOWS = {"windows": "stream_sessions", "everything": "stream_engagement"}
RAW = "user_events"
# Polars reads an object as text, but prints it anew and forgets to escape what is in its strings: what it gives is no JSON.
LEFT_OUT = {"polars": "properties"}


def number(least: int, most: int):
    def parse(text: str) -> int:
        value = int(text.replace("_", ""))
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"choose from {least} to {most}")
        return value

    parse.__name__ = "whole number"
    return parse


def names(known: list[str], text: str) -> list[str]:
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in chosen if name not in known]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
    return [name for name in known if name in chosen]


def peers(text: str) -> list[str]:
    return names(PEERS, text)


def tasks(text: str) -> list[str]:
    return names(TASKS, text)


def compare(args: argparse.Namespace) -> int:
    binary = args.binary.resolve()
    if not os.access(binary, os.X_OK):
        raise Fault(f"{args.binary} is not there\nremedy: cargo build --release --locked, or name another by --binary")
    if "flink" in args.peers and not environment.java():
        args.peers = [peer for peer in args.peers if peer != "flink"]
        print("NO JAVA: Flink is left out. (Debian: apt-get install default-jre-headless, or set JAVA_HOME.)", file=sys.stderr)
    if args.spoil and args.spoil not in args.peers:
        raise Fault(f"--spoil {args.spoil}: it is not among the peers that run")
    WORK.mkdir(parents=True, exist_ok=True)
    others, flink = environment.of_peers(WORK), environment.of_flink(WORK)
    others.install()  # also without peers of it: it reads the answers
    if "flink" in args.peers:
        flink.install()

    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)
    measure.adopt_orphans()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    pattern = simulate(binary, args.events, out)

    version = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout.split()[-1]
    contestants = []
    for task in args.tasks:
        contestants.append(Contestant(task, "headcount", version))
        for peer in [peer for peer in args.peers if peer in WHO[task]]:
            package, of = ("apache-flink", flink) if peer == "flink" else (peer, others)
            contestants.append(Contestant(task, peer, of.version(package)))

    for round_ in range(args.runs):
        for contestant in contestants:
            place = answers_of(out, contestant.task, contestant.name)
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            command, env = how(contestant, binary, pattern, place, flink if contestant.name == "flink" else others, len(cores))
            log = out / "logs" / f"{contestant.task}-{contestant.name}-{round_ + 1}.log"
            log.parent.mkdir(exist_ok=True)
            cost = measure.run(command, log, env, args.timeout)
            contestant.costs.append(cost)
            print(
                f"round {round_ + 1}  {contestant.task:<10} {contestant.name:<10} {cost.wall_secs:7.2f} s wall "
                f"{cost.cpu_secs:7.2f} s cpu {cost.peak_bytes / 1e6:7.0f} MB",
                flush=True,
            )
        # Raw events take a while to compare, and do not change from round to round.
        if not check(contestants, out, others, args, with_raw=round_ + 1 == args.runs):
            return 1
    report(contestants, args, pattern, len(cores))
    (out / "results.json").write_text(json.dumps(results(contestants, args), indent=2) + "\n")
    print(f"\nevery answer is equal to ours; all figures: {out / 'results.json'}")
    return 0


def simulate(binary: Path, events: int, out: Path) -> str:
    """The input: made once, then kept; read once, so that the disk is not what is measured."""
    folder = out / f"input-{events}"
    done = folder.with_suffix(".done")
    if not done.exists():
        room = shutil.disk_usage(out).free
        if room < 4 * events * EVENT_BYTES:
            raise Fault(f"{out} has {room / 1e9:.1f} GB left; {4 * events * EVENT_BYTES / 1e9:.1f} GB are needed")
        command = [binary, "simulate", "--events", str(events), "--undisturbed", "--out", folder]
        # As many streams as the goal names; fewer in a short story, so that each has events.
        subprocess.run([*command, "--channels", str(min(2000, max(4, events // 100)))], check=True, stdout=subprocess.DEVNULL)
        done.touch()
    size = 0
    for file in sorted(folder.glob("*.ndjson")):
        with file.open("rb") as stream:
            while piece := stream.read(1 << 24):
                size += len(piece)
    print(f"{events:,} events, {size / 1e9:.2f} GB of NDJSON in {folder}", flush=True)
    return f"{folder}/*.ndjson"


def answers_of(out: Path, task: str, name: str) -> Path:
    return out / "answers" / f"{task}-{name}"


def how(
    contestant: Contestant, binary: Path, pattern: str, place: Path, of: environment.Environment, cores: int
) -> tuple[list[str], dict[str, str]]:
    """The command of one run, and its environment."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HEADCOUNT__", "PYTHON"))}
    env["PYTHONPYCACHEPREFIX"] = str(WORK / "pycache")
    if contestant.name != "headcount":
        script = HERE / "contestants" / f"{contestant.name}_peer.py"
        return [of.python, str(script), contestant.task, pattern, str(place), str(cores)], env
    env["HEADCOUNT__RUN__WORKER_THREADS"] = str(cores)
    env["HEADCOUNT__PIPELINES__DIR"] = str(ROOT / "pipelines" if contestant.task == "everything" else HERE / "pipelines")
    command = [str(binary), "backfill", "--input", pattern, "--lake", str(place)]
    return [*command, *(["--windows-only"] if contestant.task == "windows" else [])], env


def check(contestants: list[Contestant], out: Path, of: environment.Environment, args: argparse.Namespace, with_raw: bool) -> bool:
    """Whether every answer of every peer is ours."""
    equal = True
    for contestant in contestants:
        if contestant.name == "headcount":
            continue
        comparisons = []
        theirs = answers_of(out, contestant.task, contestant.name)
        if contestant.task != "raw":
            ours = answers_of(out, contestant.task, "headcount") / WINDOWS[contestant.task]
            folder = theirs / "windows"
            comparisons.append(("windows", ours, folder if folder.is_dir() else theirs / "windows.parquet"))
        if contestant.task != "windows" and with_raw:
            comparisons.append(("raw", answers_of(out, contestant.task, "headcount") / RAW, theirs / "raw.parquet"))
        for what, ours, path in comparisons:
            command = [of.python, str(HERE / "answers.py"), what, str(ours), str(path)]
            if what == "raw" and contestant.name in LEFT_OUT:
                command += ["--except", LEFT_OUT[contestant.name]]
            command += ["--spoil"] if args.spoil == contestant.name else []
            said = subprocess.run(command, capture_output=True, text=True, timeout=3600)
            if said.returncode == 0:
                print(f"  {contestant.task:<10} {contestant.name:<10} {said.stdout.strip()}", flush=True)
            else:
                equal = False
                print(f"DIFFERENT: {what} of {contestant.name} at {contestant.task}\n{said.stderr}", file=sys.stderr, flush=True)
    return equal


GOALS = {"windows": "≤ 0.65, aim 0.45", "everything": "≤ 0.45, aim 0.30"}


def report(contestants: list[Contestant], args: argparse.Namespace, pattern: str, cores: int) -> None:
    print(f"\nMedians of {args.runs} whole-process runs on {cores} cores of {processor()}")
    print(f"{args.events:,} events; load of the machine at the end {os.getloadavg()[0]:.1f}\n")
    print("| task | program | wall s | CPU s | peak MB | ours / it |\n|---|---|---|---|---|---|")
    for task in args.tasks:
        mine = ours_at(contestants, task)
        for c in [c for c in contestants if c.task == task]:
            ratio = "" if c is mine or mine is None else f"{mine.median('wall_secs') / c.median('wall_secs'):.2f}"
            print(
                f"| {task} | {c.name} {c.version} | {c.median('wall_secs'):.2f} | {c.median('cpu_secs'):.2f} "
                f"| {c.median('peak_bytes') / 1e6:.0f} | {ratio} |"
            )
    print()
    for task, (best, ratio) in ratios(contestants, args).items():
        goal = f"; goal {GOALS[task]}" if task in GOALS else ""
        print(f"{task}: our time is {ratio:.2f} of the best peer's ({best}){goal}")


def ours_at(contestants: list[Contestant], task: str) -> Contestant | None:
    return next((c for c in contestants if (c.task, c.name) == (task, "headcount")), None)


def ratios(contestants: list[Contestant], args: argparse.Namespace) -> dict[str, tuple[str, float]]:
    """Of each task: the best peer, and our time as a part of its."""
    found = {}
    for task in args.tasks:
        mine = ours_at(contestants, task)
        theirs = [c for c in contestants if c.task == task and c.name != "headcount"]
        if mine and theirs:
            best = min(theirs, key=lambda c: c.median("wall_secs"))
            found[task] = (best.name, mine.median("wall_secs") / best.median("wall_secs"))
    return found


def results(contestants: list[Contestant], args: argparse.Namespace) -> dict:
    return {
        "events": args.events,
        "processor": processor(),
        "ratios": {task: {"best": best, "ratio": ratio} for task, (best, ratio) in ratios(contestants, args).items()},
        "runs": [
            {"task": c.task, "program": c.name, "version": c.version, "costs": [vars(cost) for cost in c.costs]}
            for c in contestants
        ],
    }


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "an unknown processor"


if __name__ == "__main__":
    sys.exit(main())
