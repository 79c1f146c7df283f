/*
 * The operations as data, with the vendor's IAM actions. The fixed words below /instances come
 * before {instance}, and the paths without a project before those with one.
 */
#include "api/dcs/routes.h"

#include "base/attr.h"

#define PROJECT "/v2/{project}"
#define ALL PROJECT "/instances"
#define ONE ALL "/{instance}"

/* Operation, what a policy must allow, on which resource (all, or the one named). */
#define ON_ALL(operation, action) operation, "dcs:" action, "instance:*", ROUTE_SIGNED
#define ON_ONE(operation, action) operation, "dcs:" action, "instance:{instance}", ROUTE_SIGNED

#define ON_TEMPLATES(operation, action) operation, "dcs:" action, "template:*", ROUTE_SIGNED
#define ON_TEMPLATE(operation, action) operation, "dcs:" action, "template:{template}", ROUTE_SIGNED

static const struct route routes[] = {
	{ "GET", "/", "ListApiVersions", "", "", ROUTE_OPEN, dcs_versions },
	{ "GET", "/v2", "ShowApiVersion", "", "", ROUTE_OPEN, dcs_version_v2 },
	{ "GET", "/v2/available-zones", ON_ALL("ListAvailableZones", "instance:list"), dcs_zones },
	{ "GET", "/v2/instances/maintain-windows", ON_ALL("ListMaintenanceWindows", "instance:list"), dcs_windows },
	{ "GET", PROJECT "/flavors", ON_ALL("ListFlavors", "instance:list"), dcs_flavors },
	{ "GET", PROJECT "/quota", ON_ALL("ShowQuotaOfTenant", "instance:list"), dcs_quota },

	{ "GET", ALL "/status", ON_ALL("ListNumberOfInstancesInDifferentStatus", "instance:list"), dcs_status_counts },
	{ "GET", ALL "/statistic", ON_ALL("ListStatisticsOfRunningInstances", "instance:list"), dcs_statistics },
	{ "PUT", ALL "/status", ON_ALL("RestartOrFlushInstances", "instance:modifyStatus"), dcs_restart_or_flush },

	{ "POST", ALL, ON_ALL("CreateInstance", "instance:create"), dcs_instances_create },
	{ "GET", ALL, ON_ALL("ListInstances", "instance:list"), dcs_instances_list },
	{ "DELETE", ALL, ON_ALL("BatchDeleteInstances", "instance:delete"), dcs_instances_delete_many },
	{ "GET", ONE, ON_ONE("ShowInstance", "instance:get"), dcs_instances_show },
	{ "PUT", ONE, ON_ONE("UpdateInstance", "instance:modify"), dcs_instances_update },
	{ "DELETE", ONE, ON_ONE("DeleteSingleInstance", "instance:delete"), dcs_instances_delete },

	{ "GET", ONE "/tasks", ON_ONE("ListBackgroundTask", "instance:getBackgroundTask"), dcs_tasks_list },
	{ "DELETE", ONE "/tasks/{task}", ON_ONE("DeleteBackgroundTask", "instance:deleteBackgroundTask"),
	  dcs_tasks_delete },
	{ "GET", ONE "/tasks/{task}/progress", ON_ONE("ShowBackgroundTaskProgress", "instance:getBackgroundTask"),
	  dcs_tasks_progress },
	{ "GET", PROJECT "/tasks", ON_ALL("ListCenterTask", "instance:getBackgroundTask"), dcs_centre_list },
	{ "DELETE", PROJECT "/tasks/{task}", ON_ALL("DeleteCenterTask", "instance:deleteBackgroundTask"),
	  dcs_centre_delete },
	{ "GET", PROJECT "/jobs/{job}", ON_ALL("ShowJobInfo", "job:get"), dcs_job_show },

	{ "POST", ONE "/resize", ON_ONE("ResizeInstance", "instance:scale"), dcs_resize },
	{ "PUT", ONE "/password", ON_ONE("UpdatePassword", "instance:modifyAuthInfo"), dcs_password_update },
	{ "POST", ONE "/password/reset", ON_ONE("ResetPassword", "instance:resetAuthInfo"), dcs_password_reset },
	{ "POST", ONE "/resize/check-job", ON_ONE("StartInstanceResizeCheckJob", "instance:scale"), dcs_resize_check },
	{ "GET", ONE "/operations", ON_ONE("ListInstanceOperations", "instance:get"), dcs_operations_list },
	{ "GET", ONE "/version", ON_ONE("ShowInstanceVersion", "instance:getUpgradeInfo"), dcs_version_show },
	{ "GET", ONE "/nodes", ON_ONE("ShowInstanceTopology", "instance:get"), dcs_topology_show },
	{ "POST", ONE "/swap", ON_ONE("ChangeMasterStandby", "instance:swap"), dcs_swap },
	{ "PUT", ONE "/async-swap", ON_ONE("ChangeMasterStandbyAsync", "instance:swap"), dcs_swap_async },

	{ "POST", ONE "/backups", ON_ONE("CopyInstance", "instance:backupData"), dcs_backups_create },
	{ "GET", ONE "/backups", ON_ONE("ListBackupRecords", "instance:getDataBackupLog"), dcs_backups_list },
	{ "DELETE", ONE "/backups/{backup}", ON_ONE("DeleteBackupFile", "instance:deleteDataBackupFile"),
	  dcs_backups_delete },
	{ "POST", ONE "/backups/{backup}/links", ON_ONE("ListBackupFileLinks", "instance:downloadBackupData"),
	  dcs_backups_links },
	{ "GET", ONE "/backups/{backup}/files/{file}", "DownloadBackupFile", "", "", ROUTE_OPEN, dcs_backups_download },
	{ "POST", ONE "/restores", ON_ONE("RestoreInstance", "instance:restoreData"), dcs_restores_create },
	{ "GET", ONE "/restores", ON_ONE("ListRestoreRecords", "instance:getDataRestoreLog"), dcs_restores_list },

	{ "GET", ONE "/configs", ON_ONE("ListConfigurations", "instance:getConfiguration"), dcs_configs_list },
	{ "PUT", ONE "/configs", ON_ONE("UpdateConfigurations", "instance:modifyConfigureation"), dcs_configs_update },
	{ "PUT", ONE "/async-configs", ON_ONE("UpdateInstanceConfig", "instance:modifyConfigureation"),
	  dcs_configs_update_async },
	{ "GET", ONE "/config-histories", ON_ONE("ListConfigHistories", "instance:getConfiguration"),
	  dcs_histories_list },
	{ "GET", ONE "/config-histories/{history}", ON_ONE("ShowConfigHistoryDetail", "instance:getConfiguration"),
	  dcs_histories_show },

	{ "GET", PROJECT "/config-templates", ON_TEMPLATES("ListConfigTemplates", "template:list"),
	  dcs_templates_list },
	{ "POST", PROJECT "/config-templates", ON_TEMPLATES("CreateCustomTemplate", "template:create"),
	  dcs_templates_create },
	{ "GET", PROJECT "/config-templates/{template}", ON_TEMPLATE("ShowConfigTemplate", "template:get"),
	  dcs_templates_show },
	{ "PUT", PROJECT "/config-templates/{template}", ON_TEMPLATE("UpdateConfigTemplate", "template:modify"),
	  dcs_templates_update },
	{ "DELETE", PROJECT "/config-templates/{template}", ON_TEMPLATE("DeleteConfigTemplate", "template:delete"),
	  dcs_templates_delete },

	{ "GET", ONE "/whitelist", ON_ONE("ShowIpWhitelist", "whitelist:list"), dcs_whitelist_show },
	{ "PUT", ONE "/whitelist", ON_ONE("UpdateIpWhitelist", "whitelist:modify"), dcs_whitelist_update },
	{ "PUT", ONE "/whitelist-async", ON_ONE("UpdateIpWhitelistAsync", "whitelist:modify"),
	  dcs_whitelist_update_async },

	{ "GET", ONE "/groups", ON_ONE("ListGroupReplicationInfo", "instance:get"), dcs_nodes_groups },
	{ "GET", ONE "/logical-nodes", ON_ONE("ShowNodesInformation", "instance:get"), dcs_nodes_logical },
	{ "GET", ONE "/deletable-replication", ON_ONE("ValidateDeletableReplica", "instance:get"),
	  dcs_nodes_deletable },
	{ "GET", ONE "/groups/{group}/group-nodes-state", ON_ONE("ShowReplicationStates", "instance:get"),
	  dcs_nodes_states },
	{ "POST", ONE "/groups/{group}/replications/{node}/slave-priority",
	  ON_ONE("UpdateSlavePriority", "instance:modify"), dcs_priority_update },
	{ "GET", PROJECT "/instances-logical-nodes", ON_ALL("BatchShowNodesInformation", "instance:list"),
	  dcs_nodes_of_project },

	{ "GET", ONE "/tags", ON_ONE("ShowTags", "instance:get"), dcs_tags_show },
	{ "GET", PROJECT "/dcs/tags", ON_ALL("ListTagsOfTenant", "instance:list"), dcs_tags_project },
	{ "POST", PROJECT "/dcs/{instance}/tags/action", ON_ONE("BatchCreateOrDeleteTags", "instance:modify"),
	  dcs_tags_action },

	{ "POST", ONE "/bigkey-task", ON_ONE("CreateBigkeyScanTask", "instance:analyze"), dcs_bigkey_create },
	{ "GET", ONE "/bigkey-tasks", ON_ONE("ListBigkeyScanTasks", "instance:analyze"), dcs_bigkey_list },
	{ "GET", ONE "/bigkey-task/{scan}", ON_ONE("ShowBigkeyScanTaskDetails", "instance:analyze"), dcs_bigkey_show },
	{ "DELETE", ONE "/bigkey-task/{scan}", ON_ONE("DeleteBigkeyScanTask", "instance:analyze"),
	  dcs_bigkey_delete },
	{ "POST", ONE "/hotkey-task", ON_ONE("CreateHotkeyScanTask", "instance:analyze"), dcs_hotkey_create },
	{ "GET", ONE "/hotkey-tasks", ON_ONE("ListHotkeyScanTasks", "instance:analyze"), dcs_hotkey_list },
	{ "GET", ONE "/hotkey-task/{scan}", ON_ONE("ShowHotkeyTaskDetails", "instance:analyze"), dcs_hotkey_show },
	{ "DELETE", ONE "/hotkey-task/{scan}", ON_ONE("DeleteHotkeyScanTask", "instance:analyze"),
	  dcs_hotkey_delete },
	{ "POST", ONE "/scan-expire-keys-task", ON_ONE("CreateScanExpireKeysTask", "instance:analyze"),
	  dcs_expire_create },
	{ "POST", ONE "/auto-expire/scan", ON_ONE("CreateAutoExpireScanTask", "instance:analyze"), dcs_expire_create },
	{ "GET", ONE "/auto-expire/histories", ON_ONE("ListAutoExpireHistories", "instance:analyze"),
	  dcs_expire_history },
	{ "GET", ONE "/bigkey/autoscan", ON_ONE("ShowBigkeyAutoscanConfig", "instance:analyze"), dcs_bigkey_plan_show },
	{ "PUT", ONE "/bigkey/autoscan", ON_ONE("UpdateBigkeyAutoscanConfig", "instance:analyze"),
	  dcs_bigkey_plan_update },
	{ "GET", ONE "/hotkey/autoscan", ON_ONE("ShowHotkeyAutoscanConfig", "instance:analyze"), dcs_hotkey_plan_show },
	{ "PUT", ONE "/hotkey/autoscan", ON_ONE("UpdateHotkeyAutoScanConfig", "instance:analyze"),
	  dcs_hotkey_plan_update },
	{ "GET", ONE "/scan-expire-keys/autoscan-config", ON_ONE("ShowExpireAutoScanConfig", "instance:analyze"),
	  dcs_expire_plan_show },
	{ "PUT", ONE "/scan-expire-keys/autoscan-config", ON_ONE("UpdateExpireAutoScanConfig", "instance:analyze"),
	  dcs_expire_plan_update },
	{ "POST", ONE "/offline/key-analysis", ON_ONE("CreateOfflineKeyAnalysis", "instance:analyze"),
	  dcs_offline_create },
	{ "GET", ONE "/offline/key-analysis", ON_ONE("ListOfflineKeyAnalyses", "instance:analyze"), dcs_offline_list },
	{ "GET", ONE "/offline/key-analysis/{scan}", ON_ONE("ShowOfflineKeyAnalysis", "instance:analyze"),
	  dcs_offline_show },
	{ "DELETE", ONE "/offline/key-analysis/{scan}", ON_ONE("DeleteOfflineKeyAnalysis", "instance:analyze"),
	  dcs_offline_delete },

	{ "POST", ONE "/diagnosis", ON_ONE("CreateDiagnosisTask", "instance:diagnosis"), dcs_diagnosis_create },
	{ "GET", ONE "/diagnosis", ON_ONE("ListDiagnosisTasks", "instance:diagnosis"), dcs_diagnosis_list },
	{ "DELETE", ONE "/diagnosis", ON_ONE("DeleteDiagnosisTask", "instance:diagnosis"), dcs_diagnosis_delete },
	{ "GET", PROJECT "/diagnosis/{report}", ON_ALL("ShowDiagnosisTaskDetails", "instance:diagnosis"),
	  dcs_diagnosis_show },

	{ "GET", ONE "/slowlog", ON_ONE("ListSlowlog", "slowlog:list"), dcs_slowlog_list },
	{ "POST", ONE "/redislog", ON_ONE("CreateRedislog", "instance:get"), dcs_redislog_create },
	{ "GET", ONE "/redislog", ON_ONE("ListRedislog", "instance:get"), dcs_redislog_list },
	{ "POST", ONE "/redislog/{log}/links", ON_ONE("CreateRedislogDownloadLink", "instance:get"),
	  dcs_redislog_link },
	{ "GET", ONE "/redislog/{log}/files/{file}", "DownloadRedislog", "", "", ROUTE_OPEN, dcs_redislog_download },
	{ "POST", ONE "/clients", ON_ONE("ScanClients", "clients:list"), dcs_clients_scan },
	{ "GET", ONE "/clients", ON_ONE("ListClients", "clients:list"), dcs_clients_list },
	{ "POST", ONE "/clients/kill", ON_ONE("HangUpClients", "clients:kill"), dcs_clients_kill },
	{ "POST", ONE "/clients/kill-all", ON_ONE("HangUpKillAllClients", "clients:kill"), dcs_clients_kill_all },
};

const struct route *dcs_routes(size_t *n)
{
	*n = ARRAY_LEN(routes);
	return routes;
}
