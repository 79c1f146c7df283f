#include "task/state.h"

static const char *const words[TASK_STATES] = { "pending", "running", "success", "failed" };
static const bool may[TASK_STATES][TASK_STATES] = {
	[TASK_PENDING] = { [TASK_RUNNING] = true },
	[TASK_RUNNING] = { [TASK_PENDING] = true, [TASK_SUCCESS] = true, [TASK_FAILED] = true },
};

const char *task_state_word(enum task_state s) { return words[s]; }
bool task_state_is_final(enum task_state s) { return s == TASK_SUCCESS || s == TASK_FAILED; }
bool task_state_may_become(enum task_state from, enum task_state to) { return may[from][to]; }

const char *task_fault_word(enum task_fault f)
{
	static const char *const faults[] = { "", "user", "machine", "timeout" };
	return faults[f];
}

int task_progress_next(int kept, int reported)
{
	if (reported > 99)
		reported = 99;
	return reported > kept ? reported : kept;
}

int task_backoff_ms(int attempt)
{
	enum { FIRST_MS = 1000, MOST_MS = 300000 };
	int ms = FIRST_MS;
	for (int i = 1; i < attempt && ms < MOST_MS; i++)
		ms *= 2;
	return ms < MOST_MS ? ms : MOST_MS;
}
