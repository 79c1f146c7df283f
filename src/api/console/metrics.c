/*
 * /metrics: Prometheus text of requests, connections and the engine. What cannot be read is left out and logged;
 * a scrape should not fail as a whole because the store does.
 */
#include "api/opensearch/answer.h"
#include "api/opensearch/routes.h"
#include "base/log.h"
#include "base/metric.h"

enum { METRICS_MAX_SIZE = 4 << 20 };

static void write_connections(struct call *c, struct buf *out)
{
	struct http_stats stats;

	if (!api_http_stats(c->api, &stats))
		return;
	metric_head(out, "stint_http_connections", "gauge", "Connections open now.");
	metric_value(out, "stint_http_connections", "", (double)stats.connections);
	metric_head(out, "stint_http_connections_accepted_total", "counter", "Connections accepted.");
	metric_value(out, "stint_http_connections_accepted_total", "", (double)stats.accepted);
	metric_head(out, "stint_http_connections_refused_total", "counter", "Connections refused over the limit.");
	metric_value(out, "stint_http_connections_refused_total", "", (double)stats.refused);
}

static void write_engine(struct call *c, struct buf *out)
{
	struct engine_view *view;
	struct err err = { 0 };

	enum rc rc = call_view(c, &view, &err);
	if (!rc && engine_metrics(view, out, &err)) {
		call_spoil_view(c);
		rc = RC_IO;
	}
	if (rc)
		log_error("api.metrics_failed", "request=%s why=\"%s\"", c->req->id, err.msg);
	metric_head(out, "stint_up", "gauge", "1 when the engine takes changes.");
	metric_value(out, "stint_up", "", api_not_ready(c->api) ? 0 : 1);
}

void console_metrics(struct call *c)
{
	struct buf body;

	buf_init(&body, METRICS_MAX_SIZE);
	metric_head(&body, "stint_build_info", "gauge", "Always 1; the version is a label.");
	metric_value(&body, "stint_build_info", "version=\"" STINT_VERSION "\"", 1);
	figures_write(api_figures(c->api), &body);
	write_connections(c, &body);
	write_engine(c, &body);
	call_reply(c, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
	buf_fini(&body);
}
