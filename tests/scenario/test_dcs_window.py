"""Changes that wait for the maintenance window. The server's clock is put shortly before its begin (clock_shift.c), and
the test looks on while the hour strikes."""
import os
import pathlib
import time
import unittest

import stint_client
from stint_client import IS_QUICK, Dcs, wait_for
from test_dcs import DcsCase

LIBRARY = pathlib.Path(stint_client.BINARY).resolve().parent / "tests" / "libclock_shift.so"
HOUR_S = 3600
BEFORE_S = 4   # from the start of the server with the other clock to the begin of the window


class ShiftedDcs(Dcs):
    """A client whose clock is ahead as the server's is: a signature is of its time."""
    shift_s = 0

    def now(self):
        return time.time() + self.shift_s

    def headers_for(self, action, body, date=None, nonce=None):
        date = date or time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.now()))
        return super().headers_for(action, body, date, nonce)


@unittest.skipUnless(LIBRARY.exists(), f"{LIBRARY.name} was not built beside {stint_client.BINARY}")
class Window(DcsCase):
    shift_s = 0

    @property
    def dcs(self):
        plain = self.server.dcs
        shifted = ShiftedDcs(plain.host, plain.port, plain.key_id, plain.secret, plain.project)
        shifted.shift_s = self.shift_s
        return shifted

    def start_at(self, at_s):
        """The server again, with a clock that shows that time. Its sanitizer must bear a library before its own."""
        self.shift_s = int(at_s - time.time())
        self.server.env = {"LD_PRELOAD": str(LIBRARY), "CLOCK_SHIFT_S": str(self.shift_s),
                           "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        self.server.restart()

    def tearDown(self):
        self.server.env = {}
        self.shift_s = 0
        self.server.restart()

    def waiting(self, instance):
        task = self.dcs.newest(instance)
        self.assertEqual((task["name"], task["status"]), ("EXTEND", "CREATED"))
        return task["id"]

    @unittest.skipIf(IS_QUICK, "only in the full run")
    def test_a_resize_waits_for_its_window(self):
        begin = (int(time.time()) // HOUR_S + 12) * HOUR_S   # a full hour, far from now
        clock = lambda at: time.strftime("%H:%M:%S", time.gmtime(at))
        one = self.create("window", maintain_begin=clock(begin), maintain_end=clock(begin + HOUR_S))
        body = {"spec_code": self.show(one)["spec_code"].replace("128", "256"), "new_capacity": 0.25,
                "execute_immediately": False}
        self.ok(self.dcs.of("POST", one, "resize", body=body), 204)
        task = self.waiting(one)
        # It is the change under way, though nothing happens yet: the instance works, takes no other, and neither goes.
        self.assertEqual(self.show(one)["status"], "RUNNING")
        self.assertEqual(self.connect(one).info("maxmemory"), str(128 << 20))
        self.refused(self.dcs.of("POST", one, "resize", body=body), 400, "DCS.4113")
        self.refused(self.dcs.of("DELETE", one, "tasks", task), 400, "DCS.4017")
        self.server.restart()
        self.assertEqual(self.waiting(one), task)

        self.start_at(begin - BEFORE_S)
        looked = 0
        while self.dcs.now() < begin - 1:
            self.assertEqual(self.waiting(one), task)
            looked += 1
        self.assertGreater(looked, 0, "the server took too long to start to see it wait")
        job = self.dcs.ended(task)
        self.assertEqual((job["status"], job["fail_reason"]), ("SUCCESS", None))
        began_s, ended_s = int(job["begin_time"]) / 1000, int(job["end_time"]) / 1000
        self.assertTrue(begin <= began_s <= ended_s <= self.dcs.now() < begin + HOUR_S, (begin, job))
        self.assertEqual(self.show(one)["max_memory"], 256)
        self.assertEqual(self.connect(one).info("maxmemory"), str(256 << 20))

    def test_a_window_that_was_missed_is_made_up_for(self):
        """The server was down when the hour struck: the change happens at its next start."""
        begin = (int(time.time()) // HOUR_S + 12) * HOUR_S
        clock = lambda at: time.strftime("%H:%M:%S", time.gmtime(at))
        one = self.create("missed", "ha", maintain_begin=clock(begin), maintain_end=clock(begin + HOUR_S))
        body = {"spec_code": self.show(one)["spec_code"], "new_capacity": 0, "change_type": "createReplication",
                "available_zones": [self.zone()], "execute_immediately": False}
        self.ok(self.dcs.of("POST", one, "resize", body=body), 204)
        task = self.dcs.newest(one)
        self.assertEqual((task["name"], task["status"]), ("AddReplica", "CREATED"))
        self.assertEqual(self.show(one)["replica_count"], 2)
        self.start_at(begin + 2 * HOUR_S)
        self.assertEqual(self.dcs.ended(task["id"])["status"], "SUCCESS")
        wait_for("three copies", lambda: self.show(one)["replica_count"] == 3)


if __name__ == "__main__":
    unittest.main()
