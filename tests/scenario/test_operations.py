"""Every operation of the function API and of app groups, and every documented error."""
import json
import time

from common import ServerCase
from stint_client import wait_for

PARAMS = {"train_data": "shop.csv", "label_field": "click", "epochs": "2"}


class Operations(ServerCase):
    @classmethod
    def prepare(cls, server):
        server.sample(rows=600)
        server.add_function("score")
        server.add_function("shopping", domain="ecommerce", category="question")

    def test_app_group_life(self):
        made = self.ok(self.client.create_app("life", description="of a group")).json
        self.assertEqual(set(made) & {"result", "requestId"}, {"result", "requestId"})
        self.assertRegex(made["result"]["id"], r"^\d+$")
        self.assertEqual(made["result"]["status"], "normal")
        got = self.ok(self.client.get_app("life")).result
        self.assertEqual((got["name"], got["type"], got["description"]), ("life", "enhanced", "of a group"))
        self.assertLess(abs(got["created"] - time.time()), 600, "seconds, not milliseconds")
        self.assertEqual(self.ok(self.client.get_app(got["id"])).result["name"], "life")
        listed = self.ok(self.client.list_apps(name="life")).json
        self.assertEqual((listed["totalCount"], listed["result"][0]["name"]), (1, "life"))
        self.assertEqual(self.ok(self.client.remove_app("life")).json.get("result", []), [])
        self.refused(self.client.get_app("life"), 404, "App.NotFound")

    def test_app_group_refusals(self):
        self.app("twice")
        self.refused(self.client.create_app("twice"), 409, "App.Duplicated")
        for bad in ("", "a" * 31, "no.dot", "1starts", "sp ace", "Ünicode"):
            self.refused(self.client.create_app(bad), 400, "App.InvalidParameter.Name")
        self.refused(self.client.remove_app("absent"), 404, "App.NotFound")
        self.refused(self.client.list_apps(pageSize="x"), 400, "InvalidParameter")

    def test_app_group_paging(self):
        for i in range(3):
            self.app(f"page{i}")
        first = self.ok(self.client.list_apps(pageNumber=1, pageSize=2)).json
        self.assertEqual(len(first["result"]), 2)
        far = self.ok(self.client.list_apps(pageNumber=1000, pageSize=2)).json
        self.assertEqual((far["result"], far["totalCount"]), ([], first["totalCount"]))

    def test_instance_life(self):
        app = self.app("instances")
        self.ok_envelope(self.client.create_instance(app, "ctr_test", params=PARAMS, description="first",
                                                     cron="0 3 ? * 1"))
        got = self.ok_envelope(self.client.get_instance(app, "ctr_test")).result
        self.assertEqual((got["FunctionName"], got["InstanceName"], got["FunctionType"], got["ModelType"]),
                         ("ctr", "ctr_test", "PAAS", "tf_checkpoint"))
        self.assertEqual((got["Status"], got["Source"], got["Cron"]), ("unavailable", "user", "0 3 ? * 1"))
        self.assertEqual({p["Name"]: p["Value"] for p in got["CreateParameters"]}, PARAMS)
        self.assertNotIn("Task", got)
        self.assertIsInstance(json.loads(got["ExtendInfo"]), dict)
        self.assertLess(abs(got["CreateTime"] / 1000 - time.time()), 600, "milliseconds")
        self.ok_envelope(self.client.update_instance(app, "ctr_test", {"description": "second", "cron": ""}))
        got = self.client.get_instance(app, "ctr_test").result
        self.assertEqual((got["Description"], got["Cron"]), ("second", ""))
        self.assertEqual(len(got["CreateParameters"]), len(PARAMS), "an absent array keeps its value")
        self.ok_envelope(self.client.delete_instance(app, "ctr_test"))
        self.refused(self.client.get_instance(app, "ctr_test"), 404, "Instance.NotExist", "instance not exist.")

    def test_the_vendors_own_example_is_taken(self):
        """The documented request body, value by value."""
        app = self.app("my-app")
        body = {"instanceName": "ctr_test", "modelType": "tf_checkpoint", "functionType": "PAAS",
                "description": "test instance", "cron": "0 0 ? * 0,1,2,3,4,5,6",
                "createParameters": [{"name": "title_field", "value": "title"},
                                     {"name": "description_field", "value": ""},
                                     {"name": "tags_field", "value": ""}, {"name": "id_field", "value": "item_id"},
                                     {"name": "category_field", "value": "cate"}],
                "usageParameters": [{"name": "allow_dict_id", "value": "123"}]}
        self.ok_envelope(self.client.call("POST", self.client.base(app, "ctr", "instances"), body))
        got = self.client.get_instance(app, "ctr_test").json["result"]
        self.assertEqual({name: got[name] for name in body}, body)
        self.refused(self.client.update_instance(app, "ctr_test",
                                                 {"usageParameters": [{"name": "no_such", "value": ""}]}),
                     400, "InvalidParameter", "no_such")

    def test_instance_output_levels(self):
        app = self.app("levels")
        self.ok(self.client.create_instance(app, "a", params=PARAMS))
        simple = self.client.get_instance(app, "a", output="simple").result
        normal = self.client.get_instance(app, "a", output="normal").result
        self.assertNotIn("CreateParameters", simple)
        self.assertIn("CreateParameters", normal)
        self.assertNotIn("ExtendInfo", normal)
        self.refused(self.client.get_instance(app, "a", output="huge"), 400, "InvalidParameter")

    def test_both_casings_are_accepted_and_sent(self):
        app = self.app("casings")
        body = {"InstanceName": "pascal", "ModelType": "tf_checkpoint", "CreateParameters": [{"Name": "train_data",
                                                                                           "Value": "shop.csv"}]}
        self.ok_envelope(self.client.call("POST", self.client.base(app, "ctr", "instances"), body))
        answer = self.ok_envelope(self.client.get_instance(app, "pascal"))
        self.assertEqual(answer.json["result"]["instanceName"], answer.json["Result"]["InstanceName"])
        self.assertEqual(answer.json["result"]["createParameters"][0]["value"], "shop.csv")

    def test_instance_list(self):
        app = self.app("listing")
        for name in ("a", "b", "c"):
            self.ok(self.client.create_instance(app, name, params=PARAMS))
        answer = self.ok_envelope(self.client.list_instances(app, pageNumber=1, pageSize=2))
        self.assertEqual((answer.json["TotalCount"], len(answer.result)), (3, 2))
        self.assertEqual(self.client.list_instances(app, pageNumber=9).result, [])
        self.assertEqual(self.client.list_instances(app, source="builtin").result, [])
        for query in ({"pageNumber": 0}, {"pageSize": 0}, {"pageSize": 101}, {"pageSize": "ten"}):
            self.refused(self.client.list_instances(app, **query), 400, "InvalidParameter")

    def test_instance_refusals(self):
        app = self.app("refusals")
        self.ok(self.client.create_instance(app, "taken", params=PARAMS))
        self.refused(self.client.create_instance(app, "taken", params=PARAMS), 409, "Instance.Duplicated")
        self.refused(self.client.create_instance("absent", "a", params=PARAMS), 404, "App.NotFound")
        self.refused(self.client.create_instance(app, "a", "nofunction", params=PARAMS), 404, "Version.NotExist")
        self.refused(self.client.create_instance(app, "a", model_type="pop", params=PARAMS), 404, "Version.NotExist")
        for bad in ("", "1a", "a-b", "a" * 31, "a b", "ä"):
            self.refused(self.client.create_instance(app, bad, params=PARAMS), 400, "InvalidParameter")
        self.refused(self.client.delete_instance(app, "absent"), 404, "Instance.NotExist")
        self.refused(self.client.update_instance(app, "absent", {"description": "x"}), 404, "Instance.NotExist")

    def test_wrong_parameters_are_refused_and_named(self):
        app = self.app("params")
        rows = [({**PARAMS, "no_such": "1"}, "no_such"), ({**PARAMS, "epochs": "many"}, "epochs"),
                ({**PARAMS, "epochs": "0"}, "epochs"), ({**PARAMS, "learning_rate": "nan"}, "learning_rate"),
                ({**PARAMS, "model": "bert"}, "model"), ({**PARAMS, "train_data": "/etc/passwd"}, "passwd"),
                ({**PARAMS, "train_data": "../../../../etc/passwd"}, "passwd")]
        for params, says in rows:
            with self.subTest(params=params):
                self.refused(self.client.create_instance(app, "a", params=params), 400, "InvalidParameter", says)
        for wrong in ("text", {"name": "x"}, [1], [{"value": "3"}], [{"name": "epochs", "value": 3}],
                      [{"name": "epochs", "value": "3"}, {"name": "epochs", "value": "4"}]):
            with self.subTest(wrong=wrong):
                body = {"instanceName": "a", "modelType": "tf_checkpoint", "createParameters": wrong}
                answer = self.client.call("POST", self.client.base(app, "ctr", "instances"), body)
                self.assertEqual((answer.status, answer.json["Status"]), (400, "FAIL"), answer)
        for cron in ("* * * *", "61 * * * *", "0 0 30 2 *", "soon"):
            self.refused(self.client.create_instance(app, "a", params=PARAMS, cron=cron), 400, "InvalidParameter")
        self.refused(self.client.get_instance(app, "a"), 404, "Instance.NotExist")

    def test_versions(self):
        answer = self.ok_envelope(self.client.current_version(modelType="tf_checkpoint"))
        got = answer.result
        self.assertEqual((got["FunctionName"], got["ModelType"], got["FunctionType"]), ("ctr", "tf_checkpoint", "PAAS"))
        required = {p["Name"]: p["Required"] for p in got["VersionConfig"]["CreateParameters"]}
        self.assertEqual(set(required.values()) | {"true"}, {"true", "false"}, "texts, not booleans")
        self.assertEqual(required["epochs"], "false")
        same = self.ok_envelope(self.client.version(got["VersionId"])).result
        self.assertEqual(same, got)
        self.refused(self.client.version(999), 404, "Version.NotExist", "version not exist.")
        self.refused(self.client.version("abc"), 404, "Version.NotExist")
        self.refused(self.client.current_version(modelType="none"), 404, "Version.NotExist")
        self.refused(self.client.current_version("nofunction", modelType="pop"), 404, "Version.NotExist")

    def test_default_instance(self):
        app = self.app("defaults")
        self.refused(self.client.get_default(app), 404, "DefaultInstance.NotExist", "default instance not set.")
        self.ok(self.client.create_instance(app, "model1", params=PARAMS))
        self.refused(self.client.set_default(app, {"instanceName": "absent"}), 400, "DefaultInstance.SetFail")
        self.ok_envelope(self.client.set_default(app, {"instanceName": "model1"}))
        self.assertEqual(self.ok_envelope(self.client.get_default(app)).result["InstanceName"], "model1")
        self.ok_envelope(self.client.set_default(app, {}))
        self.refused(self.client.get_default(app), 404, "DefaultInstance.NotExist")
        self.ok(self.client.set_default(app, {"instanceName": "model1"}))
        self.ok(self.client.delete_instance(app, "model1"))
        self.refused(self.client.get_default(app), 404, "DefaultInstance.NotExist")

    def test_aliases_of_the_vendors_samples(self):
        app = self.app("aliases")
        self.ok(self.client.create_instance(app, "a", params=PARAMS))
        base = self.client.base(app, "ctr")
        self.ok_envelope(self.client.call("PUT", base + "/default-instances", {"instanceName": "a"}))
        self.ok_envelope(self.client.call("GET", base + "/default-instances"))
        self.ok_envelope(self.client.call("GET", "/v4/openapi/functions/ctr/version/101"))
        self.ok_envelope(self.client.call("POST", base + "/instances/a/task"))
        self.client.finished(app, "a", 1)

    def test_unknown_paths_and_methods(self):
        self.refused(self.client.call("GET", "/v4/openapi/nothing"), 404, "InvalidAction.NotFound")
        answer = self.client.call("PATCH", "/v4/openapi/app-groups")
        self.refused(answer, 405, "UnsupportedHTTPMethod")

    def test_the_action_must_agree_with_the_path(self):
        app = self.app("actions")
        says = "x-acs-action is 'RemoveAppGroup', but method and path are those of DescribeAppGroup"
        target = "/v4/openapi/app-groups/" + app
        self.refused(self.client.call("GET", target, action="RemoveAppGroup"), 404, "InvalidAction.NotFound", says)
        self.refused(self.client.call("DELETE", target, action="DescribeAppGroup"), 404, "InvalidAction.NotFound")
        self.ok(self.client.get_app(app))
        self.refused(self.client.call("GET", target, action="RemoveAppGroup", secret="wrong"), 400,
                     "SignatureDoesNotMatch")

    def test_a_function_of_one_industry_can_be_instantiated(self):
        app = self.app("industry")
        answer = self.ok_envelope(self.client.current_version("shopping", modelType="script", domain="ecommerce",
                                                              category="question"))
        self.assertEqual(answer.result["FunctionName"], "shopping")
        self.refused(self.client.current_version("shopping", modelType="script"), 404, "Version.NotExist")
        self.ok_envelope(self.client.create_instance(app, "one", "shopping", "script", {"mode": "ok"}))
        got = self.client.get_instance(app, "one", "shopping").result
        self.assertEqual((got["Belongs"]["Domain"], got["Belongs"]["Category"]), ("ecommerce", "question"))
        self.refused(self.client.create_instance(app, "two", "shopping", "other", {}), 404, "Version.NotExist")

    def test_percent_encoded_names(self):
        for odd in ("a b/c", "a%2Fb", "..", "a+b", "ä", "'", "%00"):
            with self.subTest(odd=odd):
                self.refused(self.client.get_app(odd), 404, "App.NotFound")
                self.refused(self.client.get_instance(odd, "x"), 404, "App.NotFound")
        app = self.app("encoded")
        self.refused(self.client.get_instance(app, "a b/c"), 404, "Instance.NotExist")
        self.ok(self.client.create_instance(app, "plain", params=PARAMS))
        target = self.client.base(app, "ctr", "instances").replace("encoded", "%65ncoded") + "/pl%61in"
        self.ok_envelope(self.client.call("GET", target))

    def test_bodies_that_are_no_json_object(self):
        target = self.client.base(self.app("bodies"), "ctr", "instances")
        for body in (b"", b"{", b"[]", b"null", b'"x"', b"{}trailing", b'{"a":1,"a":2}', b"\xff\xfe", b"[" * 5000,
                     b'{"instanceName":"\xc3\x28"}'):
            with self.subTest(body=body[:20]):
                answer = self.client.call("POST", target, body)
                self.assertEqual(answer.status, 400, answer)
                self.assertIn(answer.code, ("InvalidRequest", "InvalidParameter", "MissingParameter"), answer)
        answer = self.client.call("POST", target, b'{"x":"' + b"y" * (3 << 20) + b'"}')
        self.assertEqual((answer.status, answer.json["Status"]), (413, "FAIL"), answer)


    def test_a_training_shows_its_figures_and_no_place(self):
        app = self.app("figures")
        self.ok(self.client.create_instance(app, "one", params=PARAMS))
        self.ok(self.client.create_task(app, "one"))
        self.client.finished(app, "one", 1)
        task = self.client.get_task(app, "one", 1).result
        self.assertEqual(task["Status"], "success", task)
        figures = json.loads(task["ExtendInfo"])
        self.assertLessEqual({"recall", "precision", "auc", "pr_auc", "logloss", "calibration", "rows", "rows_train",
                              "rows_valid", "features", "fields", "seconds", "model", "sha256", "errors"}, set(figures))
        self.assertFalse({"model_path", "model_sha256"} & set(figures), figures)
        self.assertEqual((figures["rows"], figures["model"], figures["errors"]), (600, "model.bin", []))
        self.assertRegex(figures["sha256"], "^[0-9a-f]{64}$")
        self.assertTrue(0 <= figures["recall"] <= 100 and 0 < figures["auc"] < 1, figures)
        self.assertNotIn(str(self.server.folder), json.dumps(self.client.detail(app, "one", 1).json["result"]))
        self.assertNotIn("/", task["ExtendInfo"])


class Tasks(ServerCase):
    @classmethod
    def prepare(cls, server):
        server.add_function("score")

    def test_worked_exchange(self):
        """A whole exchange with a function whose run is opened step by step."""
        app = self.app("exchange")
        gate = self.gated(app)
        got = self.ok_envelope(self.client.get_instance(app, "one", "score")).result
        self.assertEqual(got["Status"], "unavailable")
        self.assertNotIn("Task", got)
        answer = self.ok_envelope(self.client.create_task(app, "one", "score"))
        self.assertNotIn("Result", answer.json)
        self.refused(self.client.create_task(app, "one", "score"), 409, "Task.IsRunning")
        wait_for("progress 40", lambda: self.client.get_task(app, "one", 1, "score").result["Progress"] == 40)
        task = self.client.get_task(app, "one", 1, "score").result
        self.assertEqual((task["Status"], task["EndTime"], task["Generation"]), ("running", 0, "1"))
        self.refused(self.client.delete_task(app, "one", 1, "score"), 409, "Task.UnableDelete")
        self.assertEqual(self.client.get_task(app, "one", 1, "score").result, task, "a refused delete changes nothing")
        self.refused(self.client.delete_instance(app, "one", "score"), 409, "Task.IsRunning")
        gate.touch()
        self.client.finished(app, "one", 1, "score")
        task = self.ok_envelope(self.client.get_task(app, "one", 1, "score")).result
        self.assertEqual((task["Status"], task["Progress"]), ("success", 100))
        self.assertGreater(task["EndTime"], task["StartTime"])
        self.assertEqual(json.loads(task["ExtendInfo"])["errors"], [])
        self.assertRegex(task["RunId"], r"^trigger__\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
        got = self.client.get_instance(app, "one", "score").result
        self.assertEqual((got["Status"], got["Task"]["DagStatus"]), ("available", "success"))
        self.ok_envelope(self.client.set_default(app, {"instanceName": "one"}, "score"))
        self.ok_envelope(self.client.delete_task(app, "one", 1, "score"))
        self.refused(self.client.get_task(app, "one", 1, "score"), 404, "Task.NotExist")
        self.refused(self.client.delete_task(app, "one", 1, "score"), 404, "Task.NotExist")
        self.assertEqual(self.client.get_instance(app, "one", "score").result["Status"], "available")

    def test_generations_are_never_used_again(self):
        app = self.app("generations")
        self.ok(self.client.create_instance(app, "one", "score", "script", {"mode": "ok"}))
        for generation in ("1", "2"):
            self.ok(self.client.create_task(app, "one", "score"))
            self.client.finished(app, "one", generation, "score")
        self.ok(self.client.delete_task(app, "one", 2, "score"))
        self.ok(self.client.create_task(app, "one", "score"))
        self.client.finished(app, "one", 3, "score")
        listed = self.ok_envelope(self.client.list_tasks(app, "one", "score", pageSize=10))
        self.assertEqual([t["Generation"] for t in listed.result], ["3", "1"])
        self.assertEqual(listed.json["TotalCount"], 2)
        self.assertEqual(len(self.client.list_tasks(app, "one", "score").result), 1, "the page size is 1 by default")

    def test_task_refusals(self):
        app = self.app("taskless")
        self.ok(self.client.create_instance(app, "one", "score", "script", {"mode": "ok"}))
        for bad in ("0", "01", "abc", "-1", "1", "99999999999999999999", "1 ", "+1", "1.0"):
            with self.subTest(generation=bad):
                self.refused(self.client.get_task(app, "one", bad, "score"), 404, "Task.NotExist")
                self.refused(self.client.delete_task(app, "one", bad, "score"), 404, "Task.NotExist")
        self.refused(self.client.create_task(app, "absent", "score"), 404, "Instance.NotExist")
        self.refused(self.client.list_tasks(app, "absent", "score"), 404, "Instance.NotExist")
        self.refused(self.client.create_task("absent", "one", "score"), 404, "App.NotFound")
        self.refused(self.client.list_tasks(app, "one", "score", status="pending"), 400, "InvalidParameter")
        self.refused(self.client.list_tasks(app, "one", "score", startTime="x"), 400, "InvalidParameter")
        self.refused(self.client.list_tasks(app, "one", "score", pageSize="101"), 400, "InvalidParameter")

    def test_list_filters(self):
        app = self.app("filters")
        self.ok(self.client.create_instance(app, "one", "score", "script", {"mode": "ok"}))
        self.ok(self.client.create_task(app, "one", "score"))
        done = self.client.finished(app, "one", 1, "score")
        def count(**query):
            return self.ok(self.client.list_tasks(app, "one", "score", pageSize=10, **query)).json["TotalCount"]
        self.assertEqual((count(status="success"), count(status="failed"), count(status="running")), (1, 0, 0))
        self.assertEqual((count(startTime=done["startedAt"] - 1), count(startTime=done["startedAt"])), (1, 0), "strict")
        self.assertEqual((count(endTime=done["endedAt"] + 1), count(endTime=done["endedAt"])), (1, 0), "strict")

    def test_removing_an_app_group(self):
        app = self.app("removal")
        gate = self.gated(app)
        self.ok(self.client.create_task(app, "one", "score"))
        answer = self.client.remove_app(app)
        self.assertEqual(answer.status, 409, answer)
        gate.touch()
        self.client.finished(app, "one", 1, "score")
        self.ok(self.client.remove_app(app))
        self.refused(self.client.get_instance(app, "one", "score"), 404, "App.NotFound")

    def test_detail_and_log(self):
        app = self.app("details")
        self.ok(self.client.create_instance(app, "one", "score", "script", {"mode": "flood", "count": "50"}))
        self.ok(self.client.create_task(app, "one", "score"))
        detail = self.client.finished(app, "one", 1, "score")
        self.assertEqual((detail["state"], detail["progress"], detail["attempt"]), ("success", 100, 1))
        self.assertEqual(detail["result"]["rows"], 7)
        self.assertEqual(len(detail["metrics"]), 50)
        self.assertTrue({"queued", "started", "ended"} <= {e["kind"] for e in detail["events"]}, detail["events"])
        log = self.ok(self.client.log(app, "one", 1, "score"))
        self.assertIn(b"child of mode flood", log.body)
        self.assertEqual(log.headers["content-type"].split(";")[0], "text/plain")
        offset = int(log.headers["x-stint-next-offset"])
        self.assertEqual(offset, len(log.body))
        self.assertEqual(self.ok(self.client.log(app, "one", 1, "score", offset=offset)).body, b"")
