/*
 * curl: libcurl, loaded by the first command that calls a server.
 *
 * Not linked: `stint serve` and the `stint job` of each task are this same program and call nobody, but the loader
 * would bring libcurl's thirty libraries into each of them, at every start.
 *
 * Threads:  one owner at a time.
 * Errors:   RC_NOT_FOUND, with what the loader says, when it is not installed or too old.
 */
#ifndef CMD_CURL_H
#define CMD_CURL_H

#include <curl/curl.h>
#include "base/err.h"

/* The functions we call, each under its name without "curl_". */
#define CURL_CALLS(X)                                                                               \
	X(easy_init) X(easy_cleanup) X(easy_reset) X(easy_setopt) X(easy_perform) X(easy_getinfo)   \
	X(easy_strerror) X(slist_append) X(slist_free_all)

struct curl_calls {
#define X(name) __typeof__(curl_##name) *name;
	CURL_CALLS(X)
#undef X
};

/* The same at each call; it stays loaded. */
enum rc curl_load(const struct curl_calls **out, struct err *err) NODISCARD;

#endif
