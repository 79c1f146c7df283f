/*
 * routes: every operation of the DCS dialect as one table, and the handlers it names. A handler answers exactly once
 * (api/call.h). What is not in the table answers DCS.4001.
 */
#ifndef API_DCS_ROUTES_H
#define API_DCS_ROUTES_H

#include "api/router.h"

const struct route *dcs_routes(size_t *n);

void dcs_versions(struct call *c);
void dcs_version_v2(struct call *c);
void dcs_zones(struct call *c);
void dcs_windows(struct call *c);
void dcs_flavors(struct call *c);
void dcs_quota(struct call *c);
void dcs_status_counts(struct call *c);
void dcs_statistics(struct call *c);

void dcs_instances_create(struct call *c);
void dcs_instances_list(struct call *c);
void dcs_instances_show(struct call *c);
void dcs_instances_update(struct call *c);
void dcs_instances_delete(struct call *c);
void dcs_instances_delete_many(struct call *c);

void dcs_tasks_list(struct call *c);
void dcs_tasks_delete(struct call *c);
void dcs_tasks_progress(struct call *c);
void dcs_centre_list(struct call *c);
void dcs_centre_delete(struct call *c);
void dcs_job_show(struct call *c);

void dcs_resize(struct call *c);
void dcs_restart_or_flush(struct call *c);
void dcs_password_update(struct call *c);
void dcs_password_reset(struct call *c);
void dcs_swap(struct call *c);
void dcs_swap_async(struct call *c);

void dcs_backups_create(struct call *c);
void dcs_backups_list(struct call *c);
void dcs_backups_delete(struct call *c);
void dcs_backups_links(struct call *c);
void dcs_backups_download(struct call *c);
void dcs_restores_create(struct call *c);
void dcs_restores_list(struct call *c);

void dcs_configs_list(struct call *c);
void dcs_configs_update(struct call *c);
void dcs_configs_update_async(struct call *c);
void dcs_histories_list(struct call *c);
void dcs_histories_show(struct call *c);

void dcs_templates_list(struct call *c);
void dcs_templates_create(struct call *c);
void dcs_templates_show(struct call *c);
void dcs_templates_update(struct call *c);
void dcs_templates_delete(struct call *c);

void dcs_whitelist_show(struct call *c);
void dcs_whitelist_update(struct call *c);
void dcs_whitelist_update_async(struct call *c);

void dcs_priority_update(struct call *c);
void dcs_version_show(struct call *c);
void dcs_operations_list(struct call *c);
void dcs_topology_show(struct call *c);
void dcs_resize_check(struct call *c);

void dcs_nodes_groups(struct call *c);
void dcs_nodes_logical(struct call *c);
void dcs_nodes_deletable(struct call *c);
void dcs_nodes_states(struct call *c);
void dcs_nodes_of_project(struct call *c);

void dcs_tags_show(struct call *c);
void dcs_tags_project(struct call *c);
void dcs_tags_action(struct call *c);

void dcs_bigkey_create(struct call *c);
void dcs_bigkey_list(struct call *c);
void dcs_bigkey_show(struct call *c);
void dcs_bigkey_delete(struct call *c);
void dcs_hotkey_create(struct call *c);
void dcs_hotkey_list(struct call *c);
void dcs_hotkey_show(struct call *c);
void dcs_hotkey_delete(struct call *c);
void dcs_expire_create(struct call *c);
void dcs_expire_history(struct call *c);
void dcs_bigkey_plan_show(struct call *c);
void dcs_bigkey_plan_update(struct call *c);
void dcs_hotkey_plan_show(struct call *c);
void dcs_hotkey_plan_update(struct call *c);
void dcs_expire_plan_show(struct call *c);
void dcs_expire_plan_update(struct call *c);
void dcs_offline_create(struct call *c);
void dcs_offline_list(struct call *c);
void dcs_offline_show(struct call *c);
void dcs_offline_delete(struct call *c);

void dcs_diagnosis_create(struct call *c);
void dcs_diagnosis_list(struct call *c);
void dcs_diagnosis_delete(struct call *c);
void dcs_diagnosis_show(struct call *c);

void dcs_slowlog_list(struct call *c);
void dcs_redislog_create(struct call *c);
void dcs_redislog_list(struct call *c);
void dcs_redislog_link(struct call *c);
void dcs_redislog_download(struct call *c);
void dcs_clients_scan(struct call *c);
void dcs_clients_list(struct call *c);
void dcs_clients_kill(struct call *c);
void dcs_clients_kill_all(struct call *c);

#endif
