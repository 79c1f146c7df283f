"""redis-cli, as people at a terminal and in scripts use it."""
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scenario"))

from stint_client import WAIT_S  # noqa: E402
from test_dcs import PASSWORD, DcsCase  # noqa: E402


@unittest.skipUnless(shutil.which("redis-cli"), "redis-cli is not installed")
class RedisCli(DcsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls("test_commands")
        cls.one = case.create("clients-cli")
        shown = case.show(cls.one)
        cls.at = ["redis-cli", "-h", shown["ip"], "-p", str(shown["port"])]

    def cli(self, *words, password=PASSWORD, given=None):
        env = {k: v for k, v in os.environ.items() if k != "REDISCLI_AUTH"}
        if password:
            env["REDISCLI_AUTH"] = password
        return subprocess.run([*self.at, *words], input=given, capture_output=True, text=True, env=env, timeout=WAIT_S)

    def test_commands(self):
        self.assertEqual(self.cli("SET", "k", "v").stdout, "OK\n")
        self.assertEqual(self.cli("GET", "k").stdout, "v\n")
        script = "MULTI\nINCR n\nINCR n\nEXEC\nHSET h a 1 b 2\nHGETALL h\n"
        self.assertEqual(self.cli(given=script).stdout.split(), "OK QUEUED QUEUED 1 2 2 a 1 b 2".split())
        self.assertEqual(self.cli("-3", "HGETALL", "h").stdout.split(), "a 1 b 2".split())
        self.assertEqual(self.cli("EVAL", "return {KEYS[1], ARGV[1]}", "1", "key", "word").stdout, "key\nword\n")

    def test_bulk_and_scans(self):
        lines = "".join(f"SET bulk:{i} {i}\r\n" for i in range(2000))
        done = self.cli("--pipe", given=lines)
        self.assertIn("errors: 0, replies: 2000", done.stdout, done.stderr)
        self.assertEqual(len(self.cli("--scan", "--pattern", "bulk:*").stdout.split()), 2000)
        self.assertIn("Biggest string found", self.cli("--bigkeys").stdout)

    def test_refusals(self):
        self.assertIn("NOAUTH", self.cli("GET", "k", password=None).stdout)
        wrong = self.cli("GET", "k", password="Wrong-Password-1")
        self.assertIn("WRONGPASS", wrong.stdout + wrong.stderr)
        self.assertIn("NOPERM", self.cli("CONFIG", "GET", "*").stdout)
        file = self.server.folder / "stolen.rdb"
        self.assertNotEqual(self.cli("--rdb", str(file)).returncode, 0)   # the whole data at once is a backup's matter
        self.assertFalse(file.exists() and file.stat().st_size)
        self.assertEqual(self.cli("PING").stdout, "PONG\n")
