"""Diagnosis reports over real redis-server processes: what is made to go wrong is found, on the node where it does."""
import contextlib
import os
import resource
import signal
import threading
import time
import unittest

from stint_client import IS_QUICK, Dcs, Redis, wait_for
from test_dcs import ABSENT, PASSWORD, DcsCase

ITEMS = {
    "load": ["cpu_usage", "time_consuming_commands"],
    "storage": ["inner_memory_fragmentation", "persistence", "centralized_expiration", "memory_usage", "hit_ratio"],
    "network": ["connection_num", "rx_controlled"],
}
MIB = 1 << 20


def now_ms():
    return int(time.time() * 1000)


class Load:
    """Something done over and over by a thread, from the start of the block to its end."""

    def __init__(self, work):
        self.work, self.stop, self.error = work, threading.Event(), None
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.stop.is_set():
                self.work()
        except OSError as error:
            self.error = error

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        assert self.error is None, self.error


class Diagnosis(DcsCase):
    def began(self, instance, since, nodes=None, until=None):
        wait_for("a window that is not empty", lambda: now_ms() > since)
        body = {"begin_time": str(since), "end_time": str(until or now_ms())}
        if nodes is not None:
            body["node_ip_list"] = nodes
        return self.ok(self.dcs.of("POST", instance, "diagnosis", body=body)).json["report_id"]

    def listed(self, instance, report):
        reports = self.ok(self.dcs.of("GET", instance, "diagnosis", limit=100)).json["diagnosis_report_list"]
        return next(r for r in reports if r["report_id"] == report)

    def finished(self, instance, report):
        wait_for(f"report {report}", lambda: self.listed(instance, report)["status"] == "finished")
        return self.ok(self.dcs.ask("GET", "diagnosis", report)).json

    def diagnose(self, instance, since, nodes=None, until=None):
        report = self.finished(instance, self.began(instance, since, nodes, until))
        for node in report["diagnosis_node_report_list"]:
            self.well_formed(node)
        return report

    def well_formed(self, node):
        shape = {d["name"]: [i["name"] for i in d["diagnosis_item_list"]] for d in node["diagnosis_dimension_list"]}
        self.assertEqual(shape, ITEMS)
        words = [i["result"] for d in node["diagnosis_dimension_list"] for i in d["diagnosis_item_list"]]
        self.assertEqual((words.count("abnormal"), words.count("failed")), (node["abnormal_sum"], node["failed_sum"]))
        self.assertEqual((node["group_name"], node["az_code"]), ("group-0", self.zone()))
        for dimension in node["diagnosis_dimension_list"]:
            for item in dimension["diagnosis_item_list"]:
                if item["result"] != "abnormal":
                    self.assertEqual((item["cause_ids"], item["impact_ids"], item["advice_ids"]), (None,) * 3, item)
                else:
                    self.assertTrue(item["impact_ids"], item)

    def node(self, report, role):
        return next(n for n in report["diagnosis_node_report_list"] if n["role"] == role)

    def item(self, node, name):
        return next(i for d in node["diagnosis_dimension_list"] for i in d["diagnosis_item_list"] if i["name"] == name)

    def causes(self, node, name, result="abnormal"):
        item = self.item(node, name)
        self.assertEqual(item["result"], result, item)
        return {c["id"]: c["params"] for c in item["cause_ids"] or []}

    def maybe_causes(self, node, name):
        return [c["id"] for c in self.item(node, name)["cause_ids"] or []]

    def abnormal(self, node):
        """What was found but for what a busy machine brings about by itself."""
        return self.everything_abnormal(node) - {"cpu_usage", "persistence"}

    def everything_abnormal(self, node):
        return {i["name"] for d in node["diagnosis_dimension_list"] for i in d["diagnosis_item_list"]
                if i["result"] == "abnormal"}

    def commands(self, node):
        return {c["command_name"]: c for c in node["command_time_taken_list"]["command_list"]}

    def configure(self, instance, **settings):
        config = [{"param_name": k.replace("_", "-"), "param_value": str(v)} for k, v in settings.items()]
        self.assertEqual(self.dcs.of("PUT", instance, "configs", body={"redis_config": config}).status, 204)

    def refused(self, answer, code, says="", status=400):
        super().refused(answer, status, code)
        self.assertIn(says, answer.json["error_msg"])

    def test_a_master_and_its_replica(self):
        instance = self.create("diagnosed", "ha")
        born = now_ms()
        redis = self.connect(instance)
        healthy = self.diagnose(instance, born)
        self.assertEqual([self.abnormal(n) for n in healthy["diagnosis_node_report_list"]], [set(), set()], healthy)
        self.assertEqual(healthy["failed_item_sum"], 0, healthy)
        self.assertEqual([n["role"] for n in healthy["diagnosis_node_report_list"]], ["master", "slave"])

        self.configure(instance, slowlog_log_slower_than=100)
        for i in range(0, 20000, 500):
            redis.call("MSET", *(w for k in range(i, i + 500) for w in (f"k{k}", "v")))
        since = now_ms()
        redis.call("KEYS", "*")
        for i in range(1500):
            redis.call("GET", f"absent{i}")
        redis.call("SETRANGE", "large", 104 * MIB - 1, "x")
        report = self.diagnose(instance, since)
        master, slave = self.node(report, "master"), self.node(report, "slave")
        self.assertEqual(self.abnormal(master), {"time_consuming_commands", "memory_usage", "hit_ratio"}, master)
        self.assertIn("keys", self.causes(master, "time_consuming_commands")[10]["COMMANDS"])
        self.assertEqual(self.causes(master, "memory_usage")[5]["THRESHOLD"], "80%")
        self.assertEqual(self.causes(master, "hit_ratio")[8], {"THRESHOLD": "80%", "VALUE": "0%"})
        self.assertNotIn("hit_ratio", self.abnormal(slave))  # nobody reads there
        self.assertIn("memory_usage", self.abnormal(slave))
        self.assertEqual(report["abnormal_item_sum"], master["abnormal_sum"] + slave["abnormal_sum"])
        self.timed(master)
        before = self.node(self.diagnose(instance, born, until=born + 5), "master")  # no slow command was there then
        self.assertEqual(self.abnormal(before), {"memory_usage", "hit_ratio"}, before)

    def timed(self, node):
        """The commands are Redis' own figures, in milliseconds."""
        table, commands = node["command_time_taken_list"], self.commands(node)
        self.assertEqual((table["result"], table["total_num"]), ("succeed", len(table["command_list"])))
        self.assertEqual((commands["keys"]["calls_sum"], commands["get"]["calls_sum"]), (1, 1500))
        self.assertAlmostEqual(sum(c["usec_sum"] for c in commands.values()), table["total_usec_sum"], 2)
        self.assertEqual(commands["keys"]["usec_sum"], commands["keys"]["average_usec"])
        share = 100 * commands["keys"]["usec_sum"] / table["total_usec_sum"]
        self.assertAlmostEqual(float(commands["keys"]["per_usec"].rstrip("%")), share, 1)

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_keys_that_end_together_and_memory_in_shreds(self):
        instance = self.create("shreds", rename_commands={"keys": "all_names", "scan": "walk"})
        self.configure(instance, slowlog_log_slower_than=100)
        redis = self.connect(instance)
        value = "x" * 900
        for i in range(0, 80000, 400):
            redis.call("MSET", *(w for k in range(i, i + 400) for w in (f"k{k}", value)))
        for i in range(0, 80000, 400):  # one in ten stays, and holds its page
            redis.call("DEL", *(f"k{k}" for k in range(i, i + 400) if k % 10))
        redis.call("SELECT", 3)
        end = int(time.time()) + 3600
        for i in range(2000):
            redis.call("SET", f"e{i}", "v", "EXAT", end if i % 2 else end + i)
        redis.call("SELECT", 0)
        redis.call("ALL_NAMES", "*")
        node = self.diagnose(instance, now_ms() - 5)["diagnosis_node_report_list"][0]
        self.assertEqual(self.abnormal(node), {"inner_memory_fragmentation", "centralized_expiration",
                                               "time_consuming_commands"}, node)
        self.assertIn("keys", self.causes(node, "time_consuming_commands")[10]["COMMANDS"])  # as Redis calls it
        self.assertGreater(float(self.causes(node, "inner_memory_fragmentation")[7]["VALUE"]), 1.5)
        self.assertIn(9, self.causes(node, "centralized_expiration"))
        self.assertEqual(self.item(node, "centralized_expiration")["advice_ids"], [{"id": 6, "params": None}])

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_connections_and_traffic(self):
        instance = self.create("crowd")
        self.configure(instance, maxclients=1000)
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        shown = self.show(instance)
        writer = self.connect(instance)
        crowd = [Redis(shown["ip"], shown["port"], PASSWORD) for _ in range(810)]
        self.addCleanup(lambda: [c.close() for c in crowd])
        large = "x" * MIB
        with Load(lambda: writer.call("SET", "large", large)):  # far above 40 Mbit/s
            node = self.diagnose(instance, now_ms() - 5)["diagnosis_node_report_list"][0]
        self.assertLessEqual({"connection_num", "rx_controlled"}, self.abnormal(node), node)
        self.assertTrue(self.causes(node, "connection_num")[1]["VALUE"].startswith("81."), node)
        self.assertIn(2, self.causes(node, "rx_controlled"))

        with contextlib.suppress(ConnectionError):  # until none is left, for the server neither
            while True:
                crowd.append(Redis(shown["ip"], shown["port"], PASSWORD))
        report = self.diagnose(instance, now_ms() - 5)
        node = report["diagnosis_node_report_list"][0]
        self.assertEqual((self.abnormal(node), report["failed_item_sum"]), ({"connection_num"}, 8), report)
        self.assertEqual(node["command_time_taken_list"]["result"], "failed")

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_a_replica_that_cannot_save_and_one_that_hangs(self):
        instance = self.create("replica", "ha")
        nodes = self.ok(self.dcs.of("GET", instance, "logical-nodes")).json["nodes"]
        host = next(n["node_ip"] for n in nodes if n["node_type"] == "slave")
        dump = next(self.server.data.glob(f"cache/{instance}/node-2")) / "dump.rdb"
        dump.unlink(missing_ok=True)
        dump.mkdir()  # no file can take this name now
        self.ok(self.dcs.of("POST", instance, "backups", body={}))
        self.assertEqual(self.dcs.ended(self.dcs.newest(instance)["id"])["status"], "FAIL")
        report = self.diagnose(instance, now_ms() - 5)
        self.assertNotIn(4, self.maybe_causes(self.node(report, "master"), "persistence"))
        self.assertEqual(self.causes(self.node(report, "slave"), "persistence")[4], None)
        self.assertEqual(self.item(self.node(report, "slave"), "persistence")["impact_ids"][0],
                         {"id": 4, "params": None})
        dump.rmdir()

        process = self.process(instance, host)
        os.kill(process, signal.SIGSTOP)
        try:
            report = self.diagnose(instance, now_ms() - 5)
        finally:
            with contextlib.suppress(ProcessLookupError):  # the keeper was faster
                os.kill(process, signal.SIGCONT)
        slave = self.node(report, "slave")
        self.assertEqual((slave["failed_sum"], slave["abnormal_sum"], report["failed_item_sum"]), (9, 0, 9), report)
        wait_for("the replica to answer", lambda: self.answers(instance, host))
        only = self.diagnose(instance, now_ms() - 5, [host])["diagnosis_node_report_list"]
        self.assertEqual([(n["role"], n["node_ip"].rsplit(":", 1)[0], n["failed_sum"]) for n in only],
                         [("slave", host, 0)])

    def answers(self, instance, host):
        try:
            return self.process(instance, host)
        except OSError:
            return None

    def test_reports_are_refused_listed_and_deleted(self):
        instance = self.create("reports")
        born = now_ms()
        first = self.began(instance, born)
        self.refused(self.dcs.of("POST", instance, "diagnosis",
                                 body={"begin_time": str(born), "end_time": str(now_ms())}),
                     "DCS.4026", "diagnosis")
        self.assertEqual(self.deleted(instance, first), ["failed"])  # not over
        self.finished(instance, first)
        second = self.began(instance, born)
        self.server.process.kill()  # in the middle: it is taken up again
        self.server.process.wait()
        self.server.start()
        self.assertEqual(self.finished(instance, second)["failed_item_sum"], 0)
        now = now_ms()
        for begin, end, code in ((now, now, "DCS.4025"), (now - 600001, now, "DCS.4028"),
                                 (now, now + 60000, "DCS.4031"),
                                 (now - 8 * 86400000, now - 8 * 86400000 + 1, "DCS.4030"),
                                 (born - 60000, now, "DCS.4033")):
            body = {"begin_time": str(begin), "end_time": str(end)}
            self.refused(self.dcs.of("POST", instance, "diagnosis", body=body), code)
        self.refused(self.dcs.of("POST", instance, "diagnosis", body={"begin_time": str(born), "end_time": str(now),
                                                                       "node_ip_list": ["127.0.0.1"]}),
                     "DCS.4062", "node_ip_list")
        self.refused(self.dcs.of("POST", ABSENT, "diagnosis", body={}), "DCS.3022", status=404)
        self.refused(self.dcs.ask("GET", "diagnosis", ABSENT), "DCS.4063", "report_id")
        stranger = Dcs("127.0.0.1", self.server.port, **self.other_project())
        self.refused(stranger.ask("GET", "diagnosis", first), "DCS.4063")
        self.assertEqual([r["report_id"] for r in self.reports(instance)], [second, first])
        self.assertEqual(self.deleted(instance, first, ABSENT, first), ["success", "failed", "failed"])
        self.assertEqual([r["report_id"] for r in self.reports(instance)], [second])
        self.refused(self.dcs.ask("GET", "diagnosis", first), "DCS.4063")

    def other_project(self):
        key = self.server.key()
        return {"key_id": key["access_key_id"], "secret": key["access_key_secret"], "project": key["project_id"]}

    def reports(self, instance):
        return self.ok(self.dcs.of("GET", instance, "diagnosis")).json["diagnosis_report_list"]

    def deleted(self, instance, *reports):
        answer = self.ok(self.dcs.of("DELETE", instance, "diagnosis", body={"report_id_list": list(reports)}))
        self.assertEqual([r["id"] for r in answer.json["results"]], list(reports))
        return [r["result"] for r in answer.json["results"]]


if __name__ == "__main__":
    unittest.main()
