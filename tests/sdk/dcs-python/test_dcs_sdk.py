"""Huawei Cloud's unmodified Python SDK: every operation the server offers, and its refusals as exceptions.

That it is every one is a test too, the last: it compares what the SDK sent with the server's own table of routes. A new
operation is therefore added in two places here: to ASKED, and to a test in which it does its work.
"""
import pathlib
import sys
import time
import urllib.request

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ServiceResponseException
from huaweicloudsdkcore.http.http_handler import HttpHandler
from huaweicloudsdkdcs import v2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scenario"))

import test_dcs  # noqa: E402
from dcs_routes import route_of, routes  # noqa: E402
from stint_client import Redis, wait_for  # noqa: E402

# Operations without a method in the SDK: what an endpoint says to anybody.
WITHOUT_SDK = {("GET", "/"), ("GET", "/v2"),  # and what links lead to: anybody's, without a key
               *(("GET", f"/v2/*/instances/*/{kind}/*/files/*") for kind in ("backups", "redislog"))}
DIGITS, UUID, ANY = "0" * 32, test_dcs.ABSENT, {"redis_config": []}

# Every operation on an instance by the SDK's name, with arguments of the right form. The instance is the test's choice.
ASKED = {
    "show_instance": {}, "delete_single_instance": {}, "show_tags": {}, "list_configurations": {},
    "show_ip_whitelist": {}, "list_group_replication_info": {}, "show_nodes_information": {},
    "validate_deletable_replica": {}, "change_master_standby": {}, "change_master_standby_async": {},
    "create_bigkey_scan_task": {}, "create_hotkey_scan_task": {}, "create_auto_expire_scan_task": {},
    "scan_expire_key": {},
    "list_background_task": {}, "list_backup_records": {}, "list_restore_records": {}, "list_config_histories": {},
    "list_bigkey_scan_tasks": {}, "list_hot_key_scan_tasks": {}, "show_expire_key_scan_info": {},
    "list_offline_key_analysis_task": {}, "list_slowlog": {"start_time": "0", "end_time": "1"}, "list_clients": {},
    "delete_background_task": {"task_id": DIGITS}, "show_background_task_progress": {"task_id": DIGITS},
    "delete_backup_file": {"backup_id": UUID}, "show_config_history_detail": {"history_id": UUID},
    "show_replication_states": {"group_id": UUID}, "show_bigkey_scan_task_details": {"bigkey_id": UUID},
    "delete_bigkey_scan_task": {"bigkey_id": UUID}, "show_hotkey_task_details": {"hotkey_id": UUID},
    "delete_hotkey_scan_task": {"hotkey_id": UUID}, "show_offline_key_analysis_task": {"task_id": UUID},
    "delete_offline_key_analysis_task": {"task_id": UUID},
    "update_instance": {"body": {}}, "resize_instance": {"body": {}}, "update_password": {"body": {}},
    "reset_password": {"body": {}}, "copy_instance": {"body": {}}, "restore_instance": {"body": {}},
    "update_configurations": {"body": ANY}, "update_instance_config": {"body": ANY},
    "update_ip_whitelist": {"body": {}}, "update_ip_whitelist_async": {"body": {}},
    "batch_create_or_delete_tags": {"body": {}},
    "create_offline_key_analysis": {"body": {}}, "scan_clients": {"body": {}}, "hang_up_clients": {"body": {}},
    "hang_up_kill_all_clients": {"body": {}}, "show_bigkey_autoscan_config": {}, "show_hotkey_autoscan_config": {},
    "show_expire_auto_scan_config": {}, "update_bigkey_autoscan_config": {"body": {}},
    "update_hotkey_auto_scan_config": {"body": {}}, "update_expire_auto_scan_config": {"body": {}},
    "create_diagnosis_task": {"body": {}}, "list_diagnosis_tasks": {}, "delete_diagnosis_task": {"body": {}},
    "show_instance_version": {}, "show_instance_topology": {}, "list_instance_operations": {"operation": "extend"},
    "start_instance_resize_check_job": {"body": {}}, "create_redislog": {"log_type": "run", "query_time": 0},
    "list_redislog": {"log_type": "run"}, "create_redislog_download_link": {"id": UUID},
}
# The same of those on a project, or on nothing.
ASKED_OF_PROJECT = {
    "list_instances": {}, "create_instance": {"body": {}}, "batch_delete_instances": {"body": {}},
    "restart_or_flush_instances": {"body": {}}, "list_flavors": {}, "show_quota_of_tenant": {},
    "list_number_of_instances_in_different_status": {}, "list_statistics_of_running_instances": {},
    "list_center_task": {}, "delete_center_task": {"task_id": DIGITS}, "show_job_info": {"job_id": DIGITS},
    "list_tags_of_tenant": {}, "batch_show_nodes_information": {}, "show_diagnosis_task_details": {"report_id": UUID},
    "list_config_templates": {"type": "sys"}, "create_custom_template": {"body": {}},
    "show_config_template": {"template_id": UUID, "type": "user"}, "delete_config_template": {"template_id": UUID},
    "update_config_template": {"template_id": UUID, "body": {}},
}
ASKED_OF_NOTHING = {"list_available_zones": {}, "list_maintenance_windows": {}}


def request(name, **arguments):
    """The request object of an operation: create_instance gives CreateInstanceRequest."""
    return getattr(v2, "".join(word.capitalize() for word in name.split("_")) + "Request")(**arguments)


class Sdk(test_dcs.DcsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.routes, cls.answers, cls.ran = routes(), {}, set()
        cls.client = cls.sdk(cls.server.access["access_key_secret"])

    @classmethod
    def sdk(cls, secret, project=None):
        access = cls.server.access
        credentials = BasicCredentials(access["access_key_id"], secret, project or access["project_id"])
        handler = HttpHandler().add_response_handler(cls.note)
        return v2.DcsClient.new_builder().with_credentials(credentials).with_http_handler(handler).with_endpoint(
            f"http://127.0.0.1:{cls.server.port}").build()

    @classmethod
    def note(cls, response, **more):
        """What was answered to which operation."""
        route = route_of(cls.routes, response.request.method, response.request.url)
        cls.answers.setdefault(route, set()).add(response.status_code)

    def setUp(self):
        self.ran.add(self._testMethodName)

    def make(self, name, mode="single", **more):
        """A new instance, RUNNING."""
        body = self.body(name, mode, **more)
        made = self.client.create_instance(v2.CreateInstanceRequest(v2.CreateInstanceBody(**body))).instances
        self.assertEqual([i.instance_name for i in made], [name])
        self.running(made[0].instance_id)
        return made[0].instance_id

    def tasks(self, instance):
        return self.client.list_background_task(v2.ListBackgroundTaskRequest(instance)).tasks

    def over(self, instance, name):
        """The newest task has that name, and ends well."""
        task = self.tasks(instance)[0]
        self.assertEqual(task.name, name)
        def ended():
            job = self.client.show_job_info(v2.ShowJobInfoRequest(task.id))
            return job if job.status in ("SUCCESS", "FAIL") else None
        job = wait_for(f"the end of {name}", ended)
        self.assertEqual((job.status, job.job_id, job.job_type, job.fail_reason), ("SUCCESS", task.id, name, None))
        return task.id

    def raises(self, status, code, call, request):
        with self.assertRaises(ServiceResponseException) as caught:
            call(request)
        error = caught.exception
        self.assertEqual((error.status_code, error.error_code), (status, code), error)
        self.assertTrue(error.error_msg and error.request_id, error)

    def test_deleting_a_background_task(self):
        c, one = self.client, self.make("sdk-delete")
        task = self.over(one, "CREATE")
        request = v2.DeleteBackgroundTaskRequest(one, task)
        self.raises(401, "DCS.1001", self.sdk("wrong").delete_background_task, request)
        self.raises(400, "DCS.4070", c.delete_background_task, v2.DeleteBackgroundTaskRequest(one, "nonsense"))
        self.raises(400, "DCS.4061", c.delete_background_task, v2.DeleteBackgroundTaskRequest("nonsense", task))
        answer = c.delete_background_task(request)
        self.assertEqual((answer.status_code, answer.message), (200, ""))
        self.raises(404, "DCS.4133", c.delete_background_task, request)
        self.raises(404, "DCS.3022", c.delete_background_task, v2.DeleteBackgroundTaskRequest(test_dcs.ABSENT, task))
        c.resize_instance(v2.ResizeInstanceRequest(one, v2.ResizeInstanceBody(
            spec_code=c.show_instance(v2.ShowInstanceRequest(one)).spec_code.replace("128", "256"), new_capacity=0,
            execute_immediately=False)))
        waiting = self.tasks(one)[0]
        self.assertEqual((waiting.name, waiting.status), ("EXTEND", "CREATED"))
        self.raises(400, "DCS.4017", c.delete_background_task, v2.DeleteBackgroundTaskRequest(one, waiting.id))
        self.raises(400, "DCS.4017", c.delete_center_task, v2.DeleteCenterTaskRequest(waiting.id))

    def test_reading(self):
        c, one = self.client, self.make("sdk-reading", tags=[v2.ResourceTag("env", "test")])
        shown = c.show_instance(v2.ShowInstanceRequest(one))
        self.assertEqual((shown.name, shown.status, shown.capacity, shown.capacity_minor, shown.no_password_access),
                         ("sdk-reading", "RUNNING", 0, ".125", "false"))
        listed = c.list_instances(v2.ListInstancesRequest(name="sdk-reading", name_equal="true"))
        self.assertEqual((listed.instance_num, listed.instances[0].instance_id), (1, one))
        self.assertEqual([t.key for t in c.show_tags(v2.ShowTagsRequest(one)).tags], ["env"])
        flavors = c.list_flavors(v2.ListFlavorsRequest(cache_mode="single", capacity="0.125",
                                                       cpu_type=shown.cpu_type)).flavors
        self.assertEqual([f.spec_code for f in flavors], [shown.spec_code])
        zones = c.list_available_zones(v2.ListAvailableZonesRequest()).available_zones
        self.assertEqual(zones[0].code, self.zone())
        self.assertEqual(len(c.list_maintenance_windows(v2.ListMaintenanceWindowsRequest()).maintain_windows), 24)
        quota = {r.type: r for r in c.show_quota_of_tenant(v2.ShowQuotaOfTenantRequest()).quotas.resources}
        self.assertGreaterEqual(quota["instance"].used, 1)
        counts = c.list_number_of_instances_in_different_status(v2.ListNumberOfInstancesInDifferentStatusRequest())
        self.assertGreaterEqual(counts.running_count, 1)
        def figures():
            answer = c.list_statistics_of_running_instances(v2.ListStatisticsOfRunningInstancesRequest())
            return [s for s in answer.statistics if s.instance_id == one]
        self.assertEqual(wait_for("figures of the instance", figures)[0].max_memory, 128)
        progress = c.show_background_task_progress(v2.ShowBackgroundTaskProgressRequest(one, self.tasks(one)[0].id))
        self.assertEqual((progress.progress, progress.remain_time), (100, 0))
        self.assertEqual({s.step_status for s in progress.step_details}, {"FINISH"})
        centre = c.list_center_task(v2.ListCenterTaskRequest(limit=1000))
        self.assertIn(self.tasks(one)[0].id, [t.job_id for t in centre.tasks])
        self.assertEqual(c.list_background_task(v2.ListBackgroundTaskRequest(one, limit=1)).task_count, "1")
        groups = c.list_group_replication_info(v2.ListGroupReplicationInfoRequest(one))
        self.assertEqual(groups.group_count, 1)
        self.assertEqual(c.show_nodes_information(v2.ShowNodesInformationRequest(one)).total, 1)
        tags = v2.CreateOrDeleteInstanceTags(action="create", tags=[v2.ResourceTag("more", "1")])
        c.batch_create_or_delete_tags(v2.BatchCreateOrDeleteTagsRequest(one, tags))
        self.assertIn("more", [t.key for t in c.list_tags_of_tenant(v2.ListTagsOfTenantRequest()).tags])
        c.delete_center_task(v2.DeleteCenterTaskRequest(self.tasks(one)[0].id, v2.DeleteCenterTaskRequestBody()))
        self.assertEqual(self.tasks(one), [])

    def test_changing(self):
        c, one = self.client, self.make("sdk-changing", "ha")
        shown = c.show_instance(v2.ShowInstanceRequest(one))
        redis = Redis(shown.ip, shown.port, test_dcs.PASSWORD)
        self.addCleanup(redis.close)
        redis.call("SET", "k", "v")
        c.update_instance(v2.UpdateInstanceRequest(one, v2.ModifyInstanceBody(description="new", port=shown.port)))
        self.assertEqual(c.show_instance(v2.ShowInstanceRequest(one)).description, "new")
        c.resize_instance(v2.ResizeInstanceRequest(one, v2.ResizeInstanceBody(
            spec_code=shown.spec_code.replace("128", "256"), new_capacity=0)))
        self.over(one, "EXTEND")
        config = v2.ModifyRedisConfigBody([v2.RedisConfig(param_id="1", param_name="timeout", param_value="50")])
        c.update_configurations(v2.UpdateConfigurationsRequest(one, config))
        self.over(one, "UpdateConfig")
        job = c.update_instance_config(v2.UpdateInstanceConfigRequest(one, v2.ModifyRedisConfigBody(
            [v2.RedisConfig(param_id="1", param_name="timeout", param_value="60")]))).job_id
        self.assertEqual(self.over(one, "UpdateConfig"), job)
        shown = c.list_configurations(v2.ListConfigurationsRequest(one))
        configs = {p.param_name: p.param_value for p in shown.redis_config}
        self.assertEqual(configs["timeout"], "60")
        c.change_master_standby(v2.ChangeMasterStandbyRequest(one))
        self.over(one, "masterStandbySwapJob")
        job = c.change_master_standby_async(v2.ChangeMasterStandbyAsyncRequest(one)).job_id
        self.assertEqual(self.over(one, "masterStandbySwapJob"), job)
        backup = c.copy_instance(v2.CopyInstanceRequest(one, v2.BackupInstanceBody(remark="r"))).backup_id
        self.over(one, "BACKUP")
        records = c.list_backup_records(v2.ListBackupRecordsRequest(one))
        self.assertEqual((records.total_num, records.backup_record_response[0].status), (1, "succeed"))
        status = v2.ChangeInstanceStatusBody([one], "flush")
        done = c.restart_or_flush_instances(v2.RestartOrFlushInstancesRequest(status)).results
        self.assertEqual([(r.instance, r.result) for r in done], [(one, "success")])
        self.over(one, "FLUSH")
        body = v2.RestoreInstanceBody(backup_id=backup)
        restore = c.restore_instance(v2.RestoreInstanceRequest(one, body)).restore_id
        self.over(one, "RESTORE")
        restores = c.list_restore_records(v2.ListRestoreRecordsRequest(one)).restore_record_response
        self.assertEqual([(r.restore_id, r.status) for r in restores], [(restore, "succeed")])
        self.assertEqual(self.connect(one).call("GET", "k"), "v")
        c.delete_backup_file(v2.DeleteBackupFileRequest(backup, one))
        self.assertFalse(c.validate_deletable_replica(v2.ValidateDeletableReplicaRequest(one)).check_result)
        changed = c.update_password(v2.UpdatePasswordRequest(one, v2.ModifyInstancePasswordBody(
            old_password=test_dcs.PASSWORD, new_password="Other-one-1")))
        self.assertEqual(changed.result, "success")
        reset = c.reset_password(v2.ResetPasswordRequest(one, v2.ResetInstancePasswordBody(new_password="Other-one-2")))
        self.assertEqual(reset.code, "1")
        self.assertEqual(self.connect(one, "Other-one-2").call("PING"), "PONG")
        c.delete_single_instance(v2.DeleteSingleInstanceRequest(one))
        self.raises(404, "DCS.3022", c.show_instance, v2.ShowInstanceRequest(one))

    # -- analyses --

    def found(self, what, check):
        """The record of an analysis, when it has ended well."""
        def ended():
            record = check()
            return record if record.status in ("success", "failed") else None
        record = wait_for(what, ended)
        self.assertEqual(record.status, "success", record)
        self.assertTrue(record.started_at and record.finished_at, record)
        return record

    def configure(self, one, name, value):
        body = v2.ModifyRedisConfigBody([v2.RedisConfig(param_name=name, param_value=value)])
        self.client.update_configurations(request("update_configurations", instance_id=one, body=body))

    def test_scans(self):
        c, one = self.client, self.make("sdk-scans")
        redis = self.connect(one)
        redis.call("SET", "long", "x" * 5000)
        redis.call("RPUSH", "list", *range(300))
        redis.call("SET", "gone", "soon", "PX", 1)
        kinds = (
            ("big", "create_bigkey_scan_task", "show_bigkey_scan_task_details", "list_bigkey_scan_tasks",
             "delete_bigkey_scan_task", "bigkey_id", "DCS.4942"),
            ("hot", "create_hotkey_scan_task", "show_hotkey_task_details", "list_hot_key_scan_tasks",
             "delete_hotkey_scan_task", "hotkey_id", "DCS.4941"),
        )
        self.raises(400, "DCS.4922", c.create_hotkey_scan_task, request("create_hotkey_scan_task", instance_id=one))
        self.configure(one, "maxmemory-policy", "allkeys-lfu")
        for _ in range(100):
            redis.call("GET", "long")
        for kind, create, show, listing, delete, key, unknown in kinds:
            made = getattr(c, create)(request(create, instance_id=one))
            self.assertEqual((made.instance_id, made.status, made.scan_type, made.num), (one, "waiting", "manual", 0))
            asked = request(show, instance_id=one, **{key: made.id})
            record = self.found(f"the {kind} keys", lambda: getattr(c, show)(asked))
            keys = {k.name: k for k in record.keys}
            self.assertEqual(record.num, len(keys))
            long = keys["long"]
            self.assertEqual((long.type, long.size, long.unit, long.db), ("string", 5000, "byte", 0))
            if kind == "big":
                self.assertEqual((keys["list"].size, keys["list"].unit), (300, "count"))
            else:
                self.assertGreater(long.freq, 5)
            listed = getattr(c, listing)(request(listing, instance_id=one, status="success"))
            self.assertEqual((listed.count, [r.id for r in listed.records]), (1, [made.id]))
            self.raises(400, "DCS.4800", getattr(c, listing), request(listing, instance_id=one, limit=1001))
            self.raises(400, "DCS.4800", getattr(c, listing), request(listing, instance_id=one, status="nonsense"))
            self.raises(400, unknown, getattr(c, show), request(show, instance_id=one, **{key: UUID}))
            gone = getattr(c, delete)(request(delete, instance_id=one, **{key: made.id}))
            self.assertEqual((gone.id, gone.status), (made.id, "success"))
            self.raises(400, unknown, getattr(c, show), asked)
            self.assertEqual(getattr(c, delete)(request(delete, instance_id=one, **{key: made.id})).status_code, 204)
        for n, create in enumerate(("create_auto_expire_scan_task", "scan_expire_key"), 1):
            made = getattr(c, create)(request(create, instance_id=one))
            def history():
                told = c.show_expire_key_scan_info(request("show_expire_key_scan_info", instance_id=one))
                self.assertEqual((told.instance_id, told.total, told.count), (one, n, n))
                return next(r for r in told.records if r.id == made.id)
            self.found("the scan for expired keys", history)
        self.raises(400, "DCS.4800", c.show_expire_key_scan_info,
                    request("show_expire_key_scan_info", instance_id=one, offset=-1))

    def test_offline_analysis(self):
        c, one = self.client, self.make("sdk-offline", "ha")
        redis = self.connect(one)
        for i in range(50):
            redis.call("SET", f"user:{i}", "x" * 100)
        redis.call("HSET", "hash", "field", "value")
        nodes = c.show_nodes_information(request("show_nodes_information", instance_id=one)).nodes
        master = next(n for n in nodes if n.node_type == "master")
        backup = c.copy_instance(v2.CopyInstanceRequest(one, v2.BackupInstanceBody())).backup_id
        self.over(one, "BACKUP")
        create = lambda **body: request("create_offline_key_analysis", instance_id=one,
                                        body=v2.CreateOfflineKeyAnalysisRequestBody(**body))
        self.raises(400, "DCS.3053", c.create_offline_key_analysis, create(node_id=DIGITS))
        self.raises(400, "DCS.4063", c.create_offline_key_analysis, create(node_id=master.node_id, backup_id=UUID))
        made = []
        for body, kind in (({"backup_id": backup}, "old_backup"), ({}, "new_backup")):
            task = c.create_offline_key_analysis(create(node_id=master.node_id, **body)).task_id
            made.insert(0, task)
            asked = request("show_offline_key_analysis_task", instance_id=one, task_id=task)
            wait_for("the job", lambda: c.show_job_info(v2.ShowJobInfoRequest(task)).status == "SUCCESS")
            told = c.show_offline_key_analysis_task(asked)
            self.assertEqual((told.analysis_type, told.node_id, told.node_ip, told.node_type, told.backup_id),
                             (kind, master.node_id, master.node_ip, "master", body.get("backup_id")))
            self.assertEqual(told.total_num, 51)
            self.assertEqual({t.type: t.num for t in told.type_num}, {"string": 50, "hash": 1})
            self.assertEqual(sum(t.bytes for t in told.type_bytes), told.total_bytes)
            self.assertIn("user", " ".join(p.key_prefix for p in told.largest_key_prefixes))
            self.assertEqual(len(told.largest_keys), 51)
        listed = c.list_offline_key_analysis_task(request("list_offline_key_analysis_task", instance_id=one))
        self.assertEqual((listed.total, [r.id for r in listed.records]), (2, made))
        for task in made:
            asked = request("delete_offline_key_analysis_task", instance_id=one, task_id=task)
            self.assertEqual(c.delete_offline_key_analysis_task(asked).task_id, task)
        self.raises(400, "DCS.4232", c.show_offline_key_analysis_task,
                    request("show_offline_key_analysis_task", instance_id=one, task_id=made[0]))

    # -- logs, sessions, nodes --

    def test_slow_log(self):
        c, one = self.client, self.make("sdk-slowlog", "ha")
        self.configure(one, "slowlog-log-slower-than", "0")
        self.connect(one).call("SET", "slow", "entry")
        span = {"start_time": "0", "end_time": str(2 ** 42)}
        asked = lambda **more: request("list_slowlog", instance_id=one, **{**span, **more})
        told = c.list_slowlog(asked(limit=1000, role="master"))
        self.assertEqual((told.count, told.total_num), (len(told.slowlogs), len(told.slowlogs)))
        entry = next(e for e in told.slowlogs if e.command == "SET slow entry")
        self.assertEqual((entry.node_role, entry.database_id, entry.client_ip), ("master", None, "127.0.0.1"))
        self.assertRegex(entry.start_time, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertTrue(entry.duration.isdigit())
        longest = c.list_slowlog(asked(sort_key="duration", sort_dir="desc", limit=5)).slowlogs
        self.assertEqual([int(e.duration) for e in longest], sorted((int(e.duration) for e in longest), reverse=True))
        self.assertEqual(c.list_slowlog(asked(end_time="1000")).total_num, 0)
        self.raises(400, "DCS.4025", c.list_slowlog, asked(start_time="2", end_time="1"))
        for wrong in ({"role": "nobody"}, {"sort_key": "size"}, {"sort_dir": "up"}, {"start_time": "now"},
                      {"end_time": None}):
            self.raises(400, "DCS.4800", c.list_slowlog, asked(**wrong))

    def test_sessions(self):
        c, one = self.client, self.make("sdk-sessions", "ha")
        nodes = c.show_nodes_information(request("show_nodes_information", instance_id=one)).nodes
        master = next(n.node_id for n in nodes if n.node_type == "master")
        first, second = self.connect(one), self.connect(one)
        first.call("CLIENT", "SETNAME", "first")
        told = c.list_clients(request("list_clients", instance_id=one, node_id=master, sort="age", order="desc"))
        self.assertEqual(told.count, len(told.clients))
        shown = next(s for s in told.clients if s.name == "first")
        self.assertEqual((shown.db, shown.user, shown.multi, shown.network), ("0", "default", -1, None))
        self.assertEqual([s.age for s in told.clients], sorted((s.age for s in told.clients), reverse=True))
        one_address = c.list_clients(request("list_clients", instance_id=one, addr=shown.addr))
        self.assertEqual([s.name for s in one_address.clients], ["first"])
        for wrong in ({"sort": "nothing"}, {"order": "up"}, {"limit": 0}):
            self.raises(400, "DCS.4800", c.list_clients, request("list_clients", instance_id=one, **wrong))
        self.raises(400, "DCS.3053", c.list_clients, request("list_clients", instance_id=one, node_id=DIGITS))
        body = lambda kind, **members: {"instance_id": one, "body": getattr(v2, kind + "RequestBody")(**members)}
        c.scan_clients(request("scan_clients", **body("ScanClients", node_id=master, clean_cache=True)))
        self.raises(400, "DCS.3053", c.scan_clients, request("scan_clients", **body("ScanClients", node_id=DIGITS)))
        kill = lambda **members: request("hang_up_clients", **body("HangUpClients", **members))
        self.raises(400, "DCS.4062", c.hang_up_clients, kill(node_id=master, client_addrs=[]))
        self.raises(400, "DCS.4062", c.hang_up_clients, kill(client_addrs=[shown.addr]))
        self.assertEqual((first.call("PING"), second.call("PING")), ("PONG", "PONG"))
        c.hang_up_clients(kill(node_id=master, client_addrs=[shown.addr]))
        with self.assertRaises(OSError):
            first.call("PING")
        self.assertEqual(second.call("PING"), "PONG")
        kill_all = lambda **members: request("hang_up_kill_all_clients", **body("HangUpKillAllClients", **members))
        self.raises(400, "DCS.3053", c.hang_up_kill_all_clients, kill_all(node_id=DIGITS, kill_all_nodes=False))
        self.assertEqual(second.call("PING"), "PONG")
        job = c.hang_up_kill_all_clients(kill_all(node_id=master, kill_all_nodes=True)).body["job_id"]
        self.assertEqual(self.over(one, "KillClients"), job)
        with self.assertRaises(OSError):
            second.call("PING")
        self.assertEqual(self.connect(one).info("connected_slaves"), "1")   # those links stay

    def test_nodes(self):
        c, one = self.client, self.make("sdk-nodes", "ha")
        group = c.list_group_replication_info(request("list_group_replication_info", instance_id=one)).group_list[0]
        self.assertEqual(sorted(r.replication_role for r in group.replication_list), ["master", "slave"])
        states = c.show_replication_states(request("show_replication_states", instance_id=one,
                                                   group_id=group.group_id)).body
        self.assertEqual({s.node_id for s in states}, {r.node_id for r in group.replication_list})
        self.assertEqual({s.status for s in states}, {"Active"})
        nodes = c.show_nodes_information(request("show_nodes_information", instance_id=one))
        self.assertEqual({n.node_id for n in nodes.nodes}, {s.node_id for s in states})
        every = c.batch_show_nodes_information(request("batch_show_nodes_information", limit=1000))
        mine = next(i for i in every.instances if i.instance_id == one)
        self.assertEqual((mine.node_count, every.count), (2, len(every.instances)))
        deletable = c.validate_deletable_replica(request("validate_deletable_replica", instance_id=one))
        self.assertFalse(deletable.check_result)
        shown = c.show_instance(v2.ShowInstanceRequest(one))
        change = lambda **more: request("resize_instance", instance_id=one, body=v2.ResizeInstanceBody(
            spec_code=c.show_instance(v2.ShowInstanceRequest(one)).spec_code, new_capacity=0, **more))
        c.resize_instance(change(change_type="createReplication", available_zones=[self.zone()]))
        self.over(one, "AddReplica")
        self.running(one)
        deletable = c.validate_deletable_replica(request("validate_deletable_replica", instance_id=one))
        self.assertTrue(deletable.check_result)
        master = next(s.node_id for s in states if s.replication_role == "master")
        self.assertNotIn(master, [r.node_id for r in deletable.replication_list])
        self.raises(400, "DCS.4936", c.resize_instance, change(change_type="deleteReplication", node_list=[master]))
        c.resize_instance(change(change_type="deleteReplication", node_list=[deletable.replication_list[0].node_id]))
        self.over(one, "DelReplica")
        self.assertEqual(c.show_instance(v2.ShowInstanceRequest(one)).spec_code, shown.spec_code)
        self.raises(400, "DCS.4800", c.batch_show_nodes_information, request("batch_show_nodes_information", limit=0))

    # -- configuration, whitelist, tags, windows --

    def test_configuration_histories(self):
        c, one = self.client, self.make("sdk-histories")
        self.raises(400, "DCS.4066", c.update_configurations, request("update_configurations", instance_id=one, body=(
            v2.ModifyRedisConfigBody([v2.RedisConfig(param_name="timeout", param_value="7201")]))))
        for value in ("10", "20"):
            self.configure(one, "timeout", value)
        told = c.list_config_histories(request("list_config_histories", instance_id=one))
        self.assertEqual((told.history_num, [h.status for h in told.histories]), (2, ["SUCCESS"] * 2))
        page = c.list_config_histories(request("list_config_histories", instance_id=one, offset=1, limit=1))
        self.assertEqual((page.history_num, [h.history_id for h in page.histories]),
                         (2, [told.histories[1].history_id]))
        detail = c.show_config_history_detail(request("show_config_history_detail", instance_id=one,
                                                      history_id=told.histories[0].history_id)).body
        self.assertEqual([(p["param_name"], p["param_value"]) for p in detail["redis_config"]], [("timeout", "20")])
        self.raises(400, "DCS.4063", c.show_config_history_detail,
                    request("show_config_history_detail", instance_id=one, history_id=UUID))
        self.raises(400, "DCS.4800", c.list_config_histories,
                    request("list_config_histories", instance_id=one, limit=0))

    def test_whitelist(self):
        c, one = self.client, self.make("sdk-whitelist")
        body = lambda enabled, *addresses: v2.ModifyIpWhitelistBody(
            enable_whitelist=enabled, whitelist=[v2.Whitelist(group_name="g", ip_list=list(addresses))])
        for name, block in (("update_ip_whitelist", "10.1.0.0/16"), ("update_ip_whitelist_async", "10.2.0.0/16")):
            call = getattr(c, name)
            self.raises(400, "DCS.4800", call, request(name, instance_id=one, body=body(True, "0.0.0.0/0")))
            self.raises(400, "DCS.4800", call, request(name, instance_id=one, body=body(True, "office")))
            self.raises(400, "DCS.4800", call, request(name, instance_id=one, body=body(False, *["10.0.0.1"] * 21)))
            answer = call(request(name, instance_id=one, body=body(True, "10.0.0.1", block)))
        self.assertEqual(self.over(one, "AddWhitelist"), answer.job_id)
        shown = c.show_ip_whitelist(request("show_ip_whitelist", instance_id=one))
        self.assertEqual((shown.enable_whitelist, [(g.group_name, g.ip_list) for g in shown.whitelist]),
                         (True, [("g", ["10.0.0.1", "10.2.0.0/16"])]))
        self.assertEqual(self.connect(one).call("PING"), "PONG")

    def test_tags(self):
        c, one = self.client, self.make("sdk-tags")
        change = lambda action, *pairs: request("batch_create_or_delete_tags", instance_id=one, body=(
            v2.CreateOrDeleteInstanceTags(action=action, tags=[v2.ResourceTag(*p) for p in pairs])))
        shown = lambda: {t.key: t.value for t in c.show_tags(v2.ShowTagsRequest(one)).tags}
        c.batch_create_or_delete_tags(change("create", ("a", "1"), ("b", "2")))
        c.batch_create_or_delete_tags(change("create", ("b", "3")))
        self.assertEqual(shown(), {"a": "1", "b": "3"})
        listed = c.list_instances(v2.ListInstancesRequest(tags="b=3"))
        self.assertEqual([i.instance_id for i in listed.instances], [one])
        c.batch_create_or_delete_tags(change("delete", ("a", "1")))
        self.raises(400, "DCS.4062", c.batch_create_or_delete_tags, change("replace", ("a", "1")))
        self.raises(400, "DCS.4062", c.batch_create_or_delete_tags, change("create", ("", "1")))
        twenty = ((f"k{i}", "v") for i in range(20))
        self.raises(400, "DCS.4039", c.batch_create_or_delete_tags, change("create", *twenty))
        self.assertEqual(shown(), {"b": "3"})

    def test_maintenance_windows(self):
        c = self.client
        windows = c.list_maintenance_windows(v2.ListMaintenanceWindowsRequest()).maintain_windows
        self.assertEqual([w.begin for w in windows if w.default], ["18:00:00"])
        one = self.make("sdk-windows", maintain_begin=windows[5].begin, maintain_end=windows[5].end)
        window = lambda: (lambda i: (i.maintain_begin, i.maintain_end))(c.show_instance(v2.ShowInstanceRequest(one)))
        self.assertEqual(window(), (windows[5].begin, windows[5].end))
        update = lambda begin, end: request("update_instance", instance_id=one, body=v2.ModifyInstanceBody(
            maintain_begin=begin, maintain_end=end))
        c.update_instance(update(windows[7].begin, windows[7].end))
        for begin, end in (("18:30:00", "19:30:00"), ("18:00:00", "18:00:00"), ("25:00:00", "02:00:00"),
                           ("18:00:00", None)):
            self.raises(400, "DCS.4106", c.update_instance, update(begin, end))
        self.assertEqual(window(), (windows[7].begin, windows[7].end))

    # -- what must not be done --

    def test_wrong_input_is_refused(self):
        c, single = self.client, self.make("sdk-refusals")
        spec = self.show(single)["spec_code"]
        resize = lambda code: v2.ResizeInstanceBody(spec_code=code, new_capacity=0)
        body = lambda **more: v2.CreateInstanceBody(**{**self.body("sdk-good"), **more})
        rows = [
            ("create_instance", 400, "DCS.4010", body(name="abc")),
            ("create_instance", 400, "DCS.4927", body(spec_code="redis.big")),
            ("create_instance", 400, "DCS.4019", body(password="weak")),
            ("batch_delete_instances", 400, "DCS.4065", v2.BatchDeleteBody([])),
            ("batch_delete_instances", 400, "DCS.4100", v2.BatchDeleteBody([single] * 51)),
            ("restart_or_flush_instances", 400, "DCS.4064", v2.ChangeInstanceStatusBody([single], "explode")),
            ("update_instance", 400, "DCS.4062", v2.ModifyInstanceBody(port=70000)),
            ("update_instance", 400, "DCS.4011", v2.ModifyInstanceBody(description="x" * 1025)),
            ("resize_instance", 400, "DCS.4103", resize(spec)),
            ("resize_instance", 400, "DCS.4200", resize("redis.ha.xu1.tiny.r2.128")),
            ("update_password", 400, "DCS.4019", v2.ModifyInstancePasswordBody(test_dcs.PASSWORD, "weak")),
            ("reset_password", 400, "DCS.4845", v2.ResetInstancePasswordBody()),
            ("reset_password", 400, "DCS.4849", v2.ResetInstancePasswordBody("Other-one-1", True)),
            ("copy_instance", 400, "DCS.4086", v2.BackupInstanceBody()),
            ("restore_instance", 400, "DCS.4063", v2.RestoreInstanceBody(backup_id=UUID)),
            ("update_instance_config", 400, "DCS.4066", v2.ModifyRedisConfigBody([v2.RedisConfig("", "no-such", "1")])),
            ("change_master_standby", 400, "DCS.4855", None), ("change_master_standby_async", 400, "DCS.4855", None),
        ]
        before = self.show(single), len(self.tasks(single))
        for name, status, code, content in rows:
            with self.subTest(name, code=code):
                arguments = {"instance_id": single} if name in ASKED else {}
                if content:
                    arguments["body"] = content
                self.raises(status, code, getattr(c, name), request(name, **arguments))
        after = self.show(single), len(self.tasks(single))
        for shown, _ in (before, after):
            del shown["used_memory"]
        self.assertEqual(after, before)
        self.raises(400, "DCS.4063", c.show_job_info, v2.ShowJobInfoRequest("x"))
        self.raises(400, "DCS.4800", c.list_flavors, v2.ListFlavorsRequest(capacity="much"))

    def test_wrong_ids_and_keys_are_refused_everywhere(self):
        wrong, foreign = self.sdk("wrong"), self.sdk(self.server.access["access_key_secret"], "f" * 32)
        for name, arguments in {**ASKED, **ASKED_OF_PROJECT, **ASKED_OF_NOTHING}.items():
            with self.subTest(name):
                of = {"instance_id": UUID} if name in ASKED else {}
                asked = request(name, **of, **arguments)
                self.raises(401, "DCS.1001", getattr(wrong, name), asked)
                if name not in ASKED_OF_NOTHING:
                    self.raises(401, "DCS.1004", getattr(foreign, name), asked)
                if of:
                    self.raises(404, "DCS.3022", getattr(self.client, name), asked)
                    asked = request(name, instance_id="x", **arguments)
                    self.raises(400, "DCS.4061", getattr(self.client, name), asked)

    def test_deleting_failed_ones(self):
        """With nothing to delete; that it deletes, a server without Redis shows elsewhere."""
        done = self.client.batch_delete_instances(v2.BatchDeleteInstancesRequest(all_failure=True))
        self.assertEqual(done.results, [])

    def test_schedules_of_scans(self):
        c, one = self.client, self.make("sdk-schedules")
        daily = v2.AutoscanConfigRequest(enable_auto_scan=True, schedule_at=["21:00"])
        got = c.update_bigkey_autoscan_config(v2.UpdateBigkeyAutoscanConfigRequest(one, daily))
        self.assertEqual((got.instance_id, got.enable_auto_scan, got.schedule_at), (one, True, ["21:00"]))
        shown = c.show_bigkey_autoscan_config(v2.ShowBigkeyAutoscanConfigRequest(one))
        self.assertEqual((shown.enable_auto_scan, shown.schedule_at, shown.updated_at),
                         (True, ["21:00"], got.updated_at))
        self.raises(400, "DCS.4922", c.update_hotkey_auto_scan_config, v2.UpdateHotkeyAutoScanConfigRequest(one, daily))
        shown = c.show_hotkey_autoscan_config(v2.ShowHotkeyAutoscanConfigRequest(one))
        self.assertEqual((shown.enable_auto_scan, shown.schedule_at, shown.updated_at), (False, [], None))
        self.configure(one, "maxmemory-policy", "allkeys-lfu")
        got = c.update_hotkey_auto_scan_config(v2.UpdateHotkeyAutoScanConfigRequest(one, daily))
        self.assertEqual((got.enable_auto_scan, got.schedule_at), (True, ["21:00"]))
        first = "2099-07-07T15:00:05.000"
        body = v2.UpdateAutoScanConfigRequestBody(enable_auto_scan=True, first_scan_at=first, interval=60, timeout=120,
                                                  scan_keys_count=10)
        c.update_expire_auto_scan_config(v2.UpdateExpireAutoScanConfigRequest(one, body))
        shown = c.show_expire_auto_scan_config(v2.ShowExpireAutoScanConfigRequest(one))
        self.assertEqual((shown.first_scan_at, shown.interval, shown.timeout, shown.scan_keys_count),
                         (first, 60, 120, 10))
        body.timeout = 119
        self.raises(400, "DCS.4821", c.update_expire_auto_scan_config, v2.UpdateExpireAutoScanConfigRequest(one, body))
        self.delete(one)

    def test_templates(self):
        c = self.client
        system = c.list_config_templates(v2.ListConfigTemplatesRequest(type="sys", cache_mode="single")).templates[0]
        self.assertEqual((system.type, system.engine, system.product_type, system.storage_type),
                         ("sys", "Redis", "generic", "DRAM"))
        body = v2.CreateCustomTemplateBody(system.template_id, "mine", "user", params={"timeout": "100"})
        made = c.create_custom_template(v2.CreateCustomTemplateRequest(body)).id
        listed = c.list_config_templates(v2.ListConfigTemplatesRequest(type="user"))
        self.assertEqual((listed.template_num, listed.templates[0].template_id), (1, made))
        change = v2.UpdateCustomTemplateBody(name="yours", params={"timeout": "200"})
        self.assertEqual(c.update_config_template(v2.UpdateConfigTemplateRequest(made, change)).result, "success")
        self.assertEqual(c.show_config_template(v2.ShowConfigTemplateRequest(made, "user")).name, "yours")
        one = self.make("sdk-template", template_id=made)
        configs = c.list_configurations(v2.ListConfigurationsRequest(one)).redis_config
        self.assertEqual(next(p.param_value for p in configs if p.param_name == "timeout"), "200")
        self.assertEqual(c.delete_config_template(v2.DeleteConfigTemplateRequest(made)).result, "success")
        self.raises(400, "DCS.4988", c.show_config_template, v2.ShowConfigTemplateRequest(made, "user"))
        self.delete(one)

    def test_a_diagnosis(self):
        c, one = self.client, self.make("sdk-diagnosis", "ha")
        window = self.window()
        body = v2.CreateDiagnosisTaskBody(*window)
        report = c.create_diagnosis_task(v2.CreateDiagnosisTaskRequest(one, body)).report_id
        self.raises(400, "DCS.4026", c.create_diagnosis_task, v2.CreateDiagnosisTaskRequest(one, body))
        def finished():
            listed = c.list_diagnosis_tasks(v2.ListDiagnosisTasksRequest(one))
            self.assertEqual((listed.total_num, listed.diagnosis_report_list[0].report_id), (1, report))
            return listed.diagnosis_report_list[0] if listed.diagnosis_report_list[0].status == "finished" else None
        summary = wait_for("the report", finished)
        self.assertEqual((summary.node_num, summary.failed_item_sum, len(summary.begin_time)), (2, 0, 24))
        shown = c.show_diagnosis_task_details(v2.ShowDiagnosisTaskDetailsRequest(report))
        self.assertEqual([n.role for n in shown.diagnosis_node_report_list], ["master", "slave"])
        master = shown.diagnosis_node_report_list[0]
        self.assertEqual([d.name for d in master.diagnosis_dimension_list], ["load", "storage", "network"])
        results = [i.result for d in master.diagnosis_dimension_list for i in d.diagnosis_item_list]
        self.assertEqual((len(results), results.count("failed")), (9, 0))
        times = master.command_time_taken_list
        self.assertEqual((times.result, times.total_num), ("succeed", len(times.command_list)))
        self.assertIn("info", [t.command_name for t in times.command_list])
        self.assertGreater(times.total_usec_sum, 0.0)
        self.raises(400, "DCS.4062", c.create_diagnosis_task,
                    v2.CreateDiagnosisTaskRequest(one, v2.CreateDiagnosisTaskBody(*window, ["10.1.2.3"])))
        gone = v2.DeleteDiagnosisTaskRequest(one, v2.DeleteDiagnosisReportRequest([report]))
        self.assertEqual([(r.id, r.result) for r in c.delete_diagnosis_task(gone).results], [(report, "success")])
        self.raises(400, "DCS.4063", c.show_diagnosis_task_details, v2.ShowDiagnosisTaskDetailsRequest(report))

    def window(self):
        """Since just now, as the vendor writes it: milliseconds as texts."""
        begin = time.time_ns() // 1000000
        wait_for("the next millisecond", lambda: time.time_ns() // 1000000 > begin)
        return str(begin), str(time.time_ns() // 1000000)

    def test_deleting_many(self):
        ids = [self.make("sdk-many-a"), self.make("sdk-many-b")]
        done = self.client.batch_delete_instances(v2.BatchDeleteInstancesRequest(body=v2.BatchDeleteBody(ids)))
        self.assertEqual([(r.instance, r.result) for r in done.results], [(i, "success") for i in ids])

    def download(self, url):
        """As anybody who has the link: without the SDK, without a key."""
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.read()

    def test_links_logs_and_priorities(self):
        c, one = self.client, self.make("sdk-links", "ha")
        backup = c.copy_instance(v2.CopyInstanceRequest(one, v2.BackupInstanceBody())).backup_id
        self.over(one, "BACKUP")
        links = c.list_backup_file_links(v2.ListBackupFileLinksRequest(one, backup, v2.DownloadBackupFilesReq(300)))
        self.assertTrue(links.links[0].file_name.endswith(".rdb"))
        self.assertEqual(self.download(links.links[0].link)[:5], b"REDIS")
        self.raises(400, "DCS.4062", c.list_backup_file_links,
                    v2.ListBackupFileLinksRequest(one, backup, v2.DownloadBackupFilesReq(3)))

        c.create_redislog(v2.CreateRedislogRequest(one, query_time=0, log_type="run"))
        self.over(one, "RunLog")
        logs = c.list_redislog(v2.ListRedislogRequest(one, log_type="run"))
        self.assertEqual((logs.total_num, len(logs.file_list)), (2, 2))
        link = c.create_redislog_download_link(v2.CreateRedislogDownloadLinkRequest(one, logs.file_list[0].id)).link
        self.assertIn(b"Redis version=", self.download(link))

        node = next(n for n in c.show_nodes_information(v2.ShowNodesInformationRequest(one)).nodes
                    if n.node_type == "slave")
        def weigh(weight):
            return v2.UpdateSlavePriorityRequest(one, node.group_id, node.node_id, v2.PriorityBody(weight))
        c.update_slave_priority(weigh(0))
        self.over(one, "UpdateSlavePriority")
        self.raises(400, "DCS.4253", c.change_master_standby, v2.ChangeMasterStandbyRequest(one))
        self.raises(400, "DCS.4939", c.update_slave_priority, weigh(101))

    def test_asking_before_a_change(self):
        c, one = self.client, self.make("sdk-asking")
        version = lambda: c.show_instance_version(v2.ShowInstanceVersionRequest(one)).engine_minor_version
        self.assertEqual(wait_for("the keeper's first look", version), self.connect(one).info("redis_version"))
        operations = c.list_instance_operations(v2.ListInstanceOperationsRequest(one, "extend")).operations
        self.assertEqual([(o.operation, o.is_support) for o in operations], [("extend", True)])
        spec = c.show_instance(v2.ShowInstanceRequest(one)).spec_code.replace("128", "256")
        job = c.start_instance_resize_check_job(v2.StartInstanceResizeCheckJobRequest(
            one, v2.StartInstanceResizeCheckJobRequestBody(0, spec))).job_id
        self.assertEqual(self.over(one, "ResizeCheck"), job)
        nodes = c.show_instance_topology(v2.ShowInstanceTopologyRequest(one)).redis_server
        self.assertEqual([n.node_type for n in nodes], ["master"])
        job = c.update_ip_whitelist_async(v2.UpdateIpWhitelistAsyncRequest(one, v2.ModifyIpWhitelistBody(
            one, False, []))).job_id
        self.assertEqual(self.over(one, "AddWhitelist"), job)
        c.delete_single_instance(v2.DeleteSingleInstanceRequest(one))
        gone = c.list_instances(v2.ListInstancesRequest(instance_id=one, include_delete="true"))
        self.assertEqual([(i.instance_id, i.status) for i in gone.instances], [(one, "DELETED")])

    def test_zz_every_operation_was_driven(self):
        """The last by its name. An operation counts when the SDK had it done, and had it refused."""
        others = {name for name in dir(self) if name.startswith("test_")} - {self._testMethodName}
        if not others <= self.ran:
            self.skipTest("needs the others: " + ", ".join(sorted(others - self.ran)))
        self.assertGreater(len(self.routes), 60)
        wanted = self.routes - WITHOUT_SDK
        done = {route for route, statuses in self.answers.items() if statuses & {200, 204}}
        refused = {route for route, statuses in self.answers.items() if any(400 <= s < 500 for s in statuses)}
        self.assertEqual(sorted(wanted - done), [], "never driven")
        self.assertEqual(sorted(wanted - refused), [], "never refused")
        self.assertEqual({s for statuses in self.answers.values() for s in statuses if s >= 500}, set())
