"""What the OpenSearch function API promises, as a small model: app groups, instances, runs, default instances,
schedules, versions of functions.

Each operation is a method that says which answer is due (Expect) and does to the model what the operation does. It is
written from the contract and docs/differences.md and shares nothing with the server: an instance is a Python object, a
list is sorted when somebody asks. What the server is free to choose (ids, times, which waiting run starts next) is a
Once: the first answer settles it, within its bounds, and every later one must repeat it.

WRONG_RULES are faults planted in the model, to see that a difference is found: test_model.py --wrong-rule NAME.
"""
import json
import re
import time

NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,29}")
APP_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,29}")
FUNCTION_TYPES = {"score": "PAAS", "free": "SAAS"}   # both of modelType "script"
# What a version's createParameters may be, and the numbers that are in bounds. The second is published while sequences
# go on; an instance stays with the version it was created with.
FIRST, SECOND = 101, 102
VERSION_NAMES = {FIRST: "v1", SECOND: "v2"}
RULES = {FIRST: {"gate": None, "note": None, "count": range(1, 11)}, SECOND: {"gate": None, "level": range(1, 4)}}
PAGE_MOST = 100
MINUTES_SEARCHED = 40 * 24 * 60
CLOCK_SLACK_MS = 3 * 3600 * 1000   # a clock that goes back by less is corrected, and plans nothing anew


class Once:
    """A value the server chooses: the first one, if check() likes it, and the same ever after."""

    def __init__(self, check=lambda value: True, words="a value"):
        self.value, self.check, self.words = None, check, words

    def fits(self, value):
        if self.value is None and self.check(value):
            self.value = value
        return self.value == value and value is not None

    def __repr__(self):
        return f"<{self.words}>" if self.value is None else f"<{self.value!r} as before>"


class Within:
    """Any value that check() likes, each time."""

    def __init__(self, check, words):
        self.fits, self.words = check, words

    def __repr__(self):
        return f"<{self.words}>"


def json_with(**members):
    """A JSON text whose object has these members, and perhaps more."""
    def fits(text):
        return json.loads(text).items() >= members.items()
    return Within(fits, f"JSON text with {members}")


class Expect:
    """The answer that is due: status and code, and of a reading operation the result and the total."""

    def __init__(self, status=200, code="", result=None, total=None):
        self.status, self.code, self.result, self.total = status, code, result, total


def difference(expected, actual, where="result"):
    """In words, or None. Objects must have exactly the expected members."""
    if isinstance(expected, (Once, Within)):
        return None if expected.fits(actual) else f"{where}: expected {expected}, got {actual!r}"
    if isinstance(expected, dict) and isinstance(actual, dict):
        if set(expected) != set(actual):
            return f"{where}: members {sorted(set(expected) ^ set(actual))} are on one side only"
        pairs = [(expected[k], actual[k], f"{where}.{k}") for k in expected]
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return f"{where}: expected {len(expected)} entries, got {len(actual)}"
        pairs = [(e, a, f"{where}[{i}]") for i, (e, a) in enumerate(zip(expected, actual))]
    else:
        return None if expected == actual else f"{where}: expected {expected!r}, got {actual!r}"
    return next((found for found in (difference(*pair) for pair in pairs) if found), None)


# ---- schedules ----

def field(text, low, high):
    """The set of values one field of a schedule allows."""
    allowed = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span in ("*", "?") else span).partition("-")
        allowed |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return allowed


def next_firing(cron, now_ms):
    """The first minute after now at which it fires, by looking at every minute; 0 for no schedule. UTC."""
    if not cron:
        return 0
    minutes, hours, days, months, weekdays = (
        field(text, low, high) for text, (low, high) in zip(cron.split(), ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))))
    weekdays |= {0} if 7 in weekdays else set()
    either = len(days) < 31 and len(weekdays - {7}) < 7   # cron's old rule: one of the two day fields is enough
    for minute in range(now_ms // 60000 + 1, now_ms // 60000 + MINUTES_SEARCHED):
        at = time_of(minute)
        day, weekday = at.tm_mday in days, (at.tm_wday + 1) % 7 in weekdays
        if at.tm_min in minutes and at.tm_hour in hours and at.tm_mon in months and (
                day or weekday if either else day and weekday):
            return minute * 60000
    return 0


def time_of(minute):
    return time.gmtime(minute * 60)


# ---- things ----

class Task:
    def __init__(self, generation, kind, now):
        self.generation = generation
        self.state = "pending"       # pending, running, success, failed
        self.word = None             # how it was told to end: "ok" or "fail"; None: it goes on
        # A run that waits shows when it was made.
        self.start, self.end = Once(lambda ms: ms >= now, f"a time from {now}"), None
        self.progress = 0
        self.run_id = Once(lambda text: bool(re.fullmatch(kind + r"__\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(_\d+)?", text)),
                           f"a run id of {kind}")

    @property
    def is_over(self):
        return self.state in ("success", "failed")

    def errors(self):
        return [{"code": "Model.Wrong", "message": "told to fail"}] if self.state == "failed" else []

    def progress_due(self):
        if self.state == "success":
            return 100
        if self.state == "failed":
            return 40

        def fits(value):
            fine = value in (self.progress, 40)
            self.progress = max(self.progress, value)
            return fine
        return Within(fits, f"progress of at least {self.progress}: 0 or 40")

    def shown(self, function):
        return {"FunctionName": function, "Generation": str(self.generation), "RunId": self.run_id,
                "Status": self.state if self.is_over else "running", "Progress": self.progress_due(),
                "StartTime": self.start, "EndTime": self.end if self.is_over else 0,
                "ExtendInfo": json_with(errors=self.errors())}


class Instance:
    def __init__(self, body, function, version, now):
        self.name, self.function, self.version = body["instanceName"], function, version
        self.description = body.get("description", "")
        self.create, self.usage = body.get("createParameters", []), body.get("usageParameters", [])
        self.cron = body.get("cron", "")
        self.next_at = next_firing(self.cron, now)
        self.created = Once(lambda ms: ms >= now, f"a time from {now}")
        self.tasks = {}
        self.last_generation = self.last_run = 0
        self.last_ended = None       # the run whose errors are shown
        self.is_trained = False

    def unfinished(self):
        return next((task for task in self.tasks.values() if not task.is_over), None)

    def newest_first(self):
        return [self.tasks[g] for g in sorted(self.tasks, reverse=True)]

    def dag_status(self):
        return self.newest_first()[0].state if self.tasks else "untrained"

    def shown(self, level):
        kind = FUNCTION_TYPES[self.function]
        out = {"FunctionName": self.function, "InstanceName": self.name, "FunctionType": kind, "ModelType": "script",
               "VersionId": self.version, "Source": "user", "Description": self.description, "CreateTime": self.created,
               "Status": "available" if self.is_trained or kind == "SAAS" else "unavailable",
               "Belongs": {"Category": "general", "Domain": "", "Language": "zh"}}
        if level != "simple":
            pairs = lambda list_: [{"Name": p["name"], "Value": p["value"]} for p in list_]
            out |= {"CreateParameters": pairs(self.create), "UsageParameters": pairs(self.usage), "Cron": self.cron}
        if level == "detail":
            wrong = self.last_ended.errors() if self.last_ended else []
            out["ExtendInfo"] = json_with(errors={e["code"]: e["message"] for e in wrong})
            if self.last_generation:
                out["Task"] = {"DagStatus": self.dag_status(), "LastRunTime": self.last_run}
        return out


class App:
    def __init__(self, name, description, now):
        self.name, self.description = name, description
        self.id = Once(lambda text: bool(re.fullmatch(r"\d+", text)), "a decimal id")
        self.created = Once(lambda s: s >= now // 1000, f"seconds from {now // 1000}")
        self.instances = {}          # (function, name) -> Instance
        self.default = {}            # function -> name

    def shown(self):
        """Of the many members those that mean something here."""
        return {"id": self.id, "name": self.name, "description": self.description, "status": "normal",
                "type": "enhanced", "chargeType": "POSTPAY", "created": self.created, "updated": self.created,
                "switchedTime": self.created}


class Refused(Exception):
    def __init__(self, status, code):
        super().__init__(f"{status} {code}")
        self.expect = Expect(status, code)


def operation(rule):
    """A method that answers, also where a rule refuses."""
    def run(self, **args):
        try:
            return rule(self, **args) or Expect()
        except Refused as refused:
            return refused.expect
    return run


def is_page_number(text):
    return re.fullmatch(r"-?\d+", str(text)) and int(text) >= 1


def page_of(entries, query, default_size):
    number, size = query.get("pageNumber", 1), query.get("pageSize", default_size)
    if not is_page_number(number) or not is_page_number(size) or int(size) > PAGE_MOST:
        raise Refused(400, "InvalidParameter")
    first = (int(number) - 1) * int(size)
    return Expect(result=entries[first:first + int(size)], total=len(entries))


class Model:
    """clock() is the server's time in ms."""

    def __init__(self, clock):
        self.clock = clock
        self.apps = {}
        self.versions = {function: [FIRST] for function in FUNCTION_TYPES}

    # -- rules, one each, so that a wrong one can be put in its place --
    def next_generation(self, instance):
        return instance.last_generation + 1

    def may_delete(self, task):
        return task.is_over

    def forget_default(self, app, instance):
        if app.default.get(instance.function) == instance.name:
            del app.default[instance.function]

    def fire(self, instance, now):
        """A schedule is due: one run for all that was missed, none beside an unfinished one."""
        instance.next_at = next_firing(instance.cron, now)
        if not instance.unfinished():
            self.start_run(instance, "scheduled", now)

    def task_order(self, instance):
        return instance.newest_first()

    def version_of(self, instance):
        return instance.version

    # -- what happens by itself --
    def all_instances(self):
        return [instance for app in self.apps.values() for instance in app.instances.values()]

    def start_run(self, instance, kind, now):
        instance.last_generation = self.next_generation(instance)
        instance.tasks[instance.last_generation] = Task(instance.last_generation, kind, now)

    def time_passed(self, now):
        """It is `now` or a little later: the server saw it before we did."""
        for instance in self.all_instances():
            if 0 < next_firing(instance.cron, now + CLOCK_SLACK_MS) < instance.next_at:
                instance.next_at = next_firing(instance.cron, now)   # planned by a clock that was far ahead
            if instance.next_at and instance.next_at <= now:
                self.fire(instance, now)

    def task_started(self, task, since):
        task.state = "running"
        now = self.clock()
        task.start = Once(lambda ms: since <= ms <= now, f"a start from {since} to {now}")

    def task_ended(self, instance, task, since):
        task.state = "success" if task.word == "ok" else "failed"
        now, start = self.clock(), task.start
        task.end = Once(lambda ms: ms > start.value and (since <= ms <= now or ms == start.value + 1),
                        f"an end from {since} to {now}, after its start")
        instance.last_ended = task
        instance.last_run = Within(lambda ms: ms == task.end.value - start.value, f"{task.end} - {start}")
        instance.is_trained |= task.state == "success"

    # -- finding, in the order of the contract: app group, function, instance, task --
    def app(self, name):
        for app in self.apps.values():
            if name == app.name:
                return app
        raise Refused(404, "App.NotFound")

    def app_function(self, app, function):
        found = self.app(app)
        if function not in FUNCTION_TYPES:
            raise Refused(404, "Version.NotExist")
        return found

    def instance(self, app, function, name):
        found = self.app_function(app, function).instances.get((function, name))
        if not found:
            raise Refused(404, "Instance.NotExist")
        return found

    def task(self, app, function, name, generation):
        found = self.instance(app, function, name)
        canonical = re.fullmatch(r"[1-9]\d*", str(generation))
        if not canonical or int(generation) not in found.tasks:
            raise Refused(404, "Task.NotExist")
        return found, found.tasks[int(generation)]

    # -- app groups --
    @operation
    def create_app(self, app, description=""):
        if not APP_NAME.fullmatch(app):
            raise Refused(400, "App.InvalidParameter.Name")
        if app in self.apps:
            raise Refused(409, "App.Duplicated")
        self.apps[app] = App(app, description, self.clock())
        return Expect(result=self.apps[app].shown())

    @operation
    def get_app(self, app):
        return Expect(result=self.app(app).shown())

    @operation
    def list_apps(self, **query):
        if query.get("sortBy", "0") not in ("0", "1"):
            raise Refused(400, "InvalidParameter")
        matching = [a for a in self.apps.values() if query.get("name", a.name) == a.name]
        matching.sort(key=lambda a: (a.created.value, int(a.id.value)), reverse=True)
        return page_of([a.shown() for a in matching], query, 10)

    @operation
    def remove_app(self, app):
        found = self.app(app)
        if any(instance.unfinished() for instance in found.instances.values()):
            raise Refused(409, "Task.IsRunning")
        del self.apps[app]

    # -- versions --
    def publish(self):
        """The program was started with a second version of one function."""
        if SECOND not in self.versions["score"]:
            self.versions["score"].append(SECOND)

    def version_shown(self, function, version):
        return {"VersionId": version, "VersionName": VERSION_NAMES[version], "FunctionName": function,
                "FunctionType": FUNCTION_TYPES[function], "ModelType": "script",
                "VersionConfig": {"CreateParameters": [{"Name": name, "Required": "false"} for name in RULES[version]],
                                  "Depends": [], "UsageParameters": []}}

    @operation
    def current_version(self, function, **query):
        if function not in self.versions:
            raise Refused(404, "Version.NotExist")
        if not query.get("modelType"):
            raise Refused(400, "MissingParameter")
        wanted = (query["modelType"], query.get("functionType") or "PAAS", query.get("domain", ""))
        if wanted != ("script", FUNCTION_TYPES[function], "") or query.get("category", "") not in ("", "general"):
            raise Refused(404, "Version.NotExist")
        return Expect(result=self.version_shown(function, max(self.versions[function])))

    @operation
    def get_version(self, function, version):
        if version not in self.versions.get(function, []):
            raise Refused(404, "Version.NotExist")
        return Expect(result=self.version_shown(function, version))

    # -- instances --
    def check_fields(self, body, version):
        rules = RULES[version]
        for p in body.get("createParameters", []):
            if p["name"] not in rules or (rules[p["name"]] and p["value"] not in map(str, rules[p["name"]])):
                raise Refused(400, "InvalidParameter")
        if body.get("usageParameters"):
            raise Refused(400, "InvalidParameter")      # the functions publish none
        if body.get("cron") in ("soon", "* * * *", "0 0 30 2 *"):
            raise Refused(400, "InvalidParameter")

    @operation
    def create_instance(self, app, function, body):
        found = self.app_function(app, function)
        if "instanceName" not in body or "modelType" not in body:
            raise Refused(400, "MissingParameter")
        if body["modelType"] != "script" or body.get("functionType", "PAAS") != FUNCTION_TYPES[function]:
            raise Refused(404, "Version.NotExist")
        if not NAME.fullmatch(body["instanceName"]):
            raise Refused(400, "InvalidParameter")
        version = max(self.versions[function])
        self.check_fields(body, version)
        key = (function, body["instanceName"])
        if key in found.instances:
            raise Refused(409, "Instance.Duplicated")
        found.instances[key] = Instance(body, function, version, self.clock())

    @operation
    def get_instance(self, app, function, name, output="normal"):
        found = self.instance(app, function, name)
        if output not in ("simple", "normal", "detail"):
            raise Refused(400, "InvalidParameter")
        return Expect(result=found.shown(output))

    @operation
    def list_instances(self, app, function, **query):
        found = self.app_function(app, function)
        output, source = query.get("output", "normal"), query.get("source", "user")
        if output not in ("simple", "normal", "detail") or source not in ("user", "builtin", "all"):
            raise Refused(400, "InvalidParameter")
        matching = [i for i in found.instances.values()
                    if i.function == function and query.get("modelType", "script") == "script" and source != "builtin"
                    and query.get("functionType", FUNCTION_TYPES[function]) == FUNCTION_TYPES[function]]
        matching.sort(key=lambda i: (-i.created.value, i.name))
        return page_of([i.shown(output) for i in matching], query, 10)

    @operation
    def update_instance(self, app, function, name, body):
        found = self.instance(app, function, name)
        self.check_fields(body, self.version_of(found))
        found.description = body.get("description", found.description)
        found.create = body.get("createParameters", found.create)
        found.usage = body.get("usageParameters", found.usage)
        if "cron" in body:
            found.cron, found.next_at = body["cron"], next_firing(body["cron"], self.clock())

    @operation
    def delete_instance(self, app, function, name):
        found = self.instance(app, function, name)
        if found.unfinished():
            raise Refused(409, "Task.IsRunning")
        group = self.app(app)
        del group.instances[function, name]
        self.forget_default(group, found)

    # -- runs --
    @operation
    def create_task(self, app, function, name):
        found = self.instance(app, function, name)
        if found.unfinished():
            raise Refused(409, "Task.IsRunning")
        self.start_run(found, "trigger", self.clock())

    @operation
    def get_task(self, app, function, name, generation):
        found, task = self.task(app, function, name, generation)
        return Expect(result=task.shown(found.function))

    @operation
    def list_tasks(self, app, function, name, **query):
        found = self.instance(app, function, name)
        if query.get("status", "running") not in ("success", "failed", "running"):
            raise Refused(400, "InvalidParameter")
        matching = [t for t in self.task_order(found)
                    if query.get("status") in (None, t.state if t.is_over else "running")
                    and ("startTime" not in query or t.start.value > query["startTime"])
                    and ("endTime" not in query or t.is_over and t.end.value < query["endTime"])]
        return page_of([t.shown(function) for t in matching], query, 1)

    @operation
    def delete_task(self, app, function, name, generation):
        found, task = self.task(app, function, name, generation)
        if not self.may_delete(task):
            raise Refused(409, "Task.UnableDelete")
        del found.tasks[task.generation]

    # -- default instance --
    @operation
    def set_default(self, app, function, name=""):
        found = self.app_function(app, function)
        if name and (function, name) not in found.instances:
            raise Refused(400, "DefaultInstance.SetFail")
        found.default.pop(function, None)
        if name:
            found.default[function] = name

    @operation
    def get_default(self, app, function):
        found = self.app_function(app, function)
        if function not in found.default:
            raise Refused(404, "DefaultInstance.NotExist")
        return Expect(result={"InstanceName": found.default[function]})


# ---- faults planted on purpose ----

class ReusesGenerations(Model):
    def next_generation(self, instance):
        return max(instance.tasks, default=0) + 1


class DeletesUnfinished(Model):
    def may_delete(self, task):
        return True


class KeepsDefault(Model):
    def forget_default(self, app, instance):
        pass


class IgnoresSchedules(Model):
    def fire(self, instance, now):
        instance.next_at = next_firing(instance.cron, now)


class ListsOldestFirst(Model):
    def task_order(self, instance):
        return instance.newest_first()[::-1]


class MovesToNewestVersion(Model):
    def version_of(self, instance):
        return max(self.versions[instance.function])


WRONG_RULES = {"reuses-generations": ReusesGenerations, "deletes-unfinished": DeletesUnfinished,
               "keeps-default": KeepsDefault, "ignores-schedules": IgnoresSchedules,
               "lists-oldest-first": ListsOldestFirst, "moves-to-newest-version": MovesToNewestVersion}
