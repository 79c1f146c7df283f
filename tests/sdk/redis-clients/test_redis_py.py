"""Python's Redis client, unmodified and used as its manual says, against instances of a stint server."""
import asyncio
import pathlib
import sys
import threading
import unittest

try:
    import redis
except ImportError as missing:
    raise unittest.SkipTest("redis-py cannot be installed") from missing
from redis.asyncio import Redis as AsyncRedis
from redis.backoff import ExponentialBackoff
from redis.exceptions import AuthenticationError, ReadOnlyError, ResponseError, TimeoutError, WatchError
from redis.retry import Retry

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scenario"))

from stint_client import wait_for  # noqa: E402
from test_dcs import PASSWORD, DcsCase  # noqa: E402


class RedisPy(DcsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        case = cls("test_strings")
        cls.one = case.create("clients-py", "ha")
        shown = case.show(cls.one)
        cls.at = {"host": shown["ip"], "port": shown["port"]}

    def setUp(self):
        self.r = self.client()
        self.r.flushall()

    def client(self, **more):
        client = redis.Redis(**{**self.at, "password": PASSWORD, "decode_responses": True, **more})
        self.addCleanup(client.close)
        return client

    def swap(self):
        job = self.ok(self.dcs.of("PUT", self.one, "async-swap")).json["job_id"]
        self.assertEqual(self.dcs.ended(job)["status"], "SUCCESS")
        self.running(self.one)

    # -- data --

    def test_strings(self):
        r = self.r
        self.assertTrue(r.set("k", "v"))
        self.assertEqual((r.get("k"), r.getrange("k", 0, 0), r.strlen("k"), r.get("absent")), ("v", "v", 1, None))
        self.assertEqual((r.incr("n"), r.incrby("n", 41), r.decr("n")), (1, 42, 41))
        self.assertIsNone(r.set("k", "other", nx=True))
        self.assertEqual(r.set("k", "w", get=True), "v")
        r.set("short", "lived", px=50)
        wait_for("the key to expire", lambda: r.get("short") is None)
        raw, value = self.client(decode_responses=False), bytes(range(256)) * 40000   # ten megabytes of any bytes
        raw.set(b"\x00\r\n", value)
        self.assertEqual(raw.get(b"\x00\r\n"), value)
        self.assertEqual(r.mget("k", "absent", "n"), ["w", None, "41"])

    def test_other_types(self):
        r = self.r
        r.hset("h", mapping={"a": "1", "b": "2"})
        self.assertEqual((r.hgetall("h"), r.hincrby("h", "a", 9), r.hdel("h", "b")), ({"a": "1", "b": "2"}, 10, 1))
        r.rpush("l", *range(10))
        self.assertEqual((r.lrange("l", 2, 3), r.lpop("l"), r.llen("l")), (["2", "3"], "0", 9))
        r.sadd("s", "x", "y")
        self.assertEqual(r.smembers("s"), {"x", "y"})
        r.zadd("z", {"one": 1, "two": 2})
        self.assertEqual(dict(r.zrange("z", 0, -1, withscores=True)), {"one": 1.0, "two": 2.0})
        self.assertEqual((r.zscore("z", "two"), r.zrank("z", "two")), (2.0, 1))
        first = r.xadd("stream", {"field": "value"})
        self.assertEqual(r.xrange("stream"), [(first, {"field": "value"})])
        r.geoadd("geo", (13.361389, 38.115556, "Palermo"))
        self.assertAlmostEqual(r.geopos("geo", "Palermo")[0][0], 13.361389, places=4)
        r.pfadd("log", *range(100))
        self.assertTrue(95 <= r.pfcount("log") <= 105)

    def test_both_protocols(self):
        for protocol in (2, 3):
            r = self.client(protocol=protocol)
            r.hset(f"p{protocol}", "field", "value")
            self.assertEqual((r.ping(), r.hgetall(f"p{protocol}")), (True, {"field": "value"}))

    def test_pipelines(self):
        pipe = self.r.pipeline(transaction=False)
        for i in range(5000):
            pipe.set(f"p:{i}", i)
        self.assertEqual(pipe.execute(), [True] * 5000)
        self.assertEqual(len(set(self.r.scan_iter("p:*", count=500))), 5000)
        pipe.set("text", "x").lpush("text", "y").get("text")
        answers = pipe.execute(raise_on_error=False)
        self.assertIsInstance(answers[1], ResponseError)   # one wrong command spoils no other
        self.assertEqual((answers[0], answers[2]), (True, "x"))

    def test_transactions(self):
        pipe = self.r.pipeline()
        self.assertEqual(pipe.set("a", 1).incr("a").get("a").execute(), [True, 2, "2"])
        pipe.watch("a")
        self.r.set("a", "changed")
        pipe.multi()
        pipe.set("a", "lost")
        with self.assertRaises(WatchError):
            pipe.execute()
        self.assertEqual(self.r.get("a"), "changed")
        self.assertEqual(self.r.transaction(lambda p: p.multi() or p.incr("n"), "n"), [1])

    def test_scripts_and_locks(self):
        add = self.r.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
        self.assertEqual((add(keys=["n"], args=[5]), add(keys=["n"], args=[5])), (5, 10))
        with self.r.lock("lock", timeout=10):
            self.assertFalse(self.r.lock("lock").acquire(blocking=False))
        self.assertTrue(self.r.lock("lock", timeout=1).acquire(blocking=False))

    def test_publishing(self):
        listener = self.client().pubsub()
        listener.subscribe("news")
        listener.psubscribe("n*")
        message = lambda: wait_for("a message", lambda: listener.get_message(timeout=1))
        self.assertEqual([message()["type"], message()["type"]], ["subscribe", "psubscribe"])
        self.assertEqual(self.r.publish("news", "hello"), 2)
        told = [message(), message()]
        self.assertEqual({(m["type"], m["channel"], m["data"]) for m in told},
                         {("message", "news", "hello"), ("pmessage", "news", "hello")})
        listener.close()

    def test_blocking(self):
        got = []
        waiting = self.client()
        thread = threading.Thread(target=lambda: got.append(waiting.blpop(["queue"], timeout=20)))
        thread.start()
        wait_for("a blocked client", lambda: int(self.r.info("clients")["blocked_clients"]) == 1)
        self.r.rpush("queue", "work")
        thread.join()
        self.assertEqual(tuple(got[0]), ("queue", "work"))
        self.assertIsNone(self.r.blpop(["queue"], timeout=0.1))
        self.assertEqual(self.r.blmove("queue", "done", 0.1), None)
        self.assertFalse(self.r.xread({"stream": "$"}, block=100))

    def test_databases(self):
        """As many as ShowInstance says, each by itself."""
        number = self.show(self.one)["db_number"]
        last = self.client(db=number - 1)
        last.set("k", "of the last")
        self.assertIsNone(self.r.get("k"))
        self.assertEqual((last.get("k"), self.r.dbsize()), ("of the last", 0))
        with self.assertRaises(ResponseError):
            self.client(db=number).get("k")

    def test_many_connections(self):
        def work(n):
            with redis.Redis(**self.at, password=PASSWORD) as r:
                for _ in range(10):
                    r.incr("many")
        threads = [threading.Thread(target=work, args=(n,)) for n in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.r.get("many"), "1000")

    def test_asyncio(self):
        async def work():
            async with AsyncRedis(**self.at, password=PASSWORD, decode_responses=True) as r:
                await asyncio.gather(*(r.set(f"a:{i}", i) for i in range(50)))
                async with r.pipeline() as pipe:
                    return await pipe.get("a:7").incr("a:8").execute()
        self.assertEqual(asyncio.run(work()), ["7", 9])

    # -- who may do what --

    def test_authentication(self):
        self.assertTrue(self.client(username="default").ping())
        for wrong in ({"password": "Wrong-Password-1"}, {"password": None}, {"username": "stint", "password": PASSWORD},
                      {"username": "nobody"}):
            with self.assertRaises(AuthenticationError, msg=wrong):
                self.client(retry=None, **wrong).get("k")
        self.assertEqual(self.r.acl_whoami(), "default")

    def test_what_only_the_api_may_do(self):
        """A client cannot take the instance out of the server's hands, nor read its secrets."""
        words = ["CONFIG GET requirepass", "CONFIG SET dir /tmp", "SHUTDOWN NOSAVE", "REPLICAOF NO ONE", "FAILOVER",
                 "DEBUG SLEEP 0", "MODULE LIST", "ACL LIST", "ACL SETUSER default nopass", "SAVE", "BGSAVE",
                 "BGREWRITEAOF", "SYNC", "PSYNC ? -1", "MIGRATE 127.0.0.1 1 k 0 1", "CLUSTER INFO", "SLAVEOF NO ONE"]
        for command in words:
            with self.subTest(command), self.assertRaisesRegex(ResponseError, "no permissions|not allowed"):
                self.r.execute_command(*command.split())
        self.assertEqual(self.r.info("replication")["role"], "master")

    def test_a_replica_is_for_reading(self):
        nodes = self.dcs.of("GET", self.one, "logical-nodes").json["nodes"]
        node = next(n for n in nodes if n["node_type"] == "slave")
        self.r.set("k", "v")
        self.assertEqual(self.r.wait(1, 5000), 1)
        replica = self.client(host=node["node_ip"], port=int(node["node_port"]))
        self.assertEqual(replica.get("k"), "v")
        with self.assertRaises(ReadOnlyError):
            replica.set("k", "w")

    # -- a switchover in the middle --

    def test_a_switchover(self):
        """A client told to retry goes on by itself; what it was answered is there, and it listens again."""
        retrying = self.client(retry=Retry(ExponentialBackoff(cap=0.2, base=0.01), 50),
                               retry_on_error=[redis.ConnectionError, TimeoutError, ReadOnlyError], socket_timeout=5)
        listener = retrying.pubsub(ignore_subscribe_messages=True)
        listener.subscribe("news")
        self.assertIsNone(listener.get_message(timeout=5))   # the confirmation
        stop, acknowledged, faults = threading.Event(), [], []

        def write():
            try:
                while not stop.is_set():
                    retrying.set(f"w:{len(acknowledged)}", "x")
                    acknowledged.append(len(acknowledged))
            except redis.RedisError as fault:
                faults.append(fault)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for _ in range(2):
                n = len(acknowledged)
                wait_for("writes", lambda: len(acknowledged) > n + 100 or faults)
                self.swap()
        finally:
            stop.set()
            thread.join()
        self.assertEqual(faults, [])
        keys = [f"w:{i}" for i in acknowledged]
        fresh = self.client()
        self.assertEqual([k for k, v in zip(keys, fresh.mget(keys)) if v != "x"], [])

        def heard():
            fresh.publish("news", "after")
            return listener.get_message(timeout=0.2)
        self.assertEqual(wait_for("the listener to be back", heard)["data"], "after")
        listener.close()

    def test_blocked_clients_are_not_left_behind(self):
        """Who waits on the old master when it steps down is told, and does not wait there for ever."""
        waiting, out = self.client(retry=None), []

        def wait():
            try:
                out.append(waiting.blpop(["never"], timeout=60))
            except redis.RedisError as fault:
                out.append(fault)

        thread = threading.Thread(target=wait)
        thread.start()
        wait_for("a blocked client", lambda: int(self.r.info("clients")["blocked_clients"]) == 1)
        self.swap()
        thread.join(20)
        self.assertFalse(thread.is_alive())
        self.assertIsInstance(out[0], redis.RedisError)
