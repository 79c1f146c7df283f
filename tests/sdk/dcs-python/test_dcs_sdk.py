"""Huawei Cloud's unmodified Python SDK: every operation the server offers, and its refusals as exceptions."""
import pathlib
import sys
import time
import unittest

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ServiceResponseException
from huaweicloudsdkdcs import v2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scenario"))

import test_dcs  # noqa: E402
from stint_client import Redis, wait_for  # noqa: E402


class Sdk(test_dcs.DcsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = cls.sdk(cls.server.access["access_key_secret"])

    @classmethod
    def sdk(cls, secret):
        credentials = BasicCredentials(cls.server.access["access_key_id"], secret, cls.server.access["project_id"])
        return v2.DcsClient.new_builder().with_credentials(credentials).with_endpoint(
            f"http://127.0.0.1:{cls.server.port}").build()

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
        flavors = c.list_flavors(v2.ListFlavorsRequest(cache_mode="single", capacity="0.125")).flavors
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
        configs = {p.param_name: p.param_value for p in c.list_configurations(v2.ListConfigurationsRequest(one)).redis_config}
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
        restore = c.restore_instance(v2.RestoreInstanceRequest(one, v2.RestoreInstanceBody(backup_id=backup))).restore_id
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
