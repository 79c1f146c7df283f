"""What the scenario files share: one server per test class, small data, and words for checking answers."""
import unittest

from stint_client import Server

ENVELOPE = {"Status": str, "RequestId": str, "HttpCode": int, "Code": str, "Message": str, "Latency": (int, float)}


class ServerCase(unittest.TestCase):
    """A server per class, stopped by SIGTERM at the end (which must go well). Tests use app groups of their own."""
    args = ()

    @classmethod
    def prepare(cls, server):
        """Before the start: functions, data."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(args=cls.args)
        cls.addClassCleanup(cls.server.close)
        cls.prepare(cls.server)
        cls.server.start()

    @property
    def client(self):
        return self.server.client

    def app(self, name):
        self.ok(self.client.create_app(name))
        return name

    def gated(self, app, name="one", function="score", mode="gate"):
        """An instance whose task runs until open_gate(); its create parameters."""
        gate = self.server.folder / f"gate-{app}-{name}"
        self.ok(self.client.create_instance(app, name, function, "script", {"mode": mode, "gate": str(gate)}))
        return gate

    def ok(self, answer):
        self.assertEqual(answer.status, 200, answer)
        return answer

    def ok_envelope(self, answer):
        """A success of a function operation, with both trees of the body agreeing."""
        self.ok(answer)
        for name, kind in ENVELOPE.items():
            self.assertIsInstance(answer.json[name], kind, answer)
            camel = name[0].lower() + name[1:]
            self.assertEqual(answer.json[name], answer.json[camel], answer)
        self.assertEqual((answer.json["Status"], answer.json["HttpCode"], answer.json["Code"]), ("OK", 200, ""))
        self.assertEqual(answer.headers.get("x-acs-request-id"), answer.json["RequestId"], answer)
        return answer

    def refused(self, answer, status, code, says=None):
        """An error in full: status, code, both casings, a message in words; Result absent."""
        self.assertEqual((answer.status, answer.code), (status, code), answer)
        for pascal, camel in (("Code", "code"), ("Message", "message"), ("RequestId", "requestId"),
                              ("HttpCode", "httpCode"), ("Status", "status")):
            self.assertEqual(answer.json[pascal], answer.json[camel], answer)
        self.assertEqual((answer.json["HttpCode"], answer.json["Status"]), (status, "FAIL"), answer)
        self.assertTrue(answer.json["Message"] and answer.json["RequestId"], answer)
        self.assertNotIn("Result", answer.json)
        if says:
            self.assertIn(says, answer.json["Message"])
        return answer
