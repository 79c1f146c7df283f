"""A disk that is full, and one whose syncs fail, under a whole server: changes are refused in the vendors' words, reads
go on, /readyz and /metrics say so, and all is well again by itself when the disk is."""
import errno
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

from common import ServerCase
from stint_client import BINARY, Redis, Server, wait_for
from test_dcs import PASSWORD, DcsCase, end_all, free_port

SHIM = pathlib.Path(BINARY).resolve().parent / "tests" / "libfailing_sync.so"
MOST = 400  # changes that still find room in what the write-ahead log already has


def probe(server, target):
    return server.client.send("GET", target, {"host": f"127.0.0.1:{server.port}"})


def ready(server):
    return probe(server, "/readyz").status == 200


def healthy_metric(server):
    text = probe(server, "/metrics").body.decode()
    return next(line.split()[1] for line in text.splitlines() if line.startswith("stint_store_healthy "))


def stays_unready(case):
    """Several times as long as the writer rests between its tries: one that wrote nothing must not
    count as a good one."""
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        case.assertFalse(ready(case.server))
        case.assertEqual(healthy_metric(case.server), "0")


class SmallDisk:
    """A file system of a few MiB that can be filled and emptied."""

    def __init__(self, size="24m"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="stint-small-disk-"))
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.folder)],
                              capture_output=True, text=True)
        if done.returncode:
            self.folder.rmdir()
            raise unittest.SkipTest(f"no small file system can be mounted here: {done.stderr.strip()}")

    def close(self):
        subprocess.run(["umount", "-l", str(self.folder)], check=True)
        self.folder.rmdir()

    def fill(self):
        with open(self.folder / "ballast", "ab", buffering=0) as ballast:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        ballast.write(b"\0" * size)
                except OSError as e:
                    if e.errno != errno.ENOSPC:
                        raise

    def empty(self):
        (self.folder / "ballast").unlink()


class FullDisk(ServerCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("redis-server"):
            raise unittest.SkipTest("redis-server is not installed")
        cls.disk = SmallDisk()
        cls.addClassCleanup(cls.disk.close)
        cls.server = Server(data=cls.disk.folder)
        cls.addClassCleanup(end_all, cls.server.folder)
        cls.addClassCleanup(cls.server.close)
        logs = tempfile.mkdtemp(prefix="stint-scenario-")  # what the server says shall not take the room
        cls.addClassCleanup(shutil.rmtree, logs)
        cls.server.log_path = pathlib.Path(logs) / "server.log"
        cls.server.add_function("score")
        cls.server.start()

    create_body = DcsCase.body
    zone = DcsCase.zone

    @property
    def dcs(self):
        return self.server.dcs

    def until_refused(self, acknowledged):
        """Changes are made until there is no room for one; its refusal."""
        for i in range(len(acknowledged), len(acknowledged) + MOST):
            self.disk.fill()
            name = f"app{i}"
            answer = self.client.create_app(name, description="x" * 2000)
            if answer.status != 200:
                return answer
            acknowledged.append(name)
        self.fail("the disk is full, and changes go on")

    def names(self):
        listed = []
        for page in range(1, 20):
            part = self.ok(self.client.list_apps(pageNumber=page, pageSize=50)).result
            listed += [app["name"] for app in part]
            if len(part) < 50:
                return set(listed)
        return set(listed)

    def expect_kept(self, acknowledged):
        self.assertEqual(self.names(), {"shop", *acknowledged})

    def test_a_full_disk_refuses_changes_in_both_dialects_and_passes(self):
        self.app("shop")
        gate = self.gated("shop")
        self.ok_envelope(self.client.create_task("shop", "one", "score"))
        wait_for("the task to run", lambda: self.client.detail("shop", "one", 1, "score").json["progress"] == 40)
        answer = self.ok(self.dcs.ask("POST", "instances", body=self.create_body("cache")))
        cache = answer.json["instances"][0]["instance_id"]
        wait_for("the instance", lambda: self.dcs.status(cache) == "RUNNING")
        shown = self.ok(self.dcs.of("GET", cache)).json
        acknowledged = []
        self.addCleanup(lambda: (self.disk.folder / "ballast").unlink(missing_ok=True))

        answer = self.until_refused(acknowledged)
        self.assertEqual((answer.status, answer.json["code"]), (503, "ServiceUnavailable"), answer)
        self.refused(self.client.create_instance("shop", "two", "score", "script"), 503, "ServiceUnavailable")
        refused = self.dcs.ask("POST", "instances", body=self.create_body("more"))
        self.assertEqual((refused.status, refused.json["error_code"]), (503, "DCS.5000"), refused)
        stays_unready(self)
        self.expect_kept(acknowledged)
        self.assertEqual(self.dcs.status(cache), "RUNNING")
        redis = Redis(shown["ip"], shown["port"], PASSWORD)
        self.assertEqual(redis.call("PING"), "PONG")
        redis.close()
        self.assertEqual(self.client.detail("shop", "one", 1, "score").json["state"], "running")
        gate_is_open = subprocess.run(["ln", "-s", "/dev/null", str(gate)])  # a name takes no room
        self.assertEqual(gate_is_open.returncode, 0)
        self.assertFalse(ready(self.server))

        self.disk.empty()
        wait_for("ready again", lambda: ready(self.server))
        self.assertEqual(healthy_metric(self.server), "1")
        ended = self.client.finished("shop", "one", 1, "score")
        self.assertEqual((ended["state"], ended["progress"]), ("success", 100), ended)
        self.ok(self.client.create_app("after"))
        acknowledged.append("after")
        self.expect_kept(acknowledged)
        self.ok_envelope(self.client.create_task("shop", "one", "score"))
        self.assertEqual(self.client.finished("shop", "one", 2, "score")["state"], "success")
        self.server.restart()
        self.expect_kept(acknowledged)
        self.assertTrue(ready(self.server))

        # A start on it serves what was kept. There is no room for its address, and the old one does not stay.
        self.until_refused(acknowledged)
        self.server.kill()
        self.disk.fill()
        self.server.start()
        self.expect_kept(acknowledged)
        self.assertIn("server.no_endpoint", self.server.log())
        self.assertFalse((self.server.data / "endpoint").exists())
        self.disk.empty()
        wait_for("ready again", lambda: ready(self.server))


class FailingSync(ServerCase):
    @classmethod
    def setUpClass(cls):
        if not SHIM.exists():
            raise unittest.SkipTest(f"{SHIM} is not built")
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        cls.mark = cls.server.folder / "syncs-fail"
        options = os.environ.get("ASAN_OPTIONS", "")
        cls.server.env = {"LD_PRELOAD": str(SHIM), "STINT_FAILING_SYNC": str(cls.mark),
                          "ASAN_OPTIONS": f"{options}:verify_asan_link_order=0".lstrip(":")}
        cls.server.add_function("score")
        cls.server.start()

    def test_a_store_in_doubt_takes_no_changes_until_it_is_proven(self):
        self.app("before")
        gate = self.gated("before")
        self.ok_envelope(self.client.create_task("before", "one", "score"))
        wait_for("the task to run", lambda: self.client.detail("before", "one", 1, "score").json["progress"] == 40)
        self.assertTrue(ready(self.server))
        self.mark.touch()
        self.addCleanup(self.mark.unlink, missing_ok=True)
        answers = [self.client.create_app(f"doubt{i}") for i in range(5)]
        for answer in answers:
            self.assertIn((answer.status, answer.json["code"]), [(500, "InternalError"), (503, "ServiceUnavailable")])
        self.assertEqual((answers[0].status, answers[0].json["code"]), (500, "InternalError"), answers[0])
        stays_unready(self)
        self.ok(self.client.get_app("before"))
        gate.touch()
        self.mark.unlink()
        wait_for("ready again", lambda: ready(self.server))
        self.assertEqual(self.client.finished("before", "one", 1, "score")["state"], "success")
        self.ok(self.client.create_app("after"))
        self.server.restart()
        self.ok(self.client.get_app("before"))
        self.ok(self.client.get_app("after"))


if __name__ == "__main__":
    unittest.main()
