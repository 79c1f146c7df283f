"""Records of ended tasks go by the rules of the server, in both dialects; what serves stays, numbers
are never reused."""
import os
import pathlib
import re
import sqlite3
import struct
import time
import unittest

import stint_client
from common import ServerCase
from stint_client import IS_QUICK, wait_for
from test_dcs import DcsCase

KEPT = 5
DAY_S = 86400
LIBRARY = pathlib.Path(stint_client.BINARY).resolve().parent / "tests" / "libclock_shift.so"


class MovedClock:
    """For the server of a case: a clock that can be moved while it runs (clock_shift.c)."""

    def __init__(self, server):
        self.server, self.file = server, server.folder / "clock"
        self.file.write_bytes(bytes(8))
        server.env = {"LD_PRELOAD": str(LIBRARY), "CLOCK_SHIFT_FILE": str(self.file),
                      "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def put_ahead(self, days):
        """...and wait until the server has seen it."""
        seen = self.server.log().count("clock.ahead")
        self.move(days)
        wait_for("the jump to be told", lambda: self.server.log().count("clock.ahead") > seen)

    def move(self, days):
        with open(self.file, "r+b") as f:
            f.write(struct.pack("=q", days * DAY_S))


class Tasks(ServerCase):
    args = ("--max-running", "4", "--keep-tasks", str(KEPT), "--tidy-seconds", "1")

    @classmethod
    def prepare(cls, server):
        server.add_function("score", maxAttempts=1)

    def listed(self, app, **query):
        answer = self.ok(self.client.list_tasks(app, "one", "score", **{"pageSize": 50, **query})).json
        return answer["TotalCount"], [int(t["Generation"]) for t in answer["Result"]]

    def metric(self, name):
        text = self.client.send("GET", "/metrics", {"host": "x"}).body.decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))

    def logs(self):
        return sorted(int(f.stem) for f in (self.server.data / "logs").rglob("*.log"))

    def run_tasks(self, app, first, last):
        for generation in range(first, last + 1):
            self.ok(self.client.create_task(app, "one", "score"))
            self.client.finished(app, "one", generation, "score")

    def settled(self, app, generations):
        wait_for(f"only {generations}", lambda: self.listed(app)[1] == generations)

    def rows(self, app):
        """The same by counting, in the database itself: all, and the failed ones."""
        db = sqlite3.connect(self.server.data / "stint.db", timeout=60)
        counted = db.execute("SELECT count(*), coalesce(sum(state = 3), 0) FROM task WHERE instance_id = "
                             "(SELECT instance.id FROM instance JOIN app ON app.id = app_id WHERE app.name = ?)",
                             (app,)).fetchone()
        db.close()
        return counted

    def test_totals_are_of_what_is_left(self):
        app = self.app("totals")
        self.ok(self.client.create_instance(app, "one", "score", "script", {"mode": "exit_3"}))
        self.run_tasks(app, 1, 4)
        self.assertEqual(self.listed(app), (4, [4, 3, 2, 1]))
        self.ok(self.client.delete_task(app, "one", 2, "score"))
        self.refused(self.client.delete_task(app, "one", 2, "score"), 404, "Task.NotExist")
        self.assertEqual(self.listed(app, status="failed"), (3, [4, 3, 1]))
        self.run_tasks(app, 5, 9)
        self.settled(app, [9, 8, 7, 6, 5])
        self.assertEqual(self.listed(app), (KEPT, [9, 8, 7, 6, 5]))
        self.assertEqual(self.listed(app, status="failed", pageSize=1, pageNumber=5), (KEPT, [5]))
        self.assertEqual(self.listed(app, status="success"), (0, []))
        self.server.kill()
        self.server.start()
        self.assertEqual((self.listed(app)[0], self.listed(app, status="failed")[0]), self.rows(app))
        self.server.run("doctor", "--data", str(self.server.data))

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_a_long_history(self):
        app = self.app("history")
        self.ok(self.client.create_instance(app, "one", "score", "script", {"mode": "flood", "count": "300"}))
        self.run_tasks(app, 1, 3)
        self.assertEqual(self.listed(app), (3, [3, 2, 1]))
        # From here on all fail: the third stays, since its model serves.
        self.ok(self.client.update_instance(app, "one", {"createParameters": [{"name": "mode", "value": "exit_3"}]},
                                            "score"))
        self.run_tasks(app, 4, 20)
        expected = [20, 19, 18, 17, 16, 3]
        self.settled(app, expected)
        self.assertEqual(self.listed(app)[0], len(expected))
        pages = [self.listed(app, pageSize=2, pageNumber=n) for n in (1, 2, 3, 4)]
        self.assertEqual(pages, [(6, [20, 19]), (6, [18, 17]), (6, [16, 3]), (6, [])])
        self.assertEqual(self.listed(app, status="success"), (1, [3]))
        self.refused(self.client.get_task(app, "one", 15, "score"), 404, "Task.NotExist")
        self.assertEqual(self.client.log(app, "one", 2, "score").status, 404)
        wait_for("their logs to be gone", lambda: self.logs() == sorted(expected))
        self.assertEqual(self.metric("stint_tasks_retired_total"), 14)
        self.assertEqual(len(self.client.detail(app, "one", 3, "score").json["metrics"]), 300)

        # A kill between the tasks: the rules go on holding, and the numbers go on.
        self.server.restart()
        self.run_tasks(app, 21, 22)
        self.settled(app, [22, 21, 20, 19, 18, 3])
        self.assertEqual(self.ok(self.client.get_instance(app, "one", "score")).result["Status"], "available")

        # The file does not grow with the number of tasks: free pages are used again.
        size = self.metric("stint_database_bytes")
        self.run_tasks(app, 23, 50)
        self.settled(app, [50, 49, 48, 47, 46, 3])
        self.assertLessEqual(self.metric("stint_database_bytes"), size + 65536)


class Clocks(ServerCase):
    """A clock that is far ahead for a while makes nobody's records old."""

    # Without authentication, as the dates of signed requests are not moved.
    args = ("--max-running", "1", "--keep-days", "7", "--tidy-seconds", "1", "--auth", "off")

    @classmethod
    def prepare(cls, server):
        server.add_function("score", maxAttempts=1)
        cls.clock = MovedClock(server)

    def listed(self):
        answer = self.ok(self.client.list_tasks("shop", "one", "score", pageSize=50))
        return [int(t["Generation"]) for t in answer.json["Result"]]

    def pass_by(self):
        """A pass of the tidying that began after this was called has ended."""
        name = f"seen{time.monotonic_ns()}"
        self.ok(self.client.create_instance("shop", name, "score", "script", {"mode": "exit_3"}))
        for generation in (1, 2):
            self.ok(self.client.create_task("shop", name, "score"))
            self.client.finished("shop", name, generation, "score")
        db = sqlite3.connect(self.server.data / "stint.db", timeout=60)
        db.execute("UPDATE task SET ended_at = 1 WHERE generation = 1 AND instance_id = (SELECT id FROM instance "
                   "WHERE name = ?)", (name,))
        db.commit()
        db.close()
        wait_for("an old record to go", lambda: self.client.get_task("shop", name, 1, "score").status == 404)

    def test_a_jump(self):
        self.ok(self.client.create_app("shop"))
        self.ok(self.client.create_instance("shop", "one", "score", "script", {"mode": "exit_3"}))
        for generation in (1, 2, 3):
            self.ok(self.client.create_task("shop", "one", "score"))
            self.client.finished("shop", "one", generation, "score")
        self.clock.put_ahead(30)
        self.pass_by()
        self.assertEqual(self.listed(), [3, 2, 1])
        self.clock.move(0)
        self.pass_by()
        self.assertEqual(self.listed(), [3, 2, 1])
        self.server.stop()
        self.clock.move(30)
        self.server.start()
        wait_for("the jump to be told", lambda: self.server.log().count("clock.ahead") > 1)
        self.assertEqual(self.listed(), [3, 2, 1])


class Starts(ServerCase):
    """A server that is started anew each day, and has nothing to do, comes to believe its clock all the same."""

    args = Clocks.args

    @classmethod
    def prepare(cls, server):
        server.add_function("score", maxAttempts=1)
        cls.clock = MovedClock(server)

    def test_a_day_of_several_starts(self):
        self.ok(self.client.create_app("shop"))
        self.ok(self.client.create_instance("shop", "one", "score", "script", {"mode": "exit_3"}))
        for generation in (1, 2, 3):
            self.ok(self.client.create_task("shop", "one", "score"))
            self.client.finished("shop", "one", generation, "score")
        self.server.stop()
        self.clock.move(30)
        self.server.start()
        wait_for("the jump to be told", lambda: "clock.ahead" in self.server.log())
        self.server.stop()
        mark = self.server.data / "clock"
        wall, believed, lasted = (int(word) for word in mark.read_text().removeprefix("stint-clock 1 ").split())
        self.assertGreater(wall - believed, 29 * DAY_S * 1000)
        self.assertLess(lasted, 600_000)
        # As after runs that come to three seconds less than a day.
        mark.write_text(f"stint-clock 1 {wall} {believed} {DAY_S * 1000 - 3000}\n")
        self.server.start()
        wait_for("the old ones to go", lambda: Clocks.listed(self) == [3])


class Caches(DcsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.stop()
        cls.server.args = ["--keep-tasks", "2", "--tidy-seconds", "1"]
        cls.server.start()

    def test_background_tasks(self):
        instance = self.create("kept")
        ids = [self.dcs.newest(instance)["id"]]
        for _ in range(3):
            self.switch(instance, "restart")
            self.running(instance)
            ids.append(self.dcs.newest(instance)["id"])
        self.assertEqual(len(set(ids)), 4, ids)

        def shown():
            listed = self.ok(self.dcs.of("GET", instance, "tasks")).json
            return listed["task_count"], [t["id"] for t in listed["tasks"]]
        wait_for("two records", lambda: shown() == ("2", ids[:1:-1]))
        listed = self.ok(self.dcs.ask("GET", "tasks", limit=1000)).json
        self.assertEqual([t["id"] for t in listed["tasks"]], ids[:1:-1])
        self.assertEqual(self.dcs.ask("GET", "jobs", ids[0]).status, 404)
        self.assertEqual(self.connect(instance).call("PING"), "PONG")
        self.delete(instance)


del DcsCase  # its own tests are not ours

if __name__ == "__main__":
    unittest.main()
