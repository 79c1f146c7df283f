"""Operations on Redis instances, cut off in the middle: kill -9 of the server, of the task's child, of a node."""
import os
import signal
import time
import unittest

from stint_client import redis_processes, wait_for
from test_dcs import IS_QUICK, PASSWORD, DcsCase, free_port

KEEPER_ROUNDS_S = 4
DELAYS_MS = (5, 30) if IS_QUICK else (0, 3, 8, 15, 25, 40, 60, 100)


class Interrupted(DcsCase):
    """Whatever is killed and when: the task ends, the instance runs, what was acknowledged is there."""

    def operations(self):
        spec, size = self.show(self.one)["spec_code"].rsplit(".", 1)
        put = lambda *to, **more: self.dcs.of("PUT", self.one, *to, **more)
        post = lambda *to, **more: self.dcs.of("POST", self.one, *to, **more)
        return {
            "resize": lambda: post("resize", body={"spec_code": f"{spec}.{256 if size == '128' else 128}", "new_capacity": 0}),
            "restart": lambda: self.dcs.ask("PUT", "instances", "status",
                                            body={"instances": [self.one], "action": "restart"}),
            "swap": lambda: put("async-swap"),
            "configure": lambda: put("async-configs", body={"redis_config": [
                {"param_id": "1", "param_name": "timeout", "param_value": str(next(self.timeouts))}]}),
            "port": lambda: put(body={"port": free_port()}),
            "backup": lambda: post("backups", body={}),
        }

    def setUp(self):
        self.timeouts = iter(range(7000, 7200))
        self.one = self.create("faults", "ha")
        self.connect(self.one).call("SET", "kept", "value")
        self.addCleanup(self.away)

    def taken(self, what, name):
        """Ask until no AutoRecovery is in the way, as clients do on these two codes; the task's id."""
        def asked():
            answer = self.operations()[name]()
            return None if answer.code in ("DCS.4026", "DCS.4049") else answer
        answer = wait_for(f"{what} to be taken", asked, 60)
        self.assertIn(answer.status, (200, 204), f"{what}: {answer}")
        return next(t["id"] for t in self.dcs.of("GET", self.one, "tasks").json["tasks"] if t["name"] != "AutoRecovery")

    def away(self):
        folder = self.server.data / "cache" / self.one
        wait_for("the deletion", lambda: self.dcs.of("DELETE", self.one).status == 204, 60)
        wait_for("no process of the instance", lambda: not redis_processes(folder))
        wait_for("no folder of the instance", lambda: not folder.exists())

    def whole(self, what, task):
        """After the fault: an ended task, a running instance, its data, and as many processes as nodes."""
        job = self.dcs.ended(task, 60)
        wait_for(f"RUNNING after {what}", lambda: self.dcs.status(self.one) == "RUNNING", 60)
        wait_for(f"no task after {what}", lambda: self.dcs.newest(self.one)["status"] in ("SUCCESS", "FAILED"), 60)

        def value():
            try:
                return self.connect(self.one).call("GET", "kept")
            except OSError:
                return None
        wait_for(f"the data after {what}", lambda: value() == "value", 60)
        folder = self.server.data / "cache" / self.one
        wait_for(f"two processes after {what}", lambda: len(redis_processes(folder)) == 2, 60)
        return job

    def test_server_killed(self):
        for name in self.operations():
            for delay in DELAYS_MS:
                what = f"{name} cut off after {delay} ms"
                with self.subTest(what):
                    task = self.taken(what, name)
                    time.sleep(delay / 1000)
                    self.server.kill()
                    self.server.start()
                    job = self.whole(what, task)
                    self.assertEqual(job["status"], "SUCCESS", f"{what}: {job}")

    def children(self):
        """Process numbers of `stint job` below this server."""
        found = []
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
                with open(f"/proc/{entry}/stat") as f:
                    parent = int(f.read().rsplit(")", 1)[1].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            if words[1:2] == [b"job"] and parent == self.server.process.pid:
                found.append(int(entry))
        return found

    def test_child_killed(self):
        for name in self.operations():
            with self.subTest(name):
                task = self.taken(name, name)
                end = time.monotonic() + 2
                while not self.children() and time.monotonic() < end:
                    if self.dcs.of("GET", self.one, "tasks", task, "progress").json["progress"] == 100:
                        break
                for pid in self.children():
                    os.kill(pid, signal.SIGKILL)
                self.whole(f"{name} without its child", task)

    @unittest.skipIf(IS_QUICK, "slow")
    def test_node_killed(self):
        for name in self.operations():
            for which in (0, 1):
                with self.subTest(f"{name}, node {which}"):
                    task = self.taken(name, name)
                    time.sleep(0.01)
                    pids = sorted(redis_processes(self.server.data / "cache" / self.one))
                    if which < len(pids):
                        os.kill(pids[which], signal.SIGKILL)
                    self.whole(f"{name} without node {which}", task)
                    # The keeper looks once a second. What dies before it was seen well counts as dying again, and
                    # waits longer each time: that is not what is tried here.
                    time.sleep(KEEPER_ROUNDS_S)

    @unittest.skipIf(IS_QUICK, "slow")
    def test_ten_at_once(self):
        names = [f"ten-{i}" for i in range(10)]
        made = [self.ok(self.dcs.ask("POST", "instances", body=self.body(n))).json["instances"][0]["instance_id"] for n in names]
        for instance in made:
            self.running(instance)
            self.assertEqual(self.connect(instance, PASSWORD).call("PING"), "PONG")
        for instance in made:
            self.delete(instance)
