"""Logs of children that print without end: bounded on the disk, at work and ended, through a kill and in a backup; and
whoever reads or follows is told how much is missing, and where."""
import re
import subprocess
import unittest

from common import ServerCase
from stint_client import BINARY, WAIT_S, wait_for

MIB = 1 << 20
NOTE = re.compile(rb"\n\[(\d+) bytes were dropped here: the log keeps its beginning and its newest part\]\n")


def disk_size(file):
    return file.stat().st_blocks * 512


class Read:
    """What a reader was given: its own bytes without the notes, and how many it was told are missing."""

    def __init__(self, text):
        self.text = text
        self.notes = [int(n) for n in NOTE.findall(text)]
        self.parts = NOTE.split(text)[::2]
        self.size = sum(map(len, self.parts)) + sum(self.notes)

    def numbers(self):
        """Of the whole lines of each part."""
        return [[int(n) for n in re.findall(rb"^line (\d{14})$", part, re.M)] for part in self.parts]


class Floods(ServerCase):
    args = ("--max-running", "4", "--max-task-log-mib", "2")

    @classmethod
    def prepare(cls, server):
        server.add_function("brief", maxAttempts=1, timeoutSeconds=2, logMiB=1)
        server.add_function("long", maxAttempts=1)  # the server's bound
        server.add_function("kept", maxAttempts=1)
        server.add_function("tight", maxAttempts=1, logMiB=1, diskMiB=4)
        server.add_function("twice", maxAttempts=2, logMiB=1)

    def read(self, app, function):
        text, offset = b"", 0
        while True:
            answer = self.ok(self.client.log(app, "one", 1, function, offset=offset))
            after = int(answer.headers["x-stint-next-offset"])
            if after == offset:
                self.assertEqual(answer.body, b"")
                return Read(text)
            self.assertLessEqual(len(answer.body), MIB + 200)
            text, offset = text + answer.body, after

    def check(self, read, size, limit, begins):
        """Of size bytes at least a fifth of limit is there from the beginning, and half of it from the end."""
        self.assertEqual(read.size, size)
        self.assertEqual(len(read.notes), 1, read.notes)
        self.assertTrue(read.parts[0].startswith(begins), read.parts[0][:100])
        self.assertGreater(len(read.parts[0]), limit / 5)
        self.assertGreater(len(read.parts[1]), limit / 2 - 100)
        self.assertLessEqual(size - read.notes[0], limit)
        for numbers in read.numbers():
            self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "lines are missing")
        self.assertGreater(read.numbers()[1][0], read.numbers()[0][-1])

    def start(self, mode, function, **params):
        app = self.app(f"{function}_{mode}")
        self.ok(self.client.create_instance(app, "one", function, "script", {"mode": mode, **params}))
        self.ok(self.client.create_task(app, "one", function))
        return app

    def find_log(self, function):
        """Each test has a function of its own."""
        return wait_for("the log", lambda: next((self.server.data / "logs").glob(f"*/{function}/one.*/1.log"), None))

    def test_a_flood_without_end(self):
        app = self.start("log_flood", "brief")
        log = self.find_log("brief")
        wait_for("a gap", lambda: log.stat().st_size > 3 * MIB and disk_size(log) < 2 * MIB)
        detail = self.client.finished(app, "one", 1, "brief")
        self.assertEqual((detail["errorCode"], detail["fault"]), ("Task.TimedOut", "timeout"), detail)
        self.assertLessEqual(disk_size(log), MIB)
        self.check(self.read(app, "brief"), log.stat().st_size, MIB, b"child of mode log_flood\nline 00000000000000\n")
        self.assertIn("exec.log_gap", self.server.log())

    def test_a_burst_and_one_who_follows(self):
        """The limit of disk is for the working folder: the log, longer than both limits together, is
        no reason to end."""
        gate = self.server.folder / "gate-burst"
        app = self.start("log_burst", "tight", gate=str(gate), count="12")
        follower = subprocess.Popen(
            [BINARY, "task", "log", app, "one", "1", "--function", "tight", "--follow",
             "--data", str(self.server.data)],
            stdout=subprocess.PIPE)
        self.addCleanup(follower.kill)
        self.assertEqual(follower.stdout.readline(), b"child of mode log_burst\n")
        gate.touch()
        rest, _ = follower.communicate(timeout=WAIT_S)
        self.assertEqual(follower.returncode, 0)
        self.assertEqual(self.client.finished(app, "one", 1, "tight")["state"], "success")
        log = self.find_log("tight")
        self.assertLessEqual(disk_size(log), MIB)
        read = self.read(app, "tight")
        self.check(read, log.stat().st_size, MIB, b"child of mode log_burst\n")
        self.assertTrue(read.text.endswith(b"\nthe last words\n"), read.text[-100:])
        followed = Read(b"child of mode log_burst\n" + rest)
        self.assertEqual(followed.size, log.stat().st_size, "bytes that neither came nor were told as missing")
        self.assertTrue(followed.text.endswith(b"\nthe last words\n"), followed.text[-100:])

    def test_a_killed_server(self):
        """The child is killed with its server: what is left is bounded before the first answer, though nobody starts it
        again, and a second attempt goes on in the same log."""
        apps = {f: self.start("log_flood", f) for f in ("long", "twice")}
        logs = {f: self.find_log(f) for f in apps}
        wait_for("gaps", lambda: all(log.stat().st_size > 6 * MIB for log in logs.values()))
        self.server.kill()
        sizes = {f: log.stat().st_size for f, log in logs.items()}
        self.server.start()
        self.assertEqual(self.client.finished(apps["long"], "one", 1, "long")["errorCode"], "Task.Interrupted")
        self.assertLessEqual(disk_size(logs["long"]), 2 * MIB)
        self.check(self.read(apps["long"], "long"), sizes["long"], 2 * MIB, b"child of mode log_flood\n")
        wait_for("the second attempt's words", lambda: logs["twice"].stat().st_size > sizes["twice"] + MIB)
        self.server.kill()
        self.server.start()
        self.assertEqual(self.client.finished(apps["twice"], "one", 1, "twice")["errorCode"], "Task.Interrupted")
        self.assertLessEqual(disk_size(logs["twice"]), MIB)
        self.assertEqual(len(self.read(apps["twice"], "twice").notes), 1)

    def test_a_backup(self):
        """The copy of a log is what its readers see, so it is as small."""
        gate = self.server.folder / "gate-backup"
        gate.touch()
        app = self.start("log_burst", "kept", gate=str(gate), count="10")
        self.assertEqual(self.client.finished(app, "one", 1, "kept")["state"], "success")
        target = self.server.folder / "backup"
        self.server.run("backup", "--data", str(self.server.data), "--to", str(target))
        log = self.find_log("kept")
        copy = target / log.relative_to(self.server.data)
        read = self.read(app, "kept")
        self.check(read, log.stat().st_size, 2 * MIB, b"child of mode log_burst\n")
        self.assertEqual(copy.read_bytes(), read.text)


if __name__ == "__main__":
    unittest.main()
