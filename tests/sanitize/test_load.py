"""A load on every thread of the server at once, for runs under a sanitizer (docs/testing.md).

Many short connections and a few long ones make, change, ask about and delete; tasks end well and badly, cron has work, the
keeper and the asker have a Redis instance to look after; then SIGTERM comes in the middle of it. What a sanitizer has to
say about that is found by Server.stop(); that nothing acknowledged is lost is checked after the next start.
"""
import http.client
import os
import pathlib
import shutil
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))

from stint_client import Server, wait_for  # noqa: E402
from test_dcs import DcsCase, end_all  # noqa: E402

SECONDS = float(os.environ.get("STINT_LOAD_SECONDS", "20"))
CLIENTS = 6
MODES = ("ok", "ok", "flood", "error", "exit_3", "no_result", "garbage")
# What each operation may answer beside 200: another client was there first, or the server is stopping.
TOLERATED = {404, 409, 503}


class Load(DcsCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(args=("--threads", "4", "--max-running", "4", "--drain-seconds", "20"))
        cls.server.add_function("score", maxAttempts=1, timeoutSeconds=30)
        cls.addClassCleanup(end_all, cls.server.folder)
        cls.addClassCleanup(cls.server.close)
        cls.server.start()

    def setUp(self):
        self.stopping, self.faults, self.counts, self.kept = threading.Event(), [], {}, []
        self.is_ending = False

    def call(self, name, *args, **more):
        answer = getattr(self.server.client, name)(*args, **more)
        self.counts[name, answer.status] = self.counts.get((name, answer.status), 0) + 1
        if answer.status != 200 and answer.status not in TOLERATED:
            self.faults.append(f"{name}{args}: {answer!r}")
        return answer

    def loop(self, act):
        """Runs act(n) until the end. A connection may fail once the server was told to stop, not before."""
        def body():
            n = 0
            while not self.stopping.is_set():
                try:
                    act(n)
                except (OSError, http.client.HTTPException) as fault:
                    if not self.is_ending:
                        self.faults.append(repr(fault))
                    return
                except Exception as fault:  # a thread cannot fail a test
                    self.faults.append(repr(fault))
                    return
                n += 1
        thread = threading.Thread(target=body)
        thread.start()
        return thread

    def own_app(self, k):
        """An app group that only this client touches: created, filled, run, emptied, removed."""
        def act(n):
            app, mode = f"own{k}_{n}", MODES[(n + k) % len(MODES)]
            if self.call("create_app", app).status == 200 and n % 3 == 0:
                self.kept.append(app)
            self.call("create_instance", app, "one", "score", "script", {"mode": mode, "count": "300"}, cron="* * * * *")
            self.call("create_task", app, "one", "score")
            self.call("update_instance", app, "one", {"cron": "*/2 * * * *"}, "score")
            self.call("get_task", app, "one", 1, "score")
            self.call("log", app, "one", 1, "score")
            self.call("delete_task", app, "one", 1, "score")
            self.call("set_default", app, {"instanceName": "one"}, "score")
            if n % 3:
                self.call("delete_instance", app, "one", "score")
                self.call("remove_app", app)
        return act

    def shared_app(self, n):
        """One instance that all of these clients want at once."""
        created = self.call("create_task", "shared", "one", "score")
        newest = self.call("list_tasks", "shared", "one", "score", pageSize=1)
        if created.status == 200 and newest.result:
            self.call("delete_task", "shared", "one", newest.result[0]["Generation"], "score")
        self.call("detail", "shared", "one", 1, "score")

    def look(self, n):
        """One connection that is kept, and what everybody may read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            for path in ("/metrics", "/readyz", "/healthz", "/metrics", "/nowhere"):
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                if answer.status >= 500 and answer.status != 503:
                    self.faults.append(f"{path}: {answer.status}")
        finally:
            connection.close()
        self.call("list_apps")

    def look_at_redis(self, one, node):
        def act(n):
            now = int(time.time() * 1000)
            for answer in (self.dcs.of("GET", one), self.dcs.ask("GET", "instances", "statistic"),
                           self.dcs.of("GET", one, "clients"),
                           self.dcs.of("GET", one, "slowlog", start_time=now - 3600000, end_time=now),
                           self.dcs.of("GET", one, "tasks"), self.dcs.ask("GET", "tasks"),
                           self.dcs.of("POST", one, "bigkey-task"),
                           self.dcs.of("PUT", one, body={"description": f"look {n}"}),
                           self.dcs.of("POST", one, "clients", "kill-all", body={"node_id": node, "kill_all_nodes": False})):
                key = ("dcs", answer.status)
                self.counts[key] = self.counts.get(key, 0) + 1
                if answer.status >= 500 and answer.status != 503:
                    self.faults.append(repr(answer))
        return act

    def operate_redis(self, one):
        def act(n):
            action = ("restart", "flush")[n % 2]
            self.dcs.ask("PUT", "instances", "status", body={"instances": [one], "action": action})
            made = self.dcs.ask("POST", "instances", body=self.body(f"brief-{n}"))
            if made.status == 200:
                brief = made.json["instances"][0]["instance_id"]
                wait_for("the brief one", lambda: self.is_ending or self.dcs.status(brief) != "CREATING")
                self.dcs.of("DELETE", brief)
        return act

    def redis_threads(self):
        if not shutil.which("redis-server"):
            return []
        one = self.create("load", "ha")
        node = self.dcs.of("GET", one, "logical-nodes").json["nodes"][0]["node_id"]
        return [self.look_at_redis(one, node), self.look_at_redis(one, node), self.operate_redis(one)]

    def test_everything_at_once_then_sigterm(self):
        self.call("create_app", "shared")
        self.call("create_instance", "shared", "one", "score", "script", {"mode": "ok"}, cron="* * * * *")
        acts = [self.own_app(k) for k in range(CLIENTS)] + [self.shared_app] * 3 + [self.look] * 3 + self.redis_threads()
        threads = [self.loop(act) for act in acts]
        self.stopping.wait(SECONDS)  # the length of the load, nothing is waited for
        self.is_ending = True
        try:
            self.server.stop()
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()
        self.assertEqual(self.faults, [])
        done = sum(n for (_, status), n in self.counts.items() if status == 200)
        self.assertGreater(done, 50, self.counts)
        if shutil.which("redis-server"):
            self.assertGreater(self.counts.get(("dcs", 200), 0), 20, self.counts)
        self.server.start()
        self.assertTrue(self.kept)
        for app in self.kept:
            self.assertEqual(self.server.client.get_app(app).status, 200, app)


if __name__ == "__main__":
    unittest.main()
