"""The lighter share of the model: random sequences on Redis instances and the records of their background tasks. Every
step moves real processes, so sequences are short and each step is waited for. See test_model.py for
the other dialect."""
import random

from test_dcs import ABSENT, IS_QUICK, PASSWORD, DcsCase

INSTANCES_MOST = 2


class Kept:
    """What the API promises to remember of one instance."""

    def __init__(self, uid, name):
        self.uid, self.name, self.description = uid, name, ""
        self.records = [("CREATE", "SUCCESS")]   # newest first


class Sequences(DcsCase):
    def setUp(self):
        self.serial = 0

    def newest_record(self, kept, name):
        """A task that a step made is over, and is the first of its instance's list."""
        task = self.done(kept.uid, name)
        kept.records.insert(0, (name, task["status"]))

    # -- steps --
    def step_create(self, chance):
        if len(self.kept) < INSTANCES_MOST:
            self.serial += 1
            name = f"model-{self.serial}"
            self.kept.insert(0, Kept(self.create(name), name))

    def step_update(self, chance):
        kept = self.one(chance)
        if kept:
            kept.description = chance.choice(["", "one", "zwei ü"])
            kept.name = chance.choice([kept.name, kept.name + "x"])
            self.ok(self.dcs.of("PUT", kept.uid, body={"name": kept.name, "description": kept.description}), 204)

    def step_restart(self, chance):
        kept = self.one(chance)
        if kept:
            self.switch(kept.uid, "restart")
            self.newest_record(kept, "RESTART")

    def step_delete_record(self, chance):
        kept = self.one(chance)
        if kept and kept.records:
            at = chance.randrange(len(kept.records))
            task = self.ok(self.dcs.of("GET", kept.uid, "tasks", offset=at, limit=1)).json["tasks"][0]
            self.assertEqual(self.ok(self.dcs.of("DELETE", kept.uid, "tasks", task["id"])).json, {"message": ""})
            self.refused(self.dcs.of("DELETE", kept.uid, "tasks", task["id"]), 404, "DCS.4133")
            del kept.records[at]

    def step_delete(self, chance):
        kept = self.one(chance)
        if kept:
            self.delete(kept.uid)
            self.kept.remove(kept)

    def step_kill(self, chance):
        self.server.restart()

    def step_stop(self, chance):
        self.server.stop()
        self.server.start()

    def step_absent(self, chance):
        self.refused(self.dcs.of(chance.choice(["GET", "DELETE"]), ABSENT), 404, "DCS.3022")
        self.refused(self.dcs.of("GET", ABSENT, "tasks"), 404, "DCS.3022")

    def one(self, chance):
        return chance.choice(self.kept) if self.kept else None

    # -- after each step: everything that can be asked is as it should be --
    def check(self):
        listed = self.ok(self.dcs.ask("GET", "instances", limit=100)).json
        self.assertEqual(listed["instance_num"], len(self.kept))
        self.assertEqual([i["instance_id"] for i in listed["instances"]], [k.uid for k in self.kept])
        for kept in self.kept:
            shown = self.show(kept.uid)
            self.assertEqual((shown["name"], shown.get("description") or "", shown["status"]),
                             (kept.name, kept.description, "RUNNING"))
            self.check_records(kept)
            self.assertEqual(self.connect(kept.uid, PASSWORD).call("PING"), "PONG")

    def check_records(self, kept):
        """Whole, and page by page."""
        pages = []
        for offset in range(len(kept.records) + 1):
            page = self.ok(self.dcs.of("GET", kept.uid, "tasks", offset=offset, limit=1)).json
            self.assertEqual(page["task_count"], str(len(kept.records)))
            pages += page["tasks"]
        self.assertEqual([(t["name"], t["status"]) for t in pages], kept.records)

    STEPS = {"create": 5, "update": 3, "restart": 4, "delete_record": 3, "delete": 2, "kill": 1, "stop": 1, "absent": 1}

    def play(self, seed, n):
        chance = random.Random(seed)
        self.kept, self.script = [], []   # newest first, as lists are
        names = ["create", *chance.choices(*zip(*self.STEPS.items()), k=n)]
        for name in names:
            self.script.append(name)
            with self.subTest(seed=seed, script=" ".join(self.script)):
                getattr(self, "step_" + name)(chance)
                self.check()
        for kept in list(self.kept):
            self.delete(kept.uid)

    def test_short_sequences(self):
        for seed in (1,) if IS_QUICK else (1, 2, 3):
            self.play(seed, 6 if IS_QUICK else 15)
