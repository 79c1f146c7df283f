/*
 * links: addresses of this server's files that need no key, for whoever has them, until a moment in time. Private to
 * api/dcs.
 *
 * What a link opens stands in its path, the end of its life and a signature of both in its query. The signature's key
 * is derived from DATA/secret.key: links outlive the server's restarts, and none can be made without it. Nothing is
 * stored, so a link can be taken back only by deleting what it opens.
 */
#ifndef API_DCS_LINKS_H
#define API_DCS_LINKS_H

#include "api/dcs/answer.h"

/* "http://host:port" as the caller reached this server; NULL when he does not say. */
const char *link_origin(struct call *c);
/* A link to path (no query; only characters that need no encoding), good for life_s from now. NULL: answered. */
const char *link_make(struct call *c, const char *path, int64_t life_s);
/* For the open route that a link leads to: signed here, for this path, and not over. c->view is there then. False:
 * answered with 403. */
bool link_check(struct call *c);
/* Send the file of a link under that name. */
void link_send(struct call *c, const char *path, const char *content_type, const char *name);
/* There is nothing at the end of a link that was good: 404. */
bool link_is_dead(struct call *c);

#endif
