"""A Redis instance under load while it is administered: redis-benchmark hammers it, writers note what was acknowledged,
and after every operation all of that is read back. Then the master is killed, and what is protected is told apart
from what is not (docs/cache.md, "Who protects what in a failover")."""
import os
import shutil
import signal
import subprocess
import threading
import time
import unittest

from stint_client import Redis, redis_processes, wait_for
from test_dcs import IS_QUICK, PASSWORD, DcsCase

SWITCHOVERS = 1 if IS_QUICK else 5        # before the last one
WRITES_BETWEEN = 20 if IS_QUICK else 150   # of each writer, after each operation
ANALYSES = 2 if IS_QUICK else 20
PACE_S = 0.001
SHOWS_FIGURES = bool(os.environ.get("STINT_FIGURES"))
CONNECTIONS = "2" if IS_QUICK else "8"     # of redis-benchmark; the quick run shares the machine with other tests
AT_ONCE = 1000                             # keys read back by one command


class Writer(threading.Thread):
    """Writes keys that nobody else writes, one after the other, and counts in Redis; notes what was acknowledged.

    A write whose answer was lost is in doubt: its key is never written again and may be there or not. After any error
    it asks the API for the address and connects anew, as clients do. With `waits` a write counts when a replica has it.
    """

    def __init__(self, case, instance, name, waits=False):
        super().__init__(daemon=True)
        self.case, self.instance, self.name, self.waits = case, instance, name, waits
        self.password = PASSWORD
        self.acknowledged = []   # numbers of keys
        self.tried = 0
        self.counted = 0         # the last answer of INCR
        self.connects = []       # how many were tried before each connection
        self.pause_s = 0         # the longest time without an acknowledged write
        self.stopping = threading.Event()
        self.fault = None

    def run(self):
        connection, last = None, time.monotonic()
        while not self.stopping.is_set():
            try:
                connection = connection or self.connect()
                self.write(connection)
                last, before = time.monotonic(), last
                self.pause_s = max(self.pause_s, last - before)
            except OSError:
                if connection:
                    connection.close()
                connection = None
            except Exception as fault:  # told by check(): a thread cannot fail a test
                self.fault = fault
                return
            self.stopping.wait(PACE_S)
        if connection:
            connection.close()

    def connect(self):
        shown = self.case.dcs.of("GET", self.instance).json
        connection = Redis(shown["ip"], shown["port"], self.password, timeout=5)
        self.connects.append(self.tried)
        return connection

    def write(self, connection):
        number, self.tried = self.tried, self.tried + 1
        connection.call("SET", self.key(number), self.value(number))
        if self.waits and connection.call("WAIT", 1, 3000) < 1:
            return
        self.acknowledged.append(number)
        count = connection.call("INCR", f"{self.name}:count")
        if count <= self.counted:
            raise AssertionError(f"{self.name}: INCR answered {count} after {self.counted}")
        self.counted = count

    def key(self, number):
        return f"{self.name}:{number}"

    def value(self, number):
        return f"value {number} of {self.name}"

    def wait_for_writes(self, n, what):
        target = len(self.acknowledged) + n
        wait_for(f"{n} writes of {self.name} {what}", lambda: len(self.acknowledged) >= target or self.fault)
        self.case.assertIsNone(self.fault)

    def lost(self, connection, numbers=None):
        """Those acknowledged that are not there, or not as they were written."""
        numbers = self.acknowledged[:] if numbers is None else numbers
        out = []
        for first in range(0, len(numbers), AT_ONCE):
            part = numbers[first:first + AT_ONCE]
            values = connection.call("MGET", *(self.key(n) for n in part))
            out += [n for n, value in zip(part, values) if value != self.value(n)]
        return out

    def stop(self):
        self.stopping.set()
        self.join()
        self.case.assertIsNone(self.fault)


class Benchmark(threading.Thread):
    """redis-benchmark, again and again: it ends when its connections are cut."""

    def __init__(self, case, instance):
        super().__init__(daemon=True)
        self.case, self.instance, self.password = case, instance, PASSWORD
        self.stopping = threading.Event()
        self.process = None
        self.whole = self.cut = 0   # runs

    def run(self):
        while not self.stopping.is_set():
            try:
                shown = self.case.dcs.of("GET", self.instance).json
            except OSError:   # no server at the moment
                self.stopping.wait(0.05)
                continue
            self.process = subprocess.Popen(
                ["redis-benchmark", "-h", shown["ip"], "-p", str(shown["port"]), "-a", self.password, "-c", CONNECTIONS,
                 "-n", "4000", "-r", "1000", "-d", "100", "-q", "-t", "set,get,incr,hset,sadd,zadd,mset"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if self.process.wait() == 0:
                self.whole += 1
            else:
                self.cut += 1
                self.stopping.wait(0.05)

    def stop(self):
        self.stopping.set()
        if self.process and self.process.poll() is None:
            self.process.terminate()
        self.join()


class Load(DcsCase):
    def setUp(self):
        if not shutil.which("redis-benchmark"):
            self.skipTest("redis-benchmark is not installed")
        self.password = PASSWORD
        self.expected = ["CREATE"]   # names of the tasks there must be, oldest first
        self.one = self.create("load", "ha")
        self.addCleanup(self.away)
        self.writers = [Writer(self, self.one, "plain"), Writer(self, self.one, "waiting", waits=True)]
        self.benchmark = Benchmark(self, self.one)
        for thread in (*self.writers, self.benchmark):
            thread.start()
            self.addCleanup(thread.stop)
        self.go_on("at the start")

    def away(self):
        wait_for("the deletion", lambda: self.dcs.of("DELETE", self.one).status == 204)

    def go_on(self, what):
        for writer in self.writers:
            writer.wait_for_writes(WRITES_BETWEEN, what)

    def nothing_lost(self, what, host=None):
        shown = self.show(self.one)
        connection = Redis(host or shown["ip"], shown["port"], self.password)
        try:
            for writer in self.writers:
                noted, counted = writer.acknowledged[:], writer.counted
                self.assertEqual(writer.lost(connection, noted), [],
                                 f"{what}: {len(noted)} of {writer.name} were acknowledged")
                count = int(connection.call("GET", f"{writer.name}:count"))
                self.assertTrue(counted <= count <= writer.tried, f"{what}: {counted} <= {count} <= {writer.tried}")
        finally:
            connection.close()

    def administer(self, name, ask, status, keeps_connections):
        """One operation under load: its task ends well, writes go on, nothing acknowledged is lost."""
        connects = self.connects()
        for writer in self.writers:
            writer.pause_s = 0
        task = self.done(self.one, name, ask(), status)
        self.expected.append(name)
        self.running(self.one)
        self.go_on(f"after {name}")
        if SHOWS_FIGURES:
            print(f"{name}: {' '.join(f'{w.name} {w.pause_s * 1000:.0f}' for w in self.writers)} ms without a write")
        self.nothing_lost(name)
        if keeps_connections:
            self.assertEqual(self.connects(), connects, f"{name} cut connections")
        return task

    def connects(self):
        return [len(w.connects) for w in self.writers]

    def names(self):
        return [t["name"] for t in reversed(self.dcs.of("GET", self.one, "tasks", limit=1000).json["tasks"])]

    # -- operations --

    def resize(self, mib, **more):
        spec = self.show(self.one)["spec_code"].rsplit(".", 1)[0]
        return self.dcs.of("POST", self.one, "resize", body={"spec_code": f"{spec}.{mib}", "new_capacity": 0, **more})

    def node(self, role):
        nodes = self.ok(self.dcs.of("GET", self.one, "logical-nodes")).json["nodes"]
        return next(n for n in nodes if n["node_type"] == role)

    def resize_both_ways(self):
        for mib in (256, 128):
            task = self.administer("EXTEND", lambda: self.resize(mib), 204, keeps_connections=True)
            self.assertEqual(task["details"]["new_capacity"], str(mib / 1024))
            self.assertEqual(self.show(self.one)["max_memory"], mib)

    def change_replicas(self):
        self.administer("AddReplica", lambda: self.resize(128, change_type="createReplication",
                                                          available_zones=[self.zone()]), 204, keeps_connections=True)
        node = self.node("slave")["node_id"]
        self.administer("DelReplica", lambda: self.resize(128, change_type="deleteReplication", node_list=[node]), 204,
                        keeps_connections=True)

    def switch_over(self, times):
        for _ in range(times):
            before = self.node("master")["node_id"]
            self.administer("masterStandbySwapJob", lambda: self.dcs.of("PUT", self.one, "async-swap"), 200,
                            keeps_connections=False)
            self.assertNotEqual(self.node("master")["node_id"], before)

    def configure(self):
        changes = [("timeout", "300"), ("appendfsync", "always"), ("appendfsync", "everysec"),
                   ("maxmemory-policy", "noeviction")]
        for name, value in changes[:1] if IS_QUICK else changes:
            body = {"redis_config": [{"param_id": "", "param_name": name, "param_value": value}]}
            self.administer("UpdateConfig", lambda: self.dcs.of("PUT", self.one, "configs", body=body), 204,
                            keeps_connections=True)

    def change_password(self):
        kept, new = self.connect(self.one, self.password), "Under-Load-2"
        body = {"old_password": self.password, "new_password": new}
        answer = self.ok(self.dcs.of("PUT", self.one, "password", body=body))
        self.assertEqual(answer.json["result"], "success")
        old, self.password = self.password, new
        connects = self.connects()
        for thread in (*self.writers, self.benchmark):
            thread.password = new
        self.expected.append("modify")
        self.go_on("after the change of the password")
        self.nothing_lost("change of the password")
        self.assertEqual(kept.call("PING"), "PONG")
        self.assertEqual(self.connects(), connects, "the change of the password cut connections")
        with self.assertRaisesRegex(ConnectionError, "WRONGPASS"):
            self.connect(self.one, old)

    def restart(self):
        body = {"instances": [self.one], "action": "restart"}
        self.administer("RESTART", lambda: self.dcs.ask("PUT", "instances", "status", body=body), 200,
                        keeps_connections=False)

    def kill_the_server(self):
        """Redis outlives it, and nobody who is connected notices."""
        connects = self.connects()
        self.server.kill()
        self.go_on("without the server")
        self.server.start()
        self.running(self.one)
        self.go_on("with a new server")
        self.nothing_lost("the death of the server")
        self.assertEqual(self.connects(), connects, "the death of the server cut connections")

    # -- tests --

    def test_administered_under_load(self):
        self.resize_both_ways()
        self.switch_over(SWITCHOVERS)
        if not IS_QUICK:
            self.change_replicas()
        before = {w: w.acknowledged[:] for w in self.writers}
        self.administer("BACKUP", lambda: self.dcs.of("POST", self.one, "backups", body={}), 200,
                        keeps_connections=True)
        self.configure()
        self.change_password()
        self.kill_the_server()
        self.restart()
        self.switch_over(1)
        for thread in (*self.writers, self.benchmark):
            thread.stop()
        self.assertGreater(self.benchmark.whole + self.benchmark.cut, 1)
        self.nothing_lost("the end")
        # A task nobody asked for would be a recovery of what was not broken.
        self.assertEqual(self.names(), self.expected)
        self.the_replica_has_it_all()
        self.the_backup_has(before)

    def the_replica_has_it_all(self):
        connection = self.connect(self.one, self.password)
        connection.call("SET", "last", "write")
        self.assertEqual(connection.call("WAIT", 1, 10000), 1)
        self.nothing_lost("on the replica", self.node("slave")["node_ip"])

    def the_backup_has(self, before):
        """What was acknowledged before the backup was asked for is in it; what came after its end is not."""
        backup = self.ok(self.dcs.of("GET", self.one, "backups")).json["backup_record_response"][0]["backup_id"]
        self.done(self.one, "RESTORE", self.dcs.of("POST", self.one, "restores", body={"backup_id": backup}))
        self.running(self.one)
        connection = self.connect(self.one, self.password)
        for writer, noted in before.items():
            self.assertEqual(writer.lost(connection, noted), [])
            self.assertIsNone(connection.call("GET", writer.key(writer.acknowledged[-1])))
        self.assertIsNone(connection.call("GET", "last"))

    def recovered(self):
        wait_for("the task AutoRecovery", lambda: "AutoRecovery" in self.names())
        wait_for("its end", lambda: self.dcs.newest(self.one)["status"] == "SUCCESS")
        self.running(self.one)
        self.go_on("after the recovery")
        self.benchmark.stop()
        for writer in self.writers:
            writer.stop()

    def kill_under_load(self, pids):
        wait_for("load", lambda: self.benchmark.whole or self.benchmark.cut)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.recovered()

    def only_the_end_is_lost(self):
        """Replication is asynchronous: what no replica had yet is lost with the master, and nothing else is. So of what
        one client wrote in a row the end may be missing, never the middle, and nothing that WAIT has confirmed. What is
        lost is lost everywhere: two histories would be worse than a short one."""
        plain, waiting = self.writers
        connection = self.connect(self.one)
        self.assertEqual(waiting.lost(connection), [])
        lost = plain.lost(connection)
        self.only_the_end_of_a_connection(plain, lost)
        wait_for("the other node as a replica", lambda: connection.info("connected_slaves") == "1")
        connection.call("SET", "last", "write")
        wait_for("the replica in step", lambda: connection.call("WAIT", 1, 1000) == 1)
        replica = self.connect_to(self.node("slave")["node_ip"])
        self.assertEqual(plain.lost(replica), lost)
        self.assertEqual(replica.call("DBSIZE"), connection.call("DBSIZE"))

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_master_killed_under_load(self):
        first = self.node("master")["node_id"]
        self.kill_under_load([self.process(self.one)])
        self.assertNotEqual(self.node("master")["node_id"], first)
        self.only_the_end_is_lost()

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_all_nodes_killed_under_load(self):
        self.kill_under_load(redis_processes(self.server.data / "cache" / self.one))
        self.only_the_end_is_lost()

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_replica_killed_under_load(self):
        """Clients of the master notice nothing, but those who wait for a replica."""
        connects, first = self.connects(), self.node("master")["node_id"]
        self.kill_under_load([self.process(self.one, self.node("slave")["node_ip"])])
        self.assertEqual((self.connects(), self.node("master")["node_id"]), (connects, first))
        self.nothing_lost("the death of the replica")
        self.the_replica_has_it_all()

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_too_much_data_for_a_smaller_size(self):
        """Filled faster than the server looks: the request is refused or its task fails, and all is as it was."""
        self.administer("EXTEND", lambda: self.resize(256), 204, keeps_connections=True)
        connection = self.connect(self.one)
        for i in range(40):
            connection.call("SET", f"large:{i}", "x" * (4 << 20))
        answer = self.resize(128)
        if answer.status == 204:
            job = self.dcs.ended(self.dcs.newest(self.one)["id"])
            self.assertEqual(job["status"], "FAIL")
            self.assertTrue(job["fail_reason"])
        else:
            self.refused(answer, 400, "DCS.4012")
        self.running(self.one)
        shown = self.show(self.one)
        self.assertEqual((shown["max_memory"], shown["spec_code"].rsplit(".", 1)[1]), (256, "256"))
        self.assertEqual(connection.info("maxmemory"), str(256 << 20))
        self.assertEqual(connection.call("EXISTS", *(f"large:{i}" for i in range(40))), 40)
        self.go_on("after the resize that could not be")
        self.nothing_lost("the resize that could not be")

    def connect_to(self, host):
        connection = Redis(host, self.show(self.one)["port"], self.password)
        self.addCleanup(connection.close)
        return connection

    def only_the_end_of_a_connection(self, writer, lost):
        """Those lost follow each other without a gap, and the next one acknowledged came over a new connection."""
        if not lost:
            return
        at, numbers = writer.acknowledged.index(lost[0]), writer.acknowledged
        self.assertEqual(numbers[at:at + len(lost)], lost, "a hole in what was kept")
        after = numbers[at + len(lost)]
        is_end = any(lost[-1] < first <= after for first in writer.connects)
        self.assertTrue(is_end, f"{lost} are not the end of a connection")


class Beside(DcsCase):
    """Analyses run beside operations, also beside one that exchanges the roles of the nodes they look at."""

    KINDS = (("offline", "key-analysis"), ("bigkey-task",), ("auto-expire", "scan"))

    def test_analyses_beside_switchovers(self):
        one = self.create("beside", "ha", instance_backup_policy=None)
        connection = self.connect(one)
        for i in range(200):
            connection.call("SET", f"key:{i}", i)
        node = self.dcs.of("GET", one, "logical-nodes").json["nodes"][0]["node_id"]
        stop = threading.Event()

        def swap():
            while not stop.is_set():
                answer = self.dcs.of("PUT", one, "async-swap")
                if answer.status == 200:
                    self.dcs.ended(answer.json["job_id"])

        swapping = threading.Thread(target=swap)
        swapping.start()
        try:
            for _ in range(ANALYSES):
                for kind in self.KINDS:
                    body = {"node_id": node} if kind[0] == "offline" else None
                    self.ok(self.dcs.of("POST", one, *kind, body=body))
                wait_for("the analyses", lambda: all(
                    t["status"] in ("SUCCESS", "FAILED") for t in self.analyses(one)))
        finally:
            stop.set()
            swapping.join()
        failed = [self.dcs.ask("GET", "jobs", t["id"]).json for t in self.analyses(one) if t["status"] != "SUCCESS"]
        self.assertEqual(failed, [])
        self.assertEqual(len(self.analyses(one)), ANALYSES * len(self.KINDS))
        found = self.dcs.of("GET", one, "offline", "key-analysis", limit=1000).json["records"]
        for record in found:
            told = self.dcs.of("GET", one, "offline", "key-analysis", record["id"]).json
            self.assertEqual(told["total_num"], 200)
        self.delete(one)

    def analyses(self, one):
        tasks = self.dcs.of("GET", one, "tasks", limit=1000).json["tasks"]
        return [t for t in tasks if t["name"] not in ("CREATE", "masterStandbySwapJob")]


if __name__ == "__main__":
    unittest.main()
