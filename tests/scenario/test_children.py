"""Children that use more than they may, and children that do not want to end: each is ended, its reason is told in
words that a user understands, the server answers meanwhile, and nothing of it is left."""
import json
import os
import pathlib
import re
import sys
import threading
import time
import unittest

from common import ServerCase
from stint_client import IS_QUICK, process_alive, wait_for

ANSWER_S = 5.0  # a loaded machine with sanitizers; far below any limit of these tests


def told(detail, word):
    """The numbers that events such as "pid 12" or "helper 12" tell."""
    return [int(e["text"].split()[1]) for e in detail["events"] if e["text"].startswith(word + " ")]


def children_of(pid):
    """All that descends from pid, zombies too: {pid: state}."""
    parents, states = {}, {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(entry.name)], states[int(entry.name)] = int(fields[1]), fields[0]
    found, new = {}, {pid}
    while new:
        new = {p for p, parent in parents.items() if parent in new and p not in found}
        found.update({p: states[p] for p in new})
    return found


class Pulse(threading.Thread):
    """Asks the server for something all the time; the slowest answer."""

    def __init__(self, client):
        super().__init__()
        self.client, self.done, self.slowest = client, threading.Event(), 0.0

    def run(self):
        while not self.done.wait(0.1):
            began = time.monotonic()
            assert self.client.list_apps().status == 200
            self.slowest = max(self.slowest, time.monotonic() - began)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join()


class Limits(ServerCase):
    args = ("--max-running", "8", "--max-task-processes", "25", "--max-task-memory-mib", "300")

    @classmethod
    def prepare(cls, server):
        server.add_function("small", maxAttempts=3, memoryMiB=100, diskMiB=8, processes=12, cpuSeconds=2)
        server.add_function("plain", maxAttempts=1, timeoutSeconds=2)
        server.add_function("silent", maxAttempts=1)
        server.add_function("large", maxAttempts=1, processes=4000000, memoryMiB=16000000)

    def run_one(self, mode, function, **params):
        app = self.app(f"{function}_{mode}")
        self.ok(self.client.create_instance(app, "one", function, "script", {"mode": mode, **params}))
        fds = len(os.listdir(f"/proc/{self.server.process.pid}/fd"))
        with Pulse(self.client) as pulse:
            self.ok(self.client.create_task(app, "one", function))
            detail = self.client.finished(app, "one", 1, function)
        self.assertLess(pulse.slowest, ANSWER_S, "the server did not answer while the child misbehaved")
        server = self.server.process.pid
        wait_for("the end of every child", lambda: not children_of(server))
        wait_for("closed descriptors", lambda: len(os.listdir(f"/proc/{server}/fd")) <= fds + 4)
        shown = self.client.get_task(app, "one", 1, function).result
        errors = json.loads(shown["ExtendInfo"])["errors"]
        if detail["state"] == "failed":
            self.assertEqual((shown["Status"], errors[0]["code"]), ("failed", detail["errorCode"]), shown)
            self.assertEqual(errors[0]["message"], detail["errorMessage"])
        self.ok(self.client.create_task(app, "one", function))  # the instance is free again
        self.client.finished(app, "one", 2, function)
        return detail

    def failed(self, mode, function, code, says, fault, attempts=1, **params):
        detail = self.run_one(mode, function, **params)
        self.assertEqual((detail["state"], detail["errorCode"], detail["fault"], detail["attempt"]),
                         ("failed", code, fault, attempts), detail)
        self.assertIn(says, detail["errorMessage"])
        return detail

    def test_memory(self):
        self.failed("memory", "small", "Task.MemoryLimit", "more than 100 MiB of memory (limit of function small)",
                    "user", count="600")
        shown = self.server.run("task", "get", "small_memory", "one", "1", "--function", "small", "--data",
                                str(self.server.data), check=False)
        self.assertIn("more than 100 MiB of memory (limit of function small)", shown.stdout, shown)

    def test_memory_below_the_limit(self):
        detail = self.run_one("gate", "small", gate="/dev/null")
        self.assertEqual(detail["state"], "success", detail)

    def test_disk(self):
        self.failed("disk", "small", "Task.DiskLimit", "more than 8 MiB (limit of function small)", "user", count="60")

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_processor_time(self):
        self.failed("spin", "small", "Task.CpuLimit", "more than 2 s of processor time (limit of function small)",
                    "timeout")

    def test_a_bomb(self):
        detail = self.failed("bomb", "small", "Task.ProcessLimit", "more than 12 processes (limit of function small)",
                             "user", count="80")
        self.assertFalse([p for p in told(detail, "pid") if process_alive(p)])

    def test_the_servers_bound_holds_for_a_function_that_says_nothing(self):
        self.failed("bomb", "silent", "Task.ProcessLimit", "more than 25 processes (limit of function silent)", "user",
                    count="80")

    def test_the_servers_bound_holds_for_a_function_that_says_more(self):
        self.failed("memory", "large", "Task.MemoryLimit", "more than 300 MiB of memory", "user", count="900")

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_a_flood_of_messages(self):
        """Bounded by the limit of time; events beyond the kept ones are only counted."""
        detail = self.failed("fd3_flood", "plain", "Task.TimedOut", "longer than its limit", "timeout")
        self.assertLessEqual(len(detail["events"]), 10100)

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_a_deaf_one(self):
        self.failed("deaf", "plain", "Task.TimedOut", "longer than its limit", "timeout")


class Leftovers(ServerCase):
    args = ("--max-running", "4")

    @classmethod
    def prepare(cls, server):
        server.add_function("score", maxAttempts=1)
        server.add_function("quiet", maxAttempts=1, stallSeconds=1)
        tells = "import json, os; given = json.load(open(os.environ['STINT_TASK']))['parameters']; " \
                "os.write(3, json.dumps({'result': given}).encode() + b'\\n')"
        rules = [{"name": "rows", "type": "int", "default": "7"}, {"name": "note", "default": 'a "b"'},
                 {"name": "bare"}]
        server.add_function("presets", run=[sys.executable, "-c", tells], createParameters=rules)

    def test_what_a_program_says_forges_nothing_in_the_servers_log(self):
        long = 'é"' * 900
        for name, code, said in (("quotes", "My.Code success=1", 'it said "no" success=1 max_rss=1'),
                                 ("long", "Long", long)):
            message = json.dumps({"error": {"code": code, "message": said}}, ensure_ascii=False)
            self.server.add_function(name, maxAttempts=1, run=["/bin/sh", "-c", f"echo '{message}' >&3"])
        self.server.restart()
        app = self.app("forgers")
        for name in ("quotes", "long"):
            self.ok(self.client.create_instance(app, name, name, "script", {}))
            self.ok(self.client.create_task(app, name, name))
            self.assertEqual(self.client.finished(app, name, 1, name)["state"], "failed")
        ended = [line for line in self.server.log().splitlines() if " task.ended " in line][-2:]
        form = re.compile(r'^\S+Z info  task.ended task=\d+ attempt=1 verdict=OK success=0 code=("[^"]*"|\S+) '
                          r'message="([^"]*)" max_rss=\d+ user_ms=\d+$')
        found = [form.match(line) for line in ended]
        self.assertTrue(all(found), ended)
        self.assertEqual(found[0].groups(), ('"My.Code success=1"', "it said 'no' success=1 max_rss=1"))
        self.assertRegex(found[1].group(2), r"^(é')+é?\.\.\.$")

    def test_a_program_finds_the_defaults_of_its_parameters(self):
        app = self.app("presets")
        for name, given, found in (("none", {}, {"rows": "7", "note": 'a "b"'}),
                                   ("some", {"rows": "8", "bare": "x", "note": ""},
                                    {"rows": "8", "note": 'a "b"', "bare": "x"})):
            self.ok(self.client.create_instance(app, name, "presets", "script", given))
            self.ok(self.client.create_task(app, name, "presets"))
            detail = self.client.finished(app, name, 1, "presets")
            self.assertEqual(detail["result"], found, detail)
            self.assertEqual(detail["params"], given, "what is shown is what was given")

    def ended(self, mode):
        app = self.app(mode)
        self.ok(self.client.create_instance(app, "one", "score", "script", {"mode": mode}))
        self.ok(self.client.create_task(app, "one", "score"))
        detail = self.client.finished(app, "one", 1, "score")
        for pid in told(detail, "pid") + told(detail, "helper"):
            wait_for(f"the end of {pid}", lambda: not process_alive(pid))
        wait_for("no zombie and no child", lambda: not children_of(self.server.process.pid))
        return detail

    def test_one_that_left_the_group(self):
        self.assertEqual(self.ended("leaver")["state"], "success")

    def test_a_daemon(self):
        self.assertEqual(self.ended("daemon")["state"], "success")

    def test_a_helper_that_holds_the_pipes(self):
        self.assertEqual(self.ended("holder")["state"], "success")

    def test_closed_pipes(self):
        detail = self.ended("closed")
        self.assertEqual((detail["state"], detail["errorCode"]), ("failed", "Task.NoResult"), detail)

    def test_one_that_closed_its_output(self):
        """What it reports counts, and that it prints no more is its own matter."""
        app = self.app("mute")
        gate = self.gated(app, mode="mute")
        self.ok(self.client.create_task(app, "one", "score"))
        wait_for("progress", lambda: self.client.detail(app, "one", 1, "score").json["progress"] == 40)
        gate.touch()
        self.assertEqual(self.client.finished(app, "one", 1, "score")["state"], "success")

    def test_one_that_closed_its_channel_after_the_result(self):
        """It has ended when it ends, not when it hangs up; what it prints meanwhile is kept."""
        app = self.app("hung_up")
        gate = self.gated(app, mode="hung_up")
        self.ok(self.client.create_task(app, "one", "score"))
        pid = wait_for("the child", lambda: told(self.client.detail(app, "one", 1, "score").json, "pid"))[0]
        wait_for("the closed channel", lambda: not os.path.exists(f"/proc/{pid}/fd/3"))
        self.assertEqual(self.client.detail(app, "one", 1, "score").json["state"], "running")
        gate.touch()
        detail = self.client.finished(app, "one", 1, "score")
        self.assertEqual((detail["state"], detail["result"]["rows"]), ("success", 7), detail)
        self.assertIn(b"still at work", self.ok(self.client.log(app, "one", 1, "score")).body)

    def test_one_that_closed_its_channel_and_stays(self):
        app = self.app("hung_up_for_ever")
        self.ok(self.client.create_instance(app, "one", "quiet", "script", {"mode": "hung_up_for_ever"}))
        self.ok(self.client.create_task(app, "one", "quiet"))
        detail = self.client.finished(app, "one", 1, "quiet")
        self.assertEqual((detail["errorCode"], detail["fault"]), ("Task.Stalled", "timeout"), detail)
        self.assertIn("nothing on descriptor 3", detail["errorMessage"])

    def test_heirs_that_flood_the_pipes_of_one_that_ended(self):
        """They neither hold its end up nor live on; what they write after it is nobody's."""
        self.assertEqual(self.ended("heirs")["state"], "success")
        log = max((self.server.data / "logs").rglob("1.log"), key=lambda f: f.stat().st_size)
        self.assertIn(b"and again", log.read_bytes()[:1000])
        size = log.stat().st_size
        self.assertEqual(self.ok(self.client.create_app("heirs2")).status, 200)
        self.assertEqual(log.stat().st_size, size, "somebody still writes")

    def test_a_crash(self):
        detail = self.ended("crash")
        self.assertEqual((detail["errorCode"], detail["fault"]), ("Task.Killed", "machine"), detail)
        self.assertIn("signal 11", detail["errorMessage"])

    def test_orphans_that_ended_are_no_zombies(self):
        app = self.app("zombies")
        gate = self.gated(app, mode="zombies")
        self.ok(self.client.create_task(app, "one", "score"))
        pid = wait_for("the child", lambda: told(self.client.detail(app, "one", 1, "score").json, "pid"))[0]
        wait_for("only the child, and no zombie", lambda: children_of(self.server.process.pid).keys() == {pid})
        gate.touch()
        self.assertEqual(self.client.finished(app, "one", 1, "score")["state"], "success")

    def test_a_killed_server_and_a_helper_that_left(self):
        app = self.app("outlive")
        gate = self.gated(app, mode="stayer")
        self.ok(self.client.create_task(app, "one", "score"))
        detail = wait_for("the helper", lambda: (d := self.client.detail(app, "one", 1, "score").json) and
                          told(d, "helper") and d)
        child, helper = told(detail, "pid")[0], told(detail, "helper")[0]
        self.server.kill()
        wait_for("the end of the child with its server", lambda: not process_alive(child))
        self.assertTrue(process_alive(helper), "nothing left to test with")
        self.server.start()
        wait_for("the end of the helper at the next start", lambda: not process_alive(helper))
        gate.touch()
        self.assertEqual(self.client.finished(app, "one", 1, "score")["state"], "failed")


if __name__ == "__main__":
    unittest.main()
