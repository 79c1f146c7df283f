"""Redis instances on a machine that lacks something: disk space, a free port, a redis-server that works."""
import os
import shutil
import signal
import socket
import subprocess
import unittest

from dcs_faults import BY_NAME, SETTLED_S, FaultCase
from stint_client import redis_processes, wait_for
from test_dcs import IS_QUICK, free_port


def neighbour(ip, distance):
    """The address so many places behind ip."""
    n = int.from_bytes(socket.inet_aton(ip), "big") + distance
    return socket.inet_ntoa(n.to_bytes(4, "big"))


class Listener:
    """Another program that has an address."""

    def __init__(self, host, port):
        self.socket = socket.socket()
        self.socket.bind((host, port))
        self.socket.listen()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.socket.close()


class MachineCase(FaultCase):
    def asked(self, operation):
        """The job of an operation, when it is over."""
        result = self.ask(operation.ask)
        result["thread"].join(SETTLED_S)
        self.assertIn("answer", result, result)
        return self.dcs.ended(self.newest_task()["id"], SETTLED_S)

    def fails(self, operation, words):
        job = self.asked(operation)
        self.assertEqual(job["status"], "FAIL", job)
        self.assertRegex(job["fail_reason"], words)

    def succeeds(self, operation):
        job = self.asked(operation)
        self.assertEqual(job["status"], "SUCCESS", job)
        if operation.success:
            operation.success(self)
        self.calm(operation.name)

    def refused_create(self, words, mode="single", **more):
        """A create that fails, leaves nothing and can be deleted; what it showed."""
        body = {**self.body("refused", mode), **more}
        one = self.ok(self.dcs.ask("POST", "instances", body=body)).json["instances"][0]["instance_id"]
        wait_for("the failure", lambda: self.dcs.status(one) == "CREATEFAILED", SETTLED_S)
        shown, folder = self.show(one), self.server.data / "cache" / one
        tasks = self.dcs.of("GET", one, "tasks").json["tasks"]
        job = self.dcs.ended(next(t["id"] for t in tasks if t["name"] == "CREATE"))
        self.assertRegex(job["fail_reason"], words)
        wait_for("no process and no folder", lambda: not redis_processes(folder) and not folder.exists(), SETTLED_S)
        self.leave(one)
        return shown


class PortTaken(MachineCase):
    PLACES = 64  # addresses of one instance, engine/cache_ops.c

    def test_at_create(self):
        """The clients' address of a single instance; of an ha one that, the master's and the replica's."""
        for mode, number in (("single", 0), ("ha", 0), ("ha", 1), ("ha", 2)):
            with self.subTest(f"{mode}, address {number}"):
                self.make("single")
                ip = neighbour(self.show(self.one)["ip"], self.PLACES)
                host, port = neighbour(ip, number), free_port()
                with Listener(host, port):
                    shown = self.refused_create(f"{host} port {port} is taken by another program", mode, port=port)
                    self.assertEqual(shown["ip"], ip, "the test took the wrong address")
                self.assertEqual(self.redis().call("PING"), "PONG", "the others work")

    def test_at_a_change(self):
        self.make()
        self.seed()
        for host in (*self.nodes().values(), self.show(self.one)["ip"]):
            with self.subTest(host):
                with Listener(host, 0) as other:
                    taken = other.socket.getsockname()[1]
                    self.ok(self.of("PUT", body={"port": taken}), 204)
                    job = self.dcs.ended(self.newest_task()["id"], SETTLED_S)
                    self.assertEqual((job["status"], job["fail_reason"]),
                                     ("FAIL", f"{host} port {taken} is taken by another program"))
                    self.calm("a port that is taken")
        self.succeeds(BY_NAME["port"])


class DiskFull(MachineCase):
    """The folders of the data and of the backups are small disks of their own."""
    BACKUPS_KIB, CACHE_MIB = 512, 64

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, size in (("cache", f"{cls.CACHE_MIB}m"), ("backups", f"{cls.BACKUPS_KIB}k")):
            folder = cls.server.data / name
            folder.mkdir(exist_ok=True)
            done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True,
                                  text=True)
            if done.returncode != 0:
                raise unittest.SkipTest(f"a small disk cannot be mounted: {done.stderr.strip()}")
            cls.addClassCleanup(subprocess.run, ["umount", "-l", folder])

    def resize_disk(self, name, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", self.server.data / name], check=True)

    def fill(self, folder, keep_kib):
        """A file that leaves so much room."""
        disk = os.statvfs(folder)
        ballast = folder / "ballast"
        with open(ballast, "wb") as f:
            os.posix_fallocate(f.fileno(), 0, disk.f_bavail * disk.f_frsize - keep_kib * 1024)
        return ballast

    def heavy_seed(self, mib):
        """Values that do not compress."""
        self.seed()
        connection = self.redis()
        for i in range(2 * mib):
            self.data[f"heavy-{i}"] = os.urandom(1 << 18).hex()
            connection.call("SET", f"heavy-{i}", self.data[f"heavy-{i}"])
        connection.close()

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_backup_and_restore(self):
        self.make()
        self.heavy_seed(2)
        with self.subTest("no room for the copy"):
            self.fails(BY_NAME["backup"], "cannot write .*No space left")
            self.calm("a backup without room")
        self.resize_disk("backups", "64m")
        self.succeeds(BY_NAME["backup"])
        self.backup_id = next(r["backup_id"] for r in self.of("GET", "backups").json["backup_record_response"]
                              if r["status"] == "succeed")
        self.saved = dict(self.data)
        self.seed()
        cache = self.server.data / "cache"
        ballast = self.fill(cache, 1024)
        with self.subTest("no room for a restore"):
            self.fails(BY_NAME["restore"], "No space left")
            self.assertEqual(self.redis().call("GET", "key-1"), self.data["key-1"])
        ballast.unlink()
        self.calm("a restore without room")
        self.succeeds(BY_NAME["restore"])
        ballast = self.fill(cache, 512)
        with self.subTest("no room for the save"):
            self.fails(BY_NAME["backup"], "could not save")
        ballast.unlink()
        self.calm("a save without room")
        self.succeeds(BY_NAME["backup"])

    def write_until_full(self):
        """Redis acknowledges until it has noticed that it cannot write any more."""
        connection = self.redis()

        def refused():
            name = f"more-{self.number()}"
            value = os.urandom(1 << 15).hex()
            try:
                connection.call("SET", name, value)
                self.data[name] = value
            except ConnectionError as e:
                return str(e)
        try:
            self.assertIn("MISCONF", wait_for("a full disk", refused, SETTLED_S))
        finally:
            connection.close()

    def accepts(self):
        connection = self.redis()
        try:
            return connection.call("SET", "key-0", self.data["key-0"]) == "OK"
        except ConnectionError:
            return False
        finally:
            connection.close()

    def file_is_good(self):
        """A rewrite came through after the one that failed: until then Redis 7.0 may leave a hole in the file."""
        connection = self.redis()
        try:
            return connection.info("aof_last_bgrewrite_status") == "ok"
        finally:
            connection.close()

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_append_only_file(self):
        self.make("single")
        self.heavy_seed(1)
        ballast = self.fill(self.server.data / "cache", 256)
        with self.subTest("no room to rewrite it"):
            self.fails(BY_NAME["rename"], "append-only file")
        with self.subTest("no room to add to it"):
            self.write_until_full()
            self.fails(BY_NAME["flush"], "MISCONF|No space left")
        ballast.unlink()
        wait_for("writes to be accepted", self.accepts, SETTLED_S)
        self.calm("a full disk")
        wait_for("a good file", self.file_is_good, SETTLED_S)
        os.kill(self.pid_of("master"), signal.SIGKILL)
        self.calm("a death after the full disk")
        self.succeeds(BY_NAME["restart"])
        self.succeeds(BY_NAME["flush"])


class NoRedis(MachineCase):
    """What the server finds as redis-server in its PATH is not there, or does not work; and later it does."""
    BROKEN = {"ends at once": "exit 3", "says nothing and stays": "exec /bin/sleep 600", "is no server": "echo hello"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.stop()
        cls.bin = cls.server.folder / "bin"
        cls.bin.mkdir()
        cls.program = cls.bin / "redis-server"
        cls.real = shutil.which("redis-server")
        cls.server.env = {**cls.server.env, "PATH": str(cls.bin)}
        cls.server.start()

    def put(self, script):
        """script: None, the real one; "": none."""
        self.program.unlink(missing_ok=True)
        if script is None:
            self.program.symlink_to(self.real)
        elif script:
            self.program.write_text(f"#!/bin/sh\n{script}\n")
            self.program.chmod(0o755)

    def the_rest_works(self):
        self.assertEqual(self.server.client.list_apps().status, 200)
        self.ok(self.dcs.ask("GET", "instances"))

    def test_missing(self):
        self.put("")
        self.refused_create("there is no program 'redis-server': install the package redis-server", "ha")
        self.the_rest_works()
        self.put(None)
        self.make("ha")
        self.calm("redis-server is there")
        self.seed()
        self.put("")
        with self.subTest("a restart without it"):
            self.fails(BY_NAME["restart"], "there is no program 'redis-server'")
        self.the_rest_works()
        self.put(None)
        self.calm("redis-server is back")

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_broken(self):
        for name, script in self.BROKEN.items():
            with self.subTest(name):
                self.put(script)
                self.refused_create("redis-server")
                self.the_rest_works()

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_a_node_dies_meanwhile(self):
        self.put(None)
        self.make("single")
        self.seed()
        self.put("exit 3")
        os.kill(self.pid_of("master"), signal.SIGKILL)
        wait_for("ERROR", lambda: self.dcs.status(self.one) == "ERROR", SETTLED_S)

        def told():
            task = self.dcs.newest(self.one)
            return task["name"] == "AutoRecovery" and task["status"] == "FAILED" and self.dcs.ended(task["id"])
        self.assertIn("redis-server refuses to start", wait_for("a failed recovery", told, SETTLED_S)["fail_reason"])
        self.put(None)
        self.calm("redis-server works again")
