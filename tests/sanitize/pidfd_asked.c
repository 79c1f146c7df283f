/*
 * pidfd_open and pidfd_send_signal for a program under a valgrind that knows neither: tests/sanitize/pidfd_server,
 * which does not run under it, makes the two calls and sends back what came of them. Linked into the program in place
 * of the C library's functions by tests/sanitize/valgrind, and nowhere else. A descriptor from another process is as
 * good as one's own: it names the process, not who opened it.
 *
 * One connection per call, to the abstract socket PIDFD_SERVER. Request: "open PID" or "signal SIG" with the descriptor
 * attached. Answer: an errno or 0, as a number of four bytes, with the descriptor attached where one was asked for.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A control message of one descriptor. */
union attached {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

static int connect_server(void)
{
	static const char name[] = PIDFD_SERVER;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof name);

	_Static_assert(sizeof name < sizeof at.sun_path, "the name fits behind the zero byte that makes it abstract");
	memcpy(at.sun_path + 1, name, sizeof name - 1);
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s >= 0 && connect(s, (struct sockaddr *)&at, size) != 0) {
		(void)close(s);
		return -1;
	}
	return s;
}

static int send_request(int s, const char *text, int fd)
{
	struct iovec bytes = { .iov_base = (char *)(unsigned long)text, .iov_len = strlen(text) };
	union attached more = { .head = { CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr m = { .msg_iov = &bytes, .msg_iovlen = 1 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&more.head), &fd, sizeof fd);
		m.msg_control = more.room;
		m.msg_controllen = sizeof more.room;
	}
	return sendmsg(s, &m, MSG_NOSIGNAL) == (ssize_t)strlen(text) ? 0 : -1;
}

static int read_answer(int s, int *fd)
{
	int sys = 0;
	struct iovec bytes = { .iov_base = &sys, .iov_len = sizeof sys };
	union attached more;
	struct msghdr m = {
		.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = more.room, .msg_controllen = sizeof more.room
	};

	memset(&more, 0, sizeof more);
	*fd = -1;
	if (recvmsg(s, &m, MSG_CMSG_CLOEXEC | MSG_WAITALL) != (ssize_t)sizeof sys)
		return EIO;
	const struct cmsghdr *head = CMSG_FIRSTHDR(&m);
	if (head && head->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(head), sizeof *fd);
	return sys;
}

/* What the call answers, with errno set when that is -1. */
static int ask(const char *text, int attached, int *got)
{
	int s = connect_server();
	if (s < 0)
		return -1;
	int sys = send_request(s, text, attached) == 0 ? read_answer(s, got) : EIO;
	(void)close(s);
	errno = sys;
	return sys ? -1 : 0;
}

int pidfd_open(pid_t pid, unsigned flags)
{
	char text[32];
	int fd;

	(void)flags; /* ours are none */
	(void)snprintf(text, sizeof text, "open %d", (int)pid);
	return ask(text, -1, &fd) == 0 ? fd : -1;
}

int pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned flags)
{
	char text[32];
	int fd;

	(void)info; /* ours is always NULL */
	(void)flags;
	(void)snprintf(text, sizeof text, "signal %d", sig);
	return ask(text, pidfd, &fd);
}
