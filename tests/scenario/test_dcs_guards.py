"""What one request, or one tenant, must not be able to do to an instance that runs."""
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
