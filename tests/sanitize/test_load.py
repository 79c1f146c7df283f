"""A load on every thread of the server at once, for runs under a sanitizer (docs/testing.md).

Many short connections and a few long ones make, change, ask about and delete; tasks end well and badly, run into their
time limit and go by the retention rules; cron has work, models are trained and checked, the keeper and the asker have
Redis instances to look after, passwords are guessed, commands of the command line run beside; then SIGTERM comes in the
middle of it. What a sanitizer has to say about that is found by Server.stop(); that nothing acknowledged is lost is
checked after the next start. tests/sanitize/races shows that the load reveals a race in each structure that threads
share.
"""
import http.client
import os
import pathlib
import re
import shutil
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenario"))

from stint_client import Server, redis_processes, wait_for  # noqa: E402
from test_dcs import DcsCase, end_all  # noqa: E402

SECONDS = float(os.environ.get("STINT_LOAD_SECONDS", "20"))
CLIENTS = 6
MODES = ("ok", "ok", "flood", "error", "exit_3", "no_result", "garbage")
# What each operation may answer beside 200: another client was there first, or the server is stopping.
TOLERATED = {404, 409, 503}


class Load(DcsCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(args=("--threads", "4", "--max-running", "4", "--drain-seconds", "20", "--keep-tasks", "1",
                                  "--tidy-seconds", "1", "--check-seconds", "1"))
        cls.server.add_function("score", maxAttempts=1, timeoutSeconds=30)
        cls.server.add_function("slow", maxAttempts=1, timeoutSeconds=1)
        cls.server.sample(rows=300)
        cls.addClassCleanup(end_all, cls.server.folder)
        cls.addClassCleanup(cls.server.close)
        cls.server.start()

    def setUp(self):
        self.stopping, self.faults, self.counts, self.kept = threading.Event(), [], {}, []
        self.is_ending = False

    def count(self, name, answer):
        self.counts[name, answer.status] = self.counts.get((name, answer.status), 0) + 1
        return answer

    def call(self, name, *args, **more):
        answer = self.count(name, getattr(self.server.client, name)(*args, **more))
        if answer.status != 200 and answer.status not in TOLERATED:
            self.faults.append(f"{name}{args}: {answer!r}")
        return answer

    def ask(self, *args, **more):
        """Of the DCS dialect; instances come, go and are busy, so any refusal will do."""
        answer = self.count("dcs", self.dcs.ask(*args, **more))
        if answer.status >= 500 and answer.status != 503:
            self.faults.append(f"{args}: {answer!r}")
        return answer

    def of(self, method, instance, *args, **more):
        return self.ask(method, "instances", instance, *args, **more)

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

    # ---- functions

    def own_app(self, k):
        """An app group that only this client touches: created, filled, run, emptied, removed."""
        def act(n):
            app, mode = f"own{k}_{n}", MODES[(n + k) % len(MODES)]
            if self.call("create_app", app).status == 200 and n % 3 == 0:
                self.kept.append(app)
            self.call("create_instance", app, "one", "score", "script", {"mode": mode, "count": "300"},
                      cron="* * * * *")
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
        """One instance that all of these clients want at once; retention removes what they leave of its tasks."""
        created = self.call("create_task", "shared", "one", "score")
        newest = self.call("list_tasks", "shared", "one", "score", pageSize=1)
        if created.status == 200 and newest.result and n % 3 == 0:
            self.call("delete_task", "shared", "one", newest.result[0]["Generation"], "score")
        self.call("detail", "shared", "one", 1, "score")

    def run_into_limits(self, n):
        """A task that only its time limit ends."""
        self.call("create_task", "shared", "hanging", "slow")
        self.call("list_tasks", "shared", "hanging", "slow", pageSize=1)

    def train(self, n):
        """A model after the other in service, while they are checked."""
        self.call("create_task", "shared", "model")
        self.call("get_instance", "shared", "model")
        self.call("list_instances", "shared")

    def look(self, n):
        """One connection that is kept, and what everybody may read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            for path in ("/metrics", "/readyz", "/healthz", "/metrics", "/readyz", "/metrics", "/nowhere"):
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                if answer.status >= 500 and answer.status != 503:
                    self.faults.append(f"{path}: {answer.status}")
        finally:
            connection.close()
        self.call("list_apps")

    def run_commands(self, n):
        """Other processes that use the data folder of the running server."""
        self.server.run("doctor", "--data", str(self.server.data), check=False)
        self.server.run("key", "create", "--data", str(self.server.data), "--json")

    # ---- Redis instances

    def look_at_redis(self, one, node):
        def act(n):
            now = int(time.time() * 1000)
            self.of("GET", one)
            self.ask("GET", "instances", "statistic")
            self.of("GET", one, "clients")
            self.of("GET", one, "slowlog", start_time=now - 3600000, end_time=now)
            self.of("GET", one, "tasks")
            self.ask("GET", "tasks")
            self.of("POST", one, "bigkey-task")
            self.of("PUT", one, body={"description": f"look {n}"})
            self.of("POST", one, "clients", "kill-all", body={"node_id": node, "kill_all_nodes": False})
        return act

    def is_made(self, instance):
        answer = self.of("GET", instance)
        return self.is_ending or answer.status != 200 or answer.json["status"] != "CREATING"

    def operate_redis(self, one):
        """Operations on several instances in one request, each answered by whichever thread ends the last of them."""
        def act(n):
            made = self.ask("POST", "instances", body=self.body(f"brief-{n}", instance_num=2))
            brief = [i["instance_id"] for i in made.json["instances"]] if made.status == 200 else []
            for instance in brief:
                wait_for("the brief ones", lambda i=instance: self.is_made(i))
            action = ("restart", "flush")[n % 2]
            self.ask("PUT", "instances", "status", body={"instances": [one, *brief], "action": action})
            for instance in brief:
                self.of("GET", instance)
            self.ask("DELETE", "instances", body={"instances": brief})
        return act

    def guess(self, one):
        """Several clients that guess one password at once: only one of them is judged at a time."""
        def act(n):
            self.of("PUT", one, "password", body={"old_password": "Wrong-one-1", "new_password": "Other-one-1"})
            self.of("GET", one, "logical-nodes")
        return act

    def wound(self, one):
        """Redis processes that die and are brought back by the keeper, which has its own changes made."""
        folder = self.server.data / "cache" / one

        def act(n):
            end_all(folder)
            wait_for("the recovery", lambda: self.is_ending or redis_processes(folder))
        return act

    def keep_records(self, one):
        """Backups, reports, tags, settings: rows that come and go beside everything."""
        def act(n):
            now = int(time.time() * 1000)
            backup = self.of("POST", one, "backups", body={"remark": f"{n}"})
            report = self.of("POST", one, "diagnosis", body={"begin_time": str(now - 1000), "end_time": str(now)})
            self.of("GET", one, "backups")
            self.of("GET", one, "diagnosis")
            for action in ("create", "delete"):
                body = {"action": action, "tags": [{"key": "k", "value": "v"}]}
                self.ask("POST", "dcs", one, "tags", "action", body=body)
            setting = {"param_id": "1", "param_name": "timeout", "param_value": str(100 + n % 100)}
            self.of("PUT", one, "configs", body={"redis_config": [setting]})
            if backup.status == 200:
                self.of("DELETE", one, "backups", backup.json["backup_id"])
            if report.status == 200:
                self.of("DELETE", one, "diagnosis", body={"report_id_list": [report.json["report_id"]]})
        return act

    def redis_acts(self):
        if not shutil.which("redis-server"):
            return []
        one, other = self.create("load", "ha"), self.create("guessed")
        node = self.dcs.of("GET", one, "logical-nodes").json["nodes"][0]["node_id"]
        return [self.look_at_redis(one, node), self.look_at_redis(one, node), self.operate_redis(one),
                self.guess(other), self.guess(other), self.wound(other), self.keep_records(one)]

    # ---- all of it

    def prepare_shared(self):
        self.call("create_app", "shared")
        self.call("create_instance", "shared", "one", "score", "script", {"mode": "ok"}, cron="* * * * *")
        self.call("create_instance", "shared", "hanging", "slow", "script", {"mode": "hang"})
        self.call("create_instance", "shared", "model",
                  params={"train_data": "shop.csv", "label_field": "click", "epochs": "1"})

    def has_ended(self):
        """The server is gone before its time: a sanitizer that halts at its first finding."""
        return self.server.process.poll() is not None

    def missing(self):
        """What this load is there for and has not come to yet: on a busy machine it takes longer."""
        figures = self.server.client.send("GET", "/metrics", {"host": "here"}).body.decode()
        found = {name: float(value) for name, value in re.findall(r"^(stint_[^ #]+) (\S+)$", figures, re.M)}
        log = self.server.log()
        wanted = {
            "tasks that succeed": found['stint_tasks_finished_total{state="success"}'],
            "tasks that fail": found['stint_tasks_finished_total{state="failed"}'],
            "records retired": found["stint_tasks_retired_total"],
            "models checked": found["stint_models_checked_timestamp_seconds"],
            "time limits": "did not end by SIGTERM" in log or "code=Task.Timeout" in log,
        }
        if shutil.which("redis-server"):
            wanted["recoveries"] = "cache.recovery" in log
            for operation in ("CreateInstance", "BatchDeleteInstances", "RestartOrFlushInstances", "UpdatePassword",
                              "CopyInstance"):
                wanted[operation] = found.get(f'stint_http_requests_total{{operation="{operation}",code="200"}}')
        return [name for name, is_there in wanted.items() if not is_there]

    def wait_for_the_load(self):
        """Its length, and what it is there for: at most six times that. Names what it did not come to."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not self.has_ended():
            self.stopping.wait(0.2)
        missing = self.missing() if not self.has_ended() else []
        while missing and time.monotonic() < end + 5 * SECONDS and not self.has_ended():
            self.stopping.wait(0.5)
            missing = self.missing() if not self.has_ended() else []
        return missing

    def test_everything_at_once_then_sigterm(self):
        self.prepare_shared()
        acts = [self.own_app(k) for k in range(CLIENTS)] + [self.shared_app] * 3 + [self.look] * 3
        acts += [self.run_into_limits, self.train, self.run_commands, *self.redis_acts()]
        threads = [self.loop(act) for act in acts]
        try:
            missing = self.wait_for_the_load()
            self.is_ending = True
            self.server.stop()
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()
        self.assertEqual((self.faults, missing), ([], []))
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
