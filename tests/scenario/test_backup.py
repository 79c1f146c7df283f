"""Backup and restore: beside a server under load, cut off, on a full disk, tampered with; Redis data
with its processes."""
import hashlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import threading
import unittest

from stint_client import BINARY, IS_QUICK, WAIT_S, Redis, Server, process_alive, redis_processes, wait_for
from test_dcs import PASSWORD, DcsCase, end_all

# A child that leaves a model of random bytes: fast enough to be replaced while it is being copied.
MAKER = """
import hashlib, json, os
bits = os.urandom(300000)
open("model.bin", "wb").write(bits)
result = {"model": "model.bin", "sha256": hashlib.sha256(bits).hexdigest()}
os.write(3, json.dumps({"result": result}).encode() + b"\\n")
"""


def digests(folder):
    """What is in a folder. SQLite's index, and a log without content, come and go with whoever reads."""
    def counts(p):
        return p.is_file() and p.name != "stint.db-shm" and not (p.name == "stint.db-wal" and p.stat().st_size == 0)
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(pathlib.Path(folder).rglob("*")) if counts(p)}


class Words(unittest.TestCase):
    """backup, restore and doctor as an operator calls them."""

    def stint(self, server, *words, code=0, **more):
        done = server.run(*words, check=False, **more)
        self.assertEqual(done.returncode, code, (words, done.stdout, done.stderr))
        return done

    def backup(self, server, name, *words, code=0, **more):
        target = server.folder / name
        done = self.stint(server, "backup", "--data", str(server.data), "--to", str(target), *words, code=code, **more)
        return target, done

    def restored(self, server, source, name="restored"):
        """A server that would run on the restored folder; it has passed the doctor."""
        folder = server.folder / name
        copy = Server(data=str(folder))
        self.addCleanup(copy.close)
        folder.mkdir()
        self.stint(server, "restore", "--from", str(source), "--data", str(copy.data))
        self.assertIn("All is well", self.stint(server, "doctor", "--data", str(copy.data)).stdout)
        copy.access = server.access
        return copy


class Backup(Words):
    def server(self):
        server = Server()
        self.addCleanup(server.close)
        server.add_function("maker", run=[sys.executable, "-c", MAKER])
        server.add_function("score")
        server.access = server.key()
        return server

    def ok(self, answer):
        self.assertEqual(answer.status, 200, answer)
        return answer

    def small(self):
        """A folder with a bit of everything, its server stopped; the model in service."""
        server = self.server()
        server.start()
        self.ok(server.client.create_app("shop"))
        self.ok(server.client.create_instance("shop", "one", "maker", "script", {}))
        for generation in (1, 2):
            self.ok(server.client.create_task("shop", "one", "maker"))
            done = server.client.finished("shop", "one", generation, "maker")
            self.assertEqual(done["state"], "success", done)
        server.import_file("clicks.csv", "a,b\n1,2\n")
        server.stop()
        return server

    def churn(self, server, name, over, made):
        """Train and delete what was trained before, as fast as it goes; notes what was answered."""
        client = server.client
        self.ok(client.create_instance("shop", name, "maker", "script", {}))
        generation = 0
        while not over.is_set():
            self.ok(client.create_task("shop", name, "maker"))
            generation += 1
            client.finished("shop", name, generation, "maker")
            if generation > 1:
                self.ok(client.delete_task("shop", name, generation - 1, "maker"))
            app = f"a{len(made)}_{name}"
            self.ok(client.create_app(app))
            made.append(app)

    def test_under_load(self):
        """Whatever moment a backup is of: every file its database names is in it, and all answered before is there."""
        server = self.server()
        server.start()
        self.ok(server.client.create_app("shop"))
        over, made, failures = threading.Event(), [], []

        def guarded(name):
            try:
                self.churn(server, name, over, made)
            except BaseException as problem:  # noqa: B902: told by the main thread
                failures.append(problem)

        threads = [threading.Thread(target=guarded, args=(f"i{n}",)) for n in range(3)]
        for thread in threads:
            thread.start()
        try:
            for n in range(3):
                wait_for("progress of the load", lambda n=n: len(made) > 4 * n or failures)
                before = list(made)
                source, done = self.backup(server, f"backup{n}", "--json")
                told = json.loads(done.stdout)
                self.assertEqual(told["notes"], 0, done)
                copy = self.restored(server, source, f"restored{n}").start()
                for app in before:
                    self.assertEqual(copy.client.get_app(app).status, 200, app)
                for i in range(3):  # E7: none stays running, and each instance goes on
                    newest = copy.client.list_tasks("shop", f"i{i}", "maker").json["Result"]
                    if newest:
                        copy.client.finished("shop", f"i{i}", int(newest[0]["Generation"]), "maker")
                copy.stop()
        finally:
            over.set()
            for thread in threads:
                thread.join(WAIT_S)
        self.assertFalse(failures, failures)

    def test_file_vanishes_after_the_database_was_copied(self):
        """The backup is held while a model it is about to copy is deleted: it takes the database once more."""
        server = self.server()
        server.add_function("big", run=[sys.executable, "-c", MAKER.replace("300000", "64 << 20")])
        server.start()
        self.ok(server.client.create_app("shop"))
        for name, function, generations in (("first", "big", 1), ("second", "maker", 10)):
            self.ok(server.client.create_instance("shop", name, function, "script", {}))
            for generation in range(1, generations + 1):
                self.ok(server.client.create_task("shop", name, function))
                self.assertEqual(server.client.finished("shop", name, generation, function)["state"], "success")
        for generation in range(1, 10):  # held too late, it has copied all: then once more, with the next one
            target = server.folder / f"backup{generation}"
            victim = next((server.data / "models").rglob(f"second.*/{generation}/model.bin"))
            process = subprocess.Popen([BINARY, "backup", "--data", str(server.data), "--to", str(target), "--json"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            wait_for("the first model", lambda: (target / "models").exists() or process.poll() is not None)
            process.send_signal(signal.SIGSTOP)
            self.ok(server.client.delete_task("shop", "second", generation, "maker"))
            wait_for("the model to go", lambda: not victim.exists())
            was_in_time = not (target / victim.relative_to(server.data)).exists()
            process.send_signal(signal.SIGCONT)
            told, problem = process.communicate(timeout=WAIT_S)
            self.assertEqual(process.returncode, 0, problem)
            self.assertEqual(json.loads(told)["rounds"], 2 if was_in_time else 1)
            self.restored(server, target, f"restored{generation}")
            if was_in_time:
                return
        self.fail("the backup was never held in time")

    def test_log_vanishes_after_the_database_was_copied(self):
        """Like a model: no record of an ended task comes without its log."""
        server = self.server()
        bare = "import os; os.write(3, b'{\"result\":{}}\\n')"  # leaves no model, whose absence would be noticed
        server.add_function("maker", run=[sys.executable, "-c", bare])
        server.start()
        self.ok(server.client.create_app("shop"))
        self.ok(server.client.create_instance("shop", "one", "maker", "script", {}))
        for generation in (1, 2):
            self.ok(server.client.create_task("shop", "one", "maker"))
            self.assertEqual(server.client.finished("shop", "one", generation, "maker")["state"], "success")
        target = server.folder / "backup"
        process = subprocess.Popen([BINARY, "backup", "--data", str(server.data), "--to", str(target), "--json"],
                                   env={**os.environ, "STINT_CRASH_POINT": "backup.database stop"},
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        wait_for("the copy of the database",
                 lambda: pathlib.Path(f"/proc/{process.pid}/stat").read_text().split()[2] == "T")
        log = next((server.data / "logs").rglob("1.log"))
        self.ok(server.client.delete_task("shop", "one", 1, "maker"))
        wait_for("the log to go", lambda: not log.exists())
        process.send_signal(signal.SIGCONT)
        told, problem = process.communicate(timeout=WAIT_S)
        self.assertEqual(process.returncode, 0, problem)
        self.assertEqual((json.loads(told)["rounds"], json.loads(told)["notes"]), (2, 0), problem)
        copy = self.restored(server, target).start()
        listed = [row["Generation"] for row in copy.client.list_tasks("shop", "one", "maker",
                                                                      pageSize=10).json["Result"]]
        self.assertEqual(sorted(map(int, listed)), sorted(int(p.stem) for p in (copy.data / "logs").rglob("*.log")))

    def test_log_that_somebody_took_away_holds_no_backup_up(self):
        server = self.small()
        next((server.data / "logs").rglob("1.log")).unlink()
        target, done = self.backup(server, "backup", "--json")
        self.assertEqual(json.loads(done.stdout)["notes"], 1, "it is told")
        self.assertIn("1.log' is missing", done.stderr)
        self.restored(server, target)

    def test_an_attempt_in_the_copy_is_not_sent_to_a_checkpoint_that_is_not_there(self):
        server = self.server()
        gate = server.folder / "gate"
        child = ("import json, os, time\n"
                 "task = json.load(open(os.environ['STINT_TASK']))\n"
                 "name = task['checkpoint']\n"
                 "if name: open(name).read()\n"
                 "open('ckpt-1', 'w').write('so far')\n"
                 "os.write(3, b'{\"progress\":60}\\n{\"checkpoint\":\"ckpt-1\"}\\n')\n"
                 f"while not os.path.exists({str(gate)!r}): time.sleep(0.02)\n"
                 "os.write(3, json.dumps({'result': {'from': name}}).encode() + b'\\n')\n")
        server.add_function("keeper", run=[sys.executable, "-c", child])
        server.start()
        self.ok(server.client.create_app("shop"))
        self.ok(server.client.create_instance("shop", "one", "keeper", "script", {}))
        self.ok(server.client.create_task("shop", "one", "keeper"))
        detail = lambda at: at.client.detail("shop", "one", 1, "keeper").json  # noqa: E731
        wait_for("the checkpoint", lambda: detail(server)["checkpoint"] == "ckpt-1")
        source, _ = self.backup(server, "backup")
        copy = self.restored(server, source).start()
        wait_for("the second attempt", lambda: detail(copy)["attempt"] == 2)
        self.assertGreaterEqual(detail(copy)["progress"], 60, "E6 holds over a restore")
        gate.touch()
        ended = copy.client.finished("shop", "one", 1, "keeper")
        self.assertEqual((ended["state"], ended["result"]), ("success", {"from": ""}), ended)

    def test_running_task_is_resumed_in_the_copy(self):
        """...and the copy's start leaves the process of the original alone."""
        server = self.server()
        server.start()
        gate = server.folder / "gate"
        self.ok(server.client.create_app("shop"))
        self.ok(server.client.create_instance("shop", "one", "score", "script", {"mode": "gate", "gate": str(gate)}))
        self.ok(server.client.create_task("shop", "one", "score"))
        wait_for("progress", lambda: server.client.detail("shop", "one", 1, "score").json["progress"] == 40)
        source, done = self.backup(server, "backup", "--json")
        self.assertEqual(json.loads(done.stdout)["runningTasks"], 1)
        copy = self.restored(server, source).start()
        wait_for("the second attempt", lambda: copy.client.detail("shop", "one", 1, "score").json["attempt"] == 2)
        self.assertEqual(server.client.detail("shop", "one", 1, "score").json["attempt"], 1)
        gate.touch()
        for each, attempt in ((server, 1), (copy, 2)):
            ended = each.client.finished("shop", "one", 1, "score")
            self.assertEqual((ended["state"], ended["attempt"]), ("success", attempt), ended)

    def test_whole_folder(self):
        server = self.small()
        source, done = self.backup(server, "backup")
        self.assertIn("holds secrets", done.stdout)
        self.assertEqual(source.stat().st_mode & 0o777, 0o700)
        self.assertEqual((source / "secret.key").stat().st_mode & 0o777, 0o600)
        copy = self.restored(server, source)
        theirs, ours = digests(server.data), digests(copy.data)
        for name in ("secret.key", "import/clicks.csv", "functions.d/maker.json"):
            self.assertEqual(ours[name], theirs[name])
        models = [n for n in theirs if n.endswith("model.bin")]
        self.assertEqual(len(models), 2, "the one in service and the one before")
        self.assertEqual({n: ours[n] for n in models}, {n: theirs[n] for n in models})
        self.assertNotIn("lock", ours)
        copy.start()
        self.assertEqual(copy.client.detail("shop", "one", 2, "maker").json["state"], "success")
        self.ok(copy.client.create_task("shop", "one", "maker"))
        self.assertEqual(copy.client.finished("shop", "one", 3, "maker")["state"], "success")
        slim, _ = self.backup(server, "slim", "--leave-import")
        self.assertFalse((slim / "import").exists())

    def test_killed_in_the_middle(self):
        """At each step: what is left is refused by restore and server, and the next backup clears it away."""
        server = self.small()
        target = server.folder / "backup"
        for point in ("backup.database", "backup.file", "backup.file:4", "backup.manifest"):
            with self.subTest(point=point):
                self.backup(server, "backup", code=-signal.SIGKILL, env={**os.environ, "STINT_CRASH_POINT": point})
                self.assertTrue((target / "STINT-UNFINISHED").exists())
                refused = self.stint(server, "restore", "--from", str(target), "--data", str(server.folder / "no"),
                                     code=64)
                self.assertIn("not finished", refused.stderr)
                self.assertFalse((server.folder / "no").exists())
        self.backup(server, "backup")
        self.restored(server, target)
        _, again = self.backup(server, "backup", code=65)
        self.assertIn("not empty", again.stderr)

    def test_restore_killed_in_the_middle(self):
        server = self.small()
        source, _ = self.backup(server, "backup")
        data = server.folder / "copy"
        words = ("restore", "--from", str(source), "--data", str(data))
        for point in ("restore.file:2", "restore.end"):
            with self.subTest(point=point):
                self.stint(server, *words, code=-signal.SIGKILL, env={**os.environ, "STINT_CRASH_POINT": point})
                refused = self.stint(server, "serve", "--data", str(data), "--listen", "127.0.0.1:0", code=65)
                self.assertIn("cut off", refused.stderr)
                self.assertIn("cut off", self.stint(server, "doctor", "--data", str(data), code=1).stdout)
                target = server.folder / "of-half-a-folder"
                refused = self.stint(server, "backup", "--data", str(data), "--to", str(target), code=65)
                self.assertIn("cut off", refused.stderr)
                self.assertFalse(target.exists())
                before = digests(data)
                refused = self.stint(server, "key", "list", "--data", str(data), code=65)
                self.assertIn("cut off", refused.stderr)
                self.assertEqual(digests(data), before)
        self.stint(server, *words)
        self.assertIn("All is well", self.stint(server, "doctor", "--data", str(data)).stdout)

    def test_tampered_copies_are_refused(self):
        """A bit of any file, its length, its absence, a line of the list: nothing is written."""
        server = self.small()
        source, _ = self.backup(server, "backup")
        data = server.folder / "copy"
        words = ("restore", "--from", str(source), "--data", str(data))

        def refuses(file, says=""):
            self.assertIn(says, self.stint(server, *words, code=70).stderr, file)
            self.assertFalse(data.exists(), file)

        for file in sorted(p for p in source.rglob("*") if p.is_file()):
            whole = file.read_bytes()
            for at in {0, len(whole) // 2, len(whole) - 1} if whole else ():
                bits = bytearray(whole)
                bits[at] ^= 1
                file.write_bytes(bits)
                refuses(file)
            file.write_bytes(whole + b"\n")
            refuses(file)
            file.write_bytes(whole)
            if file.name != "MANIFEST":
                file.unlink()
                refuses(file, "missing")
                file.write_bytes(whole)
        listed = source / "MANIFEST"
        whole = listed.read_text()
        body = whole[:whole.rindex("end ")].replace(" functions.d/score.json", " ../score.json")
        listed.write_text(body + "end " + hashlib.sha256(body.encode()).hexdigest() + "\n")
        refuses(listed, "cannot be kept")
        listed.write_text(whole)
        self.stint(server, *words)

    def test_refusals(self):
        server = self.small()
        inside = server.data / "backup"
        refused = self.stint(server, "backup", "--data", str(server.data), "--to", str(inside), code=64)
        self.assertIn("lies in the data folder", refused.stderr)
        self.assertFalse(inside.exists())
        full = server.folder / "full"
        full.mkdir()
        (full / "mine").write_text("precious")
        self.backup(server, "full", code=65)
        source, _ = self.backup(server, "backup")
        self.stint(server, "restore", "--from", str(source), "--data", str(full), code=65)
        self.assertEqual(digests(full), {"mine": hashlib.sha256(b"precious").hexdigest()})
        self.stint(server, "backup", "--data", str(full), "--to", str(server.folder / "x"), code=66)
        self.assertFalse((server.folder / "x").exists())
        self.stint(server, "restore", "--from", str(full), "--data", str(server.folder / "x"), code=64)
        self.stint(server, "restore", "--from", str(server.folder / "nothing"), "--data", "x", code=66)
        self.stint(server, "backup", "--data", str(server.data), code=64)
        self.stint(server, "restore", "--data", str(server.data), code=64)

    def test_damaged_model(self):
        """A backup does not quietly leave out what it should hold."""
        server = self.small()
        model = next(p for p in (server.data / "models").rglob("2/model.bin"))
        model.write_bytes(b"other")
        _, refused = self.backup(server, "backup", code=70)
        self.assertIn("2/model.bin", refused.stderr)
        self.assertEqual(list((server.folder / "backup").iterdir()), [])
        target, done = self.backup(server, "backup", "--leave-damaged")
        self.assertIn("left out", done.stderr)
        self.stint(server, "restore", "--from", str(target), "--data", str(server.folder / "copy"))
        found = self.stint(server, "doctor", "--data", str(server.folder / "copy"), code=1).stdout
        self.assertIn("generation 2", found)

    def test_full_disk(self):
        """The reason in words, nothing left behind, the data folder untouched; then it works."""
        server = self.small()
        before = digests(server.data)

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200000, 200000))

        _, failed = self.backup(server, "backup", code=74, preexec_fn=limit)
        self.assertIn("File too large", failed.stderr)
        self.assertEqual(list((server.folder / "backup").iterdir()), [])
        disk = server.folder / "disk"
        disk.mkdir()
        if os.geteuid() == 0 and os.system(f"mount -t tmpfs -o size=512k none '{disk}' 2>/dev/null") == 0:
            self.addCleanup(os.system, f"umount '{disk}'")
            failed = self.stint(server, "backup", "--data", str(server.data), "--to", str(disk), code=75)
            self.assertIn("No space left", failed.stderr)
            self.assertEqual(list(disk.iterdir()), [])
        self.assertEqual(digests(server.data), before)
        source, _ = self.backup(server, "backup")
        self.restored(server, source)


class RedisData(DcsCase, Words):
    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_the_data_comes_back_without_the_originals_processes(self):
        """Stops the class's server for good, so it comes last by name."""
        one = self.create("kept", "ha")
        self.connect(one).call("SET", "greeting", "hello")
        self.done(one, "BACKUP", self.dcs.of("POST", one, "backups", body={"remark": "x"}))
        self.connect(one).call("SET", "greeting", "good evening")
        source, done = self.backup(self.server, "backup", "--json")
        self.assertEqual([r["source"] for r in json.loads(done.stdout)["redis"]], ["live"])
        processes = set(redis_processes(self.server.data))
        copy = self.restored(self.server, source)
        self.addCleanup(end_all, copy.folder)
        state = copy.data / "cache" / one
        self.assertTrue((state / "admin.key").exists())
        copy.start()
        # The original's processes hold the addresses: the copy says so, and does not touch them.
        wait_for("the copy to see that it cannot serve", lambda: copy.dcs.status(one) == "ERROR")
        self.assertEqual(set(redis_processes(self.server.data)), processes)
        self.assertEqual(self.connect(one).call("GET", "greeting"), "good evening")
        self.assertEqual(self.dcs.status(one), "RUNNING")
        self.server.stop()
        end_all(self.server.data)
        wait_for("the copy to serve", lambda: copy.dcs.status(one) == "RUNNING")
        shown = copy.dcs.of("GET", one).json
        connection = Redis(shown["ip"], shown["port"], PASSWORD)
        self.addCleanup(connection.close)
        self.assertEqual(connection.call("GET", "greeting"), "good evening")
        records = copy.dcs.of("GET", one, "backups").json["backup_record_response"]
        answer = copy.dcs.of("POST", one, "restores", body={"backup_id": records[0]["backup_id"]})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(copy.dcs.ended(copy.dcs.newest(one)["id"])["status"], "SUCCESS")
        connection = Redis(shown["ip"], shown["port"], PASSWORD)
        self.addCleanup(connection.close)
        self.assertEqual(connection.call("GET", "greeting"), "hello")
        copy.stop()
        end_all(copy.data)

    def test_deletion_under_way_is_made_in_the_copy_alone(self):
        """...which has no business with the original's folder and processes."""
        one = self.create("going")
        order = self.server.folder / "order"
        self.server.stop()
        self.server.env = {"STINT_CRASH_POINT": f"@{order}"}
        self.server.start()
        (self.server.folder / "order.new").write_text("cache.act stop")
        (self.server.folder / "order.new").rename(order)
        self.ok(self.dcs.of("DELETE", one), 204)

        def held():
            """The deletion's process, which stands before it has ended the last node."""
            for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
                try:
                    words = (stat.parent / "environ").read_bytes()
                    if stat.read_text().rsplit(")", 1)[1].split()[0] == "T" and str(self.server.data).encode() in words:
                        return int(stat.parent.name)
                except (OSError, IndexError):
                    pass
            return None
        child = wait_for("the deletion to stand still", held)
        self.addCleanup(lambda: process_alive(child) and os.kill(child, signal.SIGCONT))
        before = set(redis_processes(self.server.data))
        source, _ = self.backup(self.server, "while-going")
        copy = self.restored(self.server, source, "restored-while-going").start()

        def deletion():
            tasks = copy.dcs.ask("GET", "tasks", limit=10).json["tasks"]
            return next(t["status"] for t in tasks if t["name"] == "DELETE") in ("SUCCESS", "FAILED")
        wait_for("the deletion in the copy", deletion)
        copy.stop()
        self.assertEqual(set(redis_processes(self.server.data)), before)
        self.assertTrue((self.server.data / "cache" / one).is_dir(), "the original's folder")
        os.kill(child, signal.SIGCONT)
        wait_for("the deletion of the original", lambda: not (self.server.data / "cache" / one).exists())

    def test_instance_that_gives_no_save(self):
        """Its newest backup stands in for it; without one the operator is told that the data is missing."""
        one = self.create("mute", "ha")
        self.connect(one).call("SET", "greeting", "hello")
        none, done = self.backup(self.server, "none", "--redis-wait", "0")
        self.assertIn("mute gave no save", done.stderr)
        self.assertIn("its data is not in the copy", done.stderr)
        said = self.stint(self.server, "restore", "--from", str(none), "--data", str(self.server.folder / "bare"))
        self.assertIn("1 Redis instance(s), 1 of them without data", said.stdout)
        self.done(one, "BACKUP", self.dcs.of("POST", one, "backups", body={}))
        stored, done = self.backup(self.server, "stored", "--redis-wait", "0", "--json")
        self.assertEqual([r["source"] for r in json.loads(done.stdout)["redis"]], ["stored"])
        copy = self.restored(self.server, stored, "of-stored")
        file = next((self.server.data / "backups" / one).glob("*.rdb"))
        loaded = list((copy.data / "cache" / one).glob("node-*/dump.rdb"))
        self.assertEqual([p.read_bytes() for p in loaded], [file.read_bytes()])
        self.delete(one)


if __name__ == "__main__":
    unittest.main()
