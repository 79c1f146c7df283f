/*
 * Settings files. Numbers and words keep to their option's rule; what was given on the command line stays; a text that
 * was set stands whole in a line of the file; a refusal names the file.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "cmd/settings.h"
#include "fuzz.h"

enum { ARENA_SIZE = 1 << 20 };

/* Is value all that stands behind '=' or ':' in some line, but for blanks and a comment? */
static bool stands_in_a_line(const char *text, const char *value)
{
	size_t len = strlen(value);

	for (const char *line = text, *next; line; line = next) {
		next = strchr(line, '\n');
		next = next ? next + 1 : NULL;
		size_t line_len = strcspn(line, "\n"), sign = strcspn(line, "=:");
		if (sign >= line_len)
			continue;
		const char *p = line + sign + 1, *end = line + line_len;
		while (p < end && strchr(" \t\r\v\f", *p))
			p++;
		if ((size_t)(end - p) < len || memcmp(p, value, len) != 0)
			continue;
		const char *rest = p + len;
		while (rest < end && strchr(" \t\r\v\f", *rest))
			rest++;
		if (rest == end || (*rest == ';' && (len == 0 || rest > p + len)))
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a CLEANUP(arena_freep) = arena_new(ARENA_SIZE);
	const char *listen = "default", *auth = "strict", *given = "given", *config = NULL;
	int64_t threads = 1;
	bool is_quiet = false;
	struct opt_list roots = { .n = 0 };
	struct opt opts[] = {
		OPTION_TEXT("listen", &listen, "HOST:PORT", "Address."),
		OPTION_CHOICE("auth", &auth, "MODE", "strict|lax|off", "Mode."),
		OPTION_INT("max-running", &threads, "N", 1, 64, "Threads."),
		OPTION_LIST("import-root", &roots, "PATH", "Folders."),
		OPTION_FLAG("quiet", &is_quiet, "Quiet."),
		OPTION_TEXT("data", &given, "DIR", "Given on the command line."),
		OPTION_TEXT("config", &config, "FILE", "The file itself."),
	};
	struct fuzz_file f;
	struct err err = { 0 };
	char *text = fuzz_text(data, size, NULL);

	opts[5].is_given = true;
	fuzz_file_open(&f, data, size);
	enum rc rc = settings_read(f.path, opts, ARRAY_LEN(opts), a, &err);
	CHECK(threads >= 1 && threads <= 64, "%lld threads", (long long)threads);
	CHECK(strcmp(auth, "strict") == 0 || strcmp(auth, "lax") == 0 || strcmp(auth, "off") == 0, "auth %s", auth);
	CHECK(strcmp(given, "given") == 0 && !config, "the command line was overruled");
	CHECK(roots.n >= 0 && roots.n <= OPT_LIST_MAX, "%d roots", roots.n);
	if (rc != RC_OK) {
		fuzz_check_refusal(rc, &err);
		CHECK(strstr(err.msg, f.path), "'%s' does not name the file", err.msg);
	} else {
		CHECK(strcmp(listen, "default") == 0 || stands_in_a_line(text, listen), "listen is '%s'", listen);
		for (int i = 0; i < roots.n; i++)
			CHECK(stands_in_a_line(text, roots.items[i]), "a root is '%s'", roots.items[i]);
	}
	fuzz_file_close(&f);
	mem_free(text);
	return 0;
}
