"""`kill -9` at a random moment of a load, an append or a run of the corner shop, again and again: what is found is the old or the new, never half.

    python tests/kill.py WHAT FOLDER TIMES SEED

A process of its own, which has imported everything and forks a child for each try, so that the moments fall into the work and not into its start.
What a killed child had started comes to this process (on Linux), which sees whether it ends. A child that takes too long shows where it stands, and counts as a failure."""

import ctypes
import faulthandler
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from retail_insight.contract import append, corner_tables, load_shop, open_shop

FIRST = 100  # lines of the log before it grows
PATIENCE = 900  # seconds; a job takes one to sixty
SUBREAPER = 36  # of prctl: orphans come to this process


def fork(job: Callable[[], Any]) -> tuple[int, int]:
    "Start a job in a child: its process, and where its answer can be read."
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(read)
        said = ""
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            said = json.dumps(job())
        except BaseException as error:
            said = json.dumps(f"{type(error).__name__}: {error}")
        finally:
            os.write(write, said.encode())
            os._exit(0)
    os.close(write)
    return process, read


def finish(job: Callable[[], Any]) -> Any:
    "What a job says that nobody disturbs."
    process, read = fork(job)
    with os.fdopen(read) as answer:
        said = answer.read()
    os.waitpid(process, 0)
    return json.loads(said or '"crashed"')


def killed(job: Callable[[], Any], wait: Callable[[int], None]) -> bool:
    "Start a job and kill it at its moment; was it still at work?"
    process, read = fork(job)
    wait(process)
    os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    os.close(read)
    return os.WIFSIGNALED(status)


def alone(patience: float = 30) -> bool:
    "Have all processes ended that a killed job had started?"
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(.05)
        except ChildProcessError:
            return True
    return False


def has_child(process: int) -> bool:
    "Has a process started another one?"
    path = Path(f"/proc/{process}/task/{process}/children")
    return not path.exists() or bool(path.read_text().split())


def count(path: Path) -> list[int]:
    "Lines of a shop, counted and as it was said at the door."
    shop = open_shop(path)
    return [len(shop.query("FROM transactions")), int(shop.tables().set_index("table").loc["transactions", "rows"])]


def write_logs(folder: Path) -> int:
    "The corner shop's log in two files; how many lines it has."
    log = corner_tables()["transactions"]
    log.iloc[:FIRST].to_parquet(folder / "log.parquet")
    log.iloc[FIRST:].to_parquet(folder / "rest.parquet")
    return len(log)


class Loads:
    "A load into the cache."

    def __init__(self, folder: Path, times: int) -> None:
        self.folder, self.times = folder, times
        self.lines = finish(lambda: write_logs(folder))

    def job(self, number: int) -> list[int]:
        return count(load_shop(self.folder / "log.parquet", timestamps="local", snapshot=f"try{number}").path)

    def wait(self, number: int, process: int, seconds: float) -> None:
        "Let the moment come."
        time.sleep(seconds)

    def whole(self, number: int) -> bool:
        "Is all that lies there whole?"
        return all(finish(lambda p=path: count(p)) == [FIRST, FIRST] for path in (self.folder / "cache").glob("*.duckdb"))

    def again(self, number: int) -> bool:
        "Does the next one succeed?"
        done = finish(lambda: self.job(number)) == [FIRST, FIRST]
        for path in (self.folder / "cache").glob("*.duckdb"):
            path.unlink()
        return done


class Appends(Loads):
    "An append to a shop in its own file."

    def __init__(self, folder: Path, times: int) -> None:
        super().__init__(folder, times)
        base = Path(finish(lambda: str(load_shop(folder / "log.parquet", timestamps="local").path)))
        for number in range(times + 1): # here, where nobody is killed: half a copy would not be the append's
            shutil.copyfile(base, self.shop(number))

    def shop(self, number: int) -> Path:
        return self.folder / f"shop{number}.duckdb"

    def job(self, number: int) -> list[int]:
        return count(append(open_shop(self.shop(number)), self.folder / "rest.parquet", to=self.shop(number)).path)

    def whole(self, number: int) -> bool:
        return finish(lambda: count(self.shop(number))) in ([FIRST, FIRST], [self.lines, self.lines])

    def again(self, number: int) -> bool:
        return finish(lambda: self.job(number)) == [self.lines, self.lines]


class Runs(Loads):
    "A run of the workbook on the corner shop; each run forecasts another number of weeks, by which it is known."

    def __init__(self, folder: Path, times: int) -> None:
        import retail_insight.report  # before the children need it

        self.folder, self.times, self.run = folder, times, retail_insight.report.run_workbook
        self.out, self.last = folder / "report", 1 + times % 3

    def job(self, number: int) -> list[Any]:
        self.run("corner", steps=1 + number % 3, out=self.out)
        return self.state()

    def wait(self, number: int, process: int, seconds: float) -> None:
        "The first time, the moment at which the kernel has just been started and does not yet watch for anything."
        if number:
            return time.sleep(seconds)
        while not has_child(process):
            time.sleep(.01)

    def state(self) -> list[Any]:
        "The parameter of the run, how its page ends, the names of its files."
        names = sorted(str(p.relative_to(self.out)) for p in self.out.rglob("*") if p.is_file())
        return [json.loads((self.out / "run.json").read_text(encoding="utf-8"))["parameters"]["steps"], (self.out / "report.html").read_text(encoding="utf-8").rstrip()[-7:], names]

    def whole(self, number: int) -> bool:
        now = finish(self.state)
        old_or_new = isinstance(now, list) and now[0] in (self.last, 1 + number % 3) and now[1] == "</html>" and {"workbook.ipynb", "run.json"} < set(now[2])
        self.last = now[0] if old_or_new else self.last
        return old_or_new

    def again(self, number: int) -> bool:
        if number < self.times - 1:
            return True  # what follows is the next try; only the last one is let finish
        done = finish(lambda: self.job(number))
        return done[0] == 1 + number % 3 and [p.name for p in self.folder.iterdir() if "report" in p.name] == ["report"]


def interrupt(what: str, folder: Path, times: int, seed: int) -> dict[str, int]:
    "Start, kill after a random part of its time, look, and let it finish; `times` times."
    os.environ["RETAIL_INSIGHT_CACHE"] = str(folder / "cache")
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    tries = {"load": Loads, "append": Appends, "run": Runs}[what](folder, times)
    began = time.perf_counter()
    if isinstance(said := finish(lambda: tries.job(times)), str):
        raise SystemExit(said)
    needed = time.perf_counter() - began
    rng, seen = np.random.default_rng(seed), {"tries": times, "killed": 0, "half": 0, "left running": 0, "failed afterwards": 0}
    for number in range(times):
        seconds = float(rng.uniform(.02, 1)) * needed
        at_work = killed(lambda n=number: tries.job(n), lambda process, n=number, s=seconds: tries.wait(n, process, s))
        seen["killed"] += at_work
        seen["left running"] += not alone()
        seen["half"] += not tries.whole(number)
        began = time.perf_counter()
        seen["failed afterwards"] += not tries.again(number)
        needed = min(needed, time.perf_counter() - began) if what != "run" else needed if at_work else .8 * needed
    return seen


if __name__ == "__main__":
    print(json.dumps(interrupt(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
