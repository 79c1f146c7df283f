"""DCS requests that are almost right, chosen by a seeded generator: whatever comes, an answer in the vendor's form,
never a 500, and a server and instances that live on. Seed and number as in test_fuzz.py; a failure names both."""
import json
import random
import unittest

from stint_client import percent, wait_for
from test_dcs import ABSENT, IS_QUICK, PASSWORD, DcsCase
from test_fuzz import COUNT, ODD_TEXTS, ODD_VALUES, SEED, places, replaced

METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]
# 501 and 505 are of HTTP itself; 500 and 503 are ours and must not come.
STATUSES = {200, 204, 400, 401, 404, 405, 413, 414, 431, 501}
# The vendor's own code for two who change the configuration at once is a 500.
RACE = "DCS.4069"


class Fuzz(DcsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.case = cls("test_almost_valid_requests")
        cls.make()

    @classmethod
    def make(cls):
        """An instance to be spoiled, and the requests that are right for it."""
        cls.one = cls.case.create("fuzz", "ha")
        shown = cls.case.show(cls.one)
        nodes = cls.case.dcs.of("GET", cls.one, "logical-nodes").json["nodes"]
        i, node, group = f"instances/{cls.one}", nodes[0]["node_id"], nodes[0]["group_id"]
        task = cls.case.dcs.newest(cls.one)["id"]
        setting = {"param_id": "1", "param_name": "timeout", "param_value": "100"}
        policy = {"backup_type": "auto", "save_days": 1, "periodical_backup_plan": {
            "backup_at": [1, 7], "period_type": "weekly", "begin_at": "00:00-01:00"}}
        page, span = "offset=0&limit=10", "start_time=20200101000000&end_time=20300101000000"
        lists = [f"{i}/tasks?{page}&{span}", f"tasks?{page}&{span}", f"{i}/backups?{page}&{span}",
                 f"{i}/restores?{page}&{span}", f"{i}/config-histories?{page}",
                 f"{i}/bigkey-tasks?{page}&status=success", f"{i}/hotkey-tasks?{page}&status=failed",
                 f"{i}/auto-expire/histories?{page}", f"{i}/offline/key-analysis?{page}",
                 f"instances-logical-nodes?{page}",
                 f"{i}/slowlog?start_time=0&end_time=9999999999999&{page}&sort_key=duration&sort_dir=asc&role=all",
                 f"{i}/clients?node_id={node}&{page}&addr=127&sort=age&order=desc",
                 f"instances?{page}&name=fuzz&name_equal=true&include_failure=true&status=RUNNING",
                 f"instances?{page}&capacity=0.125&ip=127&tags=a%3Db",
                 f"flavors?cache_mode=ha&capacity=1&engine=redis&engine_version=7.0&instance_id={cls.one}",
                 "instances/status?include_failure=true", "instances/statistic", "quota", "dcs/tags", i, f"{i}/configs",
                 f"{i}/tags", f"{i}/whitelist", f"{i}/groups", f"{i}/groups/{group}/group-nodes-state",
                 f"{i}/logical-nodes", f"{i}/deletable-replication", f"{i}/tasks/{task}/progress",
                 f"jobs/{task}", f"{i}/bigkey-task/{ABSENT}",
                 f"{i}/hotkey-task/{ABSENT}", f"{i}/offline/key-analysis/{ABSENT}", f"{i}/config-histories/{ABSENT}"]
        cls.valid = [("GET", target, None) for target in lists] + [
            ("DELETE", f"{i}/tasks/{task}", None), ("DELETE", f"tasks/{'0' * 32}", {}),
            ("DELETE", f"{i}/backups/{ABSENT}", None),
            ("PUT", i, {"name": "fuzz", "description": "d", "port": shown["port"], "maintain_begin": "18:00:00",
                        "maintain_end": "19:00:00", "rename_commands": {"keys": ""}, "instance_backup_policy": policy}),
            ("POST", f"{i}/resize", {"spec_code": shown["spec_code"].replace("128", "256"), "new_capacity": 0.25}),
            ("PUT", f"{i}/password", {"old_password": PASSWORD, "new_password": "Other-one-1"}),
            ("POST", f"{i}/password/reset", {"new_password": PASSWORD, "no_password_access": False}),
            ("POST", f"{i}/backups", {"remark": "r", "backup_format": "rdb"}),
            ("POST", f"{i}/restores", {"backup_id": ABSENT, "remark": "r"}),
            ("PUT", f"{i}/configs", {"redis_config": [setting]}),
            ("PUT", f"{i}/async-configs", {"redis_config": [setting]}),
            ("POST", f"dcs/{cls.one}/tags/action", {"action": "create", "tags": [{"key": "k", "value": "v"}]}),
            ("POST", f"{i}/offline/key-analysis", {"node_id": node}), ("POST", f"{i}/clients", {"node_id": node}),
            ("POST", f"{i}/clients/kill", {"node_id": node, "client_addrs": ["127.0.0.1:1"]}),
            ("POST", f"{i}/clients/kill-all", {"node_id": node, "kill_all_nodes": True}),
            ("PUT", f"{i}/whitelist", {"enable_whitelist": False,
                                       "whitelist": [{"group_name": "g", "ip_list": ["10.0.0.1"]}]}),
            ("PUT", "instances/status", {"instances": [cls.one], "action": "restart"}),
            ("POST", f"{i}/bigkey-task", None), ("POST", f"{i}/hotkey-task", None),
            ("POST", f"{i}/auto-expire/scan", None), ("PUT", f"{i}/async-swap", None),
        ]

    def spoiled(self, rng):
        """Method, target below the project, body; one to three mistakes, now and then none."""
        method, target, body = rng.choice(self.valid)
        for _ in range(rng.choice([0, 1, 1, 1, 1, 2, 3])):
            kind = rng.randrange(10)
            path, mark, query = target.partition("?")
            if kind < 5 and body is not None and not isinstance(body, bytes):
                body = replaced(body, rng.choice(list(places(body))), rng.choice(ODD_VALUES))
            elif kind < 7 and query:
                pairs = query.split("&")
                at = rng.randrange(len(pairs))
                pairs[at] = pairs[at].partition("=")[0] + "=" + percent(rng.choice(ODD_TEXTS))
                target = path + "?" + "&".join(pairs)
            elif kind == 7:
                parts = path.split("/")
                odd = rng.choice([percent(rng.choice(ODD_TEXTS)), "%00", "%2F", "..", "", "*"])
                parts[rng.randrange(len(parts))] = odd
                target = "/".join(parts) + mark + query
            elif kind == 8:
                method = rng.choice(METHODS)
            elif body is not None and not isinstance(body, bytes):
                good = json.dumps(body).encode()
                cut = rng.randrange(len(good) + 1)
                body = rng.choice([good[:cut], good[:cut] + bytes([rng.randrange(256)]) + good[cut:], good + good,
                                   b"[" * 3000, b"\xef\xbb\xbf" + good, b" \r\n", good.decode().encode("utf-16")])
        return method, target, body

    def check(self, answer, method):
        if answer.code == RACE:
            return
        self.assertIn(answer.status, STATUSES)
        self.assertTrue(answer.headers.get("x-request-id"))
        if answer.status >= 400 and method != "HEAD":
            self.error_form(answer)
        elif answer.status == 200 and method != "HEAD":
            self.assertIsInstance(answer.json, (dict, list))

    def revive(self):
        """The instance again, if the requests removed it or spoiled it."""
        tasks = []

        def over():
            if self.dcs.of("GET", self.one).status != 200:
                return True
            tasks[:] = self.dcs.of("GET", self.one, "tasks").json["tasks"]
            return all(t["status"] in ("SUCCESS", "FAILED") for t in tasks)
        try: wait_for("over", over, 20)
        except AssertionError:
            print(json.dumps(tasks, indent=1)); print(self.server.log()[-6000:]); raise
        if self.dcs.of("GET", self.one).status != 200:
            type(self).make()

    def test_almost_valid_requests(self):
        rng, seen = random.Random(SEED), {}
        for n in range(min(COUNT, 200) if IS_QUICK else COUNT):
            method, target, body = self.spoiled(rng)
            sent = (method, f"/v2/{self.dcs.project}/{target}", body)
            answer = self.dcs.call(*sent)
            try:
                self.check(answer, method)
            except Exception as error:
                label = f"seed {SEED}, request {n}"
                raise AssertionError(f"{label}: {error}\nsent {str(sent)[:2000]}\ngot {answer}") from error
            seen[answer.status] = seen.get(answer.status, 0) + 1
            if n % 50 == 0 or (method, answer.status) == ("DELETE", 204):
                self.revive()
        # A generator whose requests are all refused at the door tests the door only.
        self.assertTrue({200, 204, 400, 404, 405} <= set(seen), seen)
        self.revive()
        self.assertIsNone(self.server.process.poll(), "the server has ended")
        self.assertEqual(self.dcs.status(self.one), "RUNNING")


if __name__ == "__main__":
    unittest.main()
