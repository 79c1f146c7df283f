"""kill -9 at bad moments: nothing acknowledged is lost, no task stays running, a resumed model has the same bits."""
import fcntl
import os
import pathlib
import subprocess
import threading
import unittest

from stint_client import BINARY, IS_QUICK, Server, process_alive, wait_for
from test_tasks import child_pid

# Long enough to be killed in the middle, single-threaded so that the bits repeat.
LONG = {"train_data": "shop.csv", "label_field": "click", "epochs": "30", "early_stop_rounds": "0", "threads": "1",
        "seed": "7"}


def generations(server):
    """Of which a folder or a log lies there."""
    return {int(p.stem) for tree in ("models", "logs") for p in (server.data / tree).glob("*/*/*/*")}


class Crash(unittest.TestCase):
    def server(self, *args):
        server = Server(args=args)
        self.addCleanup(server.close)
        return server

    def ok(self, answer):
        self.assertEqual(answer.status, 200, answer)
        return answer

    def train(self, server, name):
        self.ok(server.client.create_instance("shop", name, params=LONG))
        self.ok(server.client.create_task("shop", name))

    def test_killed_server_during_a_training(self):
        """The task goes on from a checkpoint and ends with the very model of an undisturbed run."""
        server = self.server("--max-running", "1")
        server.sample(rows=6000)
        server.start()
        self.ok(server.client.create_app("shop"))
        self.train(server, "calm")
        calm = server.client.finished("shop", "calm", 1)
        self.assertEqual(calm["state"], "success", calm)
        self.train(server, "rough")

        def has_checkpoint(attempt):
            detail = server.client.detail("shop", "rough", 1).json
            self.assertNotIn(detail["state"], ("success", "failed"), "too fast to be killed: raise epochs")
            made = sum(e["kind"] == "checkpoint" and e["attempt"] == attempt for e in detail["events"])
            return made > 0 and detail["state"] == "running"

        for kills in (1, 2):
            wait_for("a checkpoint", lambda: has_checkpoint(kills))
            server.restart()
            state = server.client.detail("shop", "rough", 1).json["state"]
            self.assertIn(state, ("pending", "running"), "it is resumed")
        rough = server.client.finished("shop", "rough", 1)
        self.assertEqual((rough["state"], rough["progress"]), ("success", 100), rough)
        self.assertEqual(rough["attempt"], 3)
        self.assertEqual(rough["result"]["sha256"], calm["result"]["sha256"], "the same bits")
        self.assertEqual(rough["result"]["auc"], calm["result"]["auc"])

    def test_killed_server_takes_its_children_along(self):
        server = self.server()
        server.add_function("score")
        server.start()
        gate = server.folder / "gate"
        self.ok(server.client.create_app("shop"))
        self.ok(server.client.create_instance("shop", "one", "score", "script", {"mode": "gate", "gate": str(gate)}))
        self.ok(server.client.create_task("shop", "one", "score"))
        first = wait_for("the child", lambda: child_pid(server.client.detail("shop", "one", 1, "score").json))
        server.kill()
        wait_for("the end of the child", lambda: not process_alive(first))
        server.start()
        def second():
            pid = child_pid(server.client.detail("shop", "one", 1, "score").json)
            return pid != first and pid
        wait_for("a new attempt within the promised time", second, timeout=20)
        answer = server.client.create_task("shop", "one", "score")
        self.assertEqual((answer.status, answer.code), (409, "Task.IsRunning"))
        gate.touch()
        self.assertEqual(server.client.finished("shop", "one", 1, "score")["attempt"], 2)

    def test_power_lost_at_every_bad_moment(self):
        """Dead at the n-th passing of a crash point: what was acknowledged is there and ends well, within its time."""
        moments = [f"store.before_commit:{n}" for n in range(4, 10)] + [f"store.after_commit:{n}" for n in range(4, 9)]
        moments += ["engine.before_start", "engine.before_finish", "exec.prepared:1", "exec.prepared:2"]
        for moment in moments:
            with self.subTest(moment):
                server = self.server()
                server.add_function("score", maxAttempts=2)
                server.start()
                self.ok(server.client.create_app("shop"))
                self.ok(server.client.create_instance("shop", "one", "score", "script", {"mode": "ok"}))
                server.stop()
                server.env = {"STINT_CRASH_POINT": moment}
                acknowledged = 0
                try:
                    server.start()
                    for n in (1, 2):
                        self.ok(server.client.create_task("shop", "one", "score"))
                        acknowledged = n
                        server.client.finished("shop", "one", n, "score")
                except OSError:
                    pass  # it died, as it should
                self.assertEqual(server.process.wait(10), -9, "the point was passed")
                server.kill()
                server.env = {}
                server.start()
                for n in range(1, acknowledged + 1):
                    detail = server.client.finished("shop", "one", n, "score", timeout=10)
                    self.assertEqual((detail["state"], detail["progress"]), ("success", 100), detail)
                total = server.client.list_tasks("shop", "one", "score").json["TotalCount"]
                self.assertIn(total, (acknowledged, acknowledged + 1), "at most the one that was under way")
                wait_for("no file but those of tasks", lambda: generations(server) <= set(range(1, total + 1)))
                server.close()

    def test_a_remnant_of_a_killed_server_is_waited_for(self):
        """A child that was forked and not yet executed holds copies of its dead server's lock and port for a moment."""
        server = self.server()
        server.start()
        server.kill()
        remnant = os.open(server.data / "lock", os.O_RDWR)
        self.addCleanup(os.close, remnant)
        fcntl.flock(remnant, fcntl.LOCK_EX)
        process = subprocess.Popen([BINARY, "serve", "--data", str(server.data), "--listen", "127.0.0.1:0"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def is_waiting():
            state = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            self.assertNotIn(state, "ZX", "it has given up")
            return state == "S"
        wait_for("its first try", is_waiting)
        fcntl.flock(remnant, fcntl.LOCK_UN)
        self.assertIn(b"stint: ready on ", process.stdout.readline())

    def test_killed_server_and_a_helper_out_of_reach(self):
        """E4: a helper in a session of its own has no parent-death signal; recovery finds it by its environment."""
        server = self.server()
        pid_file = server.folder / "helper"
        script = f"[ -e {pid_file} ] && echo '{{\"result\":{{}}}}' >&3 && exit 0; " \
                 f"setsid sh -c 'echo $$ >{pid_file}.new; mv {pid_file}.new {pid_file}; exec sleep 600' 3>&- & " \
                 "sleep 600"
        server.add_function("helped", run=["/bin/sh", "-c", script], maxAttempts=2)
        server.start()
        self.ok(server.client.create_app("shop"))
        self.ok(server.client.create_instance("shop", "one", "helped", "script", {"mode": "ok"}))
        self.ok(server.client.create_task("shop", "one", "helped"))
        helper = int(wait_for("the helper", lambda: pid_file.exists() and pid_file.read_text()))
        server.kill()
        self.assertTrue(process_alive(helper), "nothing else ends it")
        server.start()
        wait_for("its end", lambda: not process_alive(helper), timeout=5)
        self.assertEqual(server.client.finished("shop", "one", 1, "helped", timeout=10)["state"], "success")

    def test_killed_server_during_creates(self):
        """Every create that was answered 200 is there afterwards; generations have no gap and no double."""
        server = self.server("--max-running", "2")
        server.add_function("score")
        server.start()
        self.ok(server.client.create_app("shop"))
        acknowledged, lock, enough = {}, threading.Lock(), threading.Event()
        client = server.client

        def create_instances(k):
            n = 0
            while True:
                name = f"w{k}_{n}"
                try:
                    if client.create_instance("shop", name, "score", "script", {"mode": "ok"}).status != 200:
                        return
                    with lock:
                        acknowledged[name] = 0
                    if client.create_task("shop", name, "score").status != 200:
                        return
                    with lock:
                        acknowledged[name] = 1
                        if len(acknowledged) >= 60:
                            enough.set()
                except OSError:
                    return
                n += 1

        threads = [threading.Thread(target=create_instances, args=(k,)) for k in range(8)]
        for thread in threads:
            thread.start()
        self.assertTrue(enough.wait(60))
        server.kill()
        for thread in threads:
            thread.join()
        server.start()
        for name, tasks in acknowledged.items():
            self.ok(server.client.get_instance("shop", name, "score"))
            if tasks:
                detail = server.client.finished("shop", name, 1, "score", timeout=120)
                self.assertEqual((detail["state"], detail["generation"]), ("success", 1), detail)
        # A create that was cut off before its answer may have been stored all the same: then it too must come to its
        # end.
        for name in acknowledged:
            wait_for(f"the end of what was begun of {name}", lambda n=name: not server.client.list_tasks(
                "shop", n, "score", status="running").json["TotalCount"], timeout=120)

    def test_sigterm_puts_running_tasks_back(self):
        server = self.server()
        server.add_function("score")
        server.start()
        gate = server.folder / "gate"
        self.ok(server.client.create_app("shop"))
        self.ok(server.client.create_instance("shop", "one", "score", "script", {"mode": "gate", "gate": str(gate)}))
        self.ok(server.client.create_task("shop", "one", "score"))
        wait_for("the child", lambda: child_pid(server.client.detail("shop", "one", 1, "score").json))
        server.stop()
        server.start()
        gate.touch()
        self.assertEqual(server.client.finished("shop", "one", 1, "score")["state"], "success")

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_cron_fires(self):
        server = self.server()
        server.add_function("score")
        server.start()
        self.ok(server.client.create_app("shop"))
        self.ok(server.client.create_instance("shop", "one", "score", "script", {"mode": "ok"}, cron="* * * * *"))
        def fired():
            return server.client.list_tasks("shop", "one", "score").result
        task = wait_for("the full minute", fired, timeout=75)[0]
        self.assertRegex(task["RunId"], r"^scheduled__")
        self.assertEqual(server.client.finished("shop", "one", 1, "score")["state"], "success")
        self.ok(server.client.update_instance("shop", "one", {"cron": ""}, "score"))
