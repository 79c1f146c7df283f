"""stint torture: it comes to a good end on a good server, notices spoilt data, and leaves alone what is not its own."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from stint_client import BINARY, IS_QUICK, SANITIZER, Server, process_alive, redis_processes, wait_for

COMMON = ("--start-limit", "60")


def workers(folder):
    """Processes that were started for tasks below a folder."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words and process_alive(int(process.name)):
            found.append(int(process.name))
    return found


class Torture(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="stint-torture-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.place = self.folder / "run"

    def torture(self, *words, code=0):
        done = Server.run(None, "torture", "--data", str(self.place), *COMMON, *words, check=False)
        self.assertEqual(done.returncode, code, done)
        for name in ("server.log", "server.log.old"):
            log = self.place / name
            if log.exists():
                text = log.read_text(errors="replace")
                self.assertFalse(SANITIZER.search(text), text[-6000:])
        return done

    def test_a_good_server_keeps_every_promise(self):
        done = self.torture("--rounds", "5", "--seed", "1", "--json", "--connections", "2")
        summary = json.loads(done.stdout)
        self.assertEqual((summary["rounds"], summary["seed"], summary["broken"], summary["kept"]), (5, 1, [], None))
        ends = sum(summary[k] for k in ("killed", "crashPoints", "crashPointsNotReached", "stopped", "cutOff"))
        self.assertGreaterEqual(ends, 5, summary)
        self.assertGreaterEqual(summary["starts"], 6, summary)
        self.assertGreater(summary["attempts"], 0)
        self.assertGreater(summary["done"], 50)
        self.assertEqual(summary["settled"], 1, "the last round lets every task end")
        self.assertEqual(sum(line.startswith("round ") for line in done.stderr.splitlines()), 5, done.stderr)
        self.assertFalse(self.place.exists(), "it takes away what it made")
        self.assertEqual(workers(self.folder), [])

    def test_a_restored_backup_passes_as_the_original_does(self):
        done = self.torture("--rounds", "2", "--seed", "7", "--backup-every", "2", "--json", "--connections", "2")
        summary = json.loads(done.stdout)
        self.assertEqual((summary["copies"], summary["broken"]), (1, []), summary)
        lines = [line for line in done.stderr.splitlines() if line.startswith("round ")]
        self.assertNotIn("restored", lines[0])
        self.assertRegex(lines[1], r", backup of \d+ ms restored: ok$")

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_a_restored_backup_that_lacks_a_record_is_noticed(self):
        """What is spoilt may be too new to be missed, so every round's copy is."""
        done = self.torture("--rounds", "15", "--seed", "9", "--backup-every", "1", "--tamper", "copy",
                            "--json", code=1)
        summary = json.loads(done.stdout)
        self.assertEqual(summary["broken"][0]["rule"], "E1", summary)
        self.assertTrue(summary["broken"][0]["text"].startswith("the restored copy: "), summary)
        self.assertTrue((self.place / "copy" / "backup" / "MANIFEST").exists(), "it is left to look at")

    @unittest.skipUnless(shutil.which("redis-server"), "redis-server is not installed")
    def test_redis_instances_keep_every_promise_and_leave_nothing(self):
        rounds, every = (4, 0) if IS_QUICK else (12, 6)  # a copy has the original's addresses, which is dead meanwhile
        done = self.torture("--rounds", str(rounds), "--seed", "3", "--dcs", "--json", "--connections", "2",
                            "--backup-every", str(every))
        summary = json.loads(done.stdout)
        self.assertEqual((summary["rounds"], summary["broken"], summary["copies"]), (rounds, [], 2 if every else 0),
                         summary)
        self.assertGreater(summary["redis"]["made"], 0, summary)
        if not IS_QUICK:  # four rounds may be over before the first instance serves
            self.assertGreater(summary["redis"]["written"], 0, summary)
        self.assertEqual(redis_processes(self.place), [])
        self.assertFalse(self.place.exists(), "it takes away what it made")

    @unittest.skipIf(IS_QUICK, "only in the full run")
    @unittest.skipUnless(shutil.which("redis-server"), "redis-server is not installed")
    def test_lost_data_of_redis_is_noticed_and_its_processes_end_with_the_run(self):
        done = self.torture("--rounds", "15", "--seed", "3", "--dcs", "--tamper", "redis", "--json", code=1)
        summary = json.loads(done.stdout)
        self.assertEqual(summary["broken"][0]["rule"], "data", summary)
        self.assertTrue((self.place / "data" / "cache").is_dir(), "after a failure everything stays")
        wait_for("the end of its Redis processes", lambda: not redis_processes(self.place))

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_the_folder_stays_when_asked_and_serves_again(self):
        done = self.torture("--rounds", "1", "--seed", "2", "--keep")
        self.assertIn(f"Everything is kept in {self.place}", done.stdout)
        self.assertTrue((self.place / "data" / "stint.db").exists())
        self.assertTrue((self.place / "journal" / "journal").exists())
        self.torture("--rounds", "1", "--seed", "3")
        self.assertEqual(list(self.place.iterdir()), [], "the second run did not make the folder, only what was in it")

    def spoilt(self, what, rules, rounds=15):
        """A spoilt task may be deleted before anyone looks: each round spoils another, the first
        finding ends the run."""
        done = self.torture("--rounds", str(rounds), "--seed", "5", "--tamper", what, "--json", code=1)
        summary = json.loads(done.stdout)
        self.assertIn(summary["broken"][0]["rule"], rules, summary)
        self.assertEqual(summary["kept"], str(self.place), "after a failure everything stays")
        self.assertTrue((self.place / "data" / "stint.db").exists())
        self.assertIn("BROKEN", done.stderr)

    def test_a_lost_record_is_noticed(self):
        self.spoilt("record", ("E1",))

    def test_an_end_that_changed_is_noticed(self):
        self.spoilt("state", ("E6", "end"))

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_a_lost_log_is_noticed_when_all_has_settled(self):
        self.spoilt("log", ("files",), rounds=6)

    def test_what_it_did_not_make_is_left_alone(self):
        self.place.mkdir()
        (self.place / "precious").write_text("mine")
        done = self.torture("--rounds", "1", code=65)
        self.assertIn("did not make", done.stderr)
        self.assertEqual([p.name for p in self.place.iterdir()], ["precious"])
        self.assertEqual((self.place / "precious").read_text(), "mine")

    def test_a_data_folder_of_a_server_is_left_alone(self):
        Server.run(None, "init", "--data", str(self.place))
        before = sorted(p.name for p in self.place.iterdir())
        self.assertIn("did not make", self.torture(code=65).stderr)
        self.assertEqual(sorted(p.name for p in self.place.iterdir()), before)

    def test_a_second_run_is_refused_and_an_interrupted_one_leaves_no_process(self):
        first = subprocess.Popen([BINARY, "torture", "--data", str(self.place), *COMMON, "--rounds", "1000"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(first.stderr.close)
        self.addCleanup(first.wait)
        self.addCleanup(first.kill)
        self.assertRegex(first.stderr.readline(), r"^round +1 .*: ok$", "it is at work")
        self.assertIn("another run is at work", self.torture(code=65).stderr)
        self.assertIsNone(first.poll())
        first.terminate()
        first.wait(30)
        wait_for("the end of its processes", lambda: not workers(self.place))
        self.torture("--rounds", "1")

    def test_redis_processes_that_an_interrupted_run_left_are_ended(self):
        """Of its data and of a restored copy; what works elsewhere is left alone."""
        program = self.folder / "redis-server"  # as such processes are called
        shutil.copy("/bin/sleep", program)
        self.place.mkdir()
        (self.place / "torture.lock").touch()
        live = {}
        for name in ("run/data", "run/copy/data", "other/data"):
            work = self.folder / name / "cache" / "uid" / "node-0"
            work.mkdir(parents=True)
            live[name] = subprocess.Popen([program, "600"], cwd=work)
            self.addCleanup(live[name].wait)
            self.addCleanup(live[name].kill)
        wait_for("their names", lambda: all(len(redis_processes(self.folder / n)) == 1 for n in live))
        self.torture("--rounds", "1", "--backup-every", "0")
        self.assertEqual([name for name, p in live.items() if p.poll() is None], ["other/data"])

    def test_refusals(self):
        done = Server.run(None, "torture", check=False)
        self.assertEqual((done.returncode, "--data DIR" in done.stderr), (64, True), done)
        self.assertIn("--rounds is an integer", self.torture("--rounds", "0", code=64).stderr)
        self.assertIn("record|number|state|progress|log|copy|redis", self.torture("--tamper", "luck", code=64).stderr)
        self.assertFalse(self.place.exists())
        done = Server.run(None, "torture-act", str(self.folder), check=False)
        self.assertEqual((done.returncode, "only a server under" in done.stderr), (64, True), done)
        self.assertEqual(list(self.folder.iterdir()), [])
