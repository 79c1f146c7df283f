"""The doctor names every way a data folder can be broken, and changes nothing; a running server
tells what it can see."""
import contextlib
import json
import os
import shutil
import sqlite3
import sys
import unittest

from stint_client import Server, redis_processes, wait_for
from test_backup import MAKER, Words, digests
from test_dcs import DcsCase


class DoctorCase(Words):
    def findings(self, data, *words, code=None, **more):
        done = self.server.run("doctor", "--data", str(data), "--json", *words, check=False, **more)
        found = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1 if any(f["level"] == "bad" for f in found) else 0, done)
        for f in found:
            self.assertEqual(set(f), {"check", "level", "text"})
        return found

    def finds(self, data, check, level, *says, **more):
        """One finding of that check and level has all of these words; the folder is as it was."""
        before = digests(data)
        found = self.findings(data, **more)
        self.assertEqual(digests(data), before)
        texts = [f["text"] for f in found if (f["check"], f["level"]) == (check, level)]
        self.assertTrue(any(all(s in t for s in says) for t in texts), (says, found))
        return found

    def metric(self, server, name):
        text = server.client.send("GET", "/metrics", {"host": "x"}).body.decode()
        return float(next(line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(name + " ") or
                          line.startswith(name + "{")))

    def ready(self, server):
        answer = server.client.send("GET", "/readyz", {"host": "x"})
        self.assertEqual((answer.status, answer.json["status"]), (200, "ok"), answer)
        return answer.json["warnings"]


class Folder(DoctorCase):
    """Each test breaks a copy of one sound folder, which holds a model in service and one before it."""

    @classmethod
    def setUpClass(cls):
        cls.server = server = Server()
        cls.addClassCleanup(server.close)
        server.add_function("maker", run=[sys.executable, "-c", MAKER])
        server.run("init", "--data", str(server.data))
        server.start()
        server.client.create_app("shop")
        server.client.create_instance("shop", "one", "maker", "script", {})
        for generation in (1, 2):
            server.client.create_task("shop", "one", "maker")
            done = server.client.finished("shop", "one", generation, "maker")
            assert done["state"] == "success", done
        server.stop()

    def setUp(self):
        self.copy = self.server.folder / self.id().rsplit(".", 1)[1]
        self.data = self.copy / "data"
        shutil.copytree(self.server.data, self.data)
        self.addCleanup(shutil.rmtree, self.copy, ignore_errors=True)

    def model(self, generation):
        return next((self.data / "models").rglob(f"{generation}/model.bin"))

    def sql(self, text):
        db = sqlite3.connect(self.data / "stint.db")
        db.executescript(text)
        db.close()

    def test_all_is_well(self):
        self.assertTrue(all(f["level"] == "ok" for f in self.findings(self.data)))
        self.finds(self.data, "models", "ok", "1 in service and 1 kept")

    def test_no_folder(self):
        self.finds(self.copy / "nothing", "folder", "bad", "is not there", "stint init")
        self.finds(self.data / "stint.db", "folder", "bad", "is no folder")

    def test_secret(self):
        key = self.data / "secret.key"
        right = key.read_bytes()
        key.chmod(0o640)
        self.finds(self.data, "secret.key", "bad", "0640", "chmod 600")
        key.write_bytes(os.urandom(32))
        key.chmod(0o600)
        self.finds(self.data, "secret.key", "bad", "2 of 2 access keys", "from a backup")
        key.write_bytes(right[:31])
        self.finds(self.data, "secret.key", "bad", "31 bytes")
        key.unlink()
        self.finds(self.data, "secret.key", "bad", "missing", "from a backup")

    def test_modes_and_owners(self):
        (self.data / "stint.db").chmod(0o644)
        self.finds(self.data, "files", "bad", "stint.db", "chmod")
        (self.data / "stint.db").chmod(0o600)
        self.model(2).chmod(0o666)
        self.finds(self.data, "files", "bad", "model.bin", "by others")
        self.model(2).chmod(0o600)
        self.data.chmod(0o777)
        self.finds(self.data, "folder", "bad", "everyone", "chmod 700")
        self.data.chmod(0o700)
        if os.geteuid() == 0:
            os.chown(self.model(2), 12345, -1)
            self.finds(self.data, "files", "bad", "user 12345", "chown -R 0")
            os.chown(self.data, 12345, -1)
            self.finds(self.data, "folder", "bad", "belongs to user 12345")

    def test_damaged_page(self):
        db = self.data / "stint.db"
        bits = bytearray(db.read_bytes())
        page = int.from_bytes(bits[16:18], "big")
        for at in range(4 * page, len(bits), page):  # not the schema's
            bits[at:at + 8] = b"\xee" * 8
        db.write_bytes(bits)
        self.finds(self.data, "database", "bad", "stint restore")

    def test_index_that_lacks_a_row(self):
        """Its pages are whole; only a comparison with the table tells."""
        def schema(old, new):
            with contextlib.closing(sqlite3.connect(self.data / "stint.db")) as db, db:
                db.execute("PRAGMA writable_schema=ON")
                db.execute("UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = 'template_newest'",
                           (old, new))
        schema("id DESC)", "id DESC) WHERE id < 0")
        with contextlib.closing(sqlite3.connect(self.data / "stint.db")) as db, db:
            db.execute("INSERT INTO template (uid) VALUES ('x')")
        schema("id DESC) WHERE id < 0", "id DESC)")
        self.finds(self.data, "database", "bad", "missing from index", "stint restore")

    def test_no_database_of_ours(self):
        whole = (self.data / "stint.db").read_bytes()
        (self.data / "stint.db").write_bytes(b"\xee" * 100 + whole[100:])
        self.finds(self.data, "database", "bad", "no database", "stint restore")
        (self.data / "stint.db").write_bytes(whole)
        self.sql("PRAGMA application_id=77")
        self.finds(self.data, "database", "bad", "another program's database", "77")
        (self.data / "stint.db").unlink()
        self.finds(self.data, "database", "bad", "restore a backup")

    def test_newer_database(self):
        self.sql("PRAGMA user_version=99")
        self.finds(self.data, "database", "bad", "99", "newer stint")

    def test_wrong_totals(self):
        self.sql("UPDATE task_total SET n = n + 5")
        self.finds(self.data, "totals", "bad", "task_total", "counts them anew")
        server = self.running()
        listed = lambda: server.client.list_tasks("shop", "one", "maker", pageSize=9).json["TotalCount"]
        wait_for("the totals to be counted anew", lambda: listed() == 2)
        wait_for("it to be told", lambda: "totals.mended" in server.log())
        self.assertIn("totals.wrong", server.log())
        self.finds(self.data, "totals", "ok", "those of the rows")

    def test_models(self):
        whole = self.model(2).read_bytes()
        self.model(2).write_bytes(whole[:-1] + b"\0" + whole[-1:])
        self.finds(self.data, "models", "bad", "maker one", "generation 2", "in service", "damaged", "train it again")
        self.model(2).unlink()
        self.finds(self.data, "models", "bad", "generation 2", "in service", "missing")
        self.model(1).unlink()
        self.finds(self.data, "models", "bad", "generation 1", "missing", "delete the record")

    def test_leftovers(self):
        (self.data / "models" / "half.tmp").write_text("x")
        found = self.finds(self.data, "leftovers", "note", "half.tmp", "delete")
        self.assertFalse([f for f in found if f["level"] == "bad"])

    def test_settings(self):
        (self.data / "stint.ini").write_text("[server]\nthreads = many\n")
        self.finds(self.data, "settings", "bad", "stint.ini:2", "threads")

    def test_redis_is_not_installed(self):
        self.finds(self.data, "redis-server", "note", "apt-get install", env={**os.environ, "PATH": "/nowhere"})

    @unittest.skipUnless(os.geteuid() == 0, "only root mounts a small disk")
    def test_full_disk(self):
        disk = self.copy / "disk"
        disk.mkdir()
        if os.system(f"mount -t tmpfs -o size=40m,mode=700 none '{disk}' 2>/dev/null") != 0:
            self.skipTest("no mount here")
        self.addCleanup(os.system, f"umount -l '{disk}'")
        shutil.copytree(self.data, disk, dirs_exist_ok=True)
        disk.chmod(0o700)
        self.finds(disk, "disk", "bad", "MiB are free", "make room")

    def test_killed_server(self):
        (self.data / "endpoint").write_text("http://127.0.0.1:1\n")
        (self.data / "lock").touch()
        found = self.finds(self.data, "lock", "note", "was killed", "harmless")
        self.assertFalse([f for f in found if f["level"] == "bad"])

    def running(self, *args):
        server = Server(data=str(self.copy), args=args)
        server.access = self.server.access
        self.addCleanup(server.close)
        return server.start()

    def test_beside_a_running_server(self):
        self.running()
        self.finds(self.data, "lock", "ok", "a server runs on it")
        self.assertTrue(all(f["level"] == "ok" for f in self.findings(self.data)))

    def status(self, server):
        answer = server.client.get_instance("shop", "one", "maker")
        self.assertEqual(answer.status, 200, answer)
        return answer.result["Status"]

    def test_server_does_not_serve_a_missing_model(self):
        """From its first answer on; readiness and metrics say why. A new model serves at once."""
        self.model(2).unlink()
        server = self.running()
        self.assertEqual(self.status(server), "unavailable")
        listed = server.client.list_instances("shop", "maker").json["Result"]
        self.assertEqual([i["Status"] for i in listed], ["unavailable"])
        self.assertEqual(self.metric(server, "stint_models_unusable"), 1)
        self.assertEqual(self.ready(server), ["1 model(s) in service are missing or damaged"])
        self.assertIn("model.unusable", server.log())
        server.client.create_task("shop", "one", "maker")
        self.assertEqual(server.client.finished("shop", "one", 3, "maker")["state"], "success")
        self.assertEqual(self.status(server), "available")

    def test_server_notices_damage_while_it_runs(self):
        server = self.running("--check-seconds", "1")
        self.assertEqual(self.status(server), "available")
        wait_for("a first check", lambda: self.metric(server, "stint_models_checked_timestamp_seconds") > 0)
        self.assertEqual((self.metric(server, "stint_models_unusable"), self.ready(server)), (0, []))
        whole = self.model(2).read_bytes()
        self.model(2).write_bytes(b"other")
        wait_for("the damage to be noticed", lambda: self.status(server) == "unavailable")
        self.assertEqual(self.metric(server, "stint_models_unusable"), 1)
        self.finds(self.data, "models", "bad", "generation 2", "damaged")
        self.model(2).write_bytes(whole)
        wait_for("the file to be found sound again", lambda: self.status(server) == "available")
        self.assertEqual(self.ready(server), [])
        self.assertGreater(self.metric(server, "stint_data_free_bytes"), 0)


class Redis(DcsCase, DoctorCase):
    def test_redis_instances(self):
        one = self.create("sick", "ha")
        data = self.server.data
        self.assertEqual(self.metric(self.server, 'stint_redis_instances{status="RUNNING"}'), 1)
        self.done(one, "BACKUP", self.dcs.of("POST", one, "backups", body={}))
        self.finds(data, "backups", "ok", "1 of Redis instances")
        self.finds(data, "redis-server", "bad", "not in PATH", env={**os.environ, "PATH": "/nowhere"})
        backup = next((data / "backups" / one).glob("*.rdb"))
        whole = backup.read_bytes()
        backup.write_bytes(whole + b"x")
        self.finds(data, "backups", "bad", "sick", "damaged")
        backup.unlink()
        self.finds(data, "backups", "bad", "sick", "missing")
        secret = data / "cache" / one / "admin.key"
        secret.rename(secret.with_suffix(".aside"))
        self.finds(data, "redis", "bad", "sick", "admin.key", "missing")
        secret.with_suffix(".aside").rename(secret)
        secret.chmod(0o644)
        self.finds(data, "files", "bad", "admin.key")
        secret.chmod(0o600)
        self.server.stop()
        db = sqlite3.connect(data / "stint.db")
        db.execute("UPDATE cache SET deleted_at=1")
        db.commit()
        db.close()
        pids = redis_processes(data)
        self.assertEqual(len(pids), 2)
        found = self.findings(data)
        for pid in pids:
            self.assertTrue([f for f in found if f["level"] == "bad" and f"kill {pid}" in f["text"]
                             and one in f["text"]], found)


if __name__ == "__main__":
    unittest.main()
