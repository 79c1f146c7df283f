// The vendor's unmodified Node SDK: every operation, the worked exchange, errors as exceptions, odd names.
// One line per test ("ok NAME" or "FAILED NAME"); exit code 1 after a failure. The Node SDK sends every body chunked.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const sdk = require('@alicloud/opensearch20171225');
const { $OpenApiUtil } = require('@alicloud/openapi-core');

const Client = sdk.default;
const PARAMS = { train_data: 'shop.csv', label_field: 'click', epochs: '2' };
const WAIT_MS = 60000;

function connect(secret) {
  return new Client(new $OpenApiUtil.Config({
    accessKeyId: process.env.ALIBABA_CLOUD_ACCESS_KEY_ID,
    accessKeySecret: secret || process.env.ALIBABA_CLOUD_ACCESS_KEY_SECRET,
    endpoint: process.env.STINT_ENDPOINT,
    protocol: 'http',
  }));
}

const client = connect();

async function waitFor(what, check) {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function good(answer) {
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.body.status, 'OK');
  assert.equal(answer.body.httpCode, 200);
  assert.ok(answer.body.requestId);
  return answer.body;
}

// The SDK throws, with the vendor's code and the status.
async function refused(status, code, call) {
  let error = null;
  try {
    await call();
  } catch (caught) {
    error = caught;
  }
  assert.ok(error, `no exception, but ${code} was expected`);
  assert.equal(error.code, code, error.message);
  assert.equal(error.statusCode || (error.data && error.data.statusCode), status, error.message);
  return error;
}

async function makeApp(name) {
  const answer = await client.createAppGroup(new sdk.CreateAppGroupRequest({
    name, type: 'enhanced',
    quota: new sdk.CreateAppGroupRequestQuota({ docSize: 1, computeResource: 20, spec: 'opensearch.share.common' }),
  }));
  assert.equal(answer.body.result.name, name);
  return name;
}

function instanceRequest(name, more = {}, params = PARAMS) {
  const createParameters = Object.entries(params)
    .map(([key, value]) => new sdk.CreateFunctionInstanceRequestCreateParameters({ name: key, value }));
  const words = { instanceName: name, modelType: 'tf_checkpoint', createParameters, ...more };
  return new sdk.CreateFunctionInstanceRequest(words);
}

const getDetail = new sdk.GetFunctionInstanceRequest({ output: 'detail' });

const tests = {
  async worked_exchange() {
    const app = await makeApp('node_exchange');
    const gate = path.join(process.env.STINT_GATES, 'node-gate');
    good(await client.createFunctionInstance(app, 'score',
      instanceRequest('one', { modelType: 'script' }, { mode: 'gate', gate })));
    let instance = good(await client.getFunctionInstance(app, 'score', 'one', getDetail)).result;
    assert.equal(instance.status, 'unavailable');
    assert.equal(instance.task, undefined);
    good(await client.createFunctionTask(app, 'score', 'one'));
    await refused(409, 'Task.IsRunning', () => client.createFunctionTask(app, 'score', 'one'));
    const get = async () => good(await client.getFunctionTask(app, 'score', 'one', '1')).result;
    await waitFor('progress 40', async () => (await get()).progress === 40);
    assert.deepEqual([(await get()).status, (await get()).endTime, (await get()).generation], ['running', 0, '1']);
    await refused(409, 'Task.UnableDelete', () => client.deleteFunctionTask(app, 'score', 'one', '1'));
    fs.writeFileSync(gate, '');
    const task = await waitFor('the end', async () => { const now = await get(); return now.endTime ? now : null; });
    assert.deepEqual([task.status, task.progress], ['success', 100]);
    assert.deepEqual(JSON.parse(task.extendInfo).errors, []);
    instance = good(await client.getFunctionInstance(app, 'score', 'one', getDetail)).result;
    assert.deepEqual([instance.status, instance.task.dagStatus], ['available', 'success']);
    good(await client.updateFunctionDefaultInstance(app, 'score',
      new sdk.UpdateFunctionDefaultInstanceRequest({ instanceName: 'one' })));
    assert.equal(good(await client.getFunctionDefaultInstance(app, 'score')).result.instanceName, 'one');
    good(await client.deleteFunctionTask(app, 'score', 'one', '1'));
    await refused(404, 'Task.NotExist', () => client.getFunctionTask(app, 'score', 'one', '1'));
  },

  async app_groups() {
    const app = await makeApp('node_groups');
    assert.equal((await client.describeAppGroup(app)).body.result.status, 'normal');
    const listed = (await client.listAppGroups(new sdk.ListAppGroupsRequest({ name: app }))).body;
    assert.deepEqual([listed.totalCount, listed.result[0].name], [1, app]);
    await client.removeAppGroup(app);
    await refused(404, 'App.NotFound', () => client.describeAppGroup(app));
  },

  async instances_and_a_training() {
    const app = await makeApp('node_instances');
    good(await client.createFunctionInstance(app, 'ctr', instanceRequest('one', { description: 'first' })));
    good(await client.updateFunctionInstance(app, 'ctr', 'one',
      new sdk.UpdateFunctionInstanceRequest({ description: 'second' })));
    const list = good(await client.listFunctionInstances(app, 'ctr', new sdk.ListFunctionInstancesRequest({})));
    assert.deepEqual([list.totalCount, list.result[0].description], [1, 'second']);
    good(await client.createFunctionTask(app, 'ctr', 'one'));
    const task = await waitFor('the end of the training', async () => {
      const now = good(await client.getFunctionTask(app, 'ctr', 'one', '1')).result;
      return now.endTime ? now : null;
    });
    assert.equal(task.status, 'success', task.extendInfo);
    assert.ok('auc' in JSON.parse(task.extendInfo));
    const tasks = good(await client.listFunctionTasks(app, 'ctr', 'one',
      new sdk.ListFunctionTasksRequest({ pageNumber: 1, pageSize: 10, status: 'success' })));
    assert.deepEqual([tasks.totalCount, tasks.result[0].generation], [1, '1']);
    good(await client.deleteFunctionInstance(app, 'ctr', 'one'));
    await refused(404, 'Instance.NotExist', () => client.getFunctionInstance(app, 'ctr', 'one', getDetail));
  },

  async versions() {
    const now = good(await client.getFunctionCurrentVersion('ctr',
      new sdk.GetFunctionCurrentVersionRequest({ modelType: 'tf_checkpoint' }))).result;
    const required = Object.fromEntries(now.versionConfig.createParameters.map((p) => [p.name, p.required]));
    assert.equal(required.epochs, 'false');
    const same = good(await client.getFunctionVersion('ctr', String(now.versionId))).result;
    assert.equal(same.versionName, now.versionName);
    await refused(404, 'Version.NotExist', () => client.getFunctionVersion('ctr', '999'));
  },

  async documented_errors() {
    const app = await makeApp('node_errors');
    good(await client.createFunctionInstance(app, 'ctr', instanceRequest('one')));
    const rows = [
      [409, 'App.Duplicated',
        () => client.createAppGroup(new sdk.CreateAppGroupRequest({ name: app, type: 'enhanced' }))],
      [409, 'Instance.Duplicated', () => client.createFunctionInstance(app, 'ctr', instanceRequest('one'))],
      [404, 'Version.NotExist',
        () => client.createFunctionInstance(app, 'ctr', instanceRequest('b', { modelType: 'x' }))],
      [400, 'InvalidParameter', () => client.createFunctionInstance(app, 'ctr', instanceRequest('1b'))],
      [404, 'Instance.NotExist', () => client.createFunctionTask(app, 'ctr', 'absent')],
      [404, 'Task.NotExist', () => client.getFunctionTask(app, 'ctr', 'one', '7')],
      [404, 'Task.NotExist', () => client.deleteFunctionTask(app, 'ctr', 'one', 'abc')],
      [404, 'DefaultInstance.NotExist', () => client.getFunctionDefaultInstance(app, 'ctr')],
      [400, 'DefaultInstance.SetFail', () => client.updateFunctionDefaultInstance(app, 'ctr',
        new sdk.UpdateFunctionDefaultInstanceRequest({ instanceName: 'absent' }))],
      [400, 'SignatureDoesNotMatch', () => connect('wrong').describeAppGroup(app)],
    ];
    for (const [status, code, call] of rows) await refused(status, code, call);
  },

  async an_action_that_is_not_the_paths() {
    const app = await makeApp('node_actions');
    const call = (action) => client.callApi(new $OpenApiUtil.Params({
      action, version: '2017-12-25', protocol: 'HTTP', pathname: `/v4/openapi/app-groups/${app}`, method: 'GET',
      authType: 'AK', style: 'ROA', reqBodyType: 'json', bodyType: 'json',
    }), new $OpenApiUtil.OpenApiRequest({}), {});
    assert.equal((await call('DescribeAppGroup')).body.result.name, app);
    await refused(404, 'InvalidAction.NotFound', () => call('RemoveAppGroup'));
  },

  // The SDK signs an apostrophe otherwise than it sends it; identifiers here cannot hold one.
  async odd_names() {
    for (const odd of ['a b/c', 'ä', 'a+b', 'a*b', 'a~b', '%41', 'a=b&c', 'a(b)!'])
      await refused(404, 'App.NotFound', () => client.describeAppGroup(odd));
  },
};

async function main() {
  let failures = 0;
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test();
      console.log(`ok node.${name}`);
    } catch (error) {
      failures++;
      console.log(error.stack);
      console.log(`FAILED node.${name}`);
    }
  }
  process.exitCode = failures ? 1 : 0;
}

main();
