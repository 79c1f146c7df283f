"""The vendor's unmodified Python SDK: every operation, the worked exchange, errors as exceptions, odd names."""
import json
import unittest

from alibabacloud_opensearch20171225 import models
from alibabacloud_opensearch20171225.client import Client
from alibabacloud_tea_openapi.models import Config, OpenApiRequest, Params
from darabonba.exceptions import DaraException
from darabonba.runtime import RuntimeOptions

from stint_client import Server, wait_for

PARAMS = {"train_data": "shop.csv", "label_field": "click", "epochs": "2"}


def parameters(kind, values):
    return [kind(name=k, value=v) for k, v in values.items()]


class Sdk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        cls.server.sample(rows=600)
        cls.server.add_function("score")
        cls.server.start()
        cls.client = cls.connect(cls.server.access["access_key_secret"])

    @classmethod
    def connect(cls, secret, **more):
        return Client(Config(access_key_id=cls.server.access["access_key_id"], access_key_secret=secret,
                             endpoint=f"127.0.0.1:{cls.server.port}", protocol="http", **more))

    def app(self, name):
        quota = models.CreateAppGroupRequestQuota(doc_size=1, compute_resource=20, spec="opensearch.share.common")
        made = self.client.create_app_group(models.CreateAppGroupRequest(name=name, type="enhanced", quota=quota))
        self.assertEqual((made.status_code, made.body.result.name), (200, name))
        return name

    def instance(self, app, name="one", function="ctr", model_type="tf_checkpoint", params=None, **more):
        kind = models.CreateFunctionInstanceRequestCreateParameters
        request = models.CreateFunctionInstanceRequest(instance_name=name, model_type=model_type,
                                                       create_parameters=parameters(kind, params or PARAMS), **more)
        return self.good(self.client.create_function_instance(app, function, request))

    def good(self, answer):
        """A success whose envelope the SDK could read."""
        body = answer.body
        self.assertEqual((answer.status_code, body.status, body.http_code), (200, "OK", 200))
        self.assertTrue(body.request_id)
        self.assertIn(body.code, (None, ""))
        self.assertIsNotNone(body.latency)
        return body

    def refused(self, status, code, call, *args):
        """The SDK raises, with the vendor's code, the status and the request's id."""
        with self.assertRaises(DaraException) as caught:
            call(*args)
        error = caught.exception
        self.assertEqual(error.code, code, error)
        self.assertEqual(getattr(error, "status_code", None) or (error.data or {}).get("statusCode"), status, error)
        return error

    def test_worked_exchange(self):
        app, c = self.app("exchange"), self.client
        gate = self.server.folder / "gate"
        self.instance(app, "ctr_test", "score", "script", {"mode": "gate", "gate": str(gate)})
        detail = models.GetFunctionInstanceRequest(output="detail")
        got = self.good(c.get_function_instance(app, "score", "ctr_test", detail)).result
        self.assertEqual((got.status, got.task), ("unavailable", None))
        self.good(c.create_function_task(app, "score", "ctr_test"))
        self.refused(409, "Task.IsRunning", c.create_function_task, app, "score", "ctr_test")
        def at_40():
            return c.get_function_task(app, "score", "ctr_test", "1").body.result.progress == 40
        wait_for("progress 40", at_40)
        task = self.good(c.get_function_task(app, "score", "ctr_test", "1")).result
        self.assertEqual((task.status, task.end_time, task.generation, task.function_name),
                         ("running", 0, "1", "score"))
        self.refused(409, "Task.UnableDelete", c.delete_function_task, app, "score", "ctr_test", "1")
        gate.touch()
        def ended():
            now = c.get_function_task(app, "score", "ctr_test", "1").body.result
            return now if now.end_time else None
        task = wait_for("the end", ended)
        self.assertEqual((task.status, task.progress), ("success", 100))
        self.assertEqual(json.loads(task.extend_info)["errors"], [])
        got = c.get_function_instance(app, "score", "ctr_test", detail).body.result
        self.assertEqual((got.status, got.task.dag_status), ("available", "success"))
        self.assertGreaterEqual(got.task.last_run_time, 0)
        request = models.UpdateFunctionDefaultInstanceRequest(instance_name="ctr_test")
        self.good(c.update_function_default_instance(app, "score", request))
        self.assertEqual(self.good(c.get_function_default_instance(app, "score")).result.instance_name, "ctr_test")
        self.good(c.delete_function_task(app, "score", "ctr_test", "1"))
        self.refused(404, "Task.NotExist", c.get_function_task, app, "score", "ctr_test", "1")

    def test_app_groups(self):
        app, c = self.app("groups"), self.client
        got = c.describe_app_group(app).body
        self.assertEqual((got.result.name, got.result.status, got.result.produced), (app, "normal", 1))
        listed = c.list_app_groups(models.ListAppGroupsRequest(name=app, page_number=1, page_size=10)).body
        self.assertEqual((listed.total_count, listed.result[0].name), (1, app))
        self.assertEqual(c.remove_app_group(app).status_code, 200)
        self.refused(404, "App.NotFound", c.describe_app_group, app)

    def test_instances(self):
        app, c = self.app("instances"), self.client
        self.instance(app, "one", description="first", cron="0 3 ? * 1")
        got = self.good(c.get_function_instance(app, "ctr", "one", models.GetFunctionInstanceRequest())).result
        self.assertEqual({p.name: p.value for p in got.create_parameters}, PARAMS)
        self.assertEqual((got.cron, got.description, got.source, got.version_id), ("0 3 ? * 1", "first", "user", 101))
        listed = self.good(c.list_function_instances(app, "ctr", models.ListFunctionInstancesRequest(source="all")))
        self.assertEqual((listed.total_count, [i.instance_name for i in listed.result]), (1, ["one"]))
        self.good(c.update_function_instance(app, "ctr", "one",
                                             models.UpdateFunctionInstanceRequest(description="second")))
        got = c.get_function_instance(app, "ctr", "one", models.GetFunctionInstanceRequest()).body.result
        self.assertEqual((got.description, got.cron), ("second", "0 3 ? * 1"))
        self.good(c.delete_function_instance(app, "ctr", "one"))
        self.refused(404, "Instance.NotExist", c.delete_function_instance, app, "ctr", "one")

    def test_a_training(self):
        app, c = self.app("training"), self.client
        self.instance(app)
        self.good(c.create_function_task(app, "ctr", "one"))
        def ended():
            now = c.get_function_task(app, "ctr", "one", "1").body.result
            return now if now.end_time else None
        task = wait_for("the end of the training", ended)
        self.assertEqual((task.status, task.progress), ("success", 100), task.extend_info)
        self.assertIn("auc", json.loads(task.extend_info))
        listed = self.good(c.list_function_tasks(app, "ctr", "one", models.ListFunctionTasksRequest(
            page_number=1, page_size=10, status="success", start_time=task.start_time - 1, end_time=task.end_time + 1)))
        self.assertEqual((listed.total_count, listed.result[0].run_id), (1, task.run_id))

    def test_versions(self):
        request = models.GetFunctionCurrentVersionRequest(model_type="tf_checkpoint")
        now = self.good(self.client.get_function_current_version("ctr", request)).result
        names = {p.name: p.required for p in now.version_config.create_parameters}
        self.assertEqual(names["epochs"], "false")
        same = self.good(self.client.get_function_version("ctr", str(now.version_id))).result
        self.assertEqual(same.to_map(), now.to_map())
        self.refused(404, "Version.NotExist", self.client.get_function_version, "ctr", "999")

    def test_documented_errors(self):
        app, c = self.app("errors"), self.client
        self.instance(app)
        make = models.CreateFunctionInstanceRequest
        rows = [
            (404, "App.NotFound", c.describe_app_group, ["absent"]),
            (409, "App.Duplicated", c.create_app_group, [models.CreateAppGroupRequest(name=app, type="enhanced")]),
            (404, "Instance.NotExist", c.create_function_task, [app, "ctr", "absent"]),
            (409, "Instance.Duplicated", c.create_function_instance,
             [app, "ctr", make(instance_name="one", model_type="tf_checkpoint", create_parameters=parameters(
                 models.CreateFunctionInstanceRequestCreateParameters, PARAMS))]),
            (404, "Version.NotExist", c.create_function_instance,
             [app, "ctr", make(instance_name="b", model_type="x")]),
            (400, "InvalidParameter", c.create_function_instance,
             [app, "ctr", make(instance_name="1b", model_type="tf_checkpoint")]),
            (404, "DefaultInstance.NotExist", c.get_function_default_instance, [app, "ctr"]),
            (400, "DefaultInstance.SetFail", c.update_function_default_instance,
             [app, "ctr", models.UpdateFunctionDefaultInstanceRequest(instance_name="absent")]),
            (404, "Task.NotExist", c.get_function_task, [app, "ctr", "one", "7"]),
            (404, "Task.NotExist", c.delete_function_task, [app, "ctr", "one", "abc"]),
            (400, "InvalidParameter", c.list_function_tasks,
             [app, "ctr", "one", models.ListFunctionTasksRequest(status="pending")]),
        ]
        for status, code, call, args in rows:
            with self.subTest(code=code, call=call.__name__):
                self.refused(status, code, call, *args)

    def test_wrong_secret(self):
        self.refused(400, "SignatureDoesNotMatch", self.connect("wrong").describe_app_group, "any")

    def test_an_action_that_is_not_the_paths(self):
        app = self.app("actions")
        def call(action):
            params = Params(action=action, version="2017-12-25", protocol="HTTP",
                            pathname=f"/v4/openapi/app-groups/{app}",
                            method="GET", auth_type="AK", style="ROA", req_body_type="json", body_type="json")
            return self.client.call_api(params, OpenApiRequest(headers={}), RuntimeOptions())
        self.assertEqual(call("DescribeAppGroup")["body"]["result"]["name"], app)
        self.refused(404, "InvalidAction.NotFound", call, "RemoveAppGroup")

    def test_odd_names(self):
        app = self.app("odd")
        for odd in ("a b/c", "ä", "a+b", "a*b", "a~b", "%41", "a;b", "a=b&c"):
            with self.subTest(odd=odd):
                self.refused(404, "App.NotFound", self.client.describe_app_group, odd)
                self.refused(404, "Instance.NotExist", self.client.get_function_instance, app, "ctr", odd,
                             models.GetFunctionInstanceRequest())

    def test_both_casings_in_the_raw_body(self):
        app = self.app("raw")
        self.instance(app)
        raw = self.server.client.get_instance(app, "one").json
        self.assertEqual(raw["result"]["instanceName"], raw["Result"]["InstanceName"])
        self.assertEqual(list(raw).index("status") < list(raw).index("Status"), True, "PascalCase comes last")
