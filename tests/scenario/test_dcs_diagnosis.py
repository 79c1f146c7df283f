"""Diagnosis reports over real redis-server processes: what is made to go wrong is found, on the node where it does."""
import threading
import time
import unittest

from stint_client import Dcs, Redis, wait_for
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
    def began(self, instance, since, nodes=None):
        body = {"begin_time": str(since), "end_time": str(now_ms())}
        if nodes is not None:
            body["node_ip_list"] = nodes
        return self.ok(self.dcs.of("POST", instance, "diagnosis", body=body)).json["report_id"]

    def listed(self, instance, report):
        reports = self.ok(self.dcs.of("GET", instance, "diagnosis", limit=100)).json["diagnosis_report_list"]
        return next(r for r in reports if r["report_id"] == report)

    def finished(self, instance, report):
        wait_for(f"report {report}", lambda: self.listed(instance, report)["status"] == "finished")
        return self.ok(self.dcs.ask("GET", "diagnosis", report)).json

    def diagnose(self, instance, since, nodes=None):
        report = self.finished(instance, self.began(instance, since, nodes))
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
                    self.assertTrue(item["impact_ids"] and item["advice_ids"], item)

    def node(self, report, role):
        return next(n for n in report["diagnosis_node_report_list"] if n["role"] == role)

    def item(self, node, name):
        return next(i for d in node["diagnosis_dimension_list"] for i in d["diagnosis_item_list"] if i["name"] == name)

    def causes(self, node, name, result="abnormal"):
        item = self.item(node, name)
        self.assertEqual(item["result"], result, item)
        return {c["id"]: c["params"] for c in item["cause_ids"] or []}

    def abnormal(self, node):
        return {i["name"] for d in node["diagnosis_dimension_list"] for i in d["diagnosis_item_list"]
                if i["result"] == "abnormal"}

    def commands(self, node):
        return {c["command_name"]: c for c in node["command_time_taken_list"]["command_list"]}

    def configure(self, instance, **settings):
        config = [{"param_name": k.replace("_", "-"), "param_value": str(v)} for k, v in settings.items()]
        self.assertEqual(self.dcs.of("PUT", instance, "configs", body={"redis_config": config}).status, 204)

    def refused(self, answer, code, says=""):
        self.assertEqual((answer.status, answer.code), (400, code), answer)
        self.assertIn(says, answer.json["error_msg"])

    def test_a_master_and_its_replica(self):
        instance = self.create("diagnosed", "ha")
        since = now_ms()
        redis = self.connect(instance)
        healthy = self.diagnose(instance, since)
        self.assertEqual((healthy["abnormal_item_sum"], healthy["failed_item_sum"]), (0, 0), healthy)
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

    def timed(self, node):
        """The commands are Redis' own figures, in milliseconds."""
        table, commands = node["command_time_taken_list"], self.commands(node)
        self.assertEqual((table["result"], table["total_num"]), ("succeed", len(table["command_list"])))
        self.assertEqual((commands["keys"]["calls_sum"], commands["get"]["calls_sum"]), (1, 1500))
        self.assertAlmostEqual(sum(c["usec_sum"] for c in commands.values()), table["total_usec_sum"], 2)
        self.assertEqual(commands["keys"]["usec_sum"], commands["keys"]["average_usec"])
        share = 100 * commands["keys"]["usec_sum"] / table["total_usec_sum"]
        self.assertAlmostEqual(float(commands["keys"]["per_usec"].rstrip("%")), share, 1)


if __name__ == "__main__":
    unittest.main()
