"""Requests that are almost right: whatever comes, an answer in the vendor's form, and a server that lives on.

The generator is seeded, so a run can be repeated: STINT_FUZZ_SEED and STINT_FUZZ_COUNT choose seed and number of
requests (default 1 and 1000). A failure names the seed, the number of the request and its bytes.
"""
import hashlib
import json
import os
import random
import socket
import unittest

from common import ServerCase
from stint_client import WAIT_S, operation_of, percent

SEED = int(os.environ.get("STINT_FUZZ_SEED", "1"))
COUNT = int(os.environ.get("STINT_FUZZ_COUNT", "1000"))
APPS = "/v4/openapi/app-groups"
APP = APPS + "/shop"
FUNCTION = APP + "/functions/score"
ONE = FUNCTION + "/instances/one"
STINT_ONE = "/stint" + ONE.replace("/v4/openapi", "/v1")

# What a request may become after a mistake. 501 and 505 are of HTTP itself; 500 and 503 are ours and must not come.
STATUSES = {200, 400, 404, 405, 409, 413, 414, 417, 431, 501, 505}

CREATE_APP = {"name": "shop2", "type": "enhanced", "chargeType": "POSTPAY", "description": "d", "domain": "GENERAL",
              "resourceGroupId": "rg", "tags": [{"key": "k", "value": "v"}],
              "quota": {"docSize": 1, "computeResource": 20, "spec": "opensearch.share.common"}}
CREATE_INSTANCE = {"instanceName": "two", "modelType": "script", "functionType": "PAAS", "description": "d",
                   "cron": "0 0 ? * 0,1", "createParameters": [{"name": "mode", "value": "ok"}],
                   "usageParameters": []}
UPDATE = {"description": "e", "cron": "", "createParameters": [{"name": "mode", "value": "ok"}], "usageParameters": []}

VALID = [
    ("POST", APPS, CREATE_APP), ("GET", APPS + "?pageNumber=1&pageSize=10&name=shop&sortBy=0", None),
    ("GET", APPS + "?tags=%5B%7B%22key%22%3A%22k%22%7D%5D&type=enhanced&instanceId=ops-stint-1", None),
    ("GET", APP, None), ("DELETE", APPS + "/shop2", None),
    ("POST", FUNCTION + "/instances", CREATE_INSTANCE), ("PUT", ONE, UPDATE), ("GET", ONE + "?output=detail", None),
    ("GET", FUNCTION + "/instances?source=all&output=detail&pageNumber=1&pageSize=10&modelType=script", None),
    ("DELETE", FUNCTION + "/instances/two", None), ("POST", ONE + "/tasks", None), ("POST", ONE + "/task", {}),
    ("GET", ONE + "/tasks?status=running&startTime=1&endTime=2&pageNumber=1&pageSize=10", None),
    ("GET", ONE + "/tasks?startTime=1647212220000&pageSize=100", None),
    ("GET", ONE + "/tasks/1", None), ("DELETE", ONE + "/tasks/1", None),
    ("GET", FUNCTION + "/default-instance", None), ("PUT", FUNCTION + "/default-instance", {"instanceName": "one"}),
    ("GET", "/v4/openapi/functions/score/current-version?modelType=script&functionType=PAAS&domain=&category=", None),
    ("GET", "/v4/openapi/functions/score/versions/101", None),
    ("GET", STINT_ONE + "/tasks/1", None), ("GET", STINT_ONE + "/tasks/1/log?offset=0", None),
]

ODD_TEXTS = ["", " ", "0", "-1", "1", "101", "abc", "1.5", "1e3", "+1", "00", "9223372036854775807",
             "9223372036854775808",
             "-9223372036854775809", "9" * 400, "pending", "success|failed", "null", "true", "../..", "a/b", "%", "%zz",
             "%25", "\u00e4\u4e2d", "\U0001f600", "'", '"', "\\", "<x>", "a\tb", "a\nb", "x" * 31, "x" * 5000, "[]",
             "[1]", '[{"key":1}]', '[{"key":"k","value":null}]', "[" * 40]
ODD_VALUES = [None, True, False, 0, -1, 1.5, 1e300, 2 ** 63, 2 ** 70, "", "x", "x" * 5000, [], {}, [None], [[]], [{}],
              {"name": 1}, [{"name": "mode"}], [{"name": "mode", "value": 1}], "\u0000", "\ud800", [1] * 300]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "get", "Post", "TRACE", "G\u00cbT", "CONNECT"]


def places(value, at=()):
    """Every place in a JSON value, as a tuple of keys."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in items:
        yield from places(member, (*at, key))


def replaced(value, at, new):
    """A copy of value with new at that place."""
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = replaced(value[at[0]], at[1:], new)
    return copy


class Request:
    """A signed request on its way to being wrong."""

    def __init__(self, rng, client):
        self.rng, self.client = rng, client
        self.method, self.target, self.json = rng.choice(VALID)
        self.body = None          # bytes instead of the JSON
        self.headers = {}         # over the good ones; None: left out
        self.more_headers = []    # as they are
        self.is_chunked = rng.random() < 0.3
        self.version = "HTTP/1.1"
        self.is_tampered = False

    # -- mistakes; each changes one thing --
    def query(self):
        path, _, query = self.target.partition("?")
        pairs = query.split("&") if query else ["pageSize=1"]
        i = self.rng.randrange(len(pairs))
        name = pairs[i].partition("=")[0]
        odd = percent(self.rng.choice(ODD_TEXTS))
        change = self.rng.randrange(6)
        if change < 3:
            pairs[i] = f"{name}={odd}"
        elif change == 3:
            pairs.insert(0, f"{name}={odd}")
        elif change == 4:
            pairs[i] = self.rng.choice([name, "=" + odd, odd, "", "&&", name.upper() + "=1", "a=1&" * 70, "a=%00",
                                        "+=+"])
        else:
            del pairs[i]
        self.target = path + "?" + "&".join(pairs)

    def path(self):
        path, mark, query = self.target.partition("?")
        parts = path.split("/")
        i = self.rng.randrange(1, len(parts))
        change = self.rng.randrange(6)
        if change == 0:
            parts[i] = percent(self.rng.choice(ODD_TEXTS))
        elif change == 1:
            parts.insert(i, "")
        elif change == 2:
            parts.append("")
        elif change == 3:
            del parts[i]
        elif change == 4:
            parts[i] = "".join(f"%{ord(c):02x}" for c in parts[i])
        else:
            parts[i] = self.rng.choice(["%00", "%2F", "..", ".", "*", "+", "x" * 9000, "a;b", "a" * 300, "{app}",
                                        "%c3%28"])
        self.target = "/".join(parts) + mark + query

    def verb(self):
        self.method = self.rng.choice(METHODS)

    def value(self):
        if self.json is None:
            self.json = {}
        at = self.rng.choice(list(places(self.json)))
        self.json = replaced(self.json, at, self.rng.choice(ODD_VALUES))

    def raw_body(self):
        good = json.dumps(self.json or {}).encode()
        cut = self.rng.randrange(len(good) + 1)
        self.body = self.rng.choice([
            good[:cut], good + b"x", good + good, b"\xef\xbb\xbf" + good, good.replace(b'"', b"'"), b"\x00" + good,
            good[:cut] + bytes([self.rng.randrange(256)]) + good[cut:], b"[" * 3000, b'{"a":' * 40 + b"1" + b"}" * 40,
            b" \r\n\t", b"null", b"1", b'"x"', b'{"name":"a","name":"b"}', b'{"name":"\xff\xfe"}',
            good.decode().encode("utf-16"),
            b'{"instanceName":"a\\u0000b","modelType":"script"}', b'{"x":1e999}', b"x" * 5000])

    def huge(self):
        self.body = b'{"x":"' + b"y" * ((2 << 20) + self.rng.randrange(2)) + b'"}'

    def header(self):
        name = self.rng.choice(["x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce",
                                "x-acs-content-sha256", "host", "content-type", "accept", "authorization"])
        self.headers[name] = self.rng.choice([None, "", "x", "a" * 3000, "2026-02-30T00:00:00Z", "1", "\u00e4", "a,b",
                                              "application/xml", "text/plain", "multipart/form-data; boundary=x"])

    def twice(self):
        self.more_headers.append(self.rng.choice([
            "x-acs-action: GetFunctionTask", "x-acs-date: 2026-01-01T00:00:00Z", "host: other", "authorization: x",
            "content-type: a", "x-acs-new: 1", "X-ACS-NEW: 1", "expect: 100-continue", "expect: more",
            "connection: close",
            "connection: keep-alive", "transfer-encoding: gzip", "transfer-encoding: chunked", "content-length: 1",
            "no colon",
            ": empty", " folded: x", "a\x00b: c", "a: b\x01", "cookie: " + "c" * 9000] + ["z: z"] * 3))

    def authorization(self):
        self.is_tampered = True

    def http(self):
        self.version = self.rng.choice(["HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/1.1 ", "", "HTTP/11"])

    def spoil(self):
        kinds = [self.query] * 4 + [self.path] * 4 + [self.value] * 6 + [self.raw_body] * 3 + [self.header] * 3
        kinds += [self.verb, self.twice, self.authorization, self.http]
        for _ in range(self.rng.choice([0, 1, 1, 1, 1, 2, 3])):
            self.rng.choice(kinds)()
        return self

    # -- on the wire --
    def sign(self, headers, body):
        try:
            value = self.client.sign(self.method, self.target, headers, body)
        except KeyError:   # a header to be signed was left out
            value = "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=" + "0" * 64
        if self.is_tampered:
            cut = self.rng.randrange(len(value))
            value = self.rng.choice([value[:cut], value[:cut] + "\u00e9" + value[cut:], value[:-1] + "0", value.lower(),
                                     value.replace("ACS3", "acs"), value + ",x=y", value.replace(",", ", "),
                                     "OPENSEARCH AK:x", "Bearer x"])
        return value

    def framed(self, body):
        if not self.is_chunked:
            return [f"content-length: {len(body)}"], body
        out = b""
        while body:
            n = self.rng.randrange(1, len(body) + 1)
            out += f"{n:x}{self.rng.choice(['', ';a=b', ' '])}\r\n".encode() + body[:n] + b"\r\n"
            body = body[n:]
        return ["transfer-encoding: chunked"], out + b"0\r\n\r\n"

    def wire(self):
        body = self.body
        if body is None and self.json is not None:
            body = json.dumps(self.json).encode()
        headers = self.client.headers_for(operation_of(self.method, self.target), body,
                                          nonce=f"{self.rng.getrandbits(128):x}")
        good = {**headers, **{k: v for k, v in self.headers.items() if v is not None}}
        headers = {k: v for k, v in good.items() if self.headers.get(k, "") is not None}
        if "authorization" not in self.headers:
            headers["authorization"] = self.sign(headers, body)
        if body is not None:
            framing, sent = self.framed(body)
        else:
            framing, sent = [] if self.method == "GET" else ["content-length: 0"], b""
        lines = [f"{self.method} {self.target} {self.version}"] + [f"{k}: {v}" for k, v in headers.items()]
        lines += framing + self.more_headers
        return "\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + sent


def ask(port, data):
    """All bytes of the answer; the client sends no more after data."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:   # refused before all was sent
            pass
        out = b""
        try:
            while part := connection.recv(1 << 16):
                out += part
        except ConnectionResetError:
            pass
        return out


def parse(raw):
    """Status, headers, body of one answer; an interim 100 is skipped."""
    head, _, body = raw.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100 "):
        head, _, body = body.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(first.split(" ")[1]), headers, body


class Fuzz(ServerCase):
    args = ("--max-running", "0")   # a run that is asked for waits, so that no child competes with the requests

    @classmethod
    def prepare(cls, server):
        server.add_function("score")

    def setUp(self):
        if self.client.get_app("shop").status == 404:
            self.ok(self.client.create_app("shop"))
        if self.client.get_instance("shop", "one", "score").status == 404:
            self.ok(self.client.create_instance("shop", "one", "score", "script", {"mode": "ok"}))

    def check_error(self, status, headers, answer):
        for pascal, camel in (("Code", "code"), ("Message", "message"), ("RequestId", "requestId"),
                              ("HttpCode", "httpCode"), ("Status", "status")):
            self.assertEqual(answer[pascal], answer[camel])
        self.assertEqual((answer["Status"], answer["HttpCode"]), ("FAIL", status))
        self.assertRegex(answer["Code"], r"^[A-Z][A-Za-z]+(\.[A-Z][A-Za-z]+)*$")
        self.assertTrue(answer["Message"])
        self.assertNotEqual(answer["Code"], "InternalError")
        self.assertFalse({"Result", "result"} & set(answer))
        self.assertEqual(headers["x-acs-request-id"], answer["RequestId"].lower())

    def check(self, raw, method):
        """An answer as the vendor's clients understand it."""
        status, headers, body = parse(raw)
        self.assertIn(status, STATUSES)
        self.assertEqual(int(headers["content-length"]) if method != "HEAD" else len(body), len(body))
        self.assertRegex(headers["x-acs-request-id"], r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        if method == "HEAD":
            return status
        if "x-stint-next-offset" in headers:   # a log, which may be empty
            self.assertEqual((status, headers.get("content-type", "text/plain")[:10]), (200, "text/plain"))
            return status
        self.assertEqual(headers["content-type"], "application/json;charset=utf-8")
        answer = json.loads(body)
        self.assertIsInstance(answer, dict)
        if status >= 400:
            self.check_error(status, headers, answer)
        elif "Status" in answer:
            self.assertEqual((answer["Status"], answer["HttpCode"], answer["Code"]), ("OK", 200, ""))
        else:
            self.assertTrue("requestId" in answer or "state" in answer, answer)
        return status

    def send(self, request, label):
        data = request.wire()
        raw = ask(self.server.port, data)
        try:
            return self.check(raw, request.method)
        except Exception as error:
            raise AssertionError(f"{label}: {error}\nsent {data[:3000]!r}\ngot {raw[:3000]!r}") from error

    def test_almost_valid_requests(self):
        rng = random.Random(SEED)
        seen = {}
        for i in range(COUNT):
            status = self.send(Request(rng, self.client).spoil(), f"seed {SEED}, request {i}")
            seen[status] = seen.get(status, 0) + 1
            if i % 100 == 0:
                self.setUp()   # the requests may have removed them
        # A generator whose requests are all refused at the door tests the door only.
        if COUNT >= 1000:
            self.assertGreater(seen.get(200, 0), COUNT // 10, seen)
            self.assertGreater(seen.get(400, 0), COUNT // 10, seen)
            self.assertGreater(seen.get(404, 0), COUNT // 20, seen)
            self.assertTrue({405, 409} <= set(seen), seen)
        self.assertIsNone(self.server.process.poll(), "the server has ended")
        self.ok(self.client.list_apps())

    def test_bodies_at_and_over_the_limit(self):
        rng = random.Random(SEED)
        for chunked in (False, True):
            for _ in range(2):
                request = Request(rng, self.client)
                request.method, request.target, request.is_chunked = "POST", APPS, chunked
                request.huge()
                self.assertEqual(self.send(request, "a body over the limit"), 413)
        request = Request(rng, self.client)
        request.method, request.target, request.json = "POST", APPS, None
        request.body = b'{"x":"' + b"y" * ((2 << 20) - 8) + b'"}'
        self.assertEqual(len(request.body), 2 << 20)
        self.assertEqual(self.send(request, "a body of just the limit"), 400)

    def test_every_body_field_with_every_wrong_type(self):
        """Any other JSON type than the documented one is refused by name, wherever it stands; null means absent."""
        kinds = {str: "x", bool: True, int: 7, float: 1.5, list: [], dict: {}}
        full = dict(CREATE_INSTANCE, usageParameters=[{"name": "u", "value": "1"}])
        rows = [("POST", APPS, dict(CREATE_APP, name="typed")), ("POST", FUNCTION + "/instances", full),
                ("PUT", ONE, full), ("PUT", FUNCTION + "/default-instance", {"instanceName": "one"})]
        for method, target, body in rows:
            for at in places(body):
                for kind, wrong in kinds.items():
                    if not at or kind is type(self.member(body, at)):
                        continue
                    with self.subTest(target=target, at=at, wrong=wrong):
                        answer = self.client.call(method, target, replaced(body, at, wrong))
                        names = [str(k) for k in at if isinstance(k, str)]
                        self.refused(answer, 400, "InvalidParameter")
                        self.assertTrue(any(name in answer.message for name in names), answer.message)
        self.refused(self.client.get_app("typed"), 404, "App.NotFound")

    def member(self, value, at):
        for key in at:
            value = value[key]
        return value

    def test_wrong_kinds_of_content(self):
        """The body is JSON by the contract, whatever its type is called; what is signed is what counts."""
        body = json.dumps({"instanceName": "1", "modelType": "script"}).encode()
        target = FUNCTION + "/instances"
        for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "", "application/json"):
            headers = self.client.headers_for("CreateFunctionInstance", body)
            headers["content-type"] = kind
            headers["authorization"] = self.client.sign("POST", target, headers, body)
            self.refused(self.client.send("POST", target, headers, body), 400, "InvalidParameter", "instanceName")
        headers = self.client.headers_for("CreateFunctionInstance", body)
        headers["x-acs-content-sha256"] = hashlib.sha256(b"").hexdigest()
        headers["authorization"] = self.client.sign("POST", target, headers, body)
        self.refused(self.client.send("POST", target, headers, body), 400, "SignatureDoesNotMatch",
                     "x-acs-content-sha256")


if __name__ == "__main__":
    unittest.main()
