"""The server as a process: garbage on its socket, readiness, metrics, drain, one server per data folder, settings."""
import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import unittest

from common import ServerCase
from stint_client import BINARY, WAIT_S, Server, wait_for


def raw(port, data, timeout=WAIT_S):
    """Send bytes as they are, end the sending half, read to the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        out = b""
        try:
            while part := connection.recv(65536):
                out += part
        except ConnectionResetError:
            pass
        return out


class Wire(ServerCase):
    def test_garbage(self):
        rows = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(200), os.urandom(4096), b"\r\n" * 100,
                b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nhost: a\r\n bad: folded\r\n\r\n",
                b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
                b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
                b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
                b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x00" * 10000]
        for data in rows:
            with self.subTest(data=data[:40]):
                answer = raw(self.server.port, data)
                if answer:
                    self.assertRegex(answer, rb"^HTTP/1\.[01] (4|5)\d\d ")
        self.ok(self.client.list_apps())

    def test_slow_and_broken_connections(self):
        half = [socket.create_connection(("127.0.0.1", self.server.port)) for _ in range(50)]
        for connection in half:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nho")
        self.ok(self.client.list_apps())
        for connection in half:
            connection.close()
        self.ok(self.client.list_apps())

    def test_a_server_that_rests_holds_no_part_of_the_log(self):
        self.client.create_app("resting")
        for _ in range(3):  # over the connection the client keeps, so that the loop has read and waits
            self.ok(self.client.list_apps())
        with contextlib.closing(sqlite3.connect(self.server.data / "stint.db", timeout=0, isolation_level=None)) as db:
            wait_for("the log to be cut",
                     lambda: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0))
        self.ok(self.client.list_apps())

    def test_readiness_and_metrics(self):
        self.assertEqual(self.client.send("GET", "/healthz", {"host": "x"}).status, 200)
        self.assertEqual(self.client.send("GET", "/readyz", {"host": "x"}).status, 200)
        answer = self.client.send("GET", "/metrics", {"host": "x"})
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.headers["content-type"].startswith("text/plain"))
        lines = answer.body.decode().splitlines()
        self.assertTrue(any(line.startswith("stint_") for line in lines))
        for line in lines:
            if line and not line.startswith("#"):
                self.assertRegex(line, r'^[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? \S+$')

    def test_many_clients(self):
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda _: self.client.list_apps().status, range(300)))
        self.assertEqual(set(answers), {200})


class Process(unittest.TestCase):
    def server(self, *args):
        server = Server(args=args)
        self.addCleanup(server.close)
        return server

    def test_a_second_server_is_refused(self):
        server = self.server().start()
        done = server.run("serve", "--data", str(server.data), "--listen", "127.0.0.1:0", check=False)
        self.assertEqual(done.returncode, 65)
        self.assertIn("another server runs on", done.stderr)
        self.assertEqual(server.client.list_apps().status, 200)

    def test_a_used_port_is_refused(self):
        server = self.server().start()
        other = self.server()
        done = other.run("serve", "--data", str(other.data), "--listen", f"127.0.0.1:{server.port}", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(str(server.port), done.stderr)

    def test_endpoint_file_and_stop(self):
        server = self.server().start()
        endpoint = server.data / "endpoint"
        self.assertEqual(endpoint.read_text(), f"http://127.0.0.1:{server.port}\n")
        server.stop()
        self.assertFalse(endpoint.exists())

    def test_a_start_without_keys_says_so(self):
        server = self.server()
        server.access = {"access_key_id": "LTAInobody", "access_key_secret": "none", "project_id": "0" * 32}
        server.start()
        self.assertIn("key.none", server.log())
        self.assertEqual((server.data / "secret.key").stat().st_mode & 0o777, 0o600)
        server.stop()
        server.key()
        seen = len(server.log())
        server.start()
        self.assertNotIn("key.none", server.log()[seen:])

    def test_clients_leave_the_server_the_descriptors_that_it_needs(self):
        """...however few it may have, and however many connections it was told to take."""
        files = 512
        server = self.server("--threads", "1", "--max-running", "1")
        server.wrapper = ["prlimit", f"--nofile={files}:{files}"]
        server.start()
        found = re.search(r"http.fewer_connections asked=10000 most=(\d+) ", server.log())
        self.assertTrue(found, server.log())
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S))
                       for _ in range(files + 100)]
            held = pathlib.Path(f"/proc/{server.process.pid}/fd")
            wait_for("as many as may be", lambda: len(list(held.iterdir())) > int(found.group(1)))
            clients[0].sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
            self.assertIn(b"200 OK", clients[0].recv(4096))
            self.assertLess(len(list(held.iterdir())), files - 64)
        self.assertNotIn("http.accept_paused", server.log())

    def test_another_programs_database_is_left_alone(self):
        server = self.server()
        theirs = server.folder / "theirs"
        theirs.mkdir()
        with contextlib.closing(sqlite3.connect(theirs / "stint.db")) as db:
            db.execute("CREATE TABLE letters (text)")
        before = (theirs / "stint.db").read_bytes()
        for words in (["serve", "--listen", "127.0.0.1:0"], ["init"], ["key", "create"]):
            done = server.run(*words, "--data", str(theirs), check=False)
            self.assertEqual(done.returncode, 64, done)
            self.assertIn("another program's database", done.stderr)
            self.assertEqual([f.name for f in theirs.iterdir()], ["stint.db"], words)
        self.assertEqual((theirs / "stint.db").read_bytes(), before)

    def test_drain_answers_what_was_asked(self):
        """Requests in progress at SIGTERM are answered or refused cleanly; the exit code is 0."""
        server = self.server().start()
        self.assertEqual(server.client.create_app("before").status, 200)
        outcomes, go = [], threading.Event()

        def work(k):
            go.wait()
            for n in range(50):
                try:
                    outcomes.append((k, n, server.client.create_app(f"d{k}_{n}").status))
                except OSError:
                    return

        threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
        for thread in threads:
            thread.start()
        go.set()
        wait_for("some creates", lambda: len(outcomes) > 20)
        server.stop()
        for thread in threads:
            thread.join()
        self.assertLessEqual({status for _, _, status in outcomes}, {200, 503})
        server.start()
        for k, n, status in outcomes:
            if status == 200:
                self.assertEqual(server.client.get_app(f"d{k}_{n}").status, 200)

    def test_sigint_stops_as_well(self):
        server = self.server().start()
        server.process.send_signal(signal.SIGINT)
        self.assertEqual(server.process.wait(WAIT_S), 0)
        server.process.stdout.close()
        server.process = None

    def test_settings_file(self):
        server = self.server()
        server.prepare()
        settings = server.folder / "stint.ini"
        settings.write_text("; comment\n[server]\nmax_running = 3\nlog-level = debug\nlisten = 127.0.0.1:1\n"
                            f"import_root = {server.folder}\nimport_root = /tmp\n")
        server.args = ["--config", str(settings)]
        server.start()  # the command line's --listen wins
        server.stop()
        for text, says in (("no_such = 1\n", "stint.ini:1: unknown setting 'no_such'"),
                           ("\nthreads = many\n", "stint.ini:2: --threads is an integer from 1 to 64"),
                           ("just words\n", "stint.ini:1"), ("auth = maybe\n", "strict|lax|off"),
                           ("[server]\n  max_running = 3\n  threads = many\n", "stint.ini:3: --threads is an integer"),
                           (f"data = {'x' * 200}\n", "stint.ini:1: longer than 198 bytes"),
                           ("auth = off\0\n", "holds a NUL byte")):
            settings.write_text(text)
            done = server.run("serve", "--data", str(server.data), "--config", str(settings), check=False)
            self.assertEqual((done.returncode, says in done.stderr), (64, True), done.stderr)

    def test_a_folder_that_cannot_be_used(self):
        server = self.server()
        file = server.folder / "file"
        file.write_text("x")
        done = server.run("serve", "--data", str(file / "data"), check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(str(file), done.stderr)

    def test_a_damaged_manifest_is_named(self):
        server = self.server()
        server.prepare()
        (server.data / "functions.d" / "bad.json").write_text('{"name":"bad"')
        done = server.run("serve", "--data", str(server.data), "--listen", "127.0.0.1:0", check=False)
        self.assertEqual(done.returncode, 64)
        self.assertIn("bad.json", done.stderr)

    def test_a_wrong_secret_key_is_named(self):
        server = self.server()
        server.prepare()
        server.key()
        (server.data / "secret.key").write_bytes(b"short")
        done = server.run("serve", "--data", str(server.data), "--listen", "127.0.0.1:0", check=False)
        self.assertEqual(done.returncode, 70)
        self.assertIn("secret.key", done.stderr)
        self.assertEqual(pathlib.Path(server.data / "secret.key").read_bytes(), b"short", "never overwritten")

    def test_a_lost_secret_key_is_not_made_anew(self):
        server = self.server()
        server.prepare()
        server.key()
        key = server.data / "secret.key"
        key.rename(server.folder / "aside")
        for words in (("serve", "--listen", "127.0.0.1:0"), ("key", "create"), ("init",)):
            done = server.run(*words, "--data", str(server.data), check=False)
            self.assertEqual((words, done.returncode), (words, 70))
            self.assertRegex(done.stderr, "secret.key is missing.*backup")
            self.assertFalse(key.exists(), f"made by {words}")
        (server.folder / "aside").rename(key)
        self.assertEqual(server.run("key", "list", "--data", str(server.data)).returncode, 0)

    def test_stdout_has_one_line(self):
        server = self.server()
        server.prepare()
        process = subprocess.Popen([BINARY, "serve", "--data", str(server.data), "--listen", "127.0.0.1:0"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = process.stdout.readline()
        self.assertRegex(line, r"^stint: ready on http://127\.0\.0\.1:\d+\n$")
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=WAIT_S)
        self.assertEqual((rest, process.returncode), ("", 0))

    def test_https(self):
        server = self.server()
        server.prepare()
        cert, key = str(server.folder / "cert.pem"), str(server.folder / "key.pem")
        try:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                            "-subj", "/CN=stint",
                            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True,
                           capture_output=True)
        except FileNotFoundError:
            self.skipTest("the openssl command is not installed")
        server.key()
        suppressions = pathlib.Path(__file__).resolve().parent / "lsan.supp"
        environment = dict(os.environ, LSAN_OPTIONS=f"suppressions={suppressions}:print_suppressions=0")
        with open(server.log_path, "ab") as log:
            process = subprocess.Popen([BINARY, "serve", "--data", str(server.data), "--listen", "127.0.0.1:0",
                                        "--tls-cert",
                                        cert, "--tls-key", key], stdout=subprocess.PIPE, stderr=log, text=True,
                                       env=environment)
        self.assertRegex(process.stdout.readline(), r"^stint: ready on https://")
        server.run("app", "create", "shop", "--data", str(server.data), "--ca-file", cert)
        done = server.run("app", "list", "--data", str(server.data), check=False)
        self.assertEqual(done.returncode, 77)
        self.assertIn("--ca-file", done.stderr)
        port = int((server.data / "endpoint").read_text().rsplit(":", 1)[1])
        self.assertNotIn(b"200", raw(port, b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")[:20])
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT_S)
        self.assertEqual(process.returncode, 0)
        server.check_sanitizers()
