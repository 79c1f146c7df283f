/* Crash points in processes made for them: which order does what, and who takes one that stands in a file. */
#include "base/crash.h"
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/must.h"
#include "test.h"

static char order_path[PATH_MAX / 2];

static void put_order(const char *text)
{
	int fd = open(order_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0);
	must(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	must(close(fd) == 0);
}

/* Pass the points named by the letters of route, each as one name; how the process ended, or stopped. */
static int pass(const char *spec, const char *route, pid_t *out)
{
	int status;

	(void)fflush(stdout);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		crash_arm(spec);
		for (char name[2] = ""; *route; route++) {
			name[0] = *route;
			crash_point(name);
		}
		_exit(0);
	}
	must(waitpid(pid, &status, WUNTRACED) == pid);
	if (out)
		*out = pid;
	return status;
}

static bool is_killed(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }
static bool is_whole(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }

TEST(an_order_names_a_point_and_a_passing)
{
	const struct {
		const char *spec, *route;
		bool dies;
	} row[] = {
		{ "a", "a", true },       { "a", "b", false },     { "a:2", "ab", false },    { "a:2", "aba", true },
		{ NULL, "aaa", false },   { "", "a", false },      { "a:0", "a", false },     { "a:-1", "a", false },
		{ "a:x", "a", false },    { "a:1x", "a", false },  { "a:1 ever", "a", false }, { ":1", "a", false },
		{ "a each", "a", true },  { "a:2147483648", "a", false },
	};
	FOR_EACH_ROW(i, row) {
		int status = pass(row[i].spec, row[i].route, NULL);
		EXPECT(row[i].dies ? is_killed(status) : is_whole(status), "%s on %s: status %d",
		       row[i].spec ? row[i].spec : "none", row[i].route, status);
	}
}

TEST(a_stopped_process_goes_on_where_it_stood)
{
	pid_t pid;
	int status = pass("a:2 stop", "aaa", &pid);

	EXPECT(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "status %d", status);
	must(kill(pid, SIGCONT) == 0);
	must(waitpid(pid, &status, 0) == pid);
	EXPECT(is_whole(status), "status %d", status);
}

TEST(an_order_in_a_file_is_for_the_first_that_passes)
{
	char spec[PATH_MAX];
	(void)snprintf(spec, sizeof spec, "@%s", order_path);

	EXPECT(is_whole(pass(spec, "aaa", NULL)), "there is no file");
	put_order("a:2\n");
	EXPECT(is_whole(pass(spec, "bbb", NULL)), "another point");
	EXPECT(access(order_path, F_OK) == 0, "taken by a process that passes another point");
	EXPECT(is_killed(pass(spec, "bab a", NULL)), "not taken");
	EXPECT(access(order_path, F_OK) != 0, "not taken away");
	EXPECT(is_whole(pass(spec, "aaa", NULL)), "taken twice");
	put_order("a each");
	EXPECT(is_killed(pass(spec, "a", NULL)) && is_killed(pass(spec, "a", NULL)), "not for each");
	EXPECT(access(order_path, F_OK) == 0, "taken away");
	put_order("a:0\n");
	EXPECT(is_whole(pass(spec, "a", NULL)), "a bad order does something");
	must(unlink(order_path) == 0);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	(void)snprintf(order_path, sizeof order_path, "%.1000s/crash_test.%d", tmp ? tmp : "/tmp", (int)getpid());
	RUN(an_order_names_a_point_and_a_passing);
	RUN(a_stopped_process_goes_on_where_it_stood);
	RUN(an_order_in_a_file_is_for_the_first_that_passes);
	return test_failures != 0;
}
