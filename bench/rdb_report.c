/*
 * rdb_report FILE: the report of rdb/report.h on an RDB file, on standard output; and on standard error the most memory
 * this program ever had ("peak_kib=..."), as the kernel counts it since the start of the program. rdb-analysis runs it.
 */
#include "rdb/report.h"

#include <string.h>
#include "base/clock.h"
#include "os/file.h"

static void tell_peak(void)
{
	enum { STATUS_SIZE_MAX = 1 << 16 };
	struct buf b;
	buf_init(&b, STATUS_SIZE_MAX);
	if (file_read("/proc/self/status", &b, NULL) == RC_OK) {
		const char *line = strstr(buf_text(&b), "VmHWM:");
		if (line)
			(void)fprintf(stderr, "peak_kib=%.*s\n", (int)strcspn(line + 6, "\n"), line + 6);
	}
	buf_fini(&b);
}

int main(int argc, char **argv)
{
	enum { REPORT_SIZE_MAX = 16 << 20 };
	if (argc != 2) {
		(void)fprintf(stderr, "usage: rdb_report FILE\n");
		return 64;
	}
	const struct rdb_report_options o = { .now_ms = clock_wall_ms(), .top_n = 20, .depth = 1, .separator = ':' };
	struct rdb_report *r = rdb_report_new(&o);
	const struct rdb_visitor v = { r, rdb_report_key, NULL };
	struct rdb_info info;
	struct err e = { 0 };
	struct buf out;
	buf_init(&out, REPORT_SIZE_MAX);
	enum rc rc = rdb_read(argv[1], &v, &info, &e);
	if (rc == RC_OK) {
		rdb_report_write(r, &info, &out);
		(void)printf("%s\n", buf_text(&out)); /* the exit code is fflush's matter */
		rc = out.is_over ? err_set(&e, RC_LIMIT, "the report is too long") : RC_OK;
	}
	if (rc == RC_OK && fflush(stdout) != 0)
		rc = err_set(&e, RC_IO, "cannot write the report");
	if (rc != RC_OK)
		(void)fprintf(stderr, "%s\n", e.msg);
	tell_peak();
	buf_fini(&out);
	rdb_report_free(r);
	return rc_exit_code(rc);
}
