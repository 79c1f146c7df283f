/* key: access keys of a data folder; works with and without a running server. */
#include <stdio.h>
#include <string.h>
#include "cmd/args.h"
#include "cmd/data.h"
#include "cmd/key.h"
#include "cmd/say.h"

#define DATA_OPTION(out_) OPTION_TEXT("data", (out_), "DIR", "Data folder (default $STINT_DATA, else ./stint-data).")
#define JSON_OPTION(out_) OPTION_FLAG("json", (out_), "Print JSON.")

enum { OUT_MAX = 4 << 20 };

void key_print_json(const struct access_key *k, struct jw *w)
{
	jw_object(w);
	jw_kv_text(w, "access_key_id", k->id);
	if (k->secret)
		jw_kv_text(w, "access_key_secret", k->secret);
	jw_kv_text(w, "account", k->account);
	jw_kv_text(w, "project_id", k->project_id);
	jw_kv_text(w, "name", k->name);
	jw_kv_bool(w, "active", k->is_active);
	jw_kv_int(w, "created_at", k->created_at);
	jw_end_object(w);
}

void key_print(const struct access_key *k, bool as_json, struct buf *out)
{
	struct jw w;

	if (as_json) {
		jw_init(&w, out, CASING_CAMEL);
		key_print_json(k, &w);
		return;
	}
	buf_addf(out, "access key id      %s\naccess key secret  %s\naccount            %s\n", k->id, k->secret,
	         k->account);
	buf_adds(out, "The secret is shown this once; `stint env` can print it from the data folder.\n");
}

static int run_create(const struct command *c, int argc, char **argv)
{
	const char *data = NULL, *account = NULL, *name = "", *operands[OPERANDS_MAX];
	bool as_json = false;
	struct opt opts[] = {
		DATA_OPTION(&data),
		OPTION_TEXT("account", &account, "ID", "Owning account, decimal digits (default: one fixed account)."),
		OPTION_TEXT("name", &name, "TEXT", "A note on what the key is for."),
		JSON_OPTION(&as_json),
	};
	struct data_keys keys = { 0 };
	struct access_key key;
	struct err err = { 0 };
	struct buf out;
	int code;

	if (!args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	buf_init(&out, OUT_MAX);
	enum rc rc = data_keys_open(data_dir(data), /* makes= */ true, &keys, &err);
	if (rc == RC_OK && account && (!*account || account[strspn(account, "0123456789")] || strlen(account) > 20))
		rc = err_set(&err, RC_INVALID, "--account is 1 to 20 decimal digits, not '%.60s'", account);
	if (rc == RC_OK)
		rc = keyring_create(keys.ring, keys.store, account, name, keys.arena, &key, &err);
	if (rc == RC_OK)
		key_print(&key, as_json, &out);
	data_keys_close(&keys);
	return say_result(c, rc, &err, &out);
}

static void print_list(const struct access_key *keys, size_t n, struct arena *a, struct buf *out)
{
	static const char *const heads[] = { "ACCESS KEY ID", "ACCOUNT", "STATE", "CREATED (UTC)", "NAME" };
	struct sheet s;

	sheet_init(&s, a, heads, ARRAY_LEN(heads));
	for (size_t i = 0; i < n; i++) {
		const char *cells[] = { keys[i].id, keys[i].account, keys[i].is_active ? "active" : "disabled",
			                say_time(a, keys[i].created_at), keys[i].name };
		sheet_row(&s, cells);
	}
	sheet_print(&s, out);
}

static void print_list_json(const struct access_key *keys, size_t n, struct buf *out)
{
	struct jw w;

	jw_init(&w, out, CASING_CAMEL);
	jw_array(&w);
	for (size_t i = 0; i < n; i++)
		key_print_json(&keys[i], &w);
	jw_end_array(&w);
}

static int run_list(const struct command *c, int argc, char **argv)
{
	const char *data = NULL, *operands[OPERANDS_MAX];
	bool as_json = false;
	struct opt opts[] = { DATA_OPTION(&data), JSON_OPTION(&as_json) };
	struct data_keys k = { 0 };
	struct access_key *keys = NULL;
	struct err err = { 0 };
	struct buf out;
	size_t n = 0;
	int code;

	if (!args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	buf_init(&out, OUT_MAX);
	enum rc rc = data_keys_open(data_dir(data), /* makes= */ false, &k, &err);
	if (rc == RC_OK)
		rc = keyring_list(k.store, k.arena, &keys, &n, &err);
	if (rc == RC_OK && as_json)
		print_list_json(keys, n, &out);
	else if (rc == RC_OK)
		print_list(keys, n, k.arena, &out);
	data_keys_close(&k);
	return say_result(c, rc, &err, &out);
}

static enum rc enable(struct store *s, const char *id, struct err *err) { return keyring_set_active(s, id, true, err); }
static enum rc disable(struct store *s, const char *id, struct err *err)
{
	return keyring_set_active(s, id, false, err);
}

/* A change of one key by its id, in its own words. */
static int run_change(const struct command *c, int argc, char **argv,
                      enum rc (*change)(struct store *s, const char *id, struct err *err), const char *done)
{
	const char *data = NULL, *operands[OPERANDS_MAX];
	bool as_json = false;
	struct opt opts[] = { DATA_OPTION(&data), JSON_OPTION(&as_json) };
	struct data_keys k = { 0 };
	struct err err = { 0 };
	struct buf out;
	int code;

	if (!args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	buf_init(&out, OUT_MAX);
	enum rc rc = data_keys_open(data_dir(data), /* makes= */ false, &k, &err);
	if (rc == RC_OK)
		rc = change(k.store, operands[0], &err);
	if (rc == RC_OK)
		buf_addf(&out, as_json ? "{\"access_key_id\":\"%s\",\"state\":\"%s\"}" : "%s is %s.", operands[0],
		         done);
	data_keys_close(&k);
	return say_result(c, rc, &err, &out);
}

static int run_enable(const struct command *c, int argc, char **argv)
{
	return run_change(c, argc, argv, enable, "active");
}

static int run_disable(const struct command *c, int argc, char **argv)
{
	return run_change(c, argc, argv, disable, "disabled");
}

static int run_delete(const struct command *c, int argc, char **argv)
{
	return run_change(c, argc, argv, keyring_delete, "deleted");
}

const struct command command_key_create = {
	.name = "key create",
	.operands = "",
	.summary = "Make an access key.",
	.example = "stint key create --data ./stint-data --name laptop --json",
	.run = run_create,
};
const struct command command_key_list = {
	.name = "key list",
	.operands = "",
	.summary = "List access keys, without their secrets.",
	.example = "stint key list --data ./stint-data",
	.run = run_list,
};
const struct command command_key_enable = {
	.name = "key enable",
	.operands = "ACCESS_KEY_ID",
	.summary = "Let a disabled key sign requests again.",
	.example = "stint key enable LTAIexampleexampleexampl --data ./stint-data",
	.run = run_enable,
};
const struct command command_key_disable = {
	.name = "key disable",
	.operands = "ACCESS_KEY_ID",
	.summary = "Refuse requests signed with a key.",
	.example = "stint key disable LTAIexampleexampleexampl --data ./stint-data",
	.run = run_disable,
};
const struct command command_key_delete = {
	.name = "key delete",
	.operands = "ACCESS_KEY_ID",
	.summary = "Delete a key for good.",
	.example = "stint key delete LTAIexampleexampleexampl --data ./stint-data",
	.run = run_delete,
};
