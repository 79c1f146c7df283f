"""The rest of the DCS API over real redis-server processes: download links, priorities, replicas, run logs, checks."""
import contextlib
import http.client
import json
import os
import pathlib
import signal
import sqlite3
import threading
import time
import unittest
import urllib.parse

from stint_client import IS_QUICK, Redis, redis_processes, wait_for
from test_dcs import ABSENT, PASSWORD, DcsCase

OPEN_TO_ALL = {"enable_whitelist": False, "whitelist": []}


def resident_kb(pid, field="VmRSS"):
    for line in (pathlib.Path("/proc") / str(pid) / "status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])


class Links(DcsCase):
    def fetch(self, url):
        """Status, headers, body: no key, no signature header."""
        parts = urllib.parse.urlsplit(url)
        self.assertEqual((parts.scheme, parts.netloc), ("http", f"{self.dcs.host}:{self.dcs.port}"))
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", f"{parts.path}?{parts.query}")
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def refuses(self, url, status, code):
        got, headers, body = self.fetch(url)
        self.assertEqual((got, json.loads(body)["error_code"]), (status, code))
        self.assertTrue(headers["x-request-id"])

    def backup(self, instance):
        answer = self.ok(self.dcs.of("POST", instance, "backups", body={}))
        self.done(instance, "BACKUP")
        return answer.json["backup_id"]

    def links(self, instance, backup, **body):
        return self.dcs.of("POST", instance, "backups", backup, "links", body=body)

    def test_a_backup_is_downloaded_with_its_link_alone(self):
        one = self.create("more-links", "ha")
        redis = self.connect(one)
        for i in range(24):
            redis.call("SET", f"big:{i}", os.urandom(1 << 19).hex())  # does not compress to nothing
        backup = self.backup(one)
        file = self.server.data / "backups" / one / f"{backup}.rdb"
        self.assertGreater(file.stat().st_size, 8 << 20)
        given = self.ok(self.links(one, backup, expiration=300)).json
        self.assertEqual(len(given["links"]), 1)
        name, url = given["links"][0]["file_name"], given["links"][0]["link"]
        self.assertRegex(name, r"^redis_127\.[0-9.]+_\d+_0-16383_\d{14}\.rdb$")

        before = resident_kb(self.server.process.pid)
        bodies = []
        threads = [threading.Thread(target=lambda: bodies.append(self.fetch(url))) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        data = file.read_bytes()
        self.assertEqual(len(bodies), 4)
        for status, headers, body in bodies:
            self.assertEqual(status, 200)
            self.assertTrue(body == data, "other bytes")
            self.assertEqual(int(headers["content-length"]), len(data))
            self.assertEqual(headers["content-disposition"], f'attachment; filename="{name}"')
        grown = resident_kb(self.server.process.pid, "VmHWM") - before
        self.assertLess(grown, (len(data) >> 10) // 2, "the file went through memory")

        self.refuses(url.replace("signature=", "signature=0"), 403, "DCS.2003")
        self.refuses(url.replace("expires=", "expires=9"), 403, "DCS.2003")
        self.refuses(url.replace(backup, ABSENT), 403, "DCS.2003")
        self.refuses(url.partition("?")[0], 403, "DCS.2003")
        for body in ({}, {"expiration": 299}, {"expiration": 86401}, {"expiration": "300"}):
            self.refused(self.links(one, backup, **body), 400, "DCS.4062")
        self.refused(self.links(one, ABSENT, expiration=300), 400, "DCS.4063")

        self.server.restart()
        url = url.replace(urllib.parse.urlsplit(url).netloc, f"{self.dcs.host}:{self.dcs.port}")
        self.assertEqual(self.fetch(url)[0], 200)  # the key lies in the data folder
        self.running(one)
        self.ok(self.dcs.of("DELETE", one, "backups", backup), 204)
        self.refuses(url, 404, "DCS.4001")
        self.delete(one)

    def test_run_logs_are_collected_listed_and_downloaded(self):
        one = self.create("more-logs", "ha")
        self.assertEqual(self.ok(self.dcs.of("GET", one, "redislog", log_type="run")).json,
                         {"total_num": 0, "file_list": []})
        for query in ({"log_type": "slow"}, {"query_time": 2}, {"replication_id": ABSENT}):
            self.refused(self.dcs.of("POST", one, "redislog", **query), 400, "DCS.4800")
        self.refused(self.dcs.of("POST", one, "redislog", ABSENT, "links"), 400, "DCS.4063")
        nodes = self.ok(self.dcs.of("GET", one, "logical-nodes")).json["nodes"]
        self.done(one, "RunLog", self.dcs.of("POST", one, "redislog", log_type="run", query_time=0,
                                             replication_id=nodes[1]["replication_id"]), 204)
        listed = self.ok(self.dcs.of("GET", one, "redislog", log_type="run")).json
        self.assertEqual([f["replication_ip"] for f in listed["file_list"]], [nodes[1]["node_ip"]])
        # Of both nodes now; and a line of an older day, as a process that runs for long has some.
        log = self.server.data / "cache" / one / "node-1" / "redis.log"
        days = [time.strftime("%d %b %Y", time.localtime(time.time() - n * 86400)) for n in (2, 9)]
        log.write_text(f"7:M {days[1]} 01:00:00.000 * too old\n7:M {days[0]} 01:00:00.000 * earlier\ncontinued\n"
                       + log.read_text())
        self.done(one, "RunLog", self.dcs.of("POST", one, "redislog", log_type="run", query_time=3), 204)
        listed = self.ok(self.dcs.of("GET", one, "redislog", log_type="run")).json
        self.assertEqual((listed["total_num"], len(listed["file_list"])), (3, 3))
        newest, oldest = listed["file_list"][0], listed["file_list"][2]
        self.assertEqual((newest["status"], newest["group_name"]), ("succeed", "group-0"))
        self.assertEqual(newest["file_name"], f"redis_{newest['replication_ip']}_{newest['time']}.log")
        page = self.ok(self.dcs.of("GET", one, "redislog", log_type="run", offset=2)).json
        self.assertEqual(page["file_list"], [oldest])

        link = self.ok(self.dcs.of("POST", one, "redislog", oldest["id"], "links")).json
        self.assertEqual(link["id"], oldest["id"])
        status, headers, body = self.fetch(link["link"])
        self.assertEqual((status, body), (200, f"7:M {days[0]} 01:00:00.000 * earlier\ncontinued\n".encode()))
        self.assertEqual(headers["content-disposition"], f'attachment; filename="{oldest["file_name"]}"')
        body = self.fetch(self.ok(self.dcs.of("POST", one, "redislog", newest["id"], "links")).json["link"])[2]
        self.assertIn(b"Redis version=", body)
        self.refuses(link["link"].replace(oldest["id"], newest["id"]), 403, "DCS.2003")
        # Logs are wanted most when an instance does not work.
        pids = redis_processes(self.server.data / "cache" / one)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.ok(self.dcs.of("POST", one, "redislog", log_type="run"), 204)
        self.running(one)
        self.delete(one)
        self.refuses(link["link"], 404, "DCS.4001")


class Replicas(DcsCase):
    def nodes(self, instance):
        return self.ok(self.dcs.of("GET", instance, "logical-nodes")).json["nodes"]

    def master(self, instance):
        return next(n for n in self.nodes(instance) if n["node_type"] == "master")

    def weigh(self, instance, node, weight):
        return self.dcs.of("POST", instance, "groups", node["group_id"], "replications", node["node_id"],
                           "slave-priority", body={"slave_priority_weight": weight})

    def test_priorities_are_honoured(self):
        one = self.create("more-weights", "ha", spec_code=self.body("x", "ha")["spec_code"].replace("r2", "r3"))
        first, second, third = sorted(self.nodes(one), key=lambda n: n["node_type"])
        self.assertEqual([n["node_type"] for n in (first, second, third)], ["master", "slave", "slave"])
        self.refused(self.weigh(one, first, 5), 400, "DCS.3053")
        self.refused(self.weigh(one, second, 101), 400, "DCS.4939")
        self.refused(self.weigh(one, {**second, "node_id": "0" * 32}, 5), 400, "DCS.3053")
        self.refused(self.weigh(one, {**second, "group_id": ABSENT}, 5), 400, "DCS.4063")
        self.assertEqual([n["priority_weight"] for n in self.nodes(one)], [100, 100, 100])

        self.ok(self.weigh(one, third, 7), 204)
        shown = {n["node_id"]: n["priority_weight"] for n in self.nodes(one)}
        self.assertEqual((shown[second["node_id"]], shown[third["node_id"]]), (100, 7))
        node = Redis(third["node_ip"], int(third["node_port"]), PASSWORD)
        self.addCleanup(node.close)
        self.assertEqual(node.info("slave_priority"), "7")
        self.ok(self.dcs.of("POST", one, "swap"), 204)
        self.assertEqual(self.master(one)["node_id"], third["node_id"])

        for n in (first, second):
            self.ok(self.weigh(one, n, 0), 204)
        self.refused(self.dcs.of("POST", one, "swap"), 400, "DCS.4253")
        self.connect(one).call("SET", "k", "v")
        os.kill(self.process(one), signal.SIGKILL)
        wait_for("the recovery", lambda: self.dcs.newest(one)["name"] == "AutoRecovery" and
                 self.dcs.newest(one)["status"] == "SUCCESS")
        self.running(one)
        self.assertEqual(self.master(one)["node_id"], third["node_id"])  # nobody else may
        self.assertEqual(self.connect(one).call("GET", "k"), "v")
        self.delete(one)

    def cli(self, *words, code=0):
        done = self.server.run(*words, "--data", str(self.server.data), check=False)
        self.assertEqual(done.returncode, code, done)
        return done

    def test_another_size_is_of_the_same_processor(self):
        one = self.create("more-processor", spec_code="redis.single.au1.tiny.128")
        shown = lambda: tuple(self.show(one)[key] for key in ("spec_code", "cpu_type"))
        offered = self.ok(self.dcs.ask("GET", "flavors", instance_id=one)).json["flavors"]
        self.assertEqual({f["cpu_type"] for f in offered}, {"aarch64"})
        self.assertEqual(shown(), ("redis.single.au1.tiny.128", "aarch64"))
        self.cli("cache", "resize", "more-processor", "256M", "--wait")
        self.assertEqual(shown(), ("redis.single.au1.tiny.256", "aarch64"))
        self.delete(one)

    def test_replicas_come_and_go_on_the_command_line(self):
        one = self.create("more-replicas", "ha")
        self.assertIn("one of SIZE", self.cli("cache", "resize", "more-replicas", code=64).stderr)
        self.assertIn("one of SIZE", self.cli("cache", "resize", "more-replicas", "1G",
                                              "--add-replica", code=64).stderr)
        self.assertIn("one replica more",
                      self.cli("cache", "resize", "more-replicas", "--add-replica", "--wait").stdout)
        shown = self.show(one)
        self.assertEqual(shown["replica_count"], 3)
        self.assertIn(".r3.", shown["spec_code"])
        added = max(self.nodes(one), key=lambda n: tuple(map(int, n["node_ip"].split("."))))
        text = self.cli("cache", "show", "more-replicas").stdout
        for n in self.nodes(one):
            self.assertRegex(text, f"{n['node_type']} +{n['node_ip']}:{n['node_port']} +weight 100 +{n['node_id']}")
        # A size keeps the replicas, and a replica's going keeps the size.
        self.cli("cache", "resize", "more-replicas", "256M", "--wait")
        self.assertIn(".r3.256", self.show(one)["spec_code"])
        self.assertIn("has no node", self.cli("cache", "resize", "more-replicas", "--remove-replica", "nobody",
                                              code=66).stderr)
        self.assertIn("DCS.4936", self.cli("cache", "resize", "more-replicas", "--remove-replica",
                                           self.master(one)["node_id"], code=64).stderr)
        self.assertIn("one replica less", self.cli("cache", "resize", "more-replicas", "--remove-replica",
                                                   added["node_ip"], "--wait").stdout)
        shown = self.show(one)
        self.assertEqual((shown["replica_count"], len(self.nodes(one))), (2, 2))
        self.assertIn(".r2.256", shown["spec_code"])
        self.delete(one)
        listed = self.ok(self.dcs.ask("GET", "instances", include_delete="true", instance_id=one)).json
        self.assertEqual([(i["instance_id"], i["status"]) for i in listed["instances"]], [(one, "DELETED")])
        self.assertEqual(self.ok(self.dcs.ask("GET", "instances", instance_id=one)).json["instance_num"], 0)


class Asked(DcsCase):
    def test_version_topology_and_checks(self):
        one = self.create("more-asked", "ha")
        wait_for("the keeper's first look", lambda: self.dcs.of("GET", one, "version").json["engine_minor_version"])
        version = self.ok(self.dcs.of("GET", one, "version")).json
        self.assertEqual(version["engine_minor_version"], self.connect(one).info("redis_version"))
        self.assertIs(version["engine_minor_version_upgradable"], False)
        nodes = self.ok(self.dcs.of("GET", one, "nodes")).json["redis_server"]
        self.assertEqual(sorted(n["node_type"] for n in nodes), ["master", "slave"])
        for n in nodes:
            for key, value in n.items():
                self.assertIsInstance(value, str, key)
        may = self.ok(self.dcs.of("GET", one, "operations", operation="extend")).json
        self.assertEqual(may["operations"], [{"operation": "extend", "is_support": True, "cause_id": None}])

        spec = self.show(one)["spec_code"]
        check = {"spec_code": spec.replace(".128", ".256"), "new_capacity": 0}
        answer = self.ok(self.dcs.of("POST", one, "resize", "check-job", body=check))
        self.assertEqual(self.dcs.ended(answer.json["job_id"])["status"], "SUCCESS")
        self.assertEqual(self.show(one)["spec_code"], spec)
        self.refused(self.dcs.of("POST", one, "resize", "check-job", body={"spec_code": "x"}), 400, "DCS.4927")

        answer = self.ok(self.dcs.of("PUT", one, "whitelist-async", body=OPEN_TO_ALL))
        job = self.dcs.ended(answer.json["job_id"])
        self.assertEqual((job["job_type"], job["status"]), ("AddWhitelist", "SUCCESS"))
        self.assertEqual(self.ok(self.dcs.of("GET", one, "config-histories")).json["history_num"], 0)
        self.delete(one)

    def test_a_whitelist_is_kept_and_all_are_told_that_nothing_enforces_it(self):
        one = self.create("more-whitelist")
        given = {"enable_whitelist": True, "whitelist": [
            {"group_name": "office", "ip_list": ["10.0.0.1,10.0.0.2", "10.1.0.0/16"]},
            {"group_name": "another", "ip_list": ["192.0.2.7"]}]}
        task = self.done(one, "AddWhitelist", self.dcs.of("PUT", one, "whitelist", body=given), 204)
        progress = self.ok(self.dcs.of("GET", one, "tasks", task["id"], "progress"))
        self.assertIn("nothing here enforces", json.dumps(progress.json))
        self.assertIn(f"cache.whitelist_not_enforced cache={one}", self.server.log())
        self.assertEqual(self.connect(one).call("PING"), "PONG")  # from an address that is not on it
        told = [f for f in json.loads(self.server.run("doctor", "--data", str(self.server.data), "--json").stdout)
                if "whitelist" in f["text"]]
        self.assertEqual([(f["check"], f["level"]) for f in told], [("redis", "note")], told)
        self.assertIn("more-whitelist", told[0]["text"])
        self.server.restart()
        shown = self.ok(self.dcs.of("GET", one, "whitelist")).json
        self.assertEqual({key: shown[key] for key in given}, given)
        self.refused(self.dcs.of("PUT", one, "whitelist", body={**given, "whitelist": [
            {"group_name": "all", "ip_list": ["0.0.0.0/0"]}]}), 400, "DCS.4800")
        self.assertEqual(self.ok(self.dcs.of("GET", one, "whitelist")).json, shown)
        self.delete(one)

    def test_a_long_name_is_cut_between_two_characters(self):
        one = self.create("more-names")
        # byte 200 is the last of a character's three
        self.connect(one).call("SET", "k" * 198 + "\u20ac" * 2, "v" * 20000)
        scan = self.ok(self.dcs.of("POST", one, "bigkey-task")).json["id"]
        def shown():
            answer = self.ok(self.dcs.of("GET", one, "bigkey-task", scan)).json
            return answer if answer["status"] in ("success", "failed") else None
        self.assertEqual([k["name"] for k in wait_for("the scan", shown)["keys"]], ["k" * 198])
        self.delete(one)

    def test_results_with_many_long_names_fit(self):
        """Twenty of each type whose names take six times their size, and a hundred long prefixes."""
        one = self.create("more-long-names")
        connection = self.connect(one)
        odd = "\x01" * 190
        for i in range(22):
            for words in (("SET", "s", "v"), ("RPUSH", "l", "v"), ("SADD", "t", "v"), ("ZADD", "z", 1, "v"),
                          ("HSET", "h", "f", "v"), ("XADD", "x", "*", "f", "v")):
                connection.call(words[0], f"{odd}{words[1]}{i}", *words[2:])

        def result(*path, **more):
            scan = self.ok(self.dcs.of("POST", one, *path, **more)).json
            scan = scan.get("id") or scan["task_id"]

            def shown():
                answer = self.ok(self.dcs.of("GET", one, *path, scan)).json
                return answer if answer["status"] in ("success", "failed") else None
            return wait_for("the analysis", shown)

        with self.subTest("big keys"):
            found = result("bigkey-task")
            self.assertEqual(found["status"], "success")
            self.assertEqual(len(found["keys"]), 120)
        connection.call("FLUSHALL")
        for name in ("zero\0", "zero\0one", "zero"):
            connection.call("SET", name, "v")
        with self.subTest("names with a byte that ends texts elsewhere"):
            names = sorted(key["name"] for key in result("bigkey-task")["keys"])
            self.assertEqual(names, ["zero", "zero\ufffd", "zero\ufffdone"])
        connection.call("FLUSHALL")
        for i in range(110):
            connection.call("SET", f"{i:03}{odd}:{'k' * 100}", "v" * 1000)
        node = self.dcs.of("GET", one, "logical-nodes").json["nodes"][0]["node_id"]
        with self.subTest("offline"):
            found = result("offline", "key-analysis", body={"node_id": node})
            self.assertEqual(found["status"], "success")
            self.assertEqual((len(found["largest_keys"]), len(found["largest_key_prefixes"])), (100, 100))
            self.assertIn(len(json.dumps(found["largest_keys"][0]["key"])) - 2, range(150, 201))
        self.delete(one)

    def test_no_value_is_too_odd_to_be_refused(self):
        one = self.create("more-odd", "ha")
        backup = self.ok(self.dcs.of("POST", one, "backups", body={})).json["backup_id"]
        self.done(one, "BACKUP")
        node = next(n for n in self.ok(self.dcs.of("GET", one, "logical-nodes")).json["nodes"]
                    if n["node_type"] == "slave")
        weight = ["groups", node["group_id"], "replications", node["node_id"], "slave-priority"]
        odd = [-1, 1.5, 1e300, True, "", "x" * 5000, "7", "ä", None, [], [1], {}, {"a": 1}, 10**18]
        for value in odd:
            for to, body in ((["backups", backup, "links"], {"expiration": value}),
                             (weight, {"slave_priority_weight": value}),
                             (["resize", "check-job"], {"spec_code": value, "new_capacity": 1}),
                             (["resize", "check-job"],
                              {"spec_code": self.show(one)["spec_code"], "new_capacity": value})):
                with self.subTest(to=to[-1], value=str(value)[:20]):
                    answer = self.dcs.of("POST", one, *to, body=body)
                    self.assertEqual(answer.status, 400, answer)
                    self.error_form(answer)
        for query in ({"log_type": "\0"}, {"query_time": "0x3"}, {"query_time": "-1"}, {"replication_id": "x" * 5000},
                      {"log_type": "run|run"}):
            self.refused(self.dcs.of("POST", one, "redislog", **query), 400, "DCS.4800")
        for query in ({"offset": -1}, {"limit": 0}, {"log_type": "x"}):
            self.refused(self.dcs.of("GET", one, "redislog", **query), 400, "DCS.4800")
        self.assertEqual(self.dcs.of("GET", one, "tasks").json["task_count"], "2")  # nothing came of all that
        self.delete(one)

    def recorded(self, instance):
        """Run ids by node number, as the engine has them."""
        with contextlib.closing(sqlite3.connect(self.server.data / "stint.db")) as db:
            (state,) = db.execute("SELECT state FROM cache WHERE uid = ?", (instance,)).fetchone()
        return {n["number"]: n["run_id"] for n in json.loads(state)["nodes"]}

    def wait_for_rewrite(self, instance):
        """A replica that has just got the master's data writes its append-only file anew, manifest and all."""
        nodes = self.dcs.of("GET", instance, "logical-nodes").json["nodes"]
        replica = next(n for n in nodes if n["node_type"] == "slave")
        with contextlib.closing(Redis(replica["node_ip"], int(replica["node_port"]), PASSWORD)) as node:
            wait_for("the rewrite", lambda: int(node.info("aof_rewrites")) > 0
                     and node.info("aof_rewrite_in_progress") == "0"
                     and node.info("aof_rewrite_scheduled") == "0")

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_a_failed_restart_leaves_its_processes_recorded(self):
        one = self.create("more-failed", "ha")
        self.connect(one).call("SET", "k", "v")
        before = self.recorded(one)
        self.wait_for_rewrite(one)
        folder = self.server.data / "cache" / one / "node-2" / "appendonlydir"
        for manifest in folder.glob("*.manifest"):
            manifest.write_text("this is no manifest\n")
        self.switch(one, "restart")
        task = next(t for t in self.dcs.of("GET", one, "tasks").json["tasks"] if t["name"] == "RESTART")
        self.assertEqual(self.dcs.ended(task["id"])["status"], "FAIL")
        after = self.recorded(one)
        self.assertNotEqual(after[1], before[1])
        self.assertEqual(after[1], self.connect(one).info("run_id"))
        for file in folder.glob("*"):
            file.unlink()
        wait_for("the recovery", lambda: self.dcs.newest(one)["name"] == "AutoRecovery" and
                 self.dcs.newest(one)["status"] == "SUCCESS", 60)
        self.running(one)
        self.assertEqual(self.connect(one).call("GET", "k"), "v")
        self.delete(one)


if __name__ == "__main__":
    unittest.main()
