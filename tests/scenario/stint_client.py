"""A small client and a server to talk to, for the scenario tests. Standard library only.

Client signs requests as the vendor's SDKs do (ACS3-HMAC-SHA256) and can also get it wrong on purpose; Dcs does the same
for the other vendor (SDK-HMAC-SHA256), and Redis speaks to the instances it makes.
Server runs the program under test on a free port, on a data folder of its own, and checks at its end that no
sanitizer has complained, in the server or in a task's child.
"""
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("STINT_BIN") or str(ROOT / "build" / "stint")
IS_QUICK = bool(os.environ.get("STINT_QUICK"))  # scripts/test quick: what takes long is left to the full run
WAIT_S = float(os.environ.get("STINT_TEST_WAIT", "60"))
CHILD = str(pathlib.Path(__file__).resolve().parent / "child.py")
SANITIZER = re.compile(r"ERROR: \w*Sanitizer|runtime error:|SUMMARY: \w*Sanitizer")


def wait_for(what, check, timeout=None):
    """Poll check() until it is true; its value. Fails with `what` in words, never sleeps for luck."""
    end = time.monotonic() + (timeout or WAIT_S)
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain for: {what}")
        time.sleep(0.02)


class Answer:
    """Status, headers (lower case) and body of one answer; .json is the body parsed, or None."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"

    @property
    def code(self):
        body = self.json if isinstance(self.json, dict) else {}
        return body.get("Code", body.get("error_code"))

    @property
    def message(self):
        return (self.json or {}).get("Message")

    @property
    def result(self):
        """The PascalCase result; app groups have the camelCase one only."""
        return self.json.get("Result", self.json.get("result"))


def percent(text):
    return urllib.parse.quote(str(text), safe="-_.~")


def path(*segments):
    """/v4/openapi/app-groups/a%20b/...: each segment encoded."""
    return "/" + "/".join(percent(s) for s in segments)


# Method, path and name of every operation; a * is one segment.
APPS, FUNCTION = "/v4/openapi/app-groups", "/v4/openapi/app-groups/*/functions/*"
STINT_TASK = "/stint/v1/app-groups/*/functions/*/instances/*/tasks/*"
OPERATIONS = [
    ("POST", APPS, "CreateAppGroup"), ("GET", APPS, "ListAppGroups"), ("GET", APPS + "/*", "DescribeAppGroup"),
    ("DELETE", APPS + "/*", "RemoveAppGroup"), ("POST", FUNCTION + "/instances", "CreateFunctionInstance"),
    ("GET", FUNCTION + "/instances", "ListFunctionInstances"),
    ("GET", FUNCTION + "/instances/*", "GetFunctionInstance"),
    ("PUT", FUNCTION + "/instances/*", "UpdateFunctionInstance"),
    ("DELETE", FUNCTION + "/instances/*", "DeleteFunctionInstance"),
    ("POST", FUNCTION + "/instances/*/tasks", "CreateFunctionTask"),
    ("POST", FUNCTION + "/instances/*/task", "CreateFunctionTask"),
    ("GET", FUNCTION + "/instances/*/tasks", "ListFunctionTasks"),
    ("GET", FUNCTION + "/instances/*/tasks/*", "GetFunctionTask"),
    ("DELETE", FUNCTION + "/instances/*/tasks/*", "DeleteFunctionTask"),
    ("GET", FUNCTION + "/default-instance", "GetFunctionDefaultInstance"),
    ("GET", FUNCTION + "/default-instances", "GetFunctionDefaultInstance"),
    ("PUT", FUNCTION + "/default-instance", "UpdateFunctionDefaultInstance"),
    ("PUT", FUNCTION + "/default-instances", "UpdateFunctionDefaultInstance"),
    ("GET", "/v4/openapi/functions/*/current-version", "GetFunctionCurrentVersion"),
    ("GET", "/v4/openapi/functions/*/versions/*", "GetFunctionVersion"),
    ("GET", "/v4/openapi/functions/*/version/*", "GetFunctionVersion"),
    ("GET", STINT_TASK, "StintGetTask"), ("GET", STINT_TASK + "/log", "StintGetTaskLog"),
]


def operation_of(method, target):
    """What a client that knows the API writes into x-acs-action; "Unknown" where there is no operation."""
    segments = target.partition("?")[0].split("/")
    for known, template, name in OPERATIONS:
        wanted = template.split("/")
        if known == method and len(wanted) == len(segments) and all(w in ("*", s) for w, s in zip(wanted, segments)):
            return name
    return "Unknown"


class Client:
    """One signed call per method. Connections are not kept, so that threads and restarts need no care."""

    def __init__(self, host, port, key_id, secret):
        self.host, self.port, self.key_id, self.secret = host, port, key_id, secret

    def sign(self, method, target, headers, body, secret=None, key_id=None, signed=None):
        """The Authorization value for these headers (names in lower case)."""
        raw_path, _, query = target.partition("?")
        names = signed or sorted(n for n in headers if n in ("host", "content-type") or n.startswith("x-acs-"))
        pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
        canonical = "\n".join([
            method,
            raw_path.replace("+", "%20").replace("*", "%2A").replace("%7E", "~") or "/",
            "&".join(f"{percent(k)}={percent(v)}" for k, v in pairs),
            "".join(f"{n}:{headers[n].strip()}\n" for n in names),
            ";".join(names),
            headers["x-acs-content-sha256"],
        ])
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
        mac = hmac.new((secret or self.secret).encode(), text.encode(), hashlib.sha256).hexdigest()
        return f"ACS3-HMAC-SHA256 Credential={key_id or self.key_id},SignedHeaders={';'.join(names)},Signature={mac}"

    def headers_for(self, action, body, date=None, nonce=None):
        headers = {
            "host": f"{self.host}:{self.port}",
            "accept": "application/json",
            "x-acs-action": action,
            "x-acs-version": "2017-12-25",
            "x-acs-date": date or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "x-acs-signature-nonce": nonce or uuid.uuid4().hex,
            "x-acs-content-sha256": hashlib.sha256(body or b"").hexdigest(),
        }
        if body is not None:
            headers["content-type"] = "application/json; charset=utf-8"
        return headers

    def send(self, method, target, headers, body=None):
        """Exactly these headers."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=WAIT_S)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None or method in ("POST", "PUT"):
                connection.putheader("content-length", str(len(body or b"")))
            connection.endheaders(body or None)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def call(self, method, target, body=None, query=None, action=None, **signing):
        """A well-formed signed call; body may be bytes or something for JSON. action: the path's own unless given."""
        if query:
            target += "?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = self.headers_for(action or operation_of(method, target), body, signing.pop("date", None),
                                   signing.pop("nonce", None))
        headers["authorization"] = self.sign(method, target, headers, body, **signing)
        return self.send(method, target, headers, body)

    # The vendor's operations, by their names.
    def create_app(self, app, **more):
        body = {"name": app, "type": "enhanced", "quota": {"docSize": 1, "computeResource": 20,
                                                          "spec": "opensearch.share.common"}, **more}
        return self.call("POST", "/v4/openapi/app-groups", body, action="CreateAppGroup")

    def get_app(self, app):
        return self.call("GET", path("v4", "openapi", "app-groups", app), action="DescribeAppGroup")

    def list_apps(self, **query):
        return self.call("GET", "/v4/openapi/app-groups", query=query, action="ListAppGroups")

    def remove_app(self, app):
        return self.call("DELETE", path("v4", "openapi", "app-groups", app), action="RemoveAppGroup")

    def base(self, app, function, *more):
        return path("v4", "openapi", "app-groups", app, "functions", function, *more)

    def create_instance(self, app, name, function="ctr", model_type="tf_checkpoint", params=None, **more):
        body = {"instanceName": name, "modelType": model_type, **more}
        if params is not None:
            body["createParameters"] = [{"name": k, "value": v} for k, v in params.items()]
        return self.call("POST", self.base(app, function, "instances"), body, action="CreateFunctionInstance")

    def get_instance(self, app, name, function="ctr", output="detail"):
        return self.call("GET", self.base(app, function, "instances", name), query={"output": output},
                         action="GetFunctionInstance")

    def list_instances(self, app, function="ctr", **query):
        return self.call("GET", self.base(app, function, "instances"), query=query, action="ListFunctionInstances")

    def update_instance(self, app, name, body, function="ctr"):
        return self.call("PUT", self.base(app, function, "instances", name), body, action="UpdateFunctionInstance")

    def delete_instance(self, app, name, function="ctr"):
        return self.call("DELETE", self.base(app, function, "instances", name), action="DeleteFunctionInstance")

    def create_task(self, app, name, function="ctr"):
        return self.call("POST", self.base(app, function, "instances", name, "tasks"), action="CreateFunctionTask")

    def get_task(self, app, name, generation, function="ctr"):
        return self.call("GET", self.base(app, function, "instances", name, "tasks", generation),
                         action="GetFunctionTask")

    def list_tasks(self, app, name, function="ctr", **query):
        return self.call("GET", self.base(app, function, "instances", name, "tasks"), query=query,
                         action="ListFunctionTasks")

    def delete_task(self, app, name, generation, function="ctr"):
        return self.call("DELETE", self.base(app, function, "instances", name, "tasks", generation),
                         action="DeleteFunctionTask")

    def get_default(self, app, function="ctr"):
        return self.call("GET", self.base(app, function, "default-instance"), action="GetFunctionDefaultInstance")

    def set_default(self, app, body, function="ctr"):
        return self.call("PUT", self.base(app, function, "default-instance"), body,
                         action="UpdateFunctionDefaultInstance")

    def current_version(self, function="ctr", **query):
        return self.call("GET", path("v4", "openapi", "functions", function, "current-version"), query=query,
                         action="GetFunctionCurrentVersion")

    def version(self, version, function="ctr"):
        return self.call("GET", path("v4", "openapi", "functions", function, "versions", version),
                         action="GetFunctionVersion")

    # stint's own view of a task.
    def detail(self, app, name, generation, function="ctr"):
        target = path("stint", "v1", "app-groups", app, "functions", function, "instances", name, "tasks", generation)
        return self.call("GET", target, action="StintGetTask")

    def log(self, app, name, generation, function="ctr", offset=0):
        target = path("stint", "v1", "app-groups", app, "functions", function, "instances", name, "tasks", generation,
                      "log")
        return self.call("GET", target, query={"offset": offset}, action="StintGetTaskLog")

    def finished(self, app, name, generation, function="ctr", timeout=None):
        """The task's detail when it has ended."""
        def ended():
            answer = self.detail(app, name, generation, function)
            assert answer.status == 200, answer
            return answer.json if answer.json["state"] in ("success", "failed") else None
        return wait_for(f"the end of task {generation} of {name}", ended, timeout)


class Dcs(Client):
    """The DCS API of one project."""

    def __init__(self, host, port, key_id, secret, project):
        super().__init__(host, port, key_id, secret)
        self.project = project

    def sign(self, method, target, headers, body, secret=None, key_id=None, signed=None):
        raw_path, _, query = target.partition("?")
        names = signed or sorted(headers)
        decoded = [urllib.parse.unquote(s) for s in raw_path.strip("/").split("/")]
        canonical = "\n".join([
            method,
            path(*decoded).rstrip("/") + "/",
            "&".join(f"{percent(k)}={percent(v)}"
                     for k, v in sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))),
            "".join(f"{n}:{headers[n].strip()}\n" for n in names),
            ";".join(names),
            hashlib.sha256(body or b"").hexdigest(),
        ])
        text = f"SDK-HMAC-SHA256\n{headers['x-sdk-date']}\n" + hashlib.sha256(canonical.encode()).hexdigest()
        mac = hmac.new((secret or self.secret).encode(), text.encode(), hashlib.sha256).hexdigest()
        return f"SDK-HMAC-SHA256 Access={key_id or self.key_id}, SignedHeaders={';'.join(names)}, Signature={mac}"

    def headers_for(self, action, body, date=None, nonce=None):
        return {"host": f"{self.host}:{self.port}", "content-type": "application/json", "x-project-id": self.project,
                "x-sdk-date": date or time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())}

    def ask(self, method, *segments, body=None, **query):
        """A call below /v2/PROJECT."""
        return self.call(method, path("v2", self.project, *segments), body, query)

    def of(self, method, instance, *segments, body=None, **query):
        """A call below /v2/PROJECT/instances/ID."""
        return self.ask(method, "instances", instance, *segments, body=body, **query)

    def newest(self, instance):
        """The newest background task."""
        return self.of("GET", instance, "tasks", limit=1).json["tasks"][0]

    def ended(self, task, timeout=None):
        """The job of that task when it is over."""
        def over():
            answer = self.ask("GET", "jobs", task)
            assert answer.status == 200, answer
            return answer.json if answer.json["status"] in ("SUCCESS", "FAIL") else None
        return wait_for(f"the end of task {task}", over, timeout)

    def status(self, instance):
        return self.of("GET", instance).json["status"]


class Redis:
    """A connection to a redis-server: call("SET", "k", "v"). An error reply is raised as ConnectionError."""

    def __init__(self, host, port, password=None, timeout=10):
        self.stream = socket.create_connection((host, port), timeout).makefile("rwb")
        if password:
            self.call("AUTH", password)

    def call(self, *words):
        words = [str(w).encode() for w in words]
        self.stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        self.stream.flush()
        return self.reply()

    def reply(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n") or line[:1] == b"-":
            raise ConnectionError(line.decode() or "closed")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"$":
            return None if rest == "-1" else self.stream.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest

    def info(self, name):
        return dict(line.split(":", 1) for line in self.call("INFO").splitlines() if ":" in line)[name]

    def close(self):
        self.stream.close()


def redis_processes(folder):
    """Numbers of the redis-server processes that belong to a folder."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + os.readlink(process / "cwd").encode()
            if (process / "comm").read_text().strip() == "redis-server" and str(folder).encode() in words:
                found.append(int(process.name))
        except OSError:
            pass  # it is gone, or not ours to look at
    return [pid for pid in found if process_alive(pid)]


def ends_of(file, size=4 << 20):
    """The text of a file, of a very long one its ends: a flooded log is long, most of it a hole."""
    with open(file, "rb") as f:
        text = f.read(size)
        f.seek(max(f.tell(), file.stat().st_size - size))
        return (text + f.read()).decode(errors="replace")


class Server:
    """`stint serve` on a data folder of its own; restart() keeps the folder."""

    def __init__(self, data=None, args=()):
        self.owned = None if data else tempfile.mkdtemp(prefix="stint-scenario-")
        self.folder = pathlib.Path(data or self.owned)
        self.data = self.folder / "data"
        self.log_path = self.folder / "server.log"
        self.args = list(args)
        self.process = None
        self.functions = {}
        self.env = {}
        self.wrapper = []  # words before the program's, such as those of prlimit

    def prepare(self):
        (self.data / "import").mkdir(parents=True, exist_ok=True)
        (self.data / "functions.d").mkdir(parents=True, exist_ok=True)
        return self

    def add_function(self, name, **more):
        """A manifest whose tasks run child.py."""
        self.prepare()
        manifest = {"name": name, "modelType": "script", "run": [sys.executable, CHILD],
                    "createParameters": [{"name": "mode"}, {"name": "gate"}, {"name": "count", "type": "int", "low": 1,
                                                                                "high": 100000}],
                    "graceSeconds": 1, **more}
        (self.data / "functions.d" / f"{name}.json").write_text(json.dumps(manifest))

    def run(self, *words, check=True, **more):
        """A stint command, its finished process."""
        done = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=WAIT_S, **more)
        assert not SANITIZER.search(done.stderr), done.stderr
        if check and done.returncode != 0:
            raise AssertionError(f"stint {' '.join(words)}: {done.returncode}: {done.stderr}")
        return done

    def key(self):
        return json.loads(self.run("key", "create", "--data", str(self.data), "--json").stdout)

    def start(self):
        self.prepare()
        if not hasattr(self, "access"):
            self.access = self.key()
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            [*self.wrapper, BINARY, "serve", "--data", str(self.data), "--listen", "127.0.0.1:0", *self.args],
            stdout=subprocess.PIPE, stderr=log, start_new_session=True, env={**os.environ, **self.env})
        log.close()
        line = self.ready_line()
        found = re.fullmatch(r"stint: ready on http://127\.0\.0\.1:(\d+)\n", line)
        assert found, f"no ready line but {line!r}; log:\n{self.log()}"
        self.port = int(found.group(1))
        self.client = Client("127.0.0.1", self.port, self.access["access_key_id"], self.access["access_key_secret"])
        self.dcs = Dcs("127.0.0.1", self.port, self.access["access_key_id"], self.access["access_key_secret"],
                       self.access["project_id"])
        return self

    def ready_line(self):
        readable, _, _ = select.select([self.process.stdout], [], [], WAIT_S)
        assert readable, f"the server said nothing in {WAIT_S} s; log:\n{self.log()}"
        return self.process.stdout.readline().decode()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def kill(self):
        """kill -9, the supported way to stop."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(WAIT_S)
        self.process.stdout.close()
        self.check_sanitizers()
        self.process = None

    def stop(self):
        """SIGTERM; the exit code must be 0."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(WAIT_S)
        self.process.stdout.close()
        self.process = None
        self.check_sanitizers()
        assert code == 0, f"SIGTERM ended the server with {code}; log:\n{self.log()[-4000:]}"

    def restart(self):
        self.kill()
        return self.start()

    def check_sanitizers(self):
        files = [self.log_path, *(self.data / "logs").rglob("*.log")]
        for file in files:
            if file.exists():
                text = ends_of(file)
                assert not SANITIZER.search(text), f"{file}:\n{text[-6000:]}"

    def close(self):
        if self.process:
            self.stop()
        if self.owned:
            shutil.rmtree(self.owned, ignore_errors=True)

    def import_file(self, name, text):
        (self.data / "import").mkdir(parents=True, exist_ok=True)
        file = self.data / "import" / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def sample(self, name="shop.csv", rows=2000, seed=1):
        """Simulated clicks under the import root; the best possible figures."""
        self.prepare()
        done = self.run("sample", "shop", "--out", str(self.data / "import" / name), "--rows", str(rows), "--seed",
                        str(seed), "--json")
        return json.loads(done.stdout)


def process_alive(pid):
    """True while pid is a process that runs (not a zombie)."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False
