#include "cmd/curl.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include "base/attr.h"

/* The name under which every distribution has had it since 2006. */
#define LIBRARY "libcurl.so.4"

static const struct {
	const char *name;
	size_t offset;
} members[] = {
#define X(name) { "curl_" #name, offsetof(struct curl_calls, name) },
	CURL_CALLS(X)
#undef X
};

static enum rc find_all(void *library, struct curl_calls *out, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		void *found = dlsym(library, members[i].name);
		if (!found)
			return err_set(err, RC_NOT_FOUND, LIBRARY " has no %s", members[i].name);
		/* In POSIX pointers to functions are like others; C lets neither be assigned to the other. */
		memcpy((char *)out + members[i].offset, &found, sizeof found);
	}
	return RC_OK;
}

enum rc curl_load(const struct curl_calls **out, struct err *err)
{
	static struct curl_calls calls;
	static void *library;

	if (!library) {
		library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
		const char *why = library ? NULL : dlerror();
		if (!library)
			return err_set(err, RC_NOT_FOUND, "calls to a server need libcurl: %.200s",
				       why ? why : "not found");
		enum rc rc = find_all(library, &calls, err);
		if (rc != RC_OK) {
			(void)dlclose(library); /* nothing of it is in use */
			library = NULL;
			return rc;
		}
	}
	*out = &calls;
	return RC_OK;
}
