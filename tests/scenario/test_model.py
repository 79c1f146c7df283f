"""Random sequences of calls, restarts and jumps of the clock: the server must answer as reference_model.py says.

What fails is shrunk: chunks of steps are left out, then single ones, then arguments, each time on a fresh server, as
long as the same call still differs. The rest is printed and saved, and --replay runs it again.

On a busy machine shrinking takes long: --patience gives it more than ten minutes.

Usage: test_model.py [--seed S] [--steps N] [--rounds R] [--wrong-rule NAME] [--replay FILE] [--keep FOLDER]
                     [--patience SECONDS]
"""
import argparse
import collections
import ctypes
import json
import math
import mmap
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time
import unittest

import stint_client
from reference_model import FIRST, RULES, SECOND, VERSION_NAMES, WRONG_RULES, Expect, Model, difference
from stint_client import IS_QUICK, Client, Server

LIBRARY = pathlib.Path(stint_client.BINARY).resolve().parent / "tests" / "libclock_shift.so"
CHILD = pathlib.Path(__file__).resolve().parent / "model_child.py"
SLOTS = 2
SETTLE_S = 10   # a step of a busy machine; a shrinker waits so long for each that hangs
# Every sequence begins here: on a full hour, so far from the minute at which schedules of the generator fire.
EPOCH_S = 1900000000 // 3600 * 3600
FIRING_MINUTE = 50
APP_OPERATIONS = ("create_app", "get_app", "list_apps", "remove_app")
READING = ("get_app", "list_apps", "get_instance", "list_instances", "get_task", "list_tasks", "get_default",
           "current_version", "get_version", "signed_at", "replayed")
FAVOUR = 6
# What brings a wrong rule to light. With all operations as usual only one sequence in five notices the rarer ones.
SHOWN_BY = {"deletes-unfinished": ("create_instance", "create_task", "delete_task"),
            "keeps-default": ("create_instance", "set_default", "delete_instance", "get_default"),
            "reuses-generations": ("create_instance", "create_task", "end", "delete_task"),
            "ignores-schedules": ("create_instance", "update_instance", "jump", "get_instance"),
            "lists-oldest-first": ("create_instance", "create_task", "end", "list_tasks"),
            "moves-to-newest-version": ("create_instance", "update_instance")}
ALWAYS_APP = "nudge"   # made first; making it again wakes the server's scheduler after a jump of the clock


class Mismatch(Exception):
    """The server and the model differ. `step` is where."""

    def __init__(self, step, words):
        super().__init__(words)
        self.step = step


# ---- the server under a clock of ours ----

class Clock:
    """Seconds in a file that the server's clock is ahead by (clock_shift.c); it can be moved while the server runs."""

    def __init__(self, file):
        file.write_bytes(bytes(8))
        with open(file, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 8)
        self.seconds = 0
        self.add(EPOCH_S - int(time.time()))

    def add(self, seconds):
        self.seconds += seconds
        # One store of eight bytes: the server reads while we write.
        ctypes.c_int64.from_buffer(self.map).value = self.seconds

    def now_ms(self):
        return int((time.time() + self.seconds) * 1000)


class ModelClient(Client):
    """Its own clock goes with the server's: a signature is of its time. Keeps no secrets from the shrinker."""
    clock = None

    def headers_for(self, action, body, date=None, nonce=None):
        date = date or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock.now_ms() // 1000))
        return super().headers_for(action, body, date, nonce)


def rules_of(version):
    """As a manifest has them."""
    return [{"name": name, **({"type": "int", "low": bounds[0], "high": bounds[-1]} if bounds else {})}
            for name, bounds in RULES[version].items()]


class Template:
    """A data folder with a key, copied for each replay: making a key anew costs more than a sequence."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="stint-model-"))
        server = Server(self.folder / "template")
        (self.folder / "template").mkdir()
        run = [sys.executable, "-S", "-E", str(CHILD)]
        for name, kind in (("score", "PAAS"), ("free", "SAAS")):
            server.add_function(name, functionType=kind, maxAttempts=100, run=run, createParameters=rules_of(FIRST))
        self.access = server.key()
        self.serial = 0

    def server(self):
        self.serial += 1
        place = self.folder / str(self.serial)
        shutil.copytree(self.folder / "template", place)
        server = Server(place, ("--max-running", str(SLOTS)))
        server.access = self.access
        return server

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


# ---- one sequence ----

class Session:
    """A fresh server and a fresh model, and the steps that both take."""

    def __init__(self, template, rule):
        self.server = template.server()
        self.clock = Clock(self.server.folder / "clock")
        self.server.env = {"LD_PRELOAD": str(LIBRARY), "CLOCK_SHIFT_FILE": str(self.server.folder / "clock"),
                           "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        self.model = rule(self.clock.now_ms)
        self.gates = 0

    def __enter__(self):
        self.server.start()
        try:
            self.take({"op": "create_app", "app": ALWAYS_APP})
        except Mismatch:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.server.process:
            self.server.kill()
        shutil.rmtree(self.server.folder, ignore_errors=True)

    @property
    def client(self):
        plain = self.server.client
        client = ModelClient(plain.host, plain.port, plain.key_id, plain.secret)
        client.clock = self.clock
        return client

    def take(self, step):
        """Raises Mismatch."""
        self.since = self.clock.now_ms()
        try:
            special = getattr(self, "do_" + step["op"], None)
            if special:
                special(**{k: v for k, v in step.items() if k != "op"})
            else:
                self.call(step["op"], {k: v for k, v in step.items() if k != "op"})
            self.settle()
        except AssertionError as fault:   # of the server: it did not start, stop or settle, or a sanitizer complained
            raise Mismatch(step, str(fault)) from fault
        except Mismatch as found:
            found.step = step
            raise

    # -- calls --
    def call(self, op, args):
        args = self.resolved(op, args)
        expect = getattr(self.model, op)(**args)
        self.compare(op, expect, send(self.client, op, args))
        if expect.status == 200 and op == "create_instance":   # its time of creation is the server's choice: learn it
            name = args["body"]["instanceName"]
            self.call("get_instance", {"app": args["app"], "function": args["function"], "name": name})

    def compare(self, op, expect, answer):
        if (answer.status, answer.code or "") != (expect.status, expect.code):
            raise Mismatch(None, f"{op}: expected {expect.status} {expect.code!r}, "
                                 f"got {answer.status} {answer.code!r}: {answer.message}")
        body, is_app = answer.json, op in APP_OPERATIONS
        if expect.status != 200 or expect.result is None:
            words = "a result" if body.get("Result") or (body.get("result") and not is_app) else None
        else:
            got = body.get("result" if is_app else "Result")
            words = difference(expect.result, trimmed(expect.result, got) if is_app else got)
        if not words and expect.total is not None:
            words = difference(expect.total, body.get("totalCount" if is_app else "TotalCount"), "total")
        if words:
            raise Mismatch(None, f"{op}: {words}")

    def resolved(self, op, args):
        """Steps name things by words; what only this run knows is put in here: gates, and times to filter by."""
        args = json.loads(json.dumps(args))
        if op == "create_instance":
            self.gates += 1
            self.gated(args["body"], str(self.server.folder / f"gate{self.gates}"))
        elif op == "update_instance" and "createParameters" in args["body"]:
            found = self.find(args["app"], args["function"], args["name"])
            gates = [p["value"] for p in found.create if p["name"] == "gate"] if found else []
            self.gated(args["body"], gates[0] if gates else "none")
        for name in ("startTime", "endTime"):
            if name in args:
                args[name] = self.time_near(args, name)
        return args

    def gated(self, body, gate):
        body["createParameters"] = [{"name": "gate", "value": gate}, *body.get("createParameters", [])]

    def find(self, app, function, name):
        group = self.model.apps.get(app)
        return group and group.instances.get((function, name))

    def time_near(self, args, name):
        """[generation, offset]: that run's time and so much more."""
        generation, offset = args[name]
        found = self.find(args["app"], args["function"], args["name"])
        task = found and found.tasks.get(generation)
        moment = task and (task.start if name == "startTime" else task.end)
        return (moment.value if moment and moment.value else self.clock.now_ms()) + offset

    # -- what is no call of the API --
    def do_end(self, app, function, name, word):
        """Let the unfinished run of an instance end, now or as soon as it runs."""
        found = self.find(app, function, name)
        task = found and found.unfinished()
        if task and not task.word:
            task.word = word
            gate = next(p["value"] for p in found.create if p["name"] == "gate")
            file = pathlib.Path(f"{gate}.{task.generation}")
            file.with_suffix(".new").write_text(word)
            file.with_suffix(".new").rename(file)

    def move_clock(self, hours):
        self.since = self.clock.now_ms() + hours * 3600 * 1000
        self.clock.add(hours * 3600)
        self.model.time_passed(self.since)

    def do_jump(self, hours):
        self.move_clock(hours)
        self.call("create_app", {"app": ALWAYS_APP})

    def do_restart(self, how, hours=0, publish=False):
        self.server.kill() if how == "kill" else self.server.stop()
        if publish:
            self.publish()
        self.move_clock(hours)
        self.server.start()
        self.call("create_app", {"app": ALWAYS_APP})   # what it fires at its start is fired when this is answered

    def publish(self):
        """A second manifest beside the first."""
        folder = self.server.data / "functions.d"
        manifest = json.loads((folder / "score.json").read_text())
        manifest |= {"versionId": SECOND, "versionName": VERSION_NAMES[SECOND], "createParameters": rules_of(SECOND)}
        (folder / "score-second.json").write_text(json.dumps(manifest))
        self.model.publish()

    def do_crowd(self, app, function, name, n):
        """The same creation n times at once: one wins at most."""
        expected = sorted([e.status for e in (self.model.create_task(app=app, function=function, name=name)
                                              for _ in range(n))])
        client, got = self.client, []
        threads = [threading.Thread(target=lambda: got.append(client.create_task(app, name, function).status))
                   for _ in range(n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if sorted(got) != expected:
            raise Mismatch(None, f"crowd: expected {expected}, got {sorted(got)}")

    def do_signed_at(self, seconds):
        """A request whose date is so far from the server's clock."""
        date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock.now_ms() // 1000 + seconds))
        answer = self.client.call("GET", "/v4/openapi/app-groups/" + ALWAYS_APP, date=date)
        fine = abs(seconds) <= 15 * 60
        due = Expect(result={}) if fine else Expect(400, "InvalidTimeStamp.Expired")
        self.compare("get_app", due, answer)

    def do_replayed(self):
        """One request twice, to the letter."""
        date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock.now_ms() // 1000))
        nonce = os.urandom(16).hex()
        for due in (Expect(result={}), Expect(400, "SignatureNonceUsed")):
            answer = self.client.call("GET", "/v4/openapi/app-groups/" + ALWAYS_APP, date=date, nonce=nonce)
            self.compare("get_app", due, answer)

    # -- after each step --
    def settle(self):
        """
        Wait until everything that must happen by itself has: runs that were told to end and had their turn are over,
        and as many run as may. Which of the waiting ones has its turn is the server's choice; nothing else may change.
        """
        end = time.monotonic() + SETTLE_S
        while True:
            states = self.observe()
            running = [task for task, state in states if state == "running"]
            if len(running) == min(SLOTS, len(states)) and not any(task.word for task in running):
                break
            if time.monotonic() > end:
                told = [(t.generation, s, t.word) for t, s in states]
                raise AssertionError(f"{min(SLOTS, len(states))} runs should be going on; "
                                     f"(generation, state, told): {told}")
            time.sleep(0.005)
        self.learn()

    def unfinished(self):
        return [(app, instance, instance.unfinished()) for app in self.model.apps.values()
                for instance in app.instances.values() if instance.unfinished()]

    def observe(self):
        """States of all unfinished runs; those that just ended are noted as ended and left out."""
        states = []
        for app, instance, task in self.unfinished():
            answer = self.client.detail(app.name, instance.name, task.generation, instance.function)
            if answer.status != 200:
                raise AssertionError(f"run {task.generation} of {instance.name} is not there: {answer}")
            state = answer.json["state"]
            if state != "pending" and task.state == "pending":
                self.model.task_started(task, self.since)
            if state in ("success", "failed"):
                if state != {"ok": "success", "fail": "failed"}.get(task.word):
                    raise AssertionError(f"run {task.generation} of {instance.name} ended {state}, "
                                         f"but was told {task.word}")
                self.model.task_ended(instance, task, self.since)
                self.call("get_task", self.names(app, instance, task))
            else:
                states.append((task, state))
        return states

    def names(self, app, instance, task):
        return {"app": app.name, "function": instance.function, "name": instance.name, "generation": task.generation}

    def learn(self):
        """The times of runs that began, while their bounds are tight."""
        for app, instance, task in self.unfinished():
            if task.start.value is None:
                self.call("get_task", self.names(app, instance, task))


def trimmed(expected, got):
    """App groups have many members that mean nothing here."""
    if isinstance(got, list):
        return [trimmed(expected[0] if expected else {}, one) for one in got]
    return {k: v for k, v in got.items() if k in expected} if isinstance(got, dict) else got


def send(client, op, args):
    """The model's operation as the client's call."""
    rest = {k: v for k, v in args.items() if k not in ("app", "function", "name", "body", "generation")}
    app, function, name = args.get("app"), args.get("function"), args.get("name")
    if op == "create_instance":
        return client.call("POST", client.base(app, function, "instances"), args["body"])
    if op == "get_instance":
        return client.call("GET", client.base(app, function, "instances", name), query=rest)
    if op == "update_instance":
        return client.update_instance(app, name, args["body"], function)
    if op == "set_default":
        return client.set_default(app, {"instanceName": name} if name else {}, function)
    if op == "current_version":
        return client.current_version(function, **rest)
    if op == "get_version":
        return client.version(args["version"], function)
    if op == "list_apps":
        return client.list_apps(**args)
    if op in ("create_app", "get_app", "remove_app"):
        return getattr(client, op)(app, **rest)
    if op in ("get_task", "delete_task"):
        return getattr(client, op)(app, name, args["generation"], function)
    if op == "list_instances":
        return client.list_instances(app, function, **rest)
    if op == "get_default":
        return client.get_default(app, function)
    return getattr(client, op)(app, name, function, **rest)


# ---- the generator ----

class Generator:
    """Steps that make sense most of the time: a few names, and mostly those of what the model has just then."""
    CRONS = ("", "{m} * * * *", "{m} */6 * * *", "{m} 3 ? * 0,1,3,5", "{m} 12 1 * *", "{m} 0 1-7 * 6",
             "{m} 9,21 * 1-12 7")

    def __init__(self, seed, favoured=()):
        """favoured: operations that are to come FAVOUR times as often."""
        self.random = random.Random(seed)
        self.weights = {op: weight * (FAVOUR if op in favoured else 1) for op, weight in self.WEIGHTS.items()}
        self.model = None
        self.asked_default = None    # where one was set last

    def pick(self, *choices):
        return self.random.choice(choices)

    def often(self, usual, *odd):
        """The usual thing nine times of ten."""
        return self.random.choice(odd) if self.random.random() < 0.1 else usual

    def app(self):
        return self.often(self.pick("alpha", "alpha", "beta"), "gamma", "no.dot", "a" * 31)

    def place(self):
        return {"app": self.app(), "function": self.often(self.pick("score", "score", "free"), "nofunction")}

    def one(self, wanted=lambda instance: True):
        there = [{"app": app.name, "function": i.function, "name": i.name} for app in self.model.apps.values()
                 for i in app.instances.values() if wanted(i)]
        if there and self.random.random() < 0.8:
            return self.random.choice(there)
        return {**self.place(), "name": self.often(self.pick("a", "b", "c"), "absent", "sp ace")}

    def run_of(self, instance):
        """A run of an instance that one() chose, or a number that is none."""
        group = self.model.apps.get(instance["app"])
        found = group and group.instances.get((instance["function"], instance["name"]))
        if found and found.tasks and self.random.random() < 0.8:
            return self.random.choice(list(found.tasks))
        return self.often(self.random.randrange(1, 5), 0, "01", "abc", "+1", 10**20)

    def cron(self):
        return self.often(self.pick(*self.CRONS).format(m=FIRING_MINUTE), "soon", "* * * *", "0 0 30 2 *")

    def parameters(self):
        return self.pick([], [], [{"name": "note", "value": self.pick("", "x", "ä")}],
                         [{"name": "count", "value": self.often(self.pick("1", "10"), "0", "11", "many")}],
                         [self.often({"name": "count", "value": "3"}, {"name": "unknown", "value": "1"})],
                         [{"name": "level", "value": self.often(self.pick("1", "3"), "0", "4")}])

    def fields(self, share):
        makers = {"description": lambda: self.pick("", "one", "zwei ü"), "cron": self.cron,
                  "createParameters": self.parameters,
                  "usageParameters": lambda: self.often([], [{"name": "u", "value": "1"}])}
        return {name: make() for name, make in makers.items() if self.random.random() < share}

    def page(self):
        query = {}
        if self.random.random() < 0.7:
            query["pageSize"] = self.often(self.pick(1, 2, 3, 100), 0, -1, 101, "x")
        if self.random.random() < 0.5:
            query["pageNumber"] = self.often(self.pick(1, 2, 3), 0, "x", 10**18)
        return query

    def maybe(self, **choices):
        return {k: self.random.choice(v) for k, v in choices.items() if self.random.random() < 0.4}

    def hours(self):
        return self.pick(1, 1, 3, 7, 24, 30, -1, -5, -26)

    def step(self, model):
        self.model = model
        if len(model.apps) == 1 and self.random.random() < 0.5:   # without an app group all else is refused
            return {"op": "create_app", "app": "alpha"}
        op = self.random.choices(*zip(*self.weights.items()))[0]
        return {"op": op, **getattr(self, "make_" + op)()}

    WEIGHTS = {"create_app": 5, "get_app": 2, "list_apps": 4, "remove_app": 2, "create_instance": 12, "get_instance": 8,
               "list_instances": 6, "update_instance": 6, "delete_instance": 7, "create_task": 16, "get_task": 5,
               "list_tasks": 8, "delete_task": 7, "set_default": 6, "get_default": 6, "end": 16, "jump": 5,
               "restart": 4, "crowd": 1, "signed_at": 1, "replayed": 1, "current_version": 2,
               "get_version": 2}

    def make_create_app(self):
        return {"app": self.app(), **self.maybe(description=["", "a group"])}

    def make_get_app(self):
        return {"app": self.app()}

    make_remove_app = make_get_app

    def make_list_apps(self):
        return {**self.page(), **self.maybe(name=["alpha", "none"], sortBy=["0", "1", "0", "1", "2"])}

    def make_create_instance(self):
        place = self.place()
        body = {"instanceName": self.often(self.pick("a", "b", "c"), "1a", "", "a" * 31, "sp ace"),
                "modelType": self.often("script", "other"), **self.fields(0.4)}
        kind = self.often("SAAS" if place["function"] == "free" else "PAAS", "SAAS", "PAAS", "NONE")
        if kind != "PAAS" or self.random.random() < 0.5:
            body["functionType"] = kind
        for name in ("instanceName", "modelType"):
            if self.random.random() < 0.03:
                del body[name]
        return {**place, "body": body}

    def make_get_instance(self):
        return {**self.one(), **self.maybe(output=["simple", "normal", "detail", "detail", "detail", "all"])}

    def make_list_instances(self):
        return {**self.place(), **self.page(), **self.maybe(output=["simple", "normal", "detail", "none"],
                source=["user", "builtin", "all", "none"], modelType=["script", "other"],
                functionType=["PAAS", "SAAS"])}

    def make_update_instance(self):
        return {**self.one(), "body": self.fields(0.4)}

    make_delete_instance = make_create_task = one

    def make_get_task(self):
        instance = self.one()
        return {**instance, "generation": self.run_of(instance)}

    make_delete_task = make_get_task

    def make_list_tasks(self):
        query = self.maybe(status=["success", "failed", "running", "running", "pending"])
        for name in ("startTime", "endTime"):
            if self.random.random() < 0.15:
                query[name] = [self.random.randrange(1, 4), self.pick(-1, 0, 1)]
        return {**self.one(lambda i: i.tasks), **self.page(), **query}

    def make_set_default(self):
        chosen = self.one() if self.random.random() < 0.8 else self.place()
        self.asked_default = {k: chosen[k] for k in ("app", "function")}
        return chosen

    def make_get_default(self):
        return self.asked_default if self.asked_default and self.random.random() < 0.8 else self.place()

    def make_end(self):
        return {**self.one(lambda i: i.unfinished()), "word": self.pick("ok", "ok", "fail")}

    def make_jump(self):
        return {"hours": self.hours()}

    def make_restart(self):
        step = {"how": self.pick("kill", "kill", "term"), "hours": self.pick(0, 0, 0, self.hours())}
        is_news = SECOND not in self.model.versions["score"] and self.random.random() < 0.5
        return {**step, "publish": True} if is_news else step

    def make_current_version(self):
        return {"function": self.often(self.pick("score", "score", "free"), "nofunction"),
                **self.maybe(functionType=["PAAS", "SAAS"], category=["", "general", "it"], domain=["", "ecommerce"]),
                **({"modelType": self.often("script", "other")} if self.random.random() < 0.9 else {})}

    def make_get_version(self):
        return {"function": self.often(self.pick("score", "score", "free"), "nofunction"),
                "version": self.often(self.pick(101, 102), 0, 103, "abc")}

    def make_crowd(self):
        return {**self.one(), "n": self.pick(2, 8)}

    def make_signed_at(self):
        return {"seconds": self.pick(-960, -840, 840, 960)}

    def make_replayed(self):
        return {}


# ---- shrinking ----

class Shrinker:
    """A failing sequence made short. fails(steps) is the Mismatch of a fresh server, or None."""

    def __init__(self, fails, op, seconds=600):
        self.fails, self.op = fails, op
        self.end = time.monotonic() + seconds

    def still(self, steps):
        if time.monotonic() > self.end:
            return False
        found = self.fails(steps)
        return found is not None and found.step["op"] == self.op

    def shrink(self, steps):
        steps = self.guessed(steps)
        chunk = max(1, len(steps) // 2)
        while True:
            steps = self.without_chunks(steps, chunk)
            if chunk == 1:
                break
            chunk = max(1, chunk // 2)
        for size in (3, 2, 1):   # what only goes together: a run made and ended
            steps = self.without_chunks(steps, size)
        return self.simpler(steps)

    def guessed(self, steps):
        """What most likely has nothing to do with it, all at once: what only reads, other app
        groups, other instances."""
        last = steps[-1]
        for matters in (lambda s: s["op"] not in READING, lambda s: s.get("app", last.get("app")) == last.get("app"),
                        lambda s: instance_of(s) in (None, instance_of(last))):
            fewer = [s for s in steps[:-1] if matters(s)] + [last]
            if len(fewer) < len(steps) and self.still(fewer):
                steps = fewer
        return steps

    def without_chunks(self, steps, size):
        """From the end: what came last depends on what came before."""
        first = len(steps) - size
        while first > -size:
            fewer = steps[:max(0, first)] + steps[first + size:]
            if len(fewer) < len(steps) and self.still(fewer):
                steps = fewer
            first -= size
        return steps

    def simpler(self, steps):
        for at in range(len(steps)):
            for name in [k for k in steps[at] if k not in ("op", "app", "function", "name", "generation", "word", "how",
                                                          "hours", "n", "seconds", "body")]:
                steps = self.tried(steps, at, {k: v for k, v in steps[at].items() if k != name})
            for name in list(steps[at].get("body", {})):
                body = {k: v for k, v in steps[at]["body"].items() if k != name}
                steps = self.tried(steps, at, {**steps[at], "body": body})
        return steps

    def tried(self, steps, at, step):
        fewer = steps[:at] + [step] + steps[at + 1:]
        return fewer if self.still(fewer) else steps


def instance_of(step):
    """(function, name) of the instance that a step is about; None: of none."""
    name = step.get("name") or step.get("body", {}).get("instanceName")
    return (step.get("function"), name) if name and "function" in step else None


def script(steps):
    return "\n".join(f"{s['op']}({', '.join(f'{k}={v!r}' for k, v in s.items() if k != 'op')})" for s in steps)


# ---- what was found ----

def instances(*names):
    """An app group with instances that have a run each."""
    place = {"app": "alpha", "function": "score"}
    return [{"op": "create_app", "app": "alpha"}] + [
        {"op": op, **place, **more} for n in names for op, more in (
            ("create_instance", {"body": {"instanceName": n, "modelType": "script"}}), ("create_task", {"name": n}))]


KNOWN = {
    # The clock goes back (a correction, a machine restored): who waits must not wait for the old time to come again.
    "a run that waits while the clock goes back": [
        *instances("a", "b", "c"), {"op": "jump", "hours": -5},
        {"op": "end", "app": "alpha", "function": "score", "name": "a", "word": "ok"},
        {"op": "end", "app": "alpha", "function": "score", "name": "b", "word": "ok"},
        {"op": "end", "app": "alpha", "function": "score", "name": "c", "word": "ok"}],
    # What was planned while the clock was far ahead does not wait until it is there again.
    "a schedule that a clock far ahead has planned": [
        *instances("a"), {"op": "end", "app": "alpha", "function": "score", "name": "a", "word": "ok"},
        {"op": "jump", "hours": 4000},
        {"op": "update_instance", "app": "alpha", "function": "score", "name": "a", "body": {"cron": "30 * ? * *"}},
        {"op": "jump", "hours": -4000}, {"op": "jump", "hours": 2}],
    "a server that starts with its clock back": [
        *instances("a", "b", "c"), {"op": "restart", "how": "term", "hours": -5},
        {"op": "restart", "how": "kill", "hours": -5}],
}


# ---- running ----

class Runner:
    def __init__(self, wrong_rule=None, patience_s=600):
        """wrong_rule: the name of a fault to plant in the model; sequences then favour what shows it."""
        self.rule, self.favoured = WRONG_RULES.get(wrong_rule, Model), SHOWN_BY.get(wrong_rule, ())
        self.patience_s = patience_s
        self.template = Template()
        self.taken = collections.Counter()

    def close(self):
        self.template.close()

    def play(self, steps):
        """The first Mismatch, or None. steps: a list, or a function of the model that makes the next
        one (None: no more)."""
        source = iter(steps) if isinstance(steps, list) else None
        try:
            with Session(self.template, self.rule) as session:
                while step := next(source, None) if source else steps(session.model):
                    session.take(step)
                    self.taken[step["op"]] += 1
        except Mismatch as found:
            return found
        return None

    def search(self, seed, n):
        """None, or (a short script that fails, what differs)."""
        generator, steps = Generator(seed, self.favoured), []

        def make(model):
            if len(steps) == n:
                return None
            steps.append(generator.step(model))
            return steps[-1]

        found = self.play(make)
        if not found:
            return None
        print(f"seed {seed}: after {len(steps)} steps: {found}; shrinking", file=sys.stderr, flush=True)
        short = Shrinker(self.play, found.step["op"], self.patience_s).shrink(steps)
        return short, self.play(short) or found


def tell(seed, short, found, keep):
    file = pathlib.Path(keep) / f"model-{seed}.json"
    file.write_text("\n".join(json.dumps(step) for step in short) + "\n")
    return f"seed {seed}: {found}\n{script(short)}\nagain with: test_model.py --replay {file}"


@unittest.skipUnless(LIBRARY.exists(), f"{LIBRARY.name} was not built beside {stint_client.BINARY}")
class Agreement(unittest.TestCase):
    def runner(self, *args):
        runner = Runner(*args)
        self.addCleanup(runner.close)
        return runner

    def test_random_sequences(self):
        runner = self.runner()
        for seed in range(1, 4 if IS_QUICK else 21):
            with self.subTest(seed=seed):
                found = runner.search(seed, 150 if IS_QUICK else 200)
                if found:
                    self.fail(tell(seed, *found, tempfile.gettempdir()))

    def test_sequences_that_once_differed(self):
        """As they came from the shrinker; each was a fault of the server."""
        runner = self.runner()
        for name, steps in KNOWN.items():
            with self.subTest(name=name):
                self.assertIsNone(runner.play(steps))

    @unittest.skipIf(IS_QUICK, "shrinks for a while")
    def test_a_wrong_rule_is_found_and_shrunk(self):
        # The shrinker gives runs no new numbers: a script that ends with run 3 has also the making and ending of 1 and
        # 2.
        most_steps = {"deletes-unfinished": 6, "keeps-default": 5, "reuses-generations": 10, "ignores-schedules": 6,
                      "lists-oldest-first": 7, "moves-to-newest-version": 5}
        self.assertEqual(set(most_steps), set(WRONG_RULES))
        self.assertEqual(set(SHOWN_BY), set(WRONG_RULES))
        for name, most in most_steps.items():
            with self.subTest(rule=name):
                # No limit of time for the shrinker: a busy machine must not leave the script long.
                runner = self.runner(name, math.inf)
                found = next(filter(None, (runner.search(seed, 200) for seed in range(1, 21))), None)
                self.assertIsNotNone(found, "no sequence noticed the wrong rule")
                self.assertLessEqual(len(found[0]), most, script(found[0]))


def main():
    words = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--steps", type=int, default=200)
    words.add_argument("--rounds", type=int, default=1)
    words.add_argument("--wrong-rule", choices=WRONG_RULES)
    words.add_argument("--replay", type=pathlib.Path)
    words.add_argument("--keep", default=tempfile.gettempdir())
    words.add_argument("--patience", type=float, default=600)
    given = words.parse_args()
    if not LIBRARY.exists():
        words.error(f"{LIBRARY.name} was not built beside {stint_client.BINARY}")
    runner = Runner(given.wrong_rule, given.patience)
    try:
        if given.replay:
            found = runner.play([json.loads(line) for line in given.replay.read_text().splitlines()])
            print(f"differs at {found.step}: {found}" if found else "no difference")
            return 1 if found else 0
        for seed in range(given.seed, given.seed + given.rounds):
            found = runner.search(seed, given.steps)
            print(tell(seed, *found, given.keep) if found else f"seed {seed}: {given.steps} steps agree", flush=True)
            if found:
                return 1
        print(", ".join(f"{n} {op}" for op, n in runner.taken.most_common()))
        return 0
    finally:
        runner.close()


if __name__ == "__main__":
    sys.exit(main())
