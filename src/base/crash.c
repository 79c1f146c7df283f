#include "base/crash.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/num.h"

enum { NAME_MAX_LEN = 63, ORDER_MAX = 128 };

struct order {
	char name[NAME_MAX_LEN + 1]; /* "": none */
	int64_t passings_left;
	bool is_stop, is_for_each;
};

atomic_bool crash_is_watching = true;

static pthread_once_t read_once = PTHREAD_ONCE_INIT;
/* Of what follows. A leaf: nothing is called under it but the kernel. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct order order;
static char order_file[PATH_MAX]; /* "": the order does not change */

static bool order_read(const char *text, struct order *out)
{
	size_t len = strcspn(text, ": \n"), digits;
	struct order o = { .passings_left = 1 };

	if (len == 0 || len > NAME_MAX_LEN)
		return false;
	memcpy(o.name, text, len);
	text += len;
	if (*text == ':') {
		digits = strcspn(++text, " \n");
		if (!num_i64_n(text, digits, &o.passings_left) || o.passings_left < 1 || o.passings_left >= INT32_MAX)
			return false;
		text += digits;
	}
	o.is_stop = strncmp(text, " stop", 5) == 0;
	o.is_for_each = strncmp(text, " each", 5) == 0;
	text += o.is_stop || o.is_for_each ? 5 : 0;
	if (strcmp(text, "") != 0 && strcmp(text, "\n") != 0)
		return false;
	*out = o;
	return true;
}

static void arm(const char *spec)
{
	order = (struct order){ .name = "" };
	order_file[0] = '\0';
	int len = spec && *spec == '@' ? snprintf(order_file, sizeof order_file, "%s", spec + 1) : 0;
	bool is_file = len > 0 && (size_t)len < sizeof order_file;
	atomic_store(&crash_is_watching, is_file || (spec && *spec != '@' && order_read(spec, &order)));
}

static void read_environment(void) { arm(getenv("STINT_CRASH_POINT")); }
static void read_nothing(void) {}

void crash_arm(const char *spec)
{
	(void)pthread_once(&read_once, read_nothing); /* the variable has no say any more */
	arm(spec);
}

/* Take the order in the file, if there is one for this point and nobody else was faster. */
static void look_for_order(const char *name)
{
	char text[ORDER_MAX + 1];
	struct order found;
	int fd = open(order_file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	ssize_t n = read(fd, text, ORDER_MAX);
	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (!order_read(text, &found) || strcmp(found.name, name) != 0)
		return;
	if (found.is_for_each || unlink(order_file) == 0)
		order = found;
}

/* Is this the passing that was waited for? */
static bool is_due(const char *name, bool *is_stop)
{
	(void)pthread_mutex_lock(&lock);
	if (!*order.name && *order_file)
		look_for_order(name);
	bool is_now = *order.name && strcmp(name, order.name) == 0 && --order.passings_left == 0;
	*is_stop = order.is_stop;
	if (is_now)
		order.name[0] = '\0';
	(void)pthread_mutex_unlock(&lock);
	return is_now;
}

void crash_passed(const char *name)
{
	bool is_stop;

	(void)pthread_once(&read_once, read_environment); /* fails only for a bad argument */
	if (!is_due(name, &is_stop))
		return;
	(void)kill(getpid(), is_stop ? SIGSTOP : SIGKILL); /* cannot fail for oneself */
	while (!is_stop)
		(void)pause();
}
