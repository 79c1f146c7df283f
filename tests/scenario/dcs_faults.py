"""What the fault scenarios of Redis instances (test_dcs_faults_*.py) share: the operations, the victims, stopping an
operation at a step, and the check that all is as it should be afterwards (docs/cache.md, "Operations cut off").

A case is an operation, a victim and a step. The task's child stops itself at its n-th passing of a crash point
(src/base/crash.h), so what dies, dies exactly there; n grows until the operation ends without having stopped.
"cache.step" is passed at the steps a task tells, "cache.act" after each single thing it does (a file, a process, a
setting). A full run takes every case, a quick one a sample that STINT_TEST_SEED draws. FAULT_ONLY="flush restore": only
these operations.
"""
import contextlib
import os
import pathlib
import re
import signal
import threading
import time
import zlib

from stint_client import Redis, process_alive, redis_processes, wait_for
from test_dcs import IS_QUICK, PASSWORD, DcsCase, free_port

STEPS_MAX = 60
WRONG_MAX = 3
SETTLED_S = 90
SAMPLE_OF = 5
SAMPLE_STEPS = 8  # a step of the first so many
SEED = os.environ.get("STINT_TEST_SEED", "1")
NODE_FILES = re.compile(r"redis\.conf|redis\.log(\.1)?|redis\.pid|dump\.rdb|appendonlydir")
AOF_FILES = re.compile(r"appendonly\.aof\.(manifest|\d+\.(base\.(rdb|aof)|incr\.aof))")


def draw(*what):
    """A number that is always the same for the same seed."""
    return zlib.crc32(" ".join(map(str, (SEED, *what))).encode())


def is_chosen(*what, of=SAMPLE_OF):
    return not IS_QUICK or draw(*what) % of == 0


class Operation:
    """Its name, how it is asked for, what must be before, and what a success changes in the case's expectations.
    after: more to look at when it succeeded. replaces: all data goes; is_scan: an analysis, which answers at once."""

    def __init__(self, name, ask, before=None, success=None, after=None, replaces=False, is_scan=False):
        self.name, self.ask, self.before, self.success, self.after = name, ask, before, success, after
        self.replaces, self.is_scan = replaces, is_scan


def spec_of(case, size=None):
    spec = case.show(case.one)["spec_code"]
    if size:
        spec = re.sub(r"\d+$", str(size), spec)
    return spec


def resize(case):
    size = 256 if spec_of(case).endswith("128") else 128
    return case.of("POST", "resize", body={"spec_code": spec_of(case, size), "new_capacity": 0})


def add_replica(case):
    return case.of("POST", "resize", body={"spec_code": spec_of(case), "new_capacity": 0,
                                           "change_type": "createReplication", "available_zones": [case.zone()]})


def del_replica(case):
    nodes = case.of("GET", "logical-nodes").json["nodes"]
    victim = next(n["node_id"] for n in nodes if n["node_type"] == "slave")
    return case.of("POST", "resize", body={"spec_code": spec_of(case), "new_capacity": 0,
                                           "change_type": "deleteReplication", "node_list": [victim]})


def action(word):
    def ask(case):
        answer = case.dcs.ask("PUT", "instances", "status", body={"instances": [case.one], "action": word})
        is_taken = answer.status != 200 or answer.json["results"][0]["result"] == "success"
        return answer if is_taken else None  # one of several is not told why
    return ask


def password(case):
    case.new_password = f"Stint-Test-{case.number()}"
    return case.of("PUT", "password", body={"old_password": case.password, "new_password": case.new_password})


def port(case):
    case.new_port = free_port()
    return case.of("PUT", body={"port": case.new_port})


def configure(case):
    return case.of("PUT", "async-configs", body={"redis_config": [
        {"param_id": "1", "param_name": "timeout", "param_value": str(case.number() % 7000 + 100)}]})


def rename(case):
    case.new_renames = {"keys": f"keys{case.number()}"}
    return case.of("PUT", body={"rename_commands": case.new_renames})


def restore(case):
    return case.of("POST", "restores", body={"backup_id": case.backup_id})


def has_three(case, wanted):
    """Bring the instance to three nodes, or back to two, before the case."""
    is_three = case.show(case.one)["replica_count"] == 3
    if is_three != wanted:
        case.plain("AddReplica" if wanted else "DelReplica", add_replica if wanted else del_replica)


def counts_uses(case):
    """Hot keys are only looked for under a policy that counts; it is set once."""
    config = case.of("GET", "configs").json["redis_config"]
    policy = next(c for c in config if c["param_name"] == "maxmemory-policy")
    if policy["param_value"] != "allkeys-lfu":
        wanted = {k: policy[k] for k in ("param_id", "param_name")} | {"param_value": "allkeys-lfu"}
        case.plain("UpdateConfigurations", lambda c: c.of("PUT", "async-configs", body={"redis_config": [wanted]}))


def newest(case, name, *segments):
    """The newest record of an analysis."""
    return case.of("GET", *segments, limit=1).json[name][0]


def found_hot_keys(case):
    scan = newest(case, "records", "hotkey-tasks")
    keys = case.of("GET", "hotkey-task", scan["id"]).json["keys"]
    names = {k["name"] for k in keys}
    case.assertTrue(names and names <= set(case.data), names)


def has_expired_keys(case):
    case.expiring = 200


def walked_all_keys(case):
    case.assertEqual(newest(case, "records", "auto-expire", "histories")["status"], "success")


def diagnose(case):
    begin = int(case.made_at * 1000)
    return case.of("POST", "diagnosis", body={"begin_time": str(begin), "end_time": str(int(time.time() * 1000))})


def judged_each_node(case):
    """Every node is in the report, one that was dead with nothing but failed items."""
    report = newest(case, "diagnosis_report_list", "diagnosis")
    case.assertEqual(report["status"], "finished")
    shown = case.dcs.ask("GET", "diagnosis", report["report_id"]).json
    nodes = shown["diagnosis_node_report_list"]
    case.assertEqual(len(nodes), len(case.nodes()), nodes)
    for node in nodes:
        items = [i for d in node["diagnosis_dimension_list"] for i in d["diagnosis_item_list"]]
        case.assertEqual(len(items), 9)
        case.assertEqual(node["failed_sum"], sum(i["result"] == "failed" for i in items))


OPERATIONS = [
    Operation("resize", resize),
    Operation("add-replica", add_replica, before=lambda c: has_three(c, False)),
    Operation("del-replica", del_replica, before=lambda c: has_three(c, True)),
    Operation("restart", action("restart")),
    Operation("soft-restart", action("soft_restart")),
    Operation("flush", action("flush"), success=lambda c: c.expect({}), replaces=True),
    Operation("password", password, success=lambda c: setattr(c, "password", c.new_password)),
    Operation("switchover", lambda c: c.of("PUT", "async-swap")),
    Operation("backup", lambda c: c.of("POST", "backups", body={}), before=lambda c: c.drop_backups()),
    Operation("restore", restore, before=lambda c: c.make_backup(), success=lambda c: c.expect(c.saved), replaces=True),
    Operation("port", port, success=lambda c: setattr(c, "port", c.new_port)),
    Operation("configure", configure),
    Operation("rename", rename, success=lambda c: setattr(c, "renames", c.new_renames)),
    Operation("big-keys", lambda c: c.of("POST", "bigkey-task"), is_scan=True),
    Operation("hot-keys", lambda c: c.of("POST", "hotkey-task"), before=counts_uses, after=found_hot_keys,
              is_scan=True),
    Operation("expired-keys", lambda c: c.of("POST", "auto-expire", "scan"), before=has_expired_keys,
              after=walked_all_keys, is_scan=True),
    Operation("diagnosis", diagnose, after=judged_each_node, is_scan=True),
    Operation("offline-analysis", lambda c: c.of("POST", "offline", "key-analysis", body={
        "node_id": c.of("GET", "logical-nodes").json["nodes"][0]["node_id"]}), is_scan=True),
]
BY_NAME = {o.name: o for o in OPERATIONS}
ONLY = os.environ.get("FAULT_ONLY", "").split() or list(BY_NAME)


class Latecomer:
    """A client that writes as soon as it sees that the old data has gone, while an operation replaces it all. What was
    acknowledged to it may never be lost, however often the operation is tried."""
    PAUSE_S = 0.02

    def __init__(self, case):
        self.old = case.data["key-0"]
        self.open = lambda ip=case.show(case.one)["ip"], port=case.port, password=case.password: \
            Redis(ip, port, password, timeout=5)
        self.written, self.in_doubt, self.refused = {}, {}, 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stopping.wait(self.PAUSE_S):
            try:
                connection = self.open()
            except OSError:
                continue
            try:
                while not self.stopping.wait(self.PAUSE_S):
                    self.turn(connection)
            except OSError:  # it went, or refused
                pass
            finally:
                connection.close()

    def turn(self, connection):
        if connection.call("GET", "key-0") == self.old:
            return
        name = f"late-{len(self.written) + len(self.in_doubt)}"
        try:
            connection.call("SET", name, "late")
            self.written[name] = "late"
        except OSError as refusal:
            if str(refusal).startswith("-NOPERM"):
                self.refused += 1
            else:
                self.in_doubt[name] = "late"
            raise

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def left(self):
        """All that must be there, and of the rest what is."""
        connection = self.open()
        try:
            return self.written | {k: v for k, v in self.in_doubt.items() if connection.call("GET", k) == v}
        finally:
            connection.close()


class FaultCase(DcsCase):
    """One instance, case after case; each leaves it whole."""

    @classmethod
    def setUpClass(cls):
        cls.env = {}
        super().setUpClass()
        cls.server.stop()
        cls.order_file = cls.server.folder / "order"
        cls.server.env = {"STINT_CRASH_POINT": f"@{cls.order_file}"}
        cls.server.start()

    def setUp(self):
        self.one = None
        self.numbers = self.expiring = 0
        self.addCleanup(self.withdraw)

    def number(self):
        self.numbers += 1
        return self.numbers

    def of(self, method, *segments, **more):
        return self.dcs.of(method, self.one, *segments, **more)

    # ---- the instance ----

    def make(self, mode="ha"):
        body = self.body("faults", mode)
        self.one = self.ok(self.dcs.ask("POST", "instances", body=body)).json["instances"][0]["instance_id"]
        self.running(self.one)
        self.forget()
        self.port, self.made_at = body["port"], time.time()
        self.addCleanup(self.leave, self.one)

    def forget(self):
        self.password, self.renames, self.data = PASSWORD, {}, {}
        self.looks = 0
        self.backup_id, self.saved = None, None

    def leave(self, instance):
        """Delete it; nothing may be left."""
        folder = self.server.data / "cache" / instance

        def gone():
            return self.dcs.of("DELETE", instance).status in (204, 400, 404) and \
                self.dcs.of("GET", instance).status == 404
        wait_for(f"the deletion of {instance}", gone, SETTLED_S)
        wait_for("no process of the instance", lambda: not redis_processes(folder))
        wait_for("no folder of the instance", lambda: not folder.exists())
        wait_for("no backup of the instance", lambda: not (self.server.data / "backups" / instance).exists())

    def redis(self, host=None, password=None):
        return Redis(host or self.show(self.one)["ip"], self.port, password or self.password, timeout=5)

    def seed(self):
        """New data, on all nodes."""
        marker = f"v{self.number()}"
        connection = self.redis()
        try:
            connection.call("FLUSHALL")
            self.data = {f"key-{i}": f"{marker}-{i}" for i in range(20)}
            for key, value in self.data.items():
                connection.call("SET", key, value)
            for i in range(self.expiring):
                connection.call("SET", f"gone-{i}", marker, "PX", 1)
            self.expiring = 0
            copies = len(self.nodes()) - 1
            if copies:
                assert connection.call("WAIT", copies, 20000) == copies, "a replica is not in step"
        finally:
            connection.close()

    def expect(self, data):
        self.data = dict(data)

    def make_backup(self):
        if not self.backup_id:
            self.plain("BACKUP", lambda c: c.of("POST", "backups", body={}))
            self.backup_id = self.of("GET", "backups").json["backup_record_response"][0]["backup_id"]
            self.saved = dict(self.data)
        self.seed()

    def drop_backups(self):
        """They would only add up."""
        for record in self.of("GET", "backups").json["backup_record_response"]:
            self.of("DELETE", "backups", record["backup_id"])
        self.backup_id = None

    def nodes(self):
        """Folder of each node by what it is recorded as in its own file: {path: own address}."""
        found = {}
        for conf in sorted((self.server.data / "cache" / self.one).glob("node-*/redis.conf")):
            found[conf.parent] = re.search(r"^bind (\S+)", conf.read_text(), re.M).group(1)
        return found

    def pid_of(self, role):
        """The process of the master, or of a replica; None: there is none just now."""
        pids = {"master": [], "replica": []}
        for folder in self.nodes():
            try:
                pid = int((folder / "redis.pid").read_text())
                is_replica = "\nreplicaof " in (folder / "redis.conf").read_text()
            except (OSError, ValueError):
                continue
            if pid in redis_processes(folder):
                pids["replica" if is_replica else "master"].append(pid)
        return pids[role][0] if pids[role] else None

    # ---- asking ----

    def ask(self, ask):
        """Ask until no AutoRecovery is in the way, as clients do on these two codes; in a thread, since some answers
        wait for the task's end. The result: {"answer": ...} or {"error": ...} when it is there."""
        result = {}

        def run():
            try:
                answer = wait_for("the operation to be taken", lambda: self.unless_busy(ask(self)), SETTLED_S)
                result["answer"] = answer
            except Exception as e:  # the server died; or a failure that the test tells
                result["error"] = e
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        result["thread"] = thread
        return result

    @staticmethod
    def unless_busy(answer):
        return None if answer and answer.code in ("DCS.4026", "DCS.4049") else answer

    def newest_task(self):
        """The newest task that somebody asked for; None: none."""
        tasks = self.of("GET", "tasks", limit=10).json["tasks"]
        return next((t for t in tasks if t["name"] != "AutoRecovery"), None)

    def plain(self, name, ask):
        """An operation without any fault: it succeeds."""
        before = self.newest_task()
        result = self.ask(ask)
        result["thread"].join(SETTLED_S)
        self.assertIn("answer", result, result)
        self.assertIn(result["answer"].status, (200, 204), f"{name}: {result['answer']}")
        task = self.newest_task()
        self.assertNotEqual(before and before["id"], task["id"])
        job = self.dcs.ended(task["id"], SETTLED_S)
        self.assertEqual(job["status"], "SUCCESS", f"{name}: {job}")
        self.calm(name)

    # ---- stopping it somewhere ----

    def order(self, text):
        new = self.order_file.with_suffix(".new")
        new.write_text(text)
        new.rename(self.order_file)

    def withdraw(self):
        self.order_file.unlink(missing_ok=True)

    def children(self):
        """{process number: state} of `stint job` below this server."""
        found = {}
        for entry in os.listdir("/proc"):
            try:
                words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
                fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
            except (OSError, IndexError):
                continue
            if words[1:2] == [b"job"] and int(fields[1]) == self.server.process.pid:
                found[int(entry)] = fields[0]
        return found

    def stopped_child(self, result, before):
        """Wait until the operation stops at its step, or ends without; the child's number or None. (A child that stands
        in state "t" is looked through for leaks at its exit.)"""
        def look():
            stopped = [pid for pid, state in self.children().items() if state == "T"]
            if stopped:
                return "stopped", stopped[0]
            if result["thread"].is_alive():
                return None
            if "error" in result:
                raise result["error"]
            task = self.newest_task()
            is_new = task and task["id"] != before
            if not is_new:
                raise AssertionError(f"it was not taken: {result['answer']}")
            is_over = task["status"] in ("SUCCESS", "FAILED")
            return ("ended", None) if is_over and not [s for s in self.children().values() if s == "T"] else None
        return wait_for("the operation to stop or end", look, SETTLED_S)[1]

    def strike(self, victim, child):
        """Kill the victim while the child stands still. False: there is no such victim now."""
        pid = self.pid_of(victim) if victim in ("master", "replica") else None
        if victim in ("master", "replica") and not pid:
            os.kill(child, signal.SIGCONT)
            return False
        if victim in ("child", "both"):
            os.kill(child, signal.SIGKILL)
        if victim in ("server", "both"):
            self.server.kill()
            wait_for("the end of the child", lambda: not process_alive(child))
            self.server.start()
        if pid:
            wait_for("the end of the node", lambda: self.slay(pid))
            os.kill(child, signal.SIGCONT)
        return True

    @staticmethod
    def slay(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return not process_alive(pid)

    def cut_off(self, operation, victim, point, n):
        """One case. False: the operation has fewer steps, and ended well."""
        what = f"{operation.name}, {victim} dies at {point}:{n}"
        self.ready(operation)
        before = (self.newest_task() or {}).get("id")
        self.order(f"{point}:{n} stop")
        result = self.ask(operation.ask)
        child = self.stopped_child(result, before)
        if child is None:
            self.withdraw()
            self.finish(operation, what, must_succeed=True)
            return False
        # Without its child, or its server, an operation is tried again. A node's death may make it impossible, and may
        # take the last writes with it.
        is_repeated = victim in ("server", "child", "both")
        late = Latecomer(self) if is_repeated and operation.replaces else None
        with late or contextlib.nullcontext():
            if late and self.has_gone():
                wait_for("a late write, or a refusal", lambda: late.written or late.refused, SETTLED_S)
            has_struck = self.strike(victim, child)
            self.withdraw()
            result["thread"].join(SETTLED_S)
            self.ended()
        self.finish(operation, what, must_succeed=not has_struck or is_repeated, late=late)
        return True

    def ended(self):
        return self.dcs.ended(self.newest_task()["id"], SETTLED_S)

    def has_gone(self):
        """Do clients see that the old data is not there any more?"""
        try:
            connection = self.redis()
        except OSError:
            return False
        try:
            return connection.call("GET", "key-0") != self.data["key-0"]
        finally:
            connection.close()

    def ready(self, operation):
        if operation.before:
            operation.before(self)
        self.seed()

    def every_step(self, operation, victim, point="cache.step"):
        if not is_chosen(operation.name, victim):
            return
        sample = (1 + draw(operation.name, victim, "step") % SAMPLE_STEPS,)
        wrong = 0
        for n in sample if IS_QUICK else range(1, STEPS_MAX):
            goes_on = None
            with self.subTest(f"{operation.name}, {victim}, {point}:{n}"):
                goes_on = self.cut_off(operation, victim, point, n)
            if goes_on is None:
                self.start_afresh()  # a failure must not be told again by the next case
                wrong += 1
            if goes_on is False or wrong == WRONG_MAX:
                return
        self.assertTrue(IS_QUICK, f"{operation.name} has more than {STEPS_MAX} steps")

    def every_operation(self, victim, point="cache.step"):
        self.make()
        for operation in (o for o in OPERATIONS if o.name in ONLY):
            self.every_step(operation, victim, point)

    def start_afresh(self):
        self.withdraw()
        if self.server.process.poll() is not None:
            self.server.kill()
            self.server.start()
        for pid, state in self.children().items():
            if state == "T":
                os.kill(pid, signal.SIGKILL)
        self.make()

    # ---- afterwards ----

    def finish(self, operation, what, must_succeed=False, late=None):
        job = self.ended()
        if must_succeed:
            self.assertEqual(job["status"], "SUCCESS", f"{what}: {job}")
        if job["status"] == "SUCCESS":
            if operation.success:
                operation.success(self)
        else:
            self.assertRegex(job["fail_reason"] or "", r"\w+ \w+", f"{what}: it does not say why: {job}")
        if late:
            self.data |= late.left()
        self.calm(what)
        if operation.after and job["status"] == "SUCCESS":
            operation.after(self)

    def calm(self, what):
        """The instance rests, is whole, has its data, and nothing is left over."""
        def rests():
            tasks = self.of("GET", "tasks", limit=10).json["tasks"]
            return self.dcs.status(self.one) == "RUNNING" and not self.children() and \
                all(t["status"] in ("SUCCESS", "FAILED") for t in tasks)
        wait_for(f"{what}: the instance to rest", rests, SETTLED_S)
        folder = self.server.data / "cache" / self.one
        shown = self.show(self.one)
        self.assertEqual(shown["port"], self.port, what)
        count = shown["replica_count"] if shown["cache_mode"] == "ha" else 1

        def whole():
            wrong = self.wrong_with(count, shown["ip"]) or ", ".join(self.leftovers(folder))
            whole.wrong = wrong
            return not wrong and rests()
        whole.wrong = ""
        try:
            wait_for("all to be well", whole, SETTLED_S)
        except AssertionError:
            raise AssertionError(f"{what}: {whole.wrong or 'it does not rest'}; tasks: {self.tasks_text()}") from None
        self.assertEqual(self.order_file.exists(), False, what)
        self.let_keeper_look(what)

    def let_keeper_look(self, what):
        """It has seen that all is well. Else what dies next would be one more death of a row, and be mended later and
        later."""
        self.looks = self.looks % 50 + 1  # other figures than the last time
        extra = [f"looked-{i}" for i in range(self.looks)]
        connection = self.redis()
        try:
            connection.call("MSET", *(word for key in extra for word in (key, "1")))
            size = len(self.data) + self.looks

            def has_looked():
                rows = self.dcs.ask("GET", "instances", "statistic").json["statistics"]
                return [r["keys"] for r in rows if r["instance_id"] == self.one] == [size]
            wait_for(f"{what}: the keeper to look", has_looked, SETTLED_S)
            connection.call("DEL", *extra)
        finally:
            connection.close()

    def tasks_text(self):
        return [(t["name"], t["status"], t.get("error_code")) for t in self.of("GET", "tasks", limit=5).json["tasks"]]

    def wrong_with(self, count, ip):
        """What is not as it should be; "" when all is well."""
        folder = self.server.data / "cache" / self.one
        nodes = self.nodes()
        if len(nodes) != count:
            return f"{len(nodes)} folders for {count} nodes"
        pids = redis_processes(folder)
        if len(pids) != count:
            return f"{len(pids)} processes for {count} nodes"
        roles, hashes = [], set()
        for path, host in nodes.items():
            try:
                connection = self.redis(host)
            except OSError as e:
                return f"{path.name}: {e}"
            try:
                info = dict(line.split(":", 1) for line in connection.call("INFO").splitlines() if ":" in line)
                roles.append(info["role"])
                if info["role"] == "slave" and info["master_link_status"] != "up":
                    return f"{path.name} is not in step"
                found = {k: connection.call("GET", k) for k in self.data}
                if found != self.data or int(connection.call("DBSIZE")) != len(self.data):
                    return f"{path.name} has other data: {connection.call('DBSIZE')} keys, {sorted(found.items())[:2]}"
                name = self.renames.get("keys", "keys")
                connection.call(name, "nothing")
            except OSError as e:
                return f"{path.name}: {e}"
            finally:
                connection.close()
            hashes.add(re.search(r"^user default .*?(#\w+|nopass)", (path / "redis.conf").read_text(), re.M).group(1))
        if len(hashes) != 1:
            return "the nodes' files have different passwords"
        if sorted(roles) != ["master"] + ["slave"] * (count - 1):
            return f"roles are {roles}"
        try:
            connection = self.redis(ip)
            role = connection.info("role")
            connection.close()
        except OSError as e:
            return f"clients' address: {e}"
        return "" if role == "master" else "clients do not reach the master"

    def leftovers(self, folder):
        """Files in the instance's folders that nobody needs."""
        left = []
        for entry in folder.iterdir():
            if entry.name in ("admin.key", "erased"):
                continue
            if not re.fullmatch(r"node-\d+", entry.name):
                left.append(entry.name)
                continue
            left += [f"{entry.name}/{f.name}" for f in entry.iterdir() if not NODE_FILES.fullmatch(f.name)]
            aof = entry / "appendonlydir"
            left += [f"{entry.name}/aof/{f.name}" for f in (aof.iterdir() if aof.exists() else [])
                     if not AOF_FILES.fullmatch(f.name)]
        records = self.of("GET", "backups").json["backup_record_response"]
        good = {f"{r['backup_id']}.rdb" for r in records if r["status"] == "succeed"}
        backups = self.server.data / "backups" / self.one
        there = {f.name for f in backups.iterdir()} if backups.exists() else set()
        left += [f"backups {sorted(there)} for {sorted(good)}"] if there != good else []
        left += [str(p.relative_to(self.server.data)) for p in (self.server.data / "models").rglob("analysis.rdb*")]
        return left
