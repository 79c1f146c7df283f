/* init: a data folder ready to serve: folders, database, secret key, one access key, a settings file to edit. */
#include <stdio.h>
#include <string.h>
#include "cmd/args.h"
#include "cmd/data.h"
#include "cmd/key.h"
#include "cmd/say.h"
#include "os/file.h"

static const char settings_text[] =
        "; Settings of `stint serve --config`. Names are the options' (docs/configuration.md); the command line wins.\n"
        "\n"
        "; listen = 127.0.0.1:8080\n"
        "; threads = 2\n"
        "; max_running = 2\n"
        "; import_root = /srv/clicks\n"
        "; tls_cert = /etc/stint/cert.pem\n"
        "; tls_key = /etc/stint/key.pem\n"
        "; auth = strict\n"
        "; log_level = info\n";

static enum rc write_settings(const char *dir, struct err *err)
{
	char path[PATH_MAX];

	enum rc rc = path_join(path, dir, "stint.ini", err);
	if (rc != RC_OK || file_exists(path))
		return rc;
	return file_replace(path, settings_text, sizeof settings_text - 1, 0600, err);
}

/* The first active key, made when there is none. */
static enum rc first_key(struct data_keys *keys, struct access_key *key, bool *is_new, struct err *err)
{
	*is_new = false;
	enum rc rc = data_keys_first(keys, key, err);
	if (rc != RC_NOT_FOUND)
		return rc;
	*is_new = true;
	return keyring_create(keys->ring, keys->store, NULL, "made by stint init", keys->arena, key, err);
}

static int run_init(const struct command *c, int argc, char **argv)
{
	const char *given = NULL, *operands[OPERANDS_MAX];
	bool as_json = false, is_new = false;
	struct opt opts[] = {
		OPTION_TEXT("data", &given, "DIR", "Data folder (default $STINT_DATA, else ./stint-data)."),
		OPTION_FLAG("json", &as_json, "Print the access key as JSON."),
	};
	struct data_keys keys = { 0 };
	struct access_key key;
	struct err err = { 0 };
	struct buf out;
	int code;

	if (!args_read(c, opts, ARRAY_LEN(opts), argc, argv, operands, &code))
		return code;
	const char *dir = data_dir(given);
	buf_init(&out, 64 << 10);
	enum rc rc = data_keys_open(dir, /* makes= */ true, &keys, &err);
	if (rc == RC_OK)
		rc = write_settings(dir, &err);
	if (rc == RC_OK)
		rc = first_key(&keys, &key, &is_new, &err);
	if (rc == RC_OK && as_json)
		key_print(&key, true, &out);
	else if (rc == RC_OK)
		buf_addf(&out,
		         "%s is ready; its %s access key is %s.\nNext:\n"
		         "  stint serve --data %s --config %s/stint.ini\n  stint env --data %s\n",
		         dir, is_new ? "new" : "first", key.id, dir, dir, dir);
	data_keys_close(&keys);
	return say_result(c, rc, &err, &out);
}

const struct command command_init = {
	.name = "init",
	.operands = "",
	.summary = "Make a data folder with a first access key.",
	.example = "stint init --data ./stint-data",
	.run = run_init,
};
