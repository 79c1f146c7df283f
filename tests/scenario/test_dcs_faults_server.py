"""Operations on Redis instances when the server dies: after every act of the task's child, which dies with it; at every
step just behind its child; and in its own commits."""
from dcs_faults import ONLY, OPERATIONS, SETTLED_S, FaultCase, is_chosen

# In the writer and the closer: an order is written but not committed, committed but not told; the child is not started,
# its work is done and not written, written but not committed, committed but not told.
MOMENTS = ("engine.order_applied", "engine.order_committed", "engine.before_start", "engine.before_finish",
           "engine.end_applied", "engine.end_committed")


class ServerDies(FaultCase):
    def test_after_every_act(self):
        self.every_operation("server", "cache.act")

    def test_behind_its_child(self):
        self.every_operation("both")

    def died(self):
        self.server.process.wait(SETTLED_S)
        self.server.kill()
        self.withdraw()
        self.server.start()

    def at(self, moment, operation):
        what = f"{operation.name}, the server dies at {moment}"
        self.ready(operation)
        before = (self.newest_task() or {}).get("id")
        self.order(moment)
        result = self.ask(operation.ask)
        self.died()
        result["thread"].join(SETTLED_S)
        task = self.newest_task()
        if task and task["id"] != before:
            self.finish(operation, what, must_succeed=True)
        else:  # nobody was told that it was taken
            self.assertEqual(moment, "engine.order_applied", what)
            self.assertNotIn("answer", result, what)
            self.calm(what)

    def test_in_its_commits(self):
        self.make()
        for operation in (o for o in OPERATIONS if o.name in ONLY):
            for moment in MOMENTS[2 if operation.is_scan else 0:]:
                if is_chosen(operation.name, moment, of=15):
                    ok = False
                    with self.subTest(f"{operation.name}, {moment}"):
                        self.at(moment, operation)
                        ok = True
                    if not ok:
                        self.start_afresh()
