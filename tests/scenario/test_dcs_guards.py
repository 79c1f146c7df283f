"""What one request, or one tenant, must not be able to do to an instance that runs."""
import http.client
import os
import resource
import signal
import socket

from stint_client import Answer, redis_processes, wait_for
from test_dcs import DcsCase


class Names(DcsCase):
    def refuses(self, instance, renames):
        answer = self.dcs.of("PUT", instance, body={"rename_commands": renames})
        self.refused(answer, 400, "DCS.4062")
        self.assertIn("rename_commands", answer.json["error_msg"])

    def test_a_name_that_redis_would_not_start_with_is_refused(self):
        one = self.create("guard-names")
        redis = self.connect(one)
        redis.call("SET", "a", "1")
        before = self.process(one)
        for renames in ({"keys": "mget"}, {"keys": "SCAN"}, {"keys": "Post"}, {"keys": "same", "scan": "SAME"}):
            with self.subTest(renames):
                self.refuses(one, renames)
        self.assertEqual((self.dcs.newest(one)["name"], self.process(one)), ("CREATE", before), "it was restarted")
        self.assertEqual(redis.call("GET", "a"), "1")

    def test_every_command_of_the_installed_redis_is_known(self):
        one = self.create("guard-commands")
        names = {n for n in self.connect(one).call("COMMAND", "LIST") if len(n) >= 4} - {"keys"}
        self.assertGreater(len(names), 150)
        for name in sorted(names):
            with self.subTest(name):
                self.refuses(one, {"keys": name})


class Addresses(DcsCase):
    def test_the_address_of_an_instance_that_is_down_is_not_given_away(self):
        one, two = self.create("guard-owner"), self.create("guard-other")
        owner, other = self.show(one), self.show(two)
        for pid in redis_processes(self.server.data / "cache" / one):
            os.kill(pid, signal.SIGKILL)
        taken = self.body("guard-thief", private_ip=owner["ip"]) | {"port": owner["port"]}
        answer = self.dcs.ask("POST", "instances", body=taken)
        self.refused(answer, 400, "DCS.4062")
        self.assertIn("another instance", answer.json["error_msg"])
        self.assertEqual(self.dcs.ask("GET", "instances", name="guard-thief").json["instance_num"], 0)
        wait_for("the owner to serve again", lambda: self.serves(one))

        beside = self.create("guard-beside", private_ip=owner["ip"])  # at a port of its own
        answer = self.dcs.of("PUT", beside, body={"port": owner["port"]})
        self.refused(answer, 400, "DCS.4062")
        self.assertEqual(self.dcs.newest(beside)["name"], "CREATE")
        self.done(two, "UpdatePort", self.dcs.of("PUT", two, body={"port": owner["port"]}), 204)
        self.assertNotEqual(other["ip"], owner["ip"])

    def test_nor_is_that_of_a_replica(self):
        one = self.create("guard-pair", "ha")
        replica = next(n for n in self.ok(self.dcs.of("GET", one, "logical-nodes")).json["nodes"]
                       if n["node_type"] == "slave")
        taken = self.body("guard-thief", private_ip=replica["node_ip"]) | {"port": int(replica["node_port"])}
        self.refused(self.dcs.ask("POST", "instances", body=taken), 400, "DCS.4062")

    def serves(self, instance):
        try:
            return self.connect(instance).call("PING") == "PONG"
        except OSError:
            return False


class Places(DcsCase):
    def test_why_a_task_failed_does_not_tell_where_the_data_lies(self):
        one = self.create("guard-places", "ha")
        backup = self.ok(self.dcs.of("POST", one, "backups", body={})).json["backup_id"]
        self.done(one, "BACKUP")
        (self.server.data / "backups" / one / f"{backup}.rdb").unlink()
        self.ok(self.dcs.of("POST", one, "restores", body={"backup_id": backup}))
        job = self.dcs.ended(self.dcs.newest(one)["id"])
        self.assertEqual(job["status"], "FAIL")
        self.assertIn(f"'backups/{one}/{backup}.rdb'", job["fail_reason"])
        self.assertNotIn(str(self.server.folder), job["fail_reason"])


class FewFiles(DcsCase):
    """A machine whose limit of open files is too low for the usual number of clients."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        resource.prlimit(cls.server.process.pid, resource.RLIMIT_NOFILE, (2048, 2048))  # its children have it from it

    def setting(self, instance, **values):
        return self.dcs.of("PUT", instance, "configs", body={"redis_config": [
            {"param_name": name, "param_value": value} for name, value in values.items()]})

    def test_an_instance_can_be_changed_and_mended_there(self):
        one = self.create("guard-few-files", "ha")
        self.done(one, "UpdateConfig", self.setting(one, timeout="7"), 204)
        spec = self.show(one)["spec_code"].replace("128", "256")
        self.done(one, "EXTEND", self.dcs.of("POST", one, "resize", body={"spec_code": spec, "new_capacity": 0}), 204)
        os.kill(self.process(one), signal.SIGKILL)
        wait_for("the recovery", lambda: self.dcs.newest(one)["name"] == "AutoRecovery" and
                 self.dcs.ended(self.dcs.newest(one)["id"])["status"] == "SUCCESS")
        self.running(one)

    def test_a_number_of_clients_that_it_cannot_have_is_refused(self):
        one = self.create("guard-few-clients")
        values = int(self.connect(one).info("maxclients"))
        if values == 10000:
            self.skipTest("this user may raise the limit")
        self.refused(self.setting(one, maxclients="20000", timeout="9"), 500, "DCS.4842")
        job = self.dcs.ended(self.dcs.newest(one)["id"])
        self.assertEqual((job["job_type"], job["status"]), ("UpdateConfig", "FAIL"))
        self.assertIn("number of clients", job["fail_reason"])
        config = self.ok(self.dcs.of("GET", one, "configs")).json["redis_config"]
        shown = {p["param_name"]: p["param_value"] for p in config}
        self.assertEqual((shown["maxclients"], shown["timeout"]), ("10000", "0"))
        self.assertEqual(int(self.connect(one).info("maxclients")), values)
        self.done(one, "UpdateConfig", self.setting(one, maxclients="1000"), 204)
        self.assertEqual(int(self.connect(one).info("maxclients")), 1000)


class Crowds(DcsCase):
    def test_an_instance_full_of_clients_is_not_in_error(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        one = self.create("guard-crowd", "ha")
        self.done(one, "UpdateConfig", self.dcs.of("PUT", one, "configs", body={"redis_config": [
            {"param_name": "maxclients", "param_value": "1000"}]}), 204)
        shown = self.show(one)
        redis, before = self.connect(one), self.process(one)
        for _ in range(1000):
            self.addCleanup(socket.create_connection((shown["ip"], shown["port"]), 30).close)
        refused = int(redis.info("rejected_connections"))
        wait_for("the server to be turned away", lambda: int(redis.info("rejected_connections")) > refused + 4)
        self.assertEqual(self.dcs.status(one), "RUNNING")
        self.assertEqual(self.dcs.newest(one)["name"], "UpdateConfig")
        self.switch(one, "restart")  # what frees it of them
        self.assertEqual(self.dcs.ended(self.dcs.newest(one)["id"])["status"], "SUCCESS")
        self.running(one)
        self.assertNotEqual(self.process(one), before)


class Refusals(DcsCase):
    def raw(self, data):
        """Status and headers and body of the answer to these bytes; the server ends the connection."""
        with socket.create_connection((self.dcs.host, self.dcs.port), 30) as s:
            s.sendall(data)
            answer = http.client.HTTPResponse(s)
            answer.begin()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def test_what_the_http_server_refuses_has_this_clouds_form(self):
        line = f"GET /v2/{self.dcs.project}/instances HTTP/1.1\r\nHost: a\r\n"
        for more, status, code in (("X: " + "y" * 70000 + "\r\n\r\n", 431, "DCS.4800"),
                                   ("bad\r\n\r\n", 400, "DCS.4005"),
                                   ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "DCS.4005"),
                                   ("Expect: tea\r\n\r\n", 417, "DCS.4800")):
            with self.subTest(more[:40]):
                self.refused(self.raw((line + more).encode()), status, code)
