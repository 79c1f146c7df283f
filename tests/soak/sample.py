"""What a server takes, read from outside, and the judgement whether it is level."""
import os
import pathlib
import statistics

# Name, unit, and how much more the last third may have than the middle one: a share, and an amount.
METRICS = [
    ("rss", "KiB", 0.05, 2048),        # nonces of half an hour are kept by design
    ("pss", "KiB", 0.05, 2048),
    ("descriptors", "", 0, 3),
    ("threads", "", 0, 0),
    ("database", "KiB", 0.10, 512),    # with its WAL
    ("data", "KiB", 0.10, 2048),       # the whole folder, but for the next row
    # Redis' own log of writes grows until Redis rewrites it: at 64 MiB a node, here of two.
    ("aof", "KiB", 0, 2 * 64 * 1024),
    ("files", "", 0.10, 20),
    ("temporary", "", 0, 2),           # files under a name that only a replacement in progress has
    ("children", "", 0, 2),            # of the server: tasks, and the Redis processes it began
]
NAMES = [name for name, *_ in METRICS]


def take(server):
    """One sample: a number for each name."""
    process = pathlib.Path(f"/proc/{server.process.pid}")
    memory = dict(line.split(":", 1) for line in (process / "smaps_rollup").read_text().splitlines()[1:])
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    files = sizes(server.data)
    return {
        "rss": kib(memory["Rss"]), "pss": kib(memory["Pss"]),
        "descriptors": len(os.listdir(process / "fd")), "threads": int(status["Threads"]),
        "database": sum(size for file, size in files if file.name.startswith("stint.db")) / 1024,
        "data": sum(size for file, size in files if file.suffix != ".aof") / 1024,
        "aof": sum(size for file, size in files if file.suffix == ".aof") / 1024, "files": len(files),
        "temporary": sum(is_temporary(file) for file, _ in files), "children": len(children(server.process.pid)),
    }


def kib(text):
    return int(text.split()[0])


def sizes(folder):
    """Every file and its size; those that go meanwhile are gone."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            file = pathlib.Path(place) / name
            try:
                found.append((file, file.stat().st_size))
            except OSError:
                continue
    return found


def is_temporary(file):
    return ".tmp" in file.name or file.name.startswith("temp-")


def children(pid):
    found = []
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            found += (thread / "children").read_text().split()
        except OSError:
            continue
    return found


def judge(rows):
    """Print the table; True when something grew."""
    third = len(rows) // 3
    if third < 2:
        print("FAILED soak: too few samples to judge")
        return True
    middle, last = rows[third:2 * third], rows[2 * third:]
    grew = False
    print(f"{'':12} {'first':>10} {'middle':>10} {'last':>10} {'most':>10} {'allowed':>10}")
    for name, unit, share, amount in METRICS:
        before, after = (statistics.median(row[name] for row in part) for part in (middle, last))
        allowed = before * (1 + share) + amount
        word = "ok" if after <= allowed else "GREW"
        grew |= after > allowed
        figures = (rows[0][name], before, after, max(row[name] for row in rows), allowed)
        print(f"{name:12} " + " ".join(f"{figure:10.0f}" for figure in figures) + f" {unit or '':4}{word}")
    return grew
