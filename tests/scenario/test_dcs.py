"""The DCS API over real redis-server processes: whole lives of instances, background tasks, refusals, crashes."""
import os
import shutil
import signal
import socket
import threading
import time
import unittest

from stint_client import IS_QUICK, Dcs, Redis, Server, process_alive, redis_processes, wait_for

PASSWORD = "Stint-Test-1"
ABSENT = "00000000-0000-4000-8000-000000000000"


def free_port():
    """Instances of different servers share addresses, so every test takes a port of its own."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def end_all(folder):
    for pid in redis_processes(folder):
        os.kill(pid, signal.SIGKILL)


class DcsCase(unittest.TestCase):
    env = {}

    @classmethod
    def setUpClass(cls):
        if not shutil.which("redis-server"):
            raise unittest.SkipTest("redis-server is not installed")
        cls.server = Server()
        cls.server.env = cls.env
        cls.addClassCleanup(end_all, cls.server.folder)  # what a failed test has left
        cls.addClassCleanup(cls.server.close)
        cls.server.start()

    @property
    def dcs(self):
        return self.server.dcs

    def body(self, name, mode="single", **more):
        spec = {"single": "redis.single.xu1.tiny.128", "ha": "redis.ha.xu1.tiny.r2.128"}[mode]
        if os.uname().machine == "aarch64":
            spec = spec.replace("xu1", "au1")
        return {"name": name, "engine": "Redis", "engine_version": "7.0", "capacity": 0.125, "spec_code": spec,
                "az_codes": [self.zone()], "vpc_id": "v", "subnet_id": "s", "password": PASSWORD, "port": free_port(),
                **more}

    def zone(self):
        return self.ok(self.dcs.call("GET", "/v2/available-zones")).json["available_zones"][0]["code"]

    def create(self, name, mode="single", **more):
        """A new instance, RUNNING."""
        answer = self.ok(self.dcs.ask("POST", "instances", body=self.body(name, mode, **more)))
        made = answer.json["instances"][0]
        self.assertEqual(made["instance_name"], name)
        self.assertEqual(self.dcs.newest(made["instance_id"])["name"], "CREATE")
        self.running(made["instance_id"])
        return made["instance_id"]

    def running(self, instance):
        wait_for(f"{instance} to be RUNNING", lambda: self.dcs.status(instance) == "RUNNING")

    def show(self, instance):
        return self.ok(self.dcs.of("GET", instance)).json

    def connect(self, instance, password=PASSWORD):
        shown = self.show(instance)
        connection = Redis(shown["ip"], shown["port"], password)
        self.addCleanup(connection.close)
        return connection

    def process(self, instance, host=None):
        """Process number of the node at host, by default of the one clients reach."""
        shown = self.show(instance)
        connection = Redis(host or shown["ip"], shown["port"], PASSWORD)
        try:
            return int(connection.info("process_id"))
        finally:
            connection.close()

    def ok(self, answer, status=200):
        self.assertEqual(answer.status, status, answer)
        self.assertTrue(answer.headers.get("x-request-id"), answer)
        if status == 200:
            self.assertTrue(answer.headers["content-type"].startswith("application/json"), answer)
        return answer

    def done(self, instance, name, answer=None, status=200):
        """The newest task has that name and ends well; its record."""
        if answer is not None:
            self.ok(answer, status)
        task = self.dcs.newest(instance)
        self.assertEqual(task["name"], name)
        job = self.dcs.ended(task["id"])
        self.assertEqual((job["status"], job["fail_reason"]), ("SUCCESS", None), job)
        return next(t for t in self.dcs.of("GET", instance, "tasks").json["tasks"] if t["id"] == task["id"])

    def refused(self, answer, status, code):
        self.error_form(answer)
        self.assertEqual((answer.status, answer.code), (status, code), answer)

    def error_form(self, answer):
        """The vendor's envelope, which the Java SDK cannot do without."""
        self.assertEqual(set(answer.json), {"error_code", "error_msg", "error_ext_msg"}, answer)
        self.assertIsInstance(answer.json["error_code"], str)
        self.assertLessEqual(len(answer.json["error_code"]), 9)
        self.assertTrue(answer.json["error_code"] and 0 < len(answer.json["error_msg"]) <= 1024, answer)
        self.assertIsNone(answer.json["error_ext_msg"])
        self.assertTrue(answer.headers.get("x-request-id"), answer)
        self.assertTrue(answer.headers["content-type"].startswith("application/json"), answer)

    def switch(self, instance, action):
        answer = self.ok(self.dcs.ask("PUT", "instances", "status", body={"instances": [instance], "action": action}))
        self.assertEqual(answer.json["results"], [{"instance": instance, "result": "success"}])

    def delete(self, instance):
        folder = self.server.data / "cache" / instance
        self.assertTrue(folder.is_dir())
        self.ok(self.dcs.of("DELETE", instance), 204)
        self.refused(self.dcs.of("GET", instance), 404, "DCS.3022")
        wait_for("no process of the instance", lambda: not redis_processes(folder))
        wait_for("no folder of the instance", lambda: not folder.exists())


class Lives(DcsCase):
    def test_single(self):
        one = self.create("life-single", description="first", tags=[{"key": "a", "value": "b"}])
        shown = self.show(one)
        self.assertEqual((shown["capacity"], shown["capacity_minor"], shown["max_memory"]), (0, ".125", 128))
        self.assertEqual((shown["no_password_access"], shown["cache_mode"], shown["description"]),
                         ("false", "single", "first"))
        self.assertEqual(self.connect(one).call("PING"), "PONG")
        with self.assertRaisesRegex(ConnectionError, "WRONGPASS"):
            self.connect(one, "Wrong-Password-1")
        with self.assertRaisesRegex(ConnectionError, "NOAUTH"):
            self.connect(one, None).call("GET", "k")

        self.connect(one).call("SET", "k", "v")
        task = self.done(one, "EXTEND", self.dcs.of("POST", one, "resize", body={
            "spec_code": shown["spec_code"].replace("128", "256"), "new_capacity": 0.25}), 204)
        self.assertEqual((task["details"]["old_capacity"], task["details"]["new_capacity"]), ("0.125", "0.25"))
        self.assertEqual(self.connect(one).info("maxmemory"), str(256 << 20))
        self.refused(self.dcs.of("POST", one, "resize", body={
            "spec_code": shown["spec_code"].replace("128", "256"), "new_capacity": 0}), 400, "DCS.4103")

        before = self.connect(one).info("run_id")
        self.switch(one, "restart")
        self.done(one, "RESTART")
        self.running(one)
        self.assertNotEqual(self.connect(one).info("run_id"), before)
        self.assertEqual(self.connect(one).call("GET", "k"), "v")

        self.switch(one, "flush")
        self.done(one, "FLUSH")
        self.assertIsNone(self.connect(one).call("GET", "k"))

        port = free_port()
        task = self.done(one, "UpdatePort", self.dcs.of("PUT", one, body={"port": port, "description": "second"}), 204)
        self.assertEqual((task["details"]["old_port"], task["details"]["new_port"]), (shown["port"], port))
        shown = self.show(one)
        self.assertEqual((shown["port"], shown["description"]), (port, "second"))
        self.assertEqual(self.connect(one).call("PING"), "PONG")

        self.refused(self.dcs.of("POST", one, "swap"), 400, "DCS.4855")
        self.refused(self.dcs.of("POST", one, "backups"), 400, "DCS.4086")
        self.delete(one)

    def test_passwords(self):
        one = self.create("life-password")
        kept = self.connect(one)
        wrong = self.ok(self.dcs.of("PUT", one, "password", body={"old_password": "Wrong-one-1",
                                                                  "new_password": "Other-one-1"})).json
        self.assertEqual((wrong["result"], wrong["retry_times_left"]), ("passwordFailed", "4"))
        good = self.ok(self.dcs.of("PUT", one, "password", body={"old_password": PASSWORD,
                                                                 "new_password": "Other-one-1"})).json
        self.assertEqual((good["result"], good["retry_times_left"]), ("success", "5"))
        self.assertEqual(kept.call("PING"), "PONG")  # open connections stay
        self.assertEqual(self.connect(one, "Other-one-1").call("PING"), "PONG")
        with self.assertRaisesRegex(ConnectionError, "WRONGPASS"):
            self.connect(one)
        free = self.ok(self.dcs.of("POST", one, "password", "reset", body={"no_password_access": True})).json
        self.assertEqual(free["code"], "1")
        self.assertEqual(self.connect(one, None).call("PING"), "PONG")
        self.assertEqual(self.show(one)["no_password_access"], "true")
        self.refused(self.dcs.of("PUT", one, "password", body={"old_password": "a", "new_password": "Other-one-2"}),
                     400, "DCS.4850")
        self.delete(one)

    def test_ha(self):
        one = self.create("life-ha", "ha")
        nodes = self.ok(self.dcs.of("GET", one, "logical-nodes")).json["nodes"]
        self.assertEqual(sorted(n["node_type"] for n in nodes), ["master", "slave"])
        first = self.connect(one).info("run_id")
        acknowledged, stop = [], threading.Event()

        def write():
            connection, shown = None, self.show(one)
            while not stop.is_set():
                try:
                    connection = connection or Redis(shown["ip"], shown["port"], PASSWORD, timeout=2)
                    key = f"key-{len(acknowledged)}"
                    connection.call("SET", key, key)
                    acknowledged.append(key)
                except OSError:  # the connection fell to the switchover: another one
                    connection = None
            if connection:
                connection.close()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            wait_for("some writes", lambda: len(acknowledged) > 200)
            job = self.ok(self.dcs.of("PUT", one, "async-swap")).json["job_id"]
            self.assertEqual(self.dcs.ended(job)["job_type"], "masterStandbySwapJob")
            self.assertEqual(self.dcs.ended(job)["status"], "SUCCESS")
            n = len(acknowledged)
            wait_for("writes after the switchover", lambda: len(acknowledged) > n + 200)
        finally:
            stop.set()
            writer.join()
        connection = self.connect(one)
        self.assertNotEqual(connection.info("run_id"), first)
        self.assertEqual(connection.info("role"), "master")
        lost = [k for k in acknowledged if connection.call("GET", k) != k]
        self.assertEqual(lost, [], f"{len(acknowledged)} writes were acknowledged")

        backup = self.ok(self.dcs.of("POST", one, "backups", body={"remark": "before"})).json["backup_id"]
        self.done(one, "BACKUP")
        record = self.ok(self.dcs.of("GET", one, "backups")).json
        self.assertEqual((record["total_num"], record["backup_record_response"][0]["backup_id"]), (1, backup))
        self.assertEqual(record["backup_record_response"][0]["status"], "succeed")
        self.switch(one, "flush")
        self.done(one, "FLUSH")
        self.assertEqual(self.connect(one).call("DBSIZE"), 0)
        self.ok(self.dcs.of("POST", one, "restores", body={"backup_id": backup}))
        self.done(one, "RESTORE")
        self.running(one)
        self.assertEqual(self.connect(one).call("DBSIZE"), len(acknowledged))
        self.ok(self.dcs.of("DELETE", one, "backups", backup), 204)
        self.refused(self.dcs.of("POST", one, "restores", body={"backup_id": ABSENT}), 400, "DCS.4063")
        self.delete(one)
        wait_for("no backups of the instance", lambda: not (self.server.data / "backups" / one).exists())

    def test_configuration(self):
        one = self.create("life-config")
        put = {"redis_config": [{"param_id": "1", "param_name": "timeout", "param_value": "100"}]}
        self.done(one, "UpdateConfig", self.dcs.of("PUT", one, "configs", body=put), 204)
        with self.assertRaisesRegex(ConnectionError, "NOPERM"):  # configuration is the API's, not the client's
            self.connect(one).call("CONFIG", "SET", "timeout", "1")
        shown = self.ok(self.dcs.of("GET", one, "configs")).json
        self.assertEqual((shown["redis_config"][0]["param_name"], shown["redis_config"][0]["param_value"]),
                         ("timeout", "100"))
        put["redis_config"][0]["param_value"] = "7201"
        self.refused(self.dcs.of("PUT", one, "configs", body=put), 400, "DCS.4066")
        self.delete(one)

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_replicas(self):
        one = self.create("life-replicas", "ha")
        spec = self.show(one)["spec_code"]
        self.done(one, "AddReplica", self.dcs.of("POST", one, "resize", body={
            "spec_code": spec, "new_capacity": 0, "change_type": "createReplication",
            "available_zones": [self.zone()]}), 204)
        self.running(one)
        self.assertEqual(self.show(one)["replica_count"], 3)
        nodes = self.dcs.of("GET", one, "logical-nodes").json["nodes"]
        master = next(n["node_id"] for n in nodes if n["node_type"] == "master")
        replica = next(n["node_id"] for n in nodes if n["node_type"] == "slave")
        shrink = {"spec_code": self.show(one)["spec_code"], "new_capacity": 0, "change_type": "deleteReplication"}
        self.refused(self.dcs.of("POST", one, "resize", body={**shrink, "node_list": [master]}), 400, "DCS.4936")
        other = {**shrink, "spec_code": spec.replace(".r2.", ".r4."), "node_list": [replica]}
        self.refused(self.dcs.of("POST", one, "resize", body=other), 400, "DCS.4102")
        self.done(one, "DelReplica",
                  self.dcs.of("POST", one, "resize", body={**shrink, "node_list": [replica]}), 204)
        self.running(one)
        self.assertEqual(self.show(one)["replica_count"], 2)
        self.delete(one)

    @classmethod
    def tearDownClass(cls):
        left = redis_processes(cls.server.folder)
        assert not left, f"redis-server processes without an instance: {left}"


class Tasks(DcsCase):
    """Records of background tasks; a resize that waits for its window is the task that is not over."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls("test_lists")
        hour = (time.gmtime().tm_hour + 12) % 24
        cls.ha = case.create("tasks-ha", "ha", maintain_begin=f"{hour:02}:00:00",
                             maintain_end=f"{(hour + 1) % 24:02}:00:00")
        cls.done_task = cls.server.dcs.newest(cls.ha)["id"]
        cls.spec = case.show(cls.ha)["spec_code"]
        case.ok(cls.server.dcs.of("POST", cls.ha, "resize", body={
            "spec_code": cls.spec.replace("128", "256"), "new_capacity": 0.25, "execute_immediately": False}), 204)
        cls.waiting = cls.server.dcs.newest(cls.ha)["id"]

    def test_lists(self):
        listed = self.ok(self.dcs.of("GET", self.ha, "tasks")).json
        self.assertEqual(listed["task_count"], "2")
        self.assertEqual([t["id"] for t in listed["tasks"]], [self.waiting, self.done_task])
        self.assertEqual([t["status"] for t in listed["tasks"]], ["CREATED", "SUCCESS"])
        for task in listed["tasks"]:
            self.assertRegex(task["id"], "^[0-9a-f]{32}$")
            self.assertRegex(task["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIsInstance(task["enable_show"], bool)
        for offset in (0, 1, 2):
            page = self.ok(self.dcs.of("GET", self.ha, "tasks", offset=offset, limit=1)).json
            self.assertEqual((page["task_count"], [t["id"] for t in page["tasks"]]),
                             ("2", [self.waiting, self.done_task][offset:offset + 1]))
        year = time.gmtime().tm_year
        self.assertEqual(self.dcs.of("GET", self.ha, "tasks", start_time=f"{year + 2}0101000000").json,
                         {"task_count": "0", "tasks": []})
        self.assertEqual(self.dcs.of("GET", self.ha, "tasks", begin_time=f"{year - 1}0101000000",
                                     end_time=f"{year + 1}0101000000").json["task_count"], "2")
        for query in ({"offset": -1}, {"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"start_time": "2020"},
                      {"end_time": "20201399000000"}):
            self.refused(self.dcs.of("GET", self.ha, "tasks", **query), 400, "DCS.4800")
        self.refused(self.dcs.of("GET", self.ha, "tasks", start_time="20200102000000", end_time="20200101000000"), 400,
                     "DCS.4025")

    def test_task_centre(self):
        listed = self.ok(self.dcs.ask("GET", "tasks", limit=1000)).json
        waiting = next(t for t in listed["tasks"] if t["id"] == self.waiting)
        self.assertEqual(waiting["job_id"], self.waiting)
        self.refused(self.dcs.ask("DELETE", "tasks", self.waiting), 400, "DCS.4017")
        self.refused(self.dcs.ask("DELETE", "tasks", "f" * 32), 404, "DCS.4133")

    def test_progress(self):
        done = self.ok(self.dcs.of("GET", self.ha, "tasks", self.done_task, "progress")).json
        self.assertEqual((done["progress"], done["remain_time"]), (100, 0))
        self.assertTrue(done["step_details"])
        self.assertEqual({s["step_status"] for s in done["step_details"]}, {"FINISH"})
        self.assertEqual(len({s["step_id"] for s in done["step_details"]}), len(done["step_details"]))
        waiting = self.ok(self.dcs.of("GET", self.ha, "tasks", self.waiting, "progress")).json
        self.assertEqual(waiting["progress"], 0)
        self.assertEqual(self.ok(self.dcs.ask("GET", "jobs", self.waiting)).json["status"], "INIT")

    def test_what_is_not_there(self):
        rows = [
            ("malformed project", "GET", f"/v2/nonsense/instances/{self.ha}/tasks", 400, "DCS.4002"),
            ("malformed instance", "GET", f"/v2/{self.dcs.project}/instances/x/tasks", 400, "DCS.4061"),
            ("malformed task", "DELETE", f"/v2/{self.dcs.project}/instances/{self.ha}/tasks/x", 400, "DCS.4070"),
            ("unknown instance", "GET", f"/v2/{self.dcs.project}/instances/{ABSENT}/tasks", 404, "DCS.3022"),
            ("unknown task", "DELETE", f"/v2/{self.dcs.project}/instances/{self.ha}/tasks/{'0' * 32}", 404, "DCS.4133"),
            ("unknown job", "GET", f"/v2/{self.dcs.project}/jobs/{'0' * 32}", 404, "DCS.4133"),
            ("malformed job", "GET", f"/v2/{self.dcs.project}/jobs/x", 400, "DCS.4063"),
            ("unknown path", "GET", f"/v2/{self.dcs.project}/orders", 404, "DCS.4001"),
            ("wrong method", "PATCH", f"/v2/{self.dcs.project}/instances/{self.ha}", 405, "DCS.5001"),
        ]
        for what, method, target, status, code in rows:
            with self.subTest(what):
                self.refused(self.dcs.call(method, target), status, code)

    def test_deleting_records(self):
        self.refused(self.dcs.of("DELETE", self.ha, "tasks", self.waiting), 400, "DCS.4017")
        one = self.create("tasks-records")
        task = self.dcs.newest(one)["id"]
        self.refused(self.dcs.of("DELETE", self.ha, "tasks", task), 404, "DCS.4133")  # of another instance
        dashed = f"{task[:8]}-{task[8:12]}-{task[12:16]}-{task[16:20]}-{task[20:]}"
        self.assertEqual(self.ok(self.dcs.of("DELETE", one, "tasks", dashed)).json, {"message": ""})
        self.refused(self.dcs.of("DELETE", one, "tasks", task), 404, "DCS.4133")
        self.refused(self.dcs.ask("GET", "jobs", task), 404, "DCS.4133")
        self.assertEqual(self.dcs.of("GET", one, "tasks").json, {"task_count": "0", "tasks": []})
        self.assertEqual(self.connect(one).call("PING"), "PONG")  # the effect stays
        self.delete(one)

    def test_busy(self):
        config = {"redis_config": [{"param_id": "1", "param_name": "timeout", "param_value": "5"}]}
        rows = [
            ("POST", ["resize"], {"spec_code": self.spec.replace("128", "512"), "new_capacity": 0.5}),
            ("POST", ["backups"], {}),
            ("POST", ["swap"], None),
            ("PUT", ["async-swap"], None),
            ("PUT", ["configs"], config),
            ("PUT", [], {"port": free_port()}),
        ]
        for method, segments, body in rows:
            with self.subTest(segments):
                self.refused(self.dcs.of(method, self.ha, *segments, body=body), 400, "DCS.4113")
        answer = self.ok(self.dcs.ask("PUT", "instances", "status", body={"instances": [self.ha, ABSENT],
                                                                         "action": "restart"}))
        self.assertEqual([r["result"] for r in answer.json["results"]], ["failed", "failed"])
        for body, code in (({"action": "restart"}, "DCS.4065"),
                           ({"instances": [self.ha], "action": "stop"}, "DCS.4064"),
                           ({"instances": [ABSENT] * 51, "action": "restart"}, "DCS.4100")):
            self.refused(self.dcs.ask("PUT", "instances", "status", body=body), 400, code)


class Refusals(DcsCase):
    def test_signatures(self):
        dcs, target = self.dcs, f"/v2/{self.dcs.project}/instances"
        self.ok(dcs.call("GET", target))
        self.refused(dcs.call("GET", target, secret="wrong"), 401, "DCS.1001")
        self.refused(dcs.call("GET", target, key_id="LTAIunknown"), 401, "DCS.1001")
        self.refused(dcs.call("GET", target, date="20200617T081806Z"), 401, "DCS.1001")
        self.refused(dcs.send("GET", target, dcs.headers_for("", None)), 401, "DCS.1003")
        other = self.server.key()
        self.refused(dcs.call("GET", f"/v2/{other['project_id']}/instances"), 401, "DCS.1004")
        stranger = Dcs(dcs.host, dcs.port, other["access_key_id"], other["access_key_secret"], other["project_id"])
        self.ok(stranger.ask("GET", "instances"))
        # Only the Go SDK may leave the host unsigned, and must sign who it is.
        for agent, signed, status in (("huaweicloud-usdk-go/3.0", ["user-agent", "x-project-id", "x-sdk-date"], 200),
                                      ("huaweicloud-usdk-go/3.0", ["x-project-id", "x-sdk-date"], 401),
                                      ("huaweicloud-usdk-python/3.0", ["user-agent", "x-sdk-date"], 401)):
            headers = {**dcs.headers_for("", None), "user-agent": agent}
            headers["authorization"] = dcs.sign("GET", target, headers, None, signed=signed)
            self.assertEqual(dcs.send("GET", target, headers).status, status, (agent, signed))
        headers = dcs.headers_for("", None)
        headers["authorization"] = dcs.sign("GET", target + "?limit=1", headers, None)
        self.refused(dcs.send("GET", target + "?limit=2", headers), 401, "DCS.1001")

    def test_every_field_with_every_type(self):
        """Never a 5xx, always the vendor's form. The quota refuses what is right, so that nothing is made."""
        values = [1, -1, 1.5, 1e300, True, False, "", "x", "x" * 5000, "ä\ud83d\ude00", [], [1], [[]], {}, {"a": 1},
                  ["x"] * 200, {"charging_mode": 1}]
        base = self.body("refused-types", "ha", capacity=64, instance_num=100, maintain_begin="01:00:00",
                         maintain_end="02:00:00", description="d", tags=[{"key": "a", "value": "b"}], private_ip="",
                         no_password_access=False, rename_commands={}, security_group_id="g", enable_ssl=False,
                         instance_backup_policy={"backup_type": "manual"}, bss_param={"charging_mode": "postPaid"},
                         enterprise_project_id="0", template_id="t", spec_param={})
        base["spec_code"] = base["spec_code"].replace("tiny", "large").replace("128", "64")
        self.refused(self.dcs.ask("POST", "instances", body=base), 400, "DCS.4036")
        for field in base:
            for value in values:
                body = {**base, field: value}
                if field == "instance_num":
                    body["bss_param"] = {"charging_mode": "prePaid"}
                with self.subTest(field=field, value=str(value)[:40]):
                    answer = self.dcs.ask("POST", "instances", body=body)
                    self.assertEqual(answer.status, 400, answer)
                    self.error_form(answer)
        self.assertEqual(self.dcs.ask("GET", "instances").json["instance_num"], 0)

    def test_documented_refusals(self):
        rows = [
            ({"name": "abc"}, "DCS.4010"), ({"engine": "Memcached"}, "DCS.4006"), ({"engine_version": "9"}, "DCS.4008"),
            ({"capacity": 0.3}, "DCS.4012"), ({"capacity": 1}, "DCS.4012"), ({"spec_code": "redis.x"}, "DCS.4927"),
            ({"az_codes": ["nowhere"]}, "DCS.4042"), ({"vpc_id": ""}, "DCS.4013"), ({"subnet_id": None}, "DCS.4016"),
            ({"password": "short"}, "DCS.4019"), ({"password": "onlylowercase"}, "DCS.4019"),
            ({"password": None}, "DCS.4845"), ({"port": 65536}, "DCS.4062"), ({"instance_num": 0}, "DCS.4062"),
            ({"maintain_begin": "01:30:00", "maintain_end": "02:00:00"}, "DCS.4106"),
            ({"description": "x" * 1025}, "DCS.4011"), ({"bss_param": {"charging_mode": "prePaid"}}, "DCS.4800"),
        ]
        for change, code in rows:
            with self.subTest(change):
                body = {k: v for k, v in {**self.body("refusals"), **change}.items() if v is not None}
                self.refused(self.dcs.ask("POST", "instances", body=body), 400, code)
        target = f"/v2/{self.dcs.project}/instances"
        self.refused(self.dcs.call("POST", target, b""), 400, "DCS.4004")
        self.refused(self.dcs.call("POST", target, b"{"), 400, "DCS.4005")
        self.refused(self.dcs.call("POST", target, b'{"name":"\xff"}'), 400, "DCS.4005")


class Crashes(DcsCase):
    def test_killed_server_adopts(self):
        one, two = self.create("crash-single"), self.create("crash-ha", "ha")
        before = {}
        for instance in (one, two):
            connection = self.connect(instance)
            connection.call("SET", "k", instance)
            before[instance] = self.process(instance), connection.info("run_id")
        self.server.kill()
        for pid, _ in before.values():
            self.assertTrue(process_alive(pid), "Redis died with the server")
        self.server.start()
        for instance in (one, two):
            self.running(instance)
            connection = self.connect(instance)
            self.assertEqual((self.process(instance), connection.info("run_id")), before[instance])
            self.assertEqual(connection.call("GET", "k"), instance)
            self.delete(instance)

    def test_killed_single_comes_back(self):
        one = self.create("crash-process")
        connection = self.connect(one)
        for i in range(500):
            connection.call("SET", f"k{i}", i)
        # What is not on disk yet after a second is Redis's own promise to lose (appendfsync).
        os.kill(self.process(one), signal.SIGKILL)
        self.recovered(one)
        connection = self.connect(one)
        self.assertEqual([connection.call("GET", f"k{i}") for i in range(500)], [str(i) for i in range(500)])
        self.delete(one)

    def test_killed_master_is_replaced(self):
        one = self.create("crash-master", "ha")
        connection = self.connect(one)
        connection.call("SET", "k", "v")
        self.assertEqual(connection.call("WAIT", 1, 5000), 1)
        first = connection.info("run_id")
        os.kill(self.process(one), signal.SIGKILL)
        self.recovered(one)
        connection = self.connect(one)
        self.assertNotEqual(connection.info("run_id"), first)
        self.assertEqual((connection.info("role"), connection.call("GET", "k")), ("master", "v"))
        wait_for("the replica", lambda: connection.info("connected_slaves") == "1")
        self.delete(one)

    def test_clients_that_nobody_told_may_write_again(self):
        """What an operation leaves that could not tell a node so: all serve, and one is told that
        clients may not write."""
        one = self.create("closed", "single")
        folder = self.server.data / "cache" / one
        secret = (folder / "admin.key").read_text()
        connection, own = self.connect(one), self.connect(one)
        own.call("AUTH", "stint", secret)
        own.call("ACL", "SETUSER", "default", "-@write")
        with self.assertRaisesRegex(ConnectionError, "NOPERM"):
            connection.call("SET", "k", "v")
        (folder / "closed").touch()
        self.recovered(one)
        self.assertEqual(connection.call("SET", "k", "v"), "OK")
        self.assertFalse((folder / "closed").exists())
        self.delete(one)

    def recovered(self, instance):
        def healed():
            tasks = self.dcs.of("GET", instance, "tasks").json["tasks"]
            return [t for t in tasks if t["name"] == "AutoRecovery" and t["status"] == "SUCCESS"]
        wait_for("the task AutoRecovery", healed)
        self.running(instance)


class WithoutRedis(DcsCase):
    env = {"PATH": "/nonexistent"}

    def test_creation_fails_clearly(self):
        answer = self.ok(self.dcs.ask("POST", "instances", body=self.body("no-redis")))
        instance = answer.json["instances"][0]["instance_id"]
        job = self.dcs.ended(self.dcs.newest(instance)["id"])
        self.assertEqual(job["status"], "FAIL")
        self.assertIn("redis-server", job["fail_reason"])
        self.assertEqual(self.dcs.status(instance), "CREATEFAILED")
        listed = self.dcs.ask("GET", "instances", include_failure="true").json
        self.assertEqual(listed["instance_num"], 1)
        self.assertEqual(self.server.client.create_app("works").status, 200)
        self.ok(self.dcs.of("DELETE", instance), 204)
        self.refused(self.dcs.of("GET", instance), 404, "DCS.3022")


class CommandLine(DcsCase):
    def run_cache(self, *words, check=True, password=PASSWORD):
        env = {**os.environ, "REDISCLI_AUTH": password, "STINT_DATA": str(self.server.data)}
        return self.server.run("cache", *words, check=check, env=env)

    def test_a_life(self):
        port = str(free_port())
        self.run_cache("create", "cli-ha", "--mode", "ha", "--port", port, "--tag", "a=b", "--wait")
        self.assertRegex(self.run_cache("list").stdout, rf"cli-ha +RUNNING +ha +128 MB +127\.\S+:{port} ")
        self.assertIn("redis.ha.", self.run_cache("show", "cli-ha").stdout)
        self.assertIn("256M", self.run_cache("resize", "cli-ha", "256M", "--wait").stdout)
        if shutil.which("redis-cli"):
            self.assertEqual(self.run_cache("connect", "cli-ha", "SET", "k", "v").stdout, "OK\n")
            self.assertEqual(self.run_cache("connect", "cli-ha", "SET", "m", "v", "PX", "500000", "NX").stdout, "OK\n")
        self.run_cache("backup", "cli-ha", "--wait")
        self.run_cache("swap", "cli-ha", "--wait")
        self.run_cache("flush", "cli-ha", "--yes", "--wait")
        self.run_cache("restore", "cli-ha", "--wait")
        if shutil.which("redis-cli"):
            self.assertEqual(self.run_cache("connect", "cli-ha", "GET", "k").stdout, "v\n")
        self.run_cache("restart", "cli-ha", "--wait")
        self.run_cache("password", "cli-ha", password="Other-one-1")
        instance = self.dcs.ask("GET", "instances", name="cli-ha").json["instances"][0]["instance_id"]
        self.assertEqual(self.connect(instance, "Other-one-1").call("PING"), "PONG")
        task = self.dcs.newest(instance)["id"]
        self.run_cache("forget", "cli-ha", task)
        self.assertEqual(self.run_cache("forget", "cli-ha", task, check=False).returncode, 66)
        self.run_cache("delete", "cli-ha", "--wait")
        self.assertEqual(redis_processes(self.server.folder), [])

    def test_passwords_come_from_a_file_or_not_at_all(self):
        file = self.server.folder / "password"
        file.write_text(PASSWORD + "\nnot this line\n")
        self.run_cache("create", "cli-file", "--port", str(free_port()), "--password-file", str(file), "--wait",
                       password="not-this-1A")
        instance = self.dcs.ask("GET", "instances", name="cli-file").json["instances"][0]["instance_id"]
        self.assertEqual(self.connect(instance).call("PING"), "PONG")
        self.run_cache("password", "cli-file", "--no-password")
        self.assertEqual(self.connect(instance, None).call("PING"), "PONG")
        file.write_text("\n")
        done = self.run_cache("password", "cli-file", "--password-file", str(file), check=False)
        self.assertEqual(done.returncode, 64)
        self.assertIn("0 characters", done.stderr)
        self.delete(instance)

    def test_key_and_project(self):
        access, data = self.server.access, str(self.server.data)
        endpoint = f"http://127.0.0.1:{self.server.port}"
        names = {"HUAWEICLOUD_SDK_AK": access["access_key_id"], "HUAWEICLOUD_SDK_SK": access["access_key_secret"]}
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("HUAWEICLOUD", "STINT_", "ALIBABA"))}
        nowhere = str(self.server.folder)
        rows = [
            ("all from the data folder", {}, ["--data", data], 0, ""),
            ("all from the environment", {**names, "HUAWEICLOUD_SDK_PROJECT_ID": access["project_id"]},
             ["--endpoint", endpoint], 0, ""),
            ("the project of a key by the data folder", {**names, "STINT_DATA": data}, [], 0, ""),
            ("a wrong secret stays wrong", {}, ["--data", data, "--access-key-id", access["access_key_id"],
                                                "--access-key-secret", "wrong"], 77, "DCS.1001"),
            ("no project", {**names, "STINT_DATA": nowhere}, ["--endpoint", endpoint], 64, "--project-id"),
        ]
        for what, env, options, code, says in rows:
            with self.subTest(what):
                done = self.server.run("cache", "list", *options, check=False, env={**clean, **env}, cwd=nowhere)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(says, done.stderr)

    def test_settings_for_sdks(self):
        for language in ("dcs-shell", "dcs-python", "dcs-java", "dcs-go"):
            text = self.server.run("env", language, "--data", str(self.server.data)).stdout
            for part in ("access_key_id", "access_key_secret", "project_id"):
                self.assertIn(self.server.access[part], text, language)
            self.assertIn(f"http://127.0.0.1:{self.server.port}", text, language)

    def test_mistakes(self):
        rows = [
            (["show", "absent"], 66, "no cache is named"), (["create", "abc", "--no-password"], 64, "DCS.4010"),
            (["create", "cli-size", "--size", "3G", "--no-password"], 64, "no size of 3 GB"),
            (["create", "cli-size", "--size", "big"], 64, "a size is written"),
            (["create", "cli-weak", "--wait"], 64, "DCS.4019"), (["flush", "absent"], 64, "--yes"),
            (["list", "--project-id", "x"], 77, "DCS.1004"), (["connect", "absent"], 66, "no cache is named"),
        ]
        for words, code, says in rows:
            with self.subTest(words):
                done = self.run_cache(*words, check=False, password="weak")
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(says, done.stderr)


if __name__ == "__main__":
    unittest.main()
