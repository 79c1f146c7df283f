"""Runs ioredis.test.js beside a server; its tests are lines of their own."""
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scenario"))

from test_dcs import PASSWORD, DcsCase  # noqa: E402

SCRIPT = os.environ.get("STINT_NODE_TEST")


@unittest.skipUnless(SCRIPT, "ioredis cannot be installed")
class Ioredis(DcsCase):
    def test_ioredis(self):
        one = self.create("clients-node", "ha")
        shown = self.show(one)
        env = {**os.environ, "STINT_REDIS_HOST": shown["ip"], "STINT_REDIS_PORT": str(shown["port"]),
               "STINT_REDIS_PASSWORD": PASSWORD}
        process = subprocess.Popen(["node", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
                                   cwd=pathlib.Path(SCRIPT).parent)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        passed = 0
        for line in process.stdout:
            if line == "ask swap\n":
                self.done(one, "masterStandbySwapJob", self.dcs.of("PUT", one, "async-swap"))
                process.stdin.write("done\n")
                process.stdin.flush()
            else:
                print(line, end="", flush=True)
                passed += line.startswith("ok ")
        process.stdin.close()
        self.assertEqual(process.wait(), 0)
        self.assertEqual(passed, 8)
