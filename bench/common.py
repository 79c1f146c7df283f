"""What the scripts of bench/ share: the command line, the programs they need, the client, a server, and how
figures are shown.

A script compares things in one run, in turn, and prints of each the median, the least and the largest of its
repetitions; ratios of medians are what counts, since machines and their other work differ. Nothing is installed: a peer
whose program is missing is left out with a line that says so.
"""
import json
import os
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("STINT_BUILD", ROOT / "build")).resolve()
os.environ["STINT_BIN"] = str(BUILD / "stint")
sys.path.insert(0, str(ROOT / "tests" / "scenario"))
from stint_client import Server, wait_for  # noqa: E402,F401

QUICK = "--quick" in sys.argv
ROUNDS = 1 if QUICK else 5
NUMBERS = [int(word) for word in sys.argv[1:] if word.isdigit()]
APP = "bench"


def begin(doc):
    """--help, the programs of the build, and what the machine is doing."""
    if "--help" in sys.argv or any(not w.isdigit() and w != "--quick" for w in sys.argv[1:]):
        print(doc.strip())
        sys.exit(0 if "--help" in sys.argv else 64)
    missing = [p for p in ("stint", "tests/load", "tests/bench_child") if not (BUILD / p).exists()]
    if missing:
        sys.exit(f"missing in {BUILD}: {' '.join(missing)}. A release build: meson setup build --buildtype=release; "
                 "ninja -C build stint tests/load tests/bench_child (another folder: STINT_BUILD=DIR)")
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, {ROUNDS} repetition(s)", flush=True)


def program(name, package):
    """Its path; None, and a line about it, when it is not installed."""
    places = ["/usr/sbin", "/sbin", *map(str, pathlib.Path("/usr/lib/postgresql").glob("*/bin")), os.environ["PATH"]]
    found = shutil.which(name, path=":".join(places))
    if not found:
        print(f"{name} is left out: it is not installed (Debian package {package})", flush=True)
    return found


def first_number(default, quick):
    return NUMBERS[0] if NUMBERS else quick if QUICK else default


def load(server, connections, requests, method, action, paths, body="", address=None):
    """One run of bench/load.c, signed with the server's key: its figures as a dictionary."""
    keys = {"STINT_ACCESS_KEY_ID": server.client.key_id, "STINT_ACCESS_KEY_SECRET": server.client.secret}
    done = subprocess.run([BUILD / "tests" / "load", address or f"127.0.0.1:{server.port}", str(connections),
                           str(max(requests, connections)), method, action, body, "-"],
                          input="\n".join(paths), capture_output=True, text=True, env={**os.environ, **keys})
    if done.returncode:
        sys.exit(f"{done.stderr}{server.log()[-2000:]}")
    return json.loads(done.stdout)


def all_ok(run):
    assert list(run["statuses"]) == ["200"], run["statuses"]
    return run


def show(name, values, unit, digits=0):
    """A line of the table; the median."""
    median = statistics.median(values)
    print(f"{name:44} {median:12,.{digits}f} {unit:6} ({min(values):,.{digits}f} .. {max(values):,.{digits}f})",
          flush=True)
    return median


def new_server(*args, function="bench"):
    """A running server with an app group and one function, whose tasks run bench/child.c."""
    server = Server(args=list(args)).prepare()
    manifest = {"name": function, "modelType": "script", "run": [str(BUILD / "tests" / "bench_child")],
                "createParameters": []}
    (server.data / "functions.d" / f"{function}.json").write_text(json.dumps(manifest))
    server.start()
    assert server.client.create_app(APP).status == 200
    assert server.client.create_instance(APP, "i0", function, "script", {}).status == 200
    return server


def database(server):
    """A connection of our own; the caller closes it."""
    return sqlite3.connect(server.data / "stint.db", timeout=60)


COLUMNS = ("app_id, function, function_type, model_type, source, description, version_id, create_params, "
           "usage_params, cron, extend_info, created_at, updated_at")


def add_instances(server, n):
    """i1 .. i(n-1) beside i0, alike, straight into the database: through the API it would take
    longer than the bench."""
    db = database(server)
    with db:
        db.execute(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
                   f"INSERT INTO instance (name, {COLUMNS}) SELECT 'i' || n.i, {COLUMNS} FROM n, "
                   f"(SELECT * FROM instance WHERE name = 'i0')", (n,))
    db.close()


def task_paths(server, n, function="bench"):
    """Where tasks of i0 .. i(n-1) are created and listed."""
    return [server.client.base(APP, function, "instances", f"i{i}", "tasks") for i in range(n)]


def memory_kib(pid):
    """Resident and proportional size, and the most it ever had."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in rollup[1:]}
    peak = next(int(line.split()[1]) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                if line.startswith("VmHWM"))
    return sizes["Rss"], sizes["Pss"], peak
