"""The command line: every command once for people and once for programs, and its refusals."""
import json
import os
import re
import signal
import subprocess
import unittest

from common import ServerCase
from stint_client import BINARY, WAIT_S, Server


class Offline(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.close)
        self.data = str(self.server.data)

    def run_(self, *words, code=0, **more):
        done = self.server.run(*words, check=False, **more)
        self.assertEqual(done.returncode, code, done)
        return done

    def test_help_of_every_command(self):
        listed = self.run_("help").stdout
        names = [line[2:20].strip() for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]
        names = [n for n in names if n and not n.startswith("stint")]
        self.assertGreater(len(names), 25)
        for name in names:
            text = self.run_(*name.split(), "--help").stdout
            self.assertIn(f"Usage: stint {name}", text)
            self.assertIn("\nExample:\n", text)
            self.assertEqual(self.run_("help", *name.split()).stdout, text)

    def test_refusals_name_the_word(self):
        rows = [(["nonsense"], "unknown command 'nonsense'"), (["task"], "needs one of these words"),
                (["serve", "--colour", "red"], "unknown option '--colour'"),
                (["serve", "--threads", "none"], "--threads is an integer"), (["serve", "--threads"], "needs a value"),
                (["serve", "--auth", "maybe"], "strict|lax|off"), (["serve", "extra"], "one word too many"),
                (["serve", "--data", "a", "--data=b"], "given twice"), (["serve", "--listen", "8080"], "HOST:PORT"),
                (["serve", "--listen", "::1:80"], "brackets"), (["serve", "--tls-cert", "x"], "go together"),
                (["task", "get", "app", "i"], "GENERATION is missing"),
                (["key", "disable"], "ACCESS_KEY_ID is missing"),
                (["version", "--json=perhaps"], "true or false"), (["job"], "only the server starts this")]
        for words, says in rows:
            with self.subTest(words=words):
                self.assertIn(says, self.run_(*words, code=64).stderr)

    def test_version(self):
        self.assertRegex(self.run_("version").stdout, r"^stint \d+\.\d+\.\d+\n$")
        self.assertIn("version", json.loads(self.run_("--version", "--json").stdout))

    def test_keys(self):
        self.assertIn("no data folder", self.run_("key", "list", "--data", self.data, code=66).stderr)
        made = json.loads(self.run_("key", "create", "--data", self.data, "--name", 'a "b"', "--json").stdout)
        self.assertRegex(made["access_key_id"], r"^LTAI\w{20}$")
        self.assertEqual(set(made) & {"access_key_secret", "account", "project_id"},
                         {"access_key_secret", "account", "project_id"})
        listed = json.loads(self.run_("key", "list", "--data", self.data, "--json").stdout)
        self.assertEqual([k["access_key_id"] for k in listed], [made["access_key_id"]])
        self.assertNotIn("access_key_secret", listed[0])
        self.assertNotIn(made["access_key_secret"], self.run_("key", "list", "--data", self.data).stdout)
        self.run_("key", "disable", made["access_key_id"], "--data", self.data)
        self.assertIn("disabled", self.run_("key", "list", "--data", self.data).stdout)
        self.run_("key", "delete", made["access_key_id"], "--data", self.data)
        self.run_("key", "delete", made["access_key_id"], "--data", self.data, code=66)
        self.run_("key", "create", "--data", self.data, "--account", "x1", code=64)

    def test_init_twice(self):
        first = json.loads(self.run_("init", "--data", self.data, "--json").stdout)
        again = json.loads(self.run_("init", "--data", self.data, "--json").stdout)
        self.assertEqual(first, again)
        self.assertTrue((self.server.data / "stint.ini").exists())

    def test_env(self):
        key = self.server.key()
        texts = self.run_("env", "--data", self.data, "--endpoint", "https://example.org:99").stdout
        for part in ("shell", "python", "node", "java", "go", key["access_key_secret"], "example.org:99", "'https'"):
            self.assertIn(part, texts)
        python = self.run_("env", "python", "--data", self.data, "--endpoint", "127.0.0.1:80").stdout
        compile(python, "env", "exec")
        self.run_("env", "cobol", "--data", self.data, "--endpoint", "x:1", code=64)
        self.assertIn("no server runs on", self.run_("env", "--data", self.data, code=66).stderr)
        (self.server.data / "endpoint").write_text("")  # as a power failure may leave it
        self.assertIn("no server runs on", self.run_("env", "--data", self.data, code=66).stderr)

    def test_doctor(self):
        self.assertIn("is not there", self.run_("doctor", "--data", self.data + "x", code=1).stdout)
        self.run_("init", "--data", self.data)
        self.assertIn("All is well", self.run_("doctor", "--data", self.data).stdout)
        (self.server.data / "import" / "left.tmp").write_text("x")
        self.assertIn("left.tmp", self.run_("doctor", "--data", self.data).stdout)
        (self.server.data / "secret.key").chmod(0o644)
        found = json.loads(self.run_("doctor", "--data", self.data, "--json", code=1).stdout)
        self.assertIn("chmod 600", next(f["text"] for f in found if f["check"] == "secret.key"))

    def test_train_and_predict(self):
        shop, model = str(self.server.folder / "shop.csv"), str(self.server.folder / "model")
        best = json.loads(self.run_("sample", "shop", "--out", shop, "--rows", "3000", "--json").stdout)
        self.assertGreater(best["best_auc"], 0.6)
        done = self.run_("train", "--train-data", shop, "--label-field", "click", "--out", model, "--epochs", "4",
                         "--json")
        result = json.loads(done.stdout)
        self.assertIn("auc", result)
        self.assertIn("%", done.stderr, "progress goes to stderr")
        scored = self.run_("predict", "--model", model + "/model.bin", shop, "--metrics")
        values = [float(v) for v in scored.stdout.split()]
        self.assertEqual(len(values), 3000)
        self.assertTrue(all(0 <= v <= 1 for v in values))
        self.assertRegex(scored.stderr, r"AUC 0\.\d{5}, calibration \d\.\d{5}\n$")
        rows = open(shop).read().splitlines(keepends=True)
        none = self.server.folder / "none.csv"
        none.write_text("".join([rows[0]] + [r for r in rows if r.startswith("0,")]))
        scored = self.run_("predict", "--model", model + "/model.bin", str(none), "--metrics")
        self.assertIn("AUC -, calibration -", scored.stderr, "of one class there is none")
        json.loads(self.run_("predict", "--model", model + "/model.bin", "--describe").stdout)
        self.assertIn("epochs", self.run_("train", "--train-data", shop, "--epochs", "x", code=64).stderr)
        self.run_("train", "--train-data", "/no/such.csv", "--out", model, code=66)
        self.run_("train", "--train-data", "/no/such.csv", "--out", model + "2", code=66)
        self.run_("train", "--out", model + "2", code=64)
        self.assertFalse(os.path.exists(model + "2"), "an empty folder is left")
        bits = bytearray(open(model + "/model.bin", "rb").read())
        bits[len(bits) // 2] ^= 1
        open(model + "/model.bin", "wb").write(bits)
        self.run_("predict", "--model", model + "/model.bin", shop, code=70)

    def test_an_interrupted_training_goes_on(self):
        shop = str(self.server.folder / "shop.csv")
        self.run_("sample", "shop", "--out", shop, "--rows", "3000")
        options = ("train", "--train-data", shop, "--early-stop-rounds", "0", "--out")
        cut, whole = str(self.server.folder / "cut"), str(self.server.folder / "whole")
        first = subprocess.Popen([BINARY, *options, cut, "--epochs", "1000"], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True)
        self.addCleanup(first.kill)
        next(line for line in first.stderr if line.startswith("epoch 2 of 1000"))
        first.send_signal(signal.SIGINT)
        _, rest = first.communicate(timeout=WAIT_S)
        self.assertEqual(first.returncode, 75, rest)
        done = max([2] + [int(n) for n in re.findall(r"^epoch (\d+) of 1000", rest, re.M)])
        epochs = str(done + 2)
        resumed = self.run_(*options, cut, "--epochs", epochs)
        self.assertRegex(resumed.stderr, rf"going on after epoch {done} from ckpt-{done}\n")
        self.run_(*options, whole, "--epochs", epochs)
        scores = [self.run_("predict", "--model", d + "/model.bin", shop).stdout for d in (cut, whole)]
        self.assertEqual(*scores, "not the model of an undisturbed run")
        self.assertEqual(sorted(n for n in os.listdir(cut) if not n.startswith("data-")), ["model.bin"])

    def test_predictions_replace_a_file_only_when_they_are_all_there(self):
        shop, model = str(self.server.folder / "shop.csv"), str(self.server.folder / "model")
        self.run_("sample", "shop", "--out", shop, "--rows", "500")
        self.run_("train", "--train-data", shop, "--out", model, "--epochs", "1")
        model += "/model.bin"
        out = self.server.folder / "scores.txt"
        out.write_text("precious")
        self.run_("predict", "--model", model, str(self.server.folder / "none.csv"), "--out", str(out), code=66)
        rows = open(shop).read().splitlines()
        bad = self.server.folder / "bad.csv"
        bad.write_text("\n".join([*rows, "1,2"]))
        done = self.run_("predict", "--model", model, str(bad), "--out", str(out), code=64)
        self.assertIn("bad.csv:502", done.stderr)
        self.assertEqual(out.read_text(), "precious")
        self.assertEqual([p.name for p in self.server.folder.glob("*.tmp")], [])
        plain = self.run_("predict", "--model", model, shop).stdout
        self.run_("predict", "--model", model, shop, "--out", str(out))
        self.assertEqual(out.read_text(), plain)
        self.run_("predict", "--model", model, shop, "--out", shop)
        self.assertEqual(open(shop).read(), plain, "the rows were read before their file was replaced")
        self.run_("predict", "--model", model, str(out), "--out", "/dev/null", code=64)

    def test_parameters_as_long_as_they_may_be(self):
        """Every text at its longest, of characters that take two bytes in a checkpoint."""
        wide, model = self.server.folder / "wide.csv", str(self.server.folder / "model")
        label, one, *named = ("n%d" % i + "\\" * 4090 for i in range(7))
        rows = "".join(f"{i % 2},{i},{i % 3},x y,z,t|u,c\n" for i in range(40))
        wide.write_text(",".join((label, one, *named)) + "\n" + rows)
        words = ["--label-field", label, "--feature-fields", one, "--numeric-fields", one,
                 "--value-separator", "\\" * 4096]
        for option, name in zip(("id", "title", "description", "tags", "category"), named):
            words += [f"--{option}-field", name]
        self.run_("train", "--train-data", str(wide), "--out", model, "--epochs", "2", *words)
        self.assertEqual(len(self.run_("predict", "--model", model + "/model.bin", str(wide)).stdout.split()), 40)

    def test_metrics_count_only_rows_with_a_label(self):
        shop, model = str(self.server.folder / "shop.csv"), str(self.server.folder / "model")
        self.run_("sample", "shop", "--out", shop, "--rows", "500")
        self.run_("train", "--train-data", shop, "--out", model, "--epochs", "1")
        head, *rows = open(shop).read().splitlines()
        half, none = self.server.folder / "half.csv", self.server.folder / "none.csv"
        half.write_text("\n".join([head, *rows[:5], *(row[1:] for row in rows[5:8])]))
        none.write_text("\n".join(row.split(",", 1)[1] for row in [head, *rows]))
        scored = self.run_("predict", "--model", model + "/model.bin", str(half), "--metrics")
        self.assertEqual(len(scored.stdout.split()), 8)
        self.assertIn("5 rows with a label", scored.stderr)
        scored = self.run_("predict", "--model", model + "/model.bin", str(half), "--metrics", "--json")
        self.assertEqual(json.loads(scored.stderr)["rows_valid"], 5)
        scored = self.run_("predict", "--model", model + "/model.bin", str(none), "--metrics")
        self.assertIn("no row has a label", scored.stderr)

    def test_families_of_commands(self):
        for words in (("task", "--help"), ("task", "-h"), ("help", "task"), ("task", "help")):
            self.assertIn("stint task watch", self.run_(*words).stdout, words)
        self.assertIn("stint task watch", self.run_("task", code=64).stderr)
        self.assertIn("stint task watch", self.run_("task", "--nonsense", code=64).stderr)
        self.assertIn("no command is named", self.run_("help", "nonsense", code=64).stderr)

    def test_a_full_stdout_is_an_error_of_every_command(self):
        for words in (("help",), ("version",), ("serve", "--help"), ("task", "--help"),
                      ("key", "create", "--data", self.data)):
            with open("/dev/full", "w") as full:
                done = subprocess.run([BINARY, *words], stdout=full, stderr=subprocess.PIPE, text=True)
            self.assertEqual(done.returncode, 74, (words, done.stderr))
            self.assertEqual(done.stderr.count("standard output takes no more"), 1, done.stderr)

    def test_closed_descriptors_are_not_taken_for_files(self):
        """What would go to a closed terminal must not end up in whatever file was opened instead."""
        shop = str(self.server.folder / "shop.csv")
        self.run_("sample", "shop", "--out", shop, "--rows", "500")
        sums = set()
        for close in ("", "<&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
            model = self.server.folder / f"model{len(sums)}{len(close)}"
            code = subprocess.run(f"exec {BINARY} train --train-data {shop} --out {model} --epochs 2 {close}",
                                  shell=True, capture_output=True).returncode
            self.assertEqual(code, 74 if ">&- " in close else 0, close)
            sums.add((model / "model.bin").read_bytes())
        self.assertEqual(len(sums), 1)
        self.server.key()
        server = subprocess.Popen(f"exec {BINARY} serve --data {self.data} --listen 127.0.0.1:0 2>&-", shell=True,
                                  stdout=subprocess.PIPE, text=True)
        try:
            self.assertIn("ready", server.stdout.readline())
        finally:
            server.terminate()
            self.assertEqual(server.wait(WAIT_S), 0)
            server.stdout.close()
        self.assertEqual((self.server.data / "lock").read_text(), "")

    def test_closed_stdout(self):
        process = subprocess.Popen(f"{BINARY} help | head -c 1 >/dev/null; true", shell=True, stderr=subprocess.PIPE)
        self.assertEqual(process.wait(WAIT_S), 0)
        self.assertNotIn(b"Sanitizer", process.stderr.read())
        process.stderr.close()

    def test_no_server(self):
        self.server.key()
        done = self.run_("app", "list", "--data", self.data, "--endpoint", "http://127.0.0.1:1", code=75)
        self.assertIn("no server answers", done.stderr)
        self.run_("app", "list", "--data", self.data, "--endpoint", "ftp://x", code=64)
        self.run_("app", "list", "--data", self.data, "--endpoint", "http://x/path", code=64)


class Online(ServerCase):
    @classmethod
    def prepare(cls, server):
        server.sample(rows=800)
        server.add_function("score")

    def cli(self, *words, code=0):
        done = self.server.run(*words, "--data", str(self.server.data), check=False)
        self.assertEqual(done.returncode, code, done)
        return done

    def test_a_key_that_is_named_is_the_one_that_signs(self):
        other = json.loads(self.cli("key", "create", "--json").stdout)["access_key_id"]
        self.cli("app", "list", "--access-key-id", other)
        self.cli("key", "disable", other)
        self.cli("app", "list")
        self.assertIn("Inactive", self.cli("app", "list", "--access-key-id", other, code=64).stderr)
        self.cli("app", "list", "--access-key-id", "LTAInobody", code=66)
        self.assertIn("--access-key-id", self.cli("app", "list", "--access-key-secret", "x", code=64).stderr)
        self.assertIn("HUAWEICLOUD_SDK_AK", self.cli("cache", "list", "--access-key-secret", "x", code=64).stderr)

    def test_the_whole_way(self):
        self.assertIn("shop is ready", self.cli("app", "create", "shop").stdout)
        self.assertIn("App.Duplicated", self.cli("app", "create", "shop", code=65).stderr)
        self.assertIn("shop", self.cli("app", "list").stdout)
        self.assertEqual(json.loads(self.cli("app", "get", "shop", "--json").stdout)["result"]["name"], "shop")
        self.cli("instance", "create", "shop", "ctr_shop", "-p", "train_data=shop.csv", "-p", "label_field=click",
                 "--param", "epochs=2", "--description", "of the shop")
        self.assertIn("epochs = 2", self.cli("instance", "get", "shop", "ctr_shop").stdout)
        self.assertIn("of the shop", self.cli("instance", "list", "shop").stdout)
        self.cli("instance", "update", "shop", "ctr_shop", "--cron", "0 3 ? * 1")
        self.assertIn("0 3 ? * 1", self.cli("instance", "list", "shop").stdout)
        self.assertIn("has no task", self.cli("task", "watch", "shop", "ctr_shop", code=66).stderr)
        done = self.cli("task", "create", "shop", "ctr_shop", "--watch")
        self.assertIn("success", done.stdout)
        self.assertIn("auc", done.stdout)
        self.assertIn("success", self.cli("task", "list", "shop", "ctr_shop").stdout)
        self.assertIn("ended", self.cli("task", "get", "shop", "ctr_shop", "1").stdout)
        self.assertEqual(json.loads(self.cli("task", "get", "shop", "ctr_shop", "1", "--json").stdout)["state"],
                         "success")
        self.assertIn("epoch", self.cli("task", "log", "shop", "ctr_shop", "--follow").stdout)
        self.assertEqual(json.loads(self.cli("task", "create", "shop", "ctr_shop", "--json").stdout)["generation"], "2")
        lines = self.cli("task", "watch", "shop", "ctr_shop", "2", "--json").stdout.splitlines()
        self.assertEqual(json.loads(lines[-1])["state"], "success")
        self.cli("task", "delete", "shop", "ctr_shop", "1")
        self.assertIn("Task.NotExist", self.cli("task", "get", "shop", "ctr_shop", "1", code=66).stderr)
        self.cli("instance", "update", "shop", "ctr_shop", "-p", "train_data=nowhere.csv")
        self.assertIn("nowhere.csv", self.cli("task", "create", "shop", "ctr_shop", "--watch", code=65).stderr)
        self.assertIn("All is well", self.cli("doctor").stdout)
        self.cli("instance", "delete", "shop", "ctr_shop")
        self.cli("app", "delete", "shop")
        self.assertIn("App.NotFound", self.cli("app", "get", "shop", code=66).stderr)

    def test_doctor_and_a_function_that_makes_no_model(self):
        client = self.server.client
        self.app("modelless")
        # What is said to be typed next can be typed.
        made = self.cli("instance", "create", "modelless", "one", "--function", "score", "--model-type", "script",
                        "-p", "mode=ok").stdout
        said = re.search(r"stint (task create .*) --watch", made).group(1)
        begun = self.cli(*said.split()).stdout
        self.cli(*re.search(r"stint (task watch .*)", begun).group(1).split())
        self.assertEqual(client.finished("modelless", "one", 1, "score")["state"], "success")
        self.assertEqual(client.get_instance("modelless", "one", "score").result["Status"], "available")
        self.assertIn("All is well", self.cli("doctor").stdout)

    def test_what_others_wrote_does_not_reach_the_terminal_raw(self):
        words = "red \x1b[31m\x07\nstatus         gone\x7f"
        self.ok(self.server.client.create_app("tamed", description=words))
        self.ok(self.server.client.create_instance("tamed", "one", description=words))
        for done in (self.cli("app", "get", "tamed"), self.cli("instance", "get", "tamed", "one"),
                     self.cli("instance", "list", "tamed"), self.cli("app", "get", "a\x1bb", code=66)):
            with self.subTest(done.args):
                self.assertFalse(set(done.stdout + done.stderr) & {"\x1b", "\x07", "\x7f"}, done)
                self.assertNotIn("\nstatus         gone", done.stdout)
        self.assertEqual(json.loads(self.cli("app", "get", "tamed", "--json").stdout)["result"]["description"], words)

    def test_odd_names_reach_the_server_whole(self):
        self.assertIn("App.NotFound", self.cli("app", "get", "a b/c?d#e", code=66).stderr)
        self.assertIn("App.NotFound", self.cli("app", "get", "..", code=66).stderr)
        self.assertIn("name=value", self.cli("instance", "create", "shop", "x", "-p", "oops", code=64).stderr)
