"""Redis instances when something dies while they are made or deleted, when every attempt dies at the same place, and
ten of them at once."""
import unittest

from dcs_faults import BY_NAME, SETTLED_S, FaultCase, draw, is_chosen
from stint_client import redis_processes, wait_for
from test_dcs import IS_QUICK

class ChildDiesEachTime(FaultCase):
    """Three attempts, all cut off at the same step: the operation fails, and what it left half done is mended."""

    def at(self, operation, n):
        what = f"{operation.name}, every child dies at cache.act:{n}"
        self.ready(operation)
        self.order(f"cache.act:{n} each")
        result = self.ask(operation.ask)

        def attempts_over():
            task = self.newest_task()
            if not result["thread"].is_alive() and task["status"] in ("SUCCESS", "FAILED"):
                return True
            if result["thread"].is_alive() and task and task["status"] == "FAILED":
                return True
        wait_for(f"{what}: the last attempt", attempts_over, SETTLED_S)
        self.withdraw()
        result["thread"].join(SETTLED_S)
        job = self.dcs.ended(self.newest_task()["id"])
        self.finish(operation, what)
        return job["status"] == "FAIL"

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_operations(self):
        self.make()
        names = ("password", "rename", "port", "restore", "backup", "add-replica", "resize", "switchover")
        for name in ("rename",) if IS_QUICK else names:
            # Each third act, until the operation has fewer and succeeds.
            for n in (2,) if IS_QUICK else range(1 + draw(name) % 3, 60, 3):
                has_failed = None
                with self.subTest(f"{name}:{n}"):
                    has_failed = self.at(BY_NAME[name], n)
                if has_failed is None:
                    self.start_afresh()
                elif not has_failed:
                    break


class MakingAndEnding(FaultCase):
    """Instances that are being made, or deleted, when something dies."""

    def begin(self, mode):
        body = self.body("making", mode)
        answer = self.ok(self.dcs.ask("POST", "instances", body=body))
        self.one = answer.json["instances"][0]["instance_id"]
        self.forget()
        self.port = body["port"]
        return {"answer": answer, "thread": Ended()}

    def cut_off_create(self, mode, victim, n):
        what = f"create {mode}, {victim} dies at cache.step:{n}"
        self.order(f"cache.step:{n} stop")
        child = self.stopped_child(self.begin(mode), None)
        has_struck = child is not None and self.strike(victim, child)
        self.withdraw()
        wait_for(f"{what}: an end", lambda: self.dcs.status(self.one) in ("RUNNING", "CREATEFAILED"), SETTLED_S)
        job = self.dcs.ended(self.newest_task()["id"], SETTLED_S)
        if not has_struck or victim in ("server", "child", "both"):
            self.assertEqual(job["status"], "SUCCESS", f"{what}: {job}")
        if job["status"] == "SUCCESS":
            self.calm(what)
            self.seed()
        else:
            self.remains_nothing(what)
        self.leave(self.one)
        return child is not None

    def remains_nothing(self, what):
        folder = self.server.data / "cache" / self.one
        self.assertEqual(self.dcs.status(self.one), "CREATEFAILED", what)
        wait_for(f"{what}: no process", lambda: not redis_processes(folder), SETTLED_S)
        wait_for(f"{what}: no folder", lambda: not folder.exists(), SETTLED_S)

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_create(self):
        for mode in ("single", "ha"):
            for victim in ("server", "child", "both", "master", "replica"):
                if mode == "single" and victim == "replica":
                    continue
                for n in range(1, 6 if IS_QUICK else 40):
                    if not is_chosen("create", mode, victim, n):
                        continue
                    goes_on = True
                    with self.subTest(f"{mode}, {victim}, {n}"):
                        goes_on = self.cut_off_create(mode, victim, n)
                    if not goes_on:
                        break

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_create_that_dies_each_time(self):
        for n in (1, 2, 3, 4, 5):  # as many acts as it has
            with self.subTest(n):
                self.order(f"cache.act:{n} each")
                self.begin("ha")
                what = f"create, every child dies at cache.act:{n}"
                wait_for(f"{what}: an end", lambda: self.dcs.status(self.one) in ("RUNNING", "CREATEFAILED"), SETTLED_S)
                self.withdraw()
                self.remains_nothing(what)
                self.leave(self.one)

    def cut_off_delete(self, victim, n):
        self.begin("ha")
        self.running(self.one)
        folder, what = self.server.data / "cache" / self.one, f"delete, {victim} dies at {n}"
        self.order(f"cache.act:{n} stop")
        self.ok(self.dcs.of("DELETE", self.one), 204)

        def look():
            stopped = [pid for pid, state in self.children().items() if state == "T"]
            return stopped or (["none"] if not folder.exists() and not self.children() else None)
        child = wait_for(f"{what}: the child", look, SETTLED_S)[0]
        if child != "none":
            self.strike(victim, child)
        self.withdraw()
        wait_for(f"{what}: no process", lambda: not redis_processes(folder), SETTLED_S)
        wait_for(f"{what}: no folder", lambda: not folder.exists(), SETTLED_S)
        wait_for(f"{what}: no child", lambda: not self.children(), SETTLED_S)
        self.assertEqual(self.dcs.of("GET", self.one).status, 404)
        return child != "none"

    def test_delete(self):
        for victim in ("server", "child", "both", "master", "replica"):
            for n in range(1, 6 if IS_QUICK else 12):
                if is_chosen("delete", victim, n):
                    goes_on = True
                    with self.subTest(f"{victim}, {n}"):
                        goes_on = self.cut_off_delete(victim, n)
                    if not goes_on:
                        break

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_delete_that_dies_each_time(self):
        """Nobody can see it any more, so nobody could ask again: the server does."""
        self.begin("ha")
        self.running(self.one)
        folder = self.server.data / "cache" / self.one
        self.order("cache.act:1 each")
        self.ok(self.dcs.of("DELETE", self.one), 204)

        def task():
            return any(t["name"] == "DELETE" and t["status"] == "FAILED"
                       for t in self.dcs.ask("GET", "tasks").json["tasks"])
        wait_for("the last attempt", task, SETTLED_S)
        self.withdraw()
        wait_for("no process", lambda: not redis_processes(folder), SETTLED_S)
        wait_for("no folder", lambda: not folder.exists(), SETTLED_S)


class Ended:
    """In the place of a thread that has ended."""

    @staticmethod
    def is_alive():
        return False

    @staticmethod
    def join(timeout=None):
        pass


class TenAtOnce(FaultCase):
    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_made_killed_and_deleted(self):
        ids, ports = [], {}
        for i in range(10):
            body = self.body(f"ten-{i}", "ha" if i % 2 else "single")
            ids.append(self.ok(self.dcs.ask("POST", "instances", body=body)).json["instances"][0]["instance_id"])
            ports[ids[-1]] = body["port"]
        self.server.kill()
        self.server.start()
        for one in ids:
            wait_for(f"{one} to run", lambda: self.dcs.status(one) == "RUNNING", SETTLED_S)
        pids = {}
        for i, one in enumerate(ids):
            connection = self.connect(one)
            connection.call("SET", "who", one)
            pids[one] = sorted(redis_processes(self.server.data / "cache" / one))
            self.assertEqual(len(pids[one]), 2 if i % 2 else 1)
        self.server.kill()
        self.server.start()
        for one in ids:
            self.assertEqual(self.connect(one).call("GET", "who"), one)
            self.assertEqual(sorted(redis_processes(self.server.data / "cache" / one)), pids[one], "they lived on")
        answer = self.ok(self.dcs.ask("DELETE", "instances", body={"instances": ids}))
        self.assertEqual([r["result"] for r in answer.json["results"]], ["success"] * 10)
        self.server.kill()
        self.server.start()
        for one in ids:
            self.assertEqual(self.dcs.of("GET", one).status, 404)
            folder = self.server.data / "cache" / one
            wait_for("no process", lambda: not redis_processes(folder), SETTLED_S)
            wait_for("no folder", lambda: not folder.exists(), SETTLED_S)
