// Node's Redis client, unmodified, against an instance named by the environment. Prints a line per test, as the rest of
// the tests do. What needs the API is asked of the parent: a line "ask WORD" goes out, a line comes back when it is
// done.
'use strict';

const assert = require('assert');
const readline = require('readline');
const Redis = require('ioredis');

const at = { host: process.env.STINT_REDIS_HOST, port: Number(process.env.STINT_REDIS_PORT) };
const password = process.env.STINT_REDIS_PASSWORD;
const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function ask(word) {
  console.log(`ask ${word}`);
  const { value } = await answers.next();
  assert.strictEqual(value, 'done');
}

async function using(options, work) {
  const client = new Redis({ ...at, password, ...options });
  client.on('error', () => {}); // a connection that falls to a switchover is no failure by itself
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}

async function until(what, check) {
  const end = Date.now() + 60000;
  for (;;) {
    if (await check()) return;
    assert.ok(Date.now() < end, `waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const tests = {
  strings_and_hashes: () => using({}, async (r) => {
    assert.strictEqual(await r.set('k', 'v'), 'OK');
    assert.strictEqual(await r.get('k'), 'v');
    assert.strictEqual(await r.get('absent'), null);
    const bytes = Buffer.from([0, 13, 10, 255]);
    await r.set('bytes', bytes);
    assert.deepStrictEqual(await r.getBuffer('bytes'), bytes);
    await r.hset('h', { a: '1', b: '2' });
    assert.deepStrictEqual(await r.hgetall('h'), { a: '1', b: '2' });
    assert.strictEqual(await r.incrby('n', 42), 42);
  }),

  pipelines: () => using({}, async (r) => {
    const pipe = r.pipeline();
    for (let i = 0; i < 3000; i++) pipe.set(`p:${i}`, i);
    const out = await pipe.exec();
    assert.strictEqual(out.filter(([error, word]) => !error && word === 'OK').length, 3000);
    const mixed = await r.pipeline().set('text', 'x').lpush('text', 'y').get('text').exec();
    assert.match(mixed[1][0].message, /WRONGTYPE/);
    assert.strictEqual(mixed[2][1], 'x');
    const found = new Set();
    for await (const keys of r.scanStream({ match: 'p:*', count: 500 })) keys.forEach((key) => found.add(key));
    assert.strictEqual(found.size, 3000);
  }),

  transactions: () => using({}, async (r) => {
    await r.del('t');
    assert.deepStrictEqual(await r.multi().set('t', 1).incr('t').get('t').exec(),
      [[null, 'OK'], [null, 2], [null, '2']]);
    await r.watch('t');
    await using({}, (other) => other.set('t', 'changed'));
    assert.strictEqual(await r.multi().set('t', 'lost').exec(), null);
    assert.strictEqual(await r.get('t'), 'changed');
  }),

  publishing: () => using({}, (listener) => using({}, async (r) => {
    const heard = [];
    listener.on('message', (channel, text) => heard.push([channel, text]));
    await listener.subscribe('news');
    assert.strictEqual(await r.publish('news', 'hello'), 1);
    await until('the message', () => heard.length > 0);
    assert.deepStrictEqual(heard, [['news', 'hello']]);
  })),

  blocking: () => using({}, (waiting) => using({}, async (r) => {
    const popped = waiting.brpop('queue', 20);
    await until('a blocked client', async () => /blocked_clients:1/.test(await r.info('clients')));
    await r.lpush('queue', 'work');
    assert.deepStrictEqual(await popped, ['queue', 'work']);
    assert.strictEqual(await r.brpop('queue', 0.1), null);
  })),

  scripts: () => using({}, async (r) => {
    r.defineCommand('both', { numberOfKeys: 1, lua: 'return {KEYS[1], ARGV[1]}' });
    assert.deepStrictEqual(await r.both('key', 'word'), ['key', 'word']);
  }),

  authentication: async () => {
    for (const [options, says] of [[{ password: 'Wrong-Password-1' }, /WRONGPASS/], [{ password: undefined }, /NOAUTH/],
      [{ username: 'stint' }, /WRONGPASS/]]) {
      const wrong = { retryStrategy: null, maxRetriesPerRequest: 0, enableReadyCheck: false, ...options };
      await using(wrong, (r) => assert.rejects(r.get('k'), says));
    }
    await using({}, (r) => assert.rejects(r.config('GET', '*'), /NOPERM/));
  },

  // The client connects anew by itself and sends again what was not answered: nothing acknowledged is lost, and what
  // was subscribed to is subscribed to again.
  a_switchover: () => using({ retryStrategy: () => 50, maxRetriesPerRequest: null,
    reconnectOnError: (error) => (/READONLY/.test(error.message) ? 2 : false) }, (r) => using({}, async (listener) => {
    const heard = [];
    listener.on('message', (channel, text) => heard.push(text));
    await listener.subscribe('news');
    const kept = [];
    let isOver = false;
    const writing = (async () => {
      while (!isOver) {
        const key = `w:${kept.length}`;
        assert.strictEqual(await r.set(key, 'x'), 'OK');
        kept.push(key);
      }
    })();
    await until('writes', () => kept.length > 100);
    await ask('swap');
    const n = kept.length;
    await until('writes after the switchover', () => kept.length > n + 100);
    isOver = true;
    await writing;
    const values = await r.mget(kept);
    assert.deepStrictEqual(kept.filter((key, i) => values[i] !== 'x'), []);
    await until('the listener to be back', async () => {
      await r.publish('news', 'after');
      return heard.includes('after');
    });
  })),
};

(async () => {
  let failures = 0;
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
      console.log(`ok ioredis.${name}`);
    } catch (error) {
      failures++;
      console.log(`FAILED ioredis.${name}\n${error.stack}`);
    }
  }
  process.exit(failures ? 1 : 0);
})();
