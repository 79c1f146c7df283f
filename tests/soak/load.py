"""The load of a soak: workers that each do one kind of thing again and again, and take away what they made."""
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import threading
import time

from stint_client import Redis, redis_processes

PASSWORD = "Stint-Soak-1"
KEPT = 5           # records of tasks, backups and scans that each worker leaves of its own
KEYS = 500         # of the Redis instance; written again and again
TRAINING = {"train_data": "shop.csv", "label_field": "click", "epochs": "1"}
TASK_END_S = 120


def prepare(server):
    server.sample(rows=600)
    server.add_function("score", maxAttempts=1)


def end_redis(server):
    for pid in redis_processes(server.folder):
        os.kill(pid, signal.SIGKILL)


class Worker(threading.Thread):
    """turn() after turn() until told to stop. An answer that was not expected ends the soak."""
    pause_s = 1.0

    def __init__(self, crew, server):
        super().__init__(daemon=True, name=type(self).__name__)
        self.crew, self.server = crew, server
        self.client, self.dcs = server.client, server.dcs
        self.random = random.Random(self.name)
        self.turns = self.calls = 0
        self.failure = None

    def run(self):
        try:
            self.begin()
            while not self.crew.stopping.wait(self.pause_s):
                self.turn()
                self.turns += 1
        except Exception as fault:  # a thread cannot fail a run; the crew tells
            self.failure = f"{self.name}, turn {self.turns}: {type(fault).__name__}: {fault}"
            self.crew.fault.set()

    def begin(self):
        """Once, before the first turn."""

    def expect(self, answer, *statuses):
        self.calls += 1
        if answer.status not in (statuses or (200,)):
            raise AssertionError(f"status {answer.status}, expected {statuses or (200,)}: {answer.body[:300]!r}")
        return answer

    def pause_until(self, what, check, limit_s=TASK_END_S):
        """True when it came to be; False when the soak is over."""
        end = time.monotonic() + limit_s
        while not check():
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {what}")
            if self.crew.stopping.wait(0.2):
                return False
        return True


class Trainer(Worker):
    """Runs of one instance: create, look on until the end, read it all, delete all but the newest records."""
    pause_s = 4.0
    function, model_type, params, ends = "ctr", "tf_checkpoint", TRAINING, "success"

    def begin(self):
        self.app = f"app_{self.name}"
        self.expect(self.client.create_app(self.app))
        self.expect(self.client.create_instance(self.app, "one", self.function, self.model_type, self.params))

    def newest(self):
        return self.expect(self.client.list_tasks(self.app, "one", self.function, pageSize=1)).result

    def turn(self):
        self.expect(self.client.create_task(self.app, "one", self.function))
        if not self.pause_until("the end of a task", lambda: self.newest()[0]["EndTime"] > 0):
            return
        task = self.newest()[0]
        if task["Status"] != self.ends:
            raise AssertionError(f"expected {self.ends}: {task}")
        self.expect(self.client.detail(self.app, "one", task["Generation"], self.function))
        self.expect(self.client.log(self.app, "one", task["Generation"], self.function))
        self.tidy()

    def tidy(self):
        tasks = self.expect(self.client.list_tasks(self.app, "one", self.function, pageSize=100)).result
        for task in [t for t in tasks if t["EndTime"]][KEPT:]:
            self.expect(self.client.delete_task(self.app, "one", task["Generation"], self.function), 200, 404)


class Succeeder(Trainer):
    pause_s = 2.0
    function, model_type, params = "score", "script", {"mode": "flood", "count": "50"}


class Failer(Trainer):
    pause_s = 3.0
    function, model_type, params, ends = "score", "script", {"mode": "error"}, "failed"


class Scheduled(Trainer):
    """A schedule of every minute; nothing to do but to take away what it leaves."""
    pause_s = 10.0
    function, model_type, params = "score", "script", {"mode": "ok"}

    def begin(self):
        super().begin()
        self.expect(self.client.update_instance(self.app, "one", {"cron": "* * * * *"}, self.function))

    def turn(self):
        self.tidy()


class Churn(Worker):
    """Whole lives of app groups and instances."""
    pause_s = 0.5

    def turn(self):
        app = f"churn{self.turns}"
        self.expect(self.client.create_app(app))
        for name in ("a", "b", "c"):
            self.expect(self.client.create_instance(app, name, params=TRAINING, cron="0 3 ? * 1"))
        self.expect(self.client.create_instance(app, "a", params=TRAINING), 409)
        self.expect(self.client.update_instance(app, "b", {"description": "x" * self.random.randrange(2000)}))
        self.expect(self.client.set_default(app, {"instanceName": "c"}))
        self.expect(self.client.list_instances(app, output="detail", pageSize=2))
        self.expect(self.client.delete_instance(app, "c"))
        self.expect(self.client.get_default(app), 404)
        self.expect(self.client.remove_app(app))


class Reader(Worker):
    """Reads of everything, and the pages a browser or a monitor asks for."""
    pause_s = 0.3

    def turn(self):
        apps = self.expect(self.client.list_apps(pageSize=100)).result
        app = self.random.choice(apps)["name"] if apps else "none"
        self.expect(self.client.list_instances(app, output="detail"), 200, 404)
        self.expect(self.client.current_version(modelType="tf_checkpoint"))
        self.expect(self.client.version(101))
        self.expect(self.dcs.ask("GET", "instances"))
        self.expect(self.dcs.ask("GET", "tasks"))
        for page in ("/healthz", "/readyz", "/metrics"):
            self.expect(self.client.send("GET", page, {"host": "localhost"}))
        # The console: a build may have been made without it.
        self.expect(self.client.send("GET", "/console/", {"host": "localhost"}), 200, 302, 401, 404)


class Vandal(Worker):
    """Requests no honest client makes."""
    pause_s = 0.3

    def turn(self):
        client = self.client
        self.expect(client.call("GET", "/v4/openapi/app-groups", secret="wrong"), 400)
        self.expect(client.call("GET", "/v4/openapi/app-groups", key_id="nobody"), 404)
        self.expect(client.call("GET", "/v4/openapi/nowhere"), 404)
        self.expect(client.call("POST", "/v4/openapi/app-groups", b'{"name":' + b"[" * 200), 400)
        self.expect(client.call("POST", "/v4/openapi/app-groups", b'{"x":"' + b"y" * 100000 + b'"}'), 400)
        self.expect(client.send("GET", "/v4/openapi/app-groups", {"host": "x"}), 400, 401, 403, 404)
        self.expect(self.dcs.call("GET", f"/v2/{'0' * 32}/instances"), 400, 401, 403, 404)
        self.raw(bytes(self.random.randrange(256) for _ in range(200)) + b"\r\n\r\n")
        self.raw(b"POST /v4/openapi/app-groups HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\nhalf")

    def raw(self, data):
        """Bytes, and gone before the answer."""
        with socket.create_connection((self.client.host, self.client.port), 10) as s:
            s.sendall(data)
        self.calls += 1


class Cache(Worker):
    """One Redis instance with a replica: writes, scans, backups, and records of tasks that go again."""
    pause_s = 2.0

    def begin(self):
        self.uid = None
        machine = "au1" if os.uname().machine == "aarch64" else "xu1"
        zone = self.expect(self.dcs.call("GET", "/v2/available-zones")).json["available_zones"][0]["code"]
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        body = {"name": "soak", "engine": "Redis", "engine_version": "7.0", "capacity": 0.125,
                "spec_code": f"redis.ha.{machine}.tiny.r2.128", "az_codes": [zone], "vpc_id": "v", "subnet_id": "s",
                "password": PASSWORD, "port": port}
        self.uid = self.expect(self.dcs.ask("POST", "instances", body=body)).json["instances"][0]["instance_id"]
        self.pause_until("a running instance", lambda: self.dcs.status(self.uid) == "RUNNING")

    def turn(self):
        self.write()
        kind = ("bigkey", "hotkey", "backup")[self.turns % 3]
        if kind == "backup":
            self.back_up()
        else:
            self.scan(kind)
        self.tidy_records()

    def write(self):
        shown = self.expect(self.dcs.of("GET", self.uid)).json
        connection = Redis(shown["ip"], shown["port"], PASSWORD)
        try:
            for key in range(KEYS):
                connection.call("SET", f"key{key}", "v" * self.random.randrange(200))
        finally:
            connection.close()

    def scan(self, kind):
        # A hot key scan wants a policy that counts uses: refused, which is as good a call as any.
        answer = self.expect(self.dcs.of("POST", self.uid, f"{kind}-task"), 200, 400)
        if answer.status != 200:
            return
        scan = answer.json["id"]
        def state():
            return self.expect(self.dcs.of("GET", self.uid, f"{kind}-task", scan)).json["status"]
        if not self.pause_until("the end of a scan", lambda: state() in ("success", "failed")):
            return
        self.expect(self.dcs.of("DELETE", self.uid, f"{kind}-task", scan), 200, 204)

    def back_up(self):
        self.expect(self.dcs.of("POST", self.uid, "backups", body={"remark": "soak"}))
        def records():
            return self.expect(self.dcs.of("GET", self.uid, "backups")).json["backup_record_response"]
        if not self.pause_until("the end of a backup", lambda: records()[0]["status"] in ("succeed", "failed")):
            return
        for record in records()[2:]:
            self.expect(self.dcs.of("DELETE", self.uid, "backups", record["backup_id"]), 204)

    def tidy_records(self):
        tasks = self.expect(self.dcs.of("GET", self.uid, "tasks", limit=100)).json["tasks"]
        for task in [t for t in tasks if t["status"] in ("SUCCESS", "FAILED")][KEPT:]:
            self.expect(self.dcs.of("DELETE", self.uid, "tasks", task["id"]), 200, 404)

    def leave(self):
        """What was begun last, a backup most likely, comes to its end first: until then a deletion is refused."""
        end, answer = time.monotonic() + TASK_END_S, None
        while self.uid and (not answer or answer.status != 204) and time.monotonic() < end:
            answer = self.dcs.of("DELETE", self.uid)
            time.sleep(0.1)
        if answer and answer.status != 204:
            self.failure = self.failure or f"the Redis instance cannot be deleted: {answer}"


class Crew:
    """All workers, from __enter__ to __exit__."""

    def __init__(self, server):
        kinds = [Trainer, Succeeder, Failer, Scheduled, Churn, Reader, Vandal]
        if shutil.which("redis-server"):
            kinds.append(Cache)
        self.server = server
        self.stopping, self.fault = threading.Event(), threading.Event()
        self.workers = [kind(self, server) for kind in kinds]

    def __enter__(self):
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for worker in self.workers:
            worker.join(TASK_END_S)

    def leave(self):
        for worker in self.workers:
            if isinstance(worker, Cache):
                worker.leave()

    def calls(self):
        return sum(worker.calls for worker in self.workers)

    def summary(self):
        return "\n".join(f"{w.name:12} {w.turns:6} turns {w.calls:8} calls" for w in self.workers)

    def failures(self):
        return [worker.failure for worker in self.workers if worker.failure]

    def leftovers(self):
        """Processes of the Redis instance that are still there some time after its deletion."""
        end = time.monotonic() + TASK_END_S
        while redis_processes(self.server.folder) and time.monotonic() < end:
            time.sleep(0.1)
        return redis_processes(self.server.folder)
