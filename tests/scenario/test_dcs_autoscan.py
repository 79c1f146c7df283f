"""Analyses of Redis instances that run by themselves: they fire, once, also over crashes, and end in words."""
import calendar
import datetime
import sqlite3
import time
import unittest

from stint_client import IS_QUICK, wait_for
from test_dcs import DcsCase

PLAN = {"bigkey": ("bigkey", "autoscan"), "hotkey": ("hotkey", "autoscan"),
        "expire": ("scan-expire-keys", "autoscan-config")}


def first_in(seconds):
    """A first_scan_at that far ahead."""
    at = datetime.datetime.fromtimestamp(time.time() + seconds, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}"


class Autoscan(DcsCase):
    env = {"TZ": "Asia/Shanghai"}  # of no matter: the times of this API are UTC

    def plan(self, instance, kind, **body):
        """Set the schedule, and read it again."""
        answer = self.ok(self.dcs.of("PUT", instance, *PLAN[kind], body=body)).json
        self.assertEqual(answer, self.planned(instance, kind))
        return answer

    def planned(self, instance, kind):
        return self.ok(self.dcs.of("GET", instance, *PLAN[kind])).json

    def records(self, instance, kind):
        segments = ("auto-expire", "histories") if kind == "expire" else (f"{kind}-tasks",)
        return self.ok(self.dcs.of("GET", instance, *segments, limit=100)).json["records"]

    def ended(self, instance, kind, count, status="success"):
        """At least that many automatic scans, the newest of them over."""
        def over():
            found = self.records(instance, kind)
            return found if len(found) >= count and found[0]["status"] in ("success", "failed") else None
        found = wait_for(f"{count} scans of kind {kind}", over)
        self.assertEqual({r["scan_type"] for r in found}, {"auto"})
        self.assertEqual(found[0]["status"], status, self.server.log()[-3000:])
        return found

    def database(self, statement, *values):
        """Of the stopped or running server, seen from outside."""
        with sqlite3.connect(self.server.data / "stint.db", timeout=10) as connection:
            rows = connection.execute(statement, values).fetchall()
        connection.close()
        return rows

    def make_overdue(self, instance, kind, seconds, starts=True):
        """As if the server had been away when the schedule was due."""
        self.server.kill()
        self.database("UPDATE schedule SET next_at = ? WHERE kind = ? "
                      "AND cache_id = (SELECT id FROM cache WHERE uid = ?)",
                      int((time.time() - seconds) * 1000), kind, instance)
        if starts:
            self.server.start()

    def next_at(self, instance, kind):
        rows = self.database("SELECT next_at FROM schedule JOIN cache ON cache.id = cache_id "
                             "WHERE uid = ? AND kind = ?", instance, kind)
        return rows[0][0] if rows else None

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_expired_keys_are_freed_at_the_interval(self):
        one = self.create("auto-expire")
        connection = self.connect(one)
        for i in range(50):
            connection.call("SET", f"gone{i}", "v", "PX", 1)
        connection.call("SET", "stays", "v")
        first = first_in(1.5)
        plan = self.plan(one, "expire", enable_auto_scan=True, first_scan_at=first, interval=2, timeout=4,
                         scan_keys_count=10)
        self.assertEqual((plan["first_scan_at"], plan["interval"], plan["instance_id"]), (first, 2, one))
        self.assertRegex(plan["updated_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        begin = calendar.timegm(time.strptime(first[:19], "%Y-%m-%dT%H:%M:%S")) + float(first[19:])
        found = self.ended(one, "expire", 2)
        created = calendar.timegm(time.strptime(found[-1]["created_at"][:19], "%Y-%m-%dT%H:%M:%S")) + 1
        self.assertGreaterEqual(created, begin, "not before its time")
        self.assertEqual(connection.call("DBSIZE"), 1)
        self.server.restart()  # by kill -9: it goes on
        before = len(self.records(one, "expire"))
        self.ended(one, "expire", before + 1)
        self.plan(one, "expire", enable_auto_scan=False)
        self.assertEqual(self.next_at(one, "expire"), 0)
        self.delete(one)
        self.assertIsNone(self.next_at(one, "expire"), "deleted with its instance")

    def test_what_was_missed_runs_once_and_times_are_utc(self):
        one = self.create("auto-bigkey")
        self.connect(one).call("SET", "big", "x" * 1000)
        hour = (time.gmtime().tm_hour + 12) % 24
        self.plan(one, "bigkey", enable_auto_scan=True, schedule_at=[f"{hour:02d}:30"])
        due = self.next_at(one, "bigkey") / 1000
        self.assertGreater(due, time.time())
        self.assertEqual(time.gmtime(due)[3:5], (hour, 30))
        self.assertEqual(self.records(one, "bigkey"), [])
        self.make_overdue(one, "bigkey", 3 * 86400)
        scan = self.ended(one, "bigkey", 1)[0]
        shown = self.ok(self.dcs.of("GET", one, "bigkey-task", scan["id"])).json
        self.assertEqual([(k["name"], k["size"]) for k in shown["keys"]], [("big", 1000)])
        self.assertEqual(self.next_at(one, "bigkey") / 1000, due)
        self.server.restart()
        self.assertEqual(len(self.records(one, "bigkey")), 1, "once for all that was missed")
        self.delete(one)

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_a_crash_neither_loses_nor_doubles_a_firing(self):
        one = self.create("auto-crash")
        self.plan(one, "bigkey", enable_auto_scan=True,
                  schedule_at=[time.strftime("%H:%M", time.gmtime(time.time() + 18000))])
        # The first two commits are of the start itself, the third is the firing, the others of its scan.
        moments = [f"store.{side}_commit:{n}" for n in range(2, 6)
                   for side in ("before", "after")] + ["engine.before_start"]
        for count, moment in enumerate(moments, 1):
            with self.subTest(moment):
                self.make_overdue(one, "bigkey", 60, starts=False)
                self.server.env = {**self.env, "STINT_CRASH_POINT": moment}
                try:
                    self.server.start()
                except AssertionError:
                    pass  # dead before it was ready
                self.assertEqual(self.server.process.wait(20), -9, "the point was passed")
                self.server.kill()
                self.server.env = self.env
                self.server.start()
                self.ended(one, "bigkey", count)
                self.assertEqual(len(self.records(one, "bigkey")), count)
                self.assertGreater(self.next_at(one, "bigkey"), time.time() * 1000)
        self.delete(one)

    def test_hot_keys_need_their_policy_when_they_fire(self):
        one = self.create("auto-hotkey")
        daily = {"enable_auto_scan": True, "schedule_at": ["03:00"]}
        self.refused(self.dcs.of("PUT", one, "hotkey", "autoscan", body=daily), 400, "DCS.4922")
        self.assertIs(self.planned(one, "hotkey")["enable_auto_scan"], False)
        self.policy(one, "allkeys-lfu")
        self.plan(one, "hotkey", **daily)
        self.policy(one, "allkeys-lru")
        self.make_overdue(one, "hotkey", 60)
        wait_for("the skipped firing", lambda: "skipped_at" in self.planned(one, "hotkey"))
        self.assertIn("maxmemory-policy", self.planned(one, "hotkey")["skipped_reason"])
        self.assertEqual(self.records(one, "hotkey"), [])
        self.policy(one, "allkeys-lfu")
        self.make_overdue(one, "hotkey", 60)
        self.ended(one, "hotkey", 1)
        self.delete(one)

    def policy(self, instance, value):
        config = {"redis_config": [{"param_name": "maxmemory-policy", "param_value": value}]}
        self.ok(self.dcs.of("PUT", instance, "configs", body=config), 204)

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_a_scan_that_takes_too_long_fails_in_words(self):
        one = self.create("auto-timeout")
        script = "for i = 1, 40000 do redis.call('SET', i, i) end"
        self.connect(one).call("EVAL", script, 0)
        self.plan(one, "expire", enable_auto_scan=True, first_scan_at=first_in(1), interval=0, timeout=1,
                  scan_keys_count=10)
        self.ended(one, "expire", 1, status="failed")
        job = self.dcs.ended(self.dcs.newest(one)["id"])
        self.assertRegex(job["fail_reason"], "not finished within its timeout of 1 s")
        self.assertEqual(len(self.records(one, "expire")), 1, "and is not tried again")
        self.assertEqual(self.next_at(one, "expire"), 0, "no interval: only the first")
        self.delete(one)
