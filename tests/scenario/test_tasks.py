"""Concurrency and children that behave badly: one task at a time, every end explained, nothing left behind."""
import concurrent.futures
import json
import os
import signal

from common import ServerCase
from stint_client import process_alive, wait_for


def child_pid(detail):
    """The pid that child.py told in its first event, of the last attempt."""
    for event in reversed(detail["events"]):
        if event["text"].startswith("pid "):
            return int(event["text"].split()[1])
    return None


class Concurrency(ServerCase):
    args = ("--max-running", "4")

    @classmethod
    def prepare(cls, server):
        server.add_function("score")

    def test_two_hundred_creates_give_one_task(self):
        app = self.app("crowd")
        gate = self.gated(app)
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda _: self.client.create_task(app, "one", "score"), range(200)))
        good = [a for a in answers if a.status == 200]
        self.assertEqual(len(good), 1)
        for answer in answers:
            if answer is not good[0]:
                self.refused(answer, 409, "Task.IsRunning")
        self.assertEqual(self.client.list_tasks(app, "one", "score").json["TotalCount"], 1)
        gate.touch()
        self.assertEqual(self.client.finished(app, "one", 1, "score")["state"], "success")
        self.ok(self.client.create_task(app, "one", "score"))
        self.assertEqual(self.client.finished(app, "one", 2, "score")["state"], "success")

    def test_many_instances_queue_and_all_finish(self):
        app = self.app("queue")
        gates = [self.gated(app, f"i{k}") for k in range(8)]
        for k in range(8):
            self.ok(self.client.create_task(app, f"i{k}", "score"))
        states = [self.client.detail(app, f"i{k}", 1, "score").json["state"] for k in range(8)]
        self.assertIn("pending", states, "only four may run at once")
        waiting = states.index("pending")
        shown = self.client.get_task(app, f"i{waiting}", 1, "score").result
        self.assertEqual((shown["Status"], shown["Progress"]), ("running", 0), "a queued run shows as running")
        self.refused(self.client.create_task(app, f"i{waiting}", "score"), 409, "Task.IsRunning")
        self.refused(self.client.delete_task(app, f"i{waiting}", 1, "score"), 409, "Task.UnableDelete")
        for gate in gates:
            gate.touch()
        for k in range(8):
            self.assertEqual(self.client.finished(app, f"i{k}", 1, "score")["state"], "success")


class Children(ServerCase):
    args = ("--max-running", "8")

    @classmethod
    def prepare(cls, server):
        server.add_function("score", maxAttempts=1)
        server.add_function("brief", timeoutSeconds=1, maxAttempts=1)
        server.add_function("quiet", stallSeconds=1, maxAttempts=1)
        server.add_function("again", maxAttempts=2)
        server.add_function("absent", maxAttempts=1, run=["/no/such/program"])

    def ended(self, mode, function="score", **params):
        app = self.app(f"{function}_{mode}")
        self.ok(self.client.create_instance(app, "one", function, "script", {"mode": mode, **params}))
        self.ok(self.client.create_task(app, "one", function))
        detail = self.client.finished(app, "one", 1, function)
        shown = self.client.get_task(app, "one", 1, function).result
        errors = json.loads(shown["ExtendInfo"])["errors"]
        if detail["state"] == "failed":
            self.assertEqual(shown["Status"], "failed")
            self.assertTrue(errors and errors[0]["code"] and errors[0]["message"], shown)
            self.assertGreater(shown["EndTime"], 0)
        # Whatever happened, the instance is free again.
        self.ok(self.client.create_task(app, "one", function))
        self.client.finished(app, "one", 2, function)
        return detail, errors

    def failed(self, mode, function="score", says="", **params):
        detail, errors = self.ended(mode, function, **params)
        self.assertEqual(detail["state"], "failed", detail)
        self.assertIn(says, errors[0]["code"] + " " + errors[0]["message"])
        pid = child_pid(detail)
        if pid:
            wait_for("the end of the child", lambda: not process_alive(pid))
        return detail

    def test_a_hanging_child_is_ended_in_time(self):
        self.failed("hang", "brief", "longer than its limit")

    def test_a_silent_child_is_ended(self):
        self.failed("hang", "quiet")

    def test_garbage_on_the_message_channel(self):
        self.failed("garbage")

    def test_a_line_too_long(self):
        self.failed("long_line")

    def test_success_without_a_result(self):
        self.failed("no_result", says="result")

    def test_an_exit_code(self):
        self.failed("exit_3", says="3")

    def test_an_error_in_the_childs_own_words(self):
        self.failed("error", says="the score is wrong")

    def test_a_program_that_is_not_there(self):
        self.failed("any", "absent")

    def test_ten_thousand_messages(self):
        detail, _ = self.ended("flood", count="10000")
        self.assertEqual((detail["state"], len(detail["metrics"])), ("success", 10000))

    def test_a_child_has_a_clean_environment(self):
        detail, _ = self.ended("environment")
        names = set(detail["result"]["environment"])
        self.assertIn("STINT_TASK", names)
        self.assertFalse({n for n in names if "SECRET" in n or "ACCESS" in n or n.startswith("ALIBABA")}, names)
        # 0 1 2, the two of the protocol, and the one that lists the folder.
        self.assertLessEqual(len(detail["result"]["descriptors"]), 6, detail["result"])

    def test_kill_of_the_child_alone(self):
        app = self.app("murder")
        gate = self.gated(app, function="again")
        self.ok(self.client.create_task(app, "one", "again"))
        def pid():
            return child_pid(self.client.detail(app, "one", 1, "again").json)
        first = wait_for("the child's first message", pid)
        os.kill(first, signal.SIGKILL)
        second = wait_for("a second attempt", lambda: (p := pid()) and p != first and p)
        self.assertTrue(process_alive(second))
        self.assertEqual(self.client.detail(app, "one", 1, "again").json["attempt"], 2)
        gate.touch()
        detail = self.client.finished(app, "one", 1, "again")
        self.assertEqual((detail["state"], detail["result"]["attempt"]), ("success", 2))
