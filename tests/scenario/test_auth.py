"""Who may call: strict, lax and off, and every way a signature can be wrong."""
import time
import uuid

from common import ServerCase
from stint_client import Client

APPS = "/v4/openapi/app-groups"


def stamp(offset_s):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + offset_s))


class Strict(ServerCase):
    def refusal(self, answer, status, code):
        self.assertEqual((answer.status, answer.code), (status, code), answer)
        self.assertTrue(answer.json["Message"] and answer.json["RequestId"], answer)
        return answer

    def test_good(self):
        self.ok(self.client.call("GET", APPS))
        self.ok(self.client.call("GET", APPS, date=stamp(-890)))
        self.ok(self.client.call("GET", APPS, date=stamp(+890)))

    def test_unsigned(self):
        headers = self.client.headers_for("ListAppGroups", None)
        self.refusal(self.client.send("GET", APPS, headers), 400, "MissingAccessKeyId")

    def test_wrong_secret(self):
        answer = self.refusal(self.client.call("GET", APPS, secret="x" * 30), 400, "SignatureDoesNotMatch")
        self.assertIn("server StringToSign is [ACS3-HMAC-SHA256", answer.message)
        self.assertNotIn(self.client.secret, answer.body.decode())

    def test_unknown_key(self):
        self.refusal(self.client.call("GET", APPS, key_id="LTAInobody"), 404, "InvalidAccessKeyId.NotFound")

    def test_expired_and_malformed_date(self):
        for offset in (-1000, +1000):
            self.refusal(self.client.call("GET", APPS, date=stamp(offset)), 400, "InvalidTimeStamp.Expired")
        for bad in ("yesterday", "2026-11-21 23:36:12", "2026-02-30T00:00:00Z", "Sat, 21 Nov 2026 23:39:40 GMT"):
            self.refusal(self.client.call("GET", APPS, date=bad), 400, "InvalidTimeStamp.Format")

    def test_replayed_nonce(self):
        nonce = uuid.uuid4().hex
        self.ok(self.client.call("GET", APPS, nonce=nonce))
        self.refusal(self.client.call("GET", APPS, nonce=nonce), 400, "SignatureNonceUsed")

    def test_a_refused_request_does_not_use_up_its_nonce(self):
        nonce = uuid.uuid4().hex
        self.refusal(self.client.call("GET", APPS, nonce=nonce, secret="wrong"), 400, "SignatureDoesNotMatch")
        self.ok(self.client.call("GET", APPS, nonce=nonce))

    def test_tampered(self):
        body = b'{"name":"honest","type":"enhanced"}'
        headers = self.client.headers_for("CreateAppGroup", body)
        headers["authorization"] = self.client.sign("POST", APPS, headers, body)
        self.refusal(self.client.send("POST", APPS, headers, body.replace(b"honest", b"forged")), 400,
                     "SignatureDoesNotMatch")
        self.refusal(self.client.send("POST", APPS + "?a=b", headers, body), 400, "SignatureDoesNotMatch")
        self.refusal(self.client.send("PUT", APPS, headers, body), 400, "SignatureDoesNotMatch")
        changed = dict(headers, **{"x-acs-action": "RemoveAppGroup"})
        self.refusal(self.client.send("POST", APPS, changed, body), 400, "SignatureDoesNotMatch")

    def test_headers_that_must_be_signed(self):
        headers = self.client.headers_for("ListAppGroups", None)
        headers["authorization"] = self.client.sign("GET", APPS, headers, None,
                                                    signed=["host", "x-acs-content-sha256", "x-acs-date"])
        self.assertIn(self.client.send("GET", APPS, headers).code, ("SignatureDoesNotMatch", "IncompleteSignature"))

    def test_missing_headers(self):
        for name, code in (("x-acs-date", "MissingTimestamp"), ("x-acs-signature-nonce", "MissingSignatureNonce"),
                           ("x-acs-version", "MissingVersion"), ("x-acs-content-sha256", "IncompleteSignature")):
            with self.subTest(name=name):
                headers = self.client.headers_for("ListAppGroups", None)
                headers["authorization"] = self.client.sign("GET", APPS, headers, None)
                del headers[name]
                self.refusal(self.client.send("GET", APPS, headers), 400, code)

    def test_malformed_authorization(self):
        for bad in ("ACS3-HMAC-SHA256 Credential=a", "ACS3-HMAC-SHA256 ,,,", "ACS3-HMAC-SHA256 " + "x" * 4000,
                    "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=zz"):
            with self.subTest(bad=bad[:40]):
                headers = self.client.headers_for("ListAppGroups", None)
                headers["authorization"] = bad
                self.assertEqual(self.client.send("GET", APPS, headers).status, 400)

    def test_other_algorithm(self):
        headers = self.client.headers_for("ListAppGroups", None)
        headers["authorization"] = "ACS3-RSA-SHA256 Credential=a,SignedHeaders=host,Signature=00"
        self.refusal(self.client.send("GET", APPS, headers), 400, "InvalidSignatureMethod")

    def test_keys_come_and_go_while_the_server_runs(self):
        new = self.server.key()
        other = Client("127.0.0.1", self.server.port, new["access_key_id"], new["access_key_secret"])
        self.ok(other.call("GET", APPS))
        data = str(self.server.data)
        self.server.run("key", "disable", new["access_key_id"], "--data", data)
        self.refusal(other.call("GET", APPS), 400, "InvalidAccessKeyId.Inactive")
        self.server.run("key", "enable", new["access_key_id"], "--data", data)
        self.ok(other.call("GET", APPS))
        self.server.run("key", "delete", new["access_key_id"], "--data", data)
        self.refusal(other.call("GET", APPS), 404, "InvalidAccessKeyId.NotFound")

    def test_secrets_are_not_on_disk_in_the_clear(self):
        secret = self.server.access["access_key_secret"].encode()
        for file in self.server.data.rglob("*"):
            if file.is_file():
                self.assertNotIn(secret, file.read_bytes(), file)
        self.assertNotIn(secret.decode(), self.server.log())


class Lax(ServerCase):
    args = ("--auth", "lax")

    def test_a_known_key_is_enough(self):
        self.ok(self.client.call("GET", APPS, secret="wrong"))
        self.assertEqual(self.client.call("GET", APPS, key_id="LTAInobody").status, 404)
        self.assertIn("auth.weak", self.server.log())


class Off(ServerCase):
    args = ("--auth", "off")

    def test_unsigned_is_welcome(self):
        self.ok(self.client.send("GET", APPS, self.client.headers_for("ListAppGroups", None)))
        self.assertIn("auth.weak", self.server.log())

    def test_off_is_refused_on_other_addresses(self):
        for host in ("0.0.0.0", "[::]", "127.example.org"):  # names lead anywhere, whatever they begin with
            with self.subTest(host=host):
                done = self.server.run("serve", "--data", str(self.server.folder / "other"), "--listen", host + ":0",
                                       "--auth", "off", check=False)
                self.assertEqual(done.returncode, 64)
                self.assertIn("loopback", done.stderr)
