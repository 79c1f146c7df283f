"""A client that sends every field with every wrong type, to every DCS operation that has a body or a query: each is
refused in the vendor's form, and nothing changes. A body that would be refused anyway would prove nothing, so each
operation is also asked as it should be, and then it must do its work. The last test compares what was tried with the
server's table of routes: a new operation gets a row here, or stands in NOTHING_TO_TYPE
or ELSEWHERE."""
import unittest

from dcs_routes import route_of, routes
from stint_client import wait_for
from test_dcs import PASSWORD, DcsCase, free_port
from test_fuzz import places, replaced

WRONG = {str: "x", bool: True, int: 7, float: 1.5, list: [], dict: {}}
POLICY = {"backup_type": "auto", "save_days": 1, "periodical_backup_plan": {
    "backup_at": [1], "period_type": "weekly", "begin_at": "00:00-01:00"}}
# What the API says are integers, flags, times and words; a text of any kind has no wrong type in a query.
NOT_INTEGERS = ["x", "1.5", "-1", " ", "1e3", "0x1", "9" * 40, "true", "[]", "1 ", "%"]
NOT_FLAGS = ["x", "1", "yes", "True", " true", "[]"]
NOT_STAMPS = ["x", "1", "2020-01-01", "20201399000000", "20200101000000Z", "9" * 14, "-1"]
NOT_MILLISECONDS = ["x", "-1", "1.5", "9" * 40, "2020-01-01T00:00:00Z"]
NOT_WORDS = ["x", "1", " ", "TRUE", "desc|asc"]
PAGE = {"offset": NOT_INTEGERS, "limit": [*NOT_INTEGERS, "0", "1001"]}
SPAN = {"start_time": NOT_STAMPS, "begin_time": NOT_STAMPS, "end_time": NOT_STAMPS}
RECORDS = {**PAGE, "status": NOT_WORDS}

P, I = "/v2/*", "/v2/*/instances/*"
# Operations whose body is empty and whose query has texts only, or nothing.
NOTHING_TO_TYPE = {
    ("GET", "/"), ("GET", "/v2"), ("GET", "/v2/available-zones"), ("GET", "/v2/instances/maintain-windows"),
    ("GET", P + "/quota"), ("GET", P + "/instances/statistic"), ("GET", P + "/dcs/tags"), ("GET", P + "/jobs/*"),
    ("DELETE", P + "/tasks/*"), ("GET", I), ("DELETE", I), ("DELETE", I + "/tasks/*"), ("GET", I + "/tasks/*/progress"),
    ("POST", I + "/swap"), ("PUT", I + "/async-swap"), ("DELETE", I + "/backups/*"), ("GET", I + "/configs"),
    ("GET", I + "/config-histories/*"), ("GET", I + "/whitelist"), ("GET", I + "/groups"),
    ("GET", I + "/logical-nodes"), ("GET", I + "/deletable-replication"),
    ("GET", I + "/groups/*/group-nodes-state"), ("GET", I + "/tags"),
    ("POST", I + "/bigkey-task"), ("GET", I + "/bigkey-task/*"), ("DELETE", I + "/bigkey-task/*"),
    ("POST", I + "/hotkey-task"), ("GET", I + "/hotkey-task/*"), ("DELETE", I + "/hotkey-task/*"),
    ("POST", I + "/scan-expire-keys-task"), ("POST", I + "/auto-expire/scan"),
    ("GET", I + "/offline/key-analysis/*"), ("DELETE", I + "/offline/key-analysis/*"),
    ("GET", I + "/version"), ("GET", I + "/nodes"), ("GET", I + "/operations"),
    ("GET", I + "/backups/*/files/*"), ("GET", I + "/redislog/*/files/*"),
}
# Operations with tests of their own for what they take (unit tests, test_dcs_more.py); their bodies and queries are not
# tried here.
ELSEWHERE = {
    *((method, I + "/" + kind) for method in ("GET", "PUT")
      for kind in ("bigkey/autoscan", "hotkey/autoscan", "scan-expire-keys/autoscan-config")),
    *((method, P + "/config-templates") for method in ("GET", "POST")),
    *((method, P + "/config-templates/*") for method in ("GET", "PUT", "DELETE")),
    *((method, I + "/diagnosis") for method in ("GET", "POST", "DELETE")), ("GET", P + "/diagnosis/*"),
    ("POST", I + "/backups/*/links"), ("POST", I + "/groups/*/replications/*/slave-priority"),
    ("POST", I + "/resize/check-job"),
    ("GET", I + "/redislog"), ("POST", I + "/redislog"), ("POST", I + "/redislog/*/links"),
}


class Types(DcsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.routes, cls.refusals, cls.ran = routes(), set(), set()
        cls.one = cls("test_queries").create("types", "ha")

    def setUp(self):
        self.ran.add(self._testMethodName)

    # -- what is there, to see that it stays --

    def snapshot(self):
        """All that the API shows of the project but figures that move by themselves."""
        shown = self.ok(self.dcs.ask("GET", "instances", limit=1000, include_failure="true")).json
        for instance in shown["instances"]:
            del instance["used_memory"]
        of_one = [self.ok(self.dcs.of("GET", self.one, *to, limit=1000)).json for to in (
            ("tasks",), ("backups",), ("restores",), ("configs",), ("config-histories",), ("tags",), ("bigkey-tasks",),
            ("hotkey-tasks",), ("auto-expire", "histories"), ("offline", "key-analysis"), ("whitelist",))]
        clients = self.ok(self.dcs.of("GET", self.one, "clients", limit=1000)).json["clients"]
        return shown, of_one, sorted(c["addr"] for c in clients)

    def unchanged(self, before, what):
        self.assertEqual(self.snapshot(), before, f"{what} changed something")
        self.assertIsNone(self.server.process.poll(), f"{what} ended the server")

    def bad(self, answer):
        self.assertTrue(400 <= answer.status < 500, answer)
        self.error_form(answer)

    def route(self, method, *to):
        return route_of(self.routes, method, "/".join(("/v2", self.dcs.project, *to)))

    # -- bodies --

    def of(self, *to):
        return ("instances", self.one, *to)

    def node(self, role):
        nodes = self.dcs.of("GET", self.one, "logical-nodes").json["nodes"]
        return next(n["node_id"] for n in nodes if n["node_type"] == role)

    def settled(self):
        """No task of the instance is under way."""
        tasks = lambda: self.dcs.of("GET", self.one, "tasks", limit=1000).json["tasks"]
        wait_for("the end of all tasks", lambda: all(t["status"] in ("SUCCESS", "FAILED") for t in tasks()))
        self.running(self.one)

    def wrong_bodies(self, method, to, body, tolerated=()):
        """Every wrong type at every place of body; then body itself, which is taken. Its answer.
        to: path below the project. tolerated: (place, type) that are right all the same."""
        ask = lambda b: self.dcs.ask(method, *to, body=b)
        self.refusals.add(self.route(method, *to))
        before, n = self.snapshot(), 0
        for at in places(body):
            value = body
            for key in at:
                value = value[key]
            for kind, wrong in WRONG.items():
                if kind is type(value) or (at, kind) in tolerated:
                    continue
                n += 1
                with self.subTest(operation=(method, *to), at=at, wrong=wrong):
                    self.bad(ask(replaced(body, at, wrong)))
        self.assertGreater(n, 0)
        for junk in (b"", b"{", b"nul", b'{"a":1}{', b'{"a":"\xff"}', b"[" * 3000):
            with self.subTest(operation=(method, *to), junk=junk[:20]):
                if junk or to[-1:] != ("backups",):   # whose body may be missing
                    self.bad(ask(junk))
        self.unchanged(before, (method, *to))
        answer = ask(body)
        self.assertIn(answer.status, (200, 204), f"{method} {to} as it should be: {answer}")
        self.settled()
        return answer

    def test_create_update_delete(self):
        full = self.body("typed", "ha", security_group_id="g", private_ip="", instance_num=1, maintain_begin="18:00:00",
                         maintain_end="19:00:00", no_password_access=False, description="d",
                         rename_commands={"keys": "my_keys"}, tags=[{"key": "k", "value": "v"}],
                         instance_backup_policy=POLICY, enable_publicip=False,
                         enable_ssl=False, publicip_id="", access_user="", enterprise_project_id="0",
                         enterprise_project_name="default", template_id="", bss_param={"charging_mode": "postPaid"})
        # A number is what an example of the vendor's has, and a name of the right form is no wrong name.
        tolerated = [(("enterprise_project_id",), int)]
        made = self.wrong_bodies("POST", ("instances",), full, tolerated)
        two = made.json["instances"][0]["instance_id"]
        self.running(two)
        change = {"name": "typed-2", "description": "e", "port": free_port(), "maintain_begin": "20:00:00",
                  "maintain_end": "21:00:00", "security_group_id": "h", "instance_backup_policy": POLICY,
                  "rename_commands": {"keys": "my_keys"}}
        self.wrong_bodies("PUT", ("instances", two), change)
        self.done(two, "UpdatePort")
        self.running(two)
        self.wrong_bodies("PUT", ("instances", "status"), {"instances": [two], "action": "restart"},
                          [(("instances", 0), str)])
        self.done(two, "RESTART")
        self.running(two)
        self.wrong_bodies("DELETE", ("instances",), {"instances": [two]}, [(("instances", 0), str)])
        wait_for("the deletion", lambda: self.dcs.of("GET", two).status == 404)

    def test_resizes(self):
        spec = self.show(self.one)["spec_code"]
        more = {"execute_immediately": True, "reserved_ip": [], "bss_param": {"charging_mode": "postPaid"}}
        self.wrong_bodies("POST", self.of("resize"), {"spec_code": spec.replace("128", "256"), "new_capacity": 0.25,
                                                "change_type": "instanceType", **more})
        self.assertEqual(self.show(self.one)["max_memory"], 256)
        spec = self.show(self.one)["spec_code"]
        self.wrong_bodies("POST", self.of("resize"), {"spec_code": spec, "new_capacity": 0.25,
                                                      "change_type": "createReplication",
                                                      "available_zones": [self.zone()], **more})
        self.assertEqual(self.show(self.one)["replica_count"], 3)
        spec = self.show(self.one)["spec_code"]
        self.wrong_bodies("POST", self.of("resize"), {"spec_code": spec, "new_capacity": 0.25,
                                                      "change_type": "deleteReplication",
                                                      "node_list": [self.node("slave")], **more})
        self.assertEqual(self.show(self.one)["replica_count"], 2)

    def test_passwords(self):
        body = {"old_password": PASSWORD, "new_password": "Other-Typed-1"}
        self.assertEqual(self.wrong_bodies("PUT", self.of("password"), body).json["result"], "success")
        body = {"new_password": PASSWORD, "no_password_access": False}
        self.assertEqual(self.wrong_bodies("POST", self.of("password", "reset"), body).json["code"], "1")
        self.assertEqual(self.connect(self.one).call("PING"), "PONG")

    def test_backups(self):
        made = self.wrong_bodies("POST", self.of("backups"), {"remark": "r", "backup_format": "rdb"})
        analyses = self.of("offline", "key-analysis")
        self.wrong_bodies("POST", analyses, {"node_id": self.node("master"), "backup_id": made.json["backup_id"]})
        newest = lambda: self.dcs.ask("GET", *analyses).json["records"][0]
        wait_for("the analysis", lambda: newest()["status"] == "success")
        self.wrong_bodies("POST", self.of("restores"), {"backup_id": made.json["backup_id"], "remark": "r"})

    def test_configurations(self):
        for to, value in (("configs", "100"), ("async-configs", "200")):
            item = {"param_id": "1", "param_name": "timeout", "param_value": value}
            self.wrong_bodies("PUT", self.of(to), {"redis_config": [item]})
            self.assertEqual(self.dcs.of("GET", self.one, "configs").json["redis_config"][0]["param_value"], value)

    def test_tags_and_whitelist(self):
        for action in ("create", "delete"):
            body = {"action": action, "tags": [{"key": "k", "value": "v"}]}
            self.wrong_bodies("POST", ("dcs", self.one, "tags", "action"), body)
        whitelist = {"instance_id": self.one, "enable_whitelist": False,
                     "whitelist": [{"group_name": "g", "ip_list": ["10.0.0.1"]}]}
        for to in ("whitelist", "whitelist-async"):
            self.wrong_bodies("PUT", self.of(to), whitelist)

    def test_sessions(self):
        node = self.node("master")
        connection = self.connect(self.one)
        self.wrong_bodies("POST", self.of("clients"), {"node_id": node, "clean_cache": False})
        addr = next(c["addr"] for c in self.dcs.of("GET", self.one, "clients").json["clients"])
        self.assertEqual(connection.call("PING"), "PONG")
        self.wrong_bodies("POST", self.of("clients", "kill"), {"node_id": node, "client_addrs": [addr]},
                          tolerated=[(("client_addrs", 0), str)])
        with self.assertRaises(OSError):
            connection.call("PING")
        connection = self.connect(self.one)
        self.wrong_bodies("POST", self.of("clients", "kill-all"), {"node_id": node, "kill_all_nodes": False})
        with self.assertRaises(OSError):
            connection.call("PING")

    # -- queries --

    def test_queries(self):
        of = self.of
        records = ("bigkey-tasks",), ("hotkey-tasks",), ("auto-expire", "histories"), ("offline", "key-analysis")
        slow = {"start_time": "0", "end_time": "9999999999999"}
        rows = [
            (("instances",), {}, {**PAGE, "include_failure": NOT_FLAGS, "include_delete": NOT_FLAGS,
                                  "name_equal": NOT_FLAGS,
                                  "capacity": ["x", "-1", "[]", "0.3", "nan", "inf", "1e400"]}),
            (("tasks",), {}, {**PAGE, **SPAN}), (of("tasks"), {}, {**PAGE, **SPAN}),
            (of("backups"), {}, {**PAGE, **SPAN}), (of("restores"), {}, {**PAGE, **SPAN}),
            (of("config-histories"), {}, PAGE), (("instances-logical-nodes",), {}, PAGE),
            (("instances", "status"), {}, {"include_failure": NOT_FLAGS}),
            (("flavors",), {}, {"capacity": ["x", "-1", "[]", "nan"], "instance_id": ["x", "1", "[]"]}),
            *((of(*to), {}, RECORDS) for to in records),
            (of("slowlog"), slow, {**PAGE, "start_time": NOT_MILLISECONDS, "end_time": NOT_MILLISECONDS,
                                   "sort_key": NOT_WORDS, "sort_dir": NOT_WORDS, "role": NOT_WORDS}),
            (of("clients"), {}, {**PAGE, "sort": NOT_WORDS, "order": NOT_WORDS, "node_id": NOT_WORDS}),
        ]
        before = self.snapshot()
        for to, good, fields in rows:
            self.ok(self.dcs.ask("GET", *to, **good))
            self.refusals.add(self.route("GET", *to))
            for name, values in fields.items():
                for value in values:
                    with self.subTest(path=to, query=f"{name}={value}"):
                        self.bad(self.dcs.ask("GET", *to, **{**good, name: value}))
        for value in NOT_FLAGS:
            with self.subTest(all_failure=value):
                self.bad(self.dcs.ask("DELETE", "instances", all_failure=value, body={"instances": [self.one]}))
        self.unchanged(before, "queries")

    def test_zz_every_operation_was_tried(self):
        """The last by its name."""
        others = {name for name in dir(self) if name.startswith("test_")} - {self._testMethodName}
        if not others <= self.ran:
            self.skipTest("needs the others: " + ", ".join(sorted(others - self.ran)))
        self.assertGreater(len(self.routes), 60)
        self.assertEqual(sorted(self.routes - self.refusals - NOTHING_TO_TYPE - ELSEWHERE), [])
        self.assertEqual(sorted((NOTHING_TO_TYPE | ELSEWHERE) - self.routes), [], "no such operation")


if __name__ == "__main__":
    unittest.main()
