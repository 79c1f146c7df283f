/* What `stint torture` knows and concludes, apart from any server: its model, its journal, its plan. */
#include "cmd/torture/model.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "cmd/torture/journal.h"
#include "cmd/torture/plan.h"
#include "cmd/torture/twin.h"
#include "os/file.h"
#include "test.h"

static struct findings findings;
static struct model model;
static struct instance_fact *one; /* a shared instance */

static void set_up(void)
{
	findings_init(&findings);
	model_init(&model, 1, &findings);
	one = &model.apps[0].instances[0];
	one->is = THERE;
}

static void tear_down(void)
{
	model_fini(&model);
	findings_fini(&findings);
}

/* So many findings since the last time; the first must say that. */
static bool found(size_t n, const char *rule, const char *says)
{
	bool is_so = findings.n_all == n &&
	             (n == 0 || (strcmp(findings.rows[0].rule, rule) == 0 && strstr(findings.rows[0].text, says)));
	if (!is_so)
		printf("%zu findings, the first: %s %s\n", findings.n_all, findings.n ? findings.rows[0].rule : "",
		       findings.n ? findings.rows[0].text : "");
	findings.n = findings.n_all = 0;
	return is_so;
}

static void create(int64_t n, enum outcome how)
{
	for (int64_t k = 0; k < n; k++) {
		model_creating(&model, one);
		model_created(&model, one, how);
	}
}

static struct sighting running(int64_t generation, int progress)
{
	return (struct sighting){ .generation = generation, .progress = progress, .run_id = "trigger__1" };
}

static struct sighting ended(int64_t generation)
{
	return (struct sighting){ .generation = generation,
		                  .progress = 100,
		                  .ended_at = 7,
		                  .is_over = true,
		                  .is_success = true,
		                  .run_id = "trigger__1" };
}

/* A whole list, asked for now and answered now: later than all before. */
static void list(const struct sighting *rows, size_t n)
{
	static int64_t now = 1000;
	now += 10;
	model_saw_list(&model, one, rows, n, /* reaches_end= */ true, now, now + 1);
}

TEST(what_was_acknowledged_must_be_there)
{
	set_up();
	create(2, DONE);
	struct sighting both[] = { running(2, 0), ended(1) };
	list(both, 2);
	model_compare_end(&model, one, 0);
	EXPECT(found(0, "", ""), "all is well");
	list(both, 1);
	EXPECT(found(1, "E1", "task 1 is missing"), "a record that was seen is lost");
	create(1, DONE);
	list(both, 2);
	model_compare_end(&model, one, 0);
	EXPECT(found(1, "E1", "3 creations were acknowledged"), "the newest is lost, never seen");
	tear_down();
}

TEST(what_was_not_answered_may_be_there_or_not)
{
	set_up();
	create(2, LOST);
	struct sighting rows[] = { ended(3), ended(2), ended(1) };
	list(&rows[2], 1);
	model_compare_end(&model, one, 0);
	EXPECT(found(0, "", ""), "one of two");
	EXPECT(one->n_created == 1 && one->n_lost == 0, "decided");
	list(&rows[1], 2);
	EXPECT(found(1, "E1", "there are 2 tasks, and 1 were asked for"), "decided is decided");
	tear_down();
}

TEST(generations_have_no_gap)
{
	set_up();
	create(3, DONE);
	struct sighting rows[] = { ended(3), ended(1) };
	list(rows, 2);
	model_compare_end(&model, one, 0);
	EXPECT(found(1, "E1", "1 are nowhere to be seen, the first is task 2"), "a gap");
	tear_down();
}

TEST(deleted_stays_deleted_and_a_lost_deletion_is_decided_once)
{
	set_up();
	create(2, DONE);
	bool is_over = false;
	struct sighting rows[] = { ended(2), ended(1) };
	list(rows, 2);
	EXPECT(model_deleting(&model, one, 2, &is_over) && is_over, "it had ended");
	EXPECT(!model_deleting(&model, one, 2, &is_over), "one at a time");
	model_deleted(&model, one, 2, DONE);
	int64_t after = clock_mono_us() + 1;
	model_saw_list(&model, one, rows, 2, true, after, after);
	EXPECT(found(1, "E1", "task 2 was deleted, and is there again"), "a number comes back");
	EXPECT(model_deleting(&model, one, 1, &is_over), "the other");
	model_deleted(&model, one, 1, LOST);
	model_saw_list(&model, one, rows, 0, true, after, after);
	model_compare_end(&model, one, 0);
	EXPECT(found(0, "", "") && one->tasks[0].record == DELETED, "it was");
	tear_down();
}

TEST(progress_does_not_fall_and_an_end_does_not_change)
{
	set_up();
	create(1, DONE);
	struct sighting at50 = running(1, 50), at40 = running(1, 40), end = ended(1), failed = end;
	failed.is_success = false;
	list(&at50, 1);
	model_saw_list(&model, one, &at40, 1, true, 0, 1);
	EXPECT(found(0, "", ""), "an answer that was overtaken proves nothing");
	list(&at40, 1);
	EXPECT(found(1, "E6", "fell from 50 to 40"), "a fall");
	list(&end, 1);
	list(&failed, 1);
	EXPECT(found(1, "E6", "had ended well"), "another end");
	list(&end, 1);
	EXPECT(found(1, "E6", "had ended failed"), "and back again");
	list(&at50, 1);
	EXPECT(found(2, "E6", "fell"), "back to running");
	tear_down();
}

TEST(one_unfinished_task_at_a_time)
{
	set_up();
	create(2, DONE);
	struct sighting rows[] = { running(2, 0), running(1, 0) };
	list(rows, 2);
	EXPECT(found(1, "E2", "2 tasks are unfinished"), "two");
	struct sighting old[] = { ended(2), running(1, 0) };
	list(old, 2);
	EXPECT(found(1, "E2", "not the newest"), "an old one");
	tear_down();
}

/* ---- the model of a copy ---- */

static struct model twin;

/* The copy was begun; from now on `one` is the twin's when it is looked at. */
static void begin_copy(void) { twin_take(&model, &twin); }

static void twin_shows(const struct sighting *rows, size_t n)
{
	static int64_t now = 100000;
	now += 10;
	model_saw_list(&twin, &twin.apps[0].instances[0], rows, n, true, now, now + 1);
	model_compare_end(&twin, &twin.apps[0].instances[0], 0);
}

TEST(a_copy_has_all_that_was_acknowledged_before_it)
{
	set_up();
	create(2, DONE);
	struct sighting rows[] = { ended(3), ended(2), ended(1) };
	list(&rows[1], 2);
	begin_copy();
	create(1, DONE);
	twin_follow(&twin, &model);
	twin_shows(&rows[1], 2);
	EXPECT(found(0, "", ""), "what was created since may be absent");
	model_fini(&twin);

	begin_copy();
	twin_follow(&twin, &model);
	twin_shows(&rows[2], 1);
	EXPECT(found(2, "E1", "task 2 is missing"), "what was acknowledged may not");
	model_fini(&twin);
	tear_down();
}

TEST(a_copy_has_nothing_that_nobody_asked_for)
{
	set_up();
	create(1, DONE);
	struct sighting rows[] = { ended(2), ended(1) };
	list(&rows[1], 1);
	begin_copy();
	twin_follow(&twin, &model);
	twin_shows(rows, 2);
	EXPECT(found(1, "E1", "there are 2 tasks, and 1 were asked for"), "one too many");
	model_fini(&twin);
	tear_down();
}

TEST(what_was_asked_for_during_a_copy_comes_in_its_order)
{
	bool is_over;
	struct sighting rows[] = { ended(4), ended(3), ended(2), ended(1) };
	struct sighting without_3[] = { ended(4), ended(2), ended(1) }, without_1[] = { ended(4), ended(3), ended(2) };

	set_up();
	create(2, DONE);
	list(&rows[2], 2);
	begin_copy();
	create(2, DONE);
	list(rows, 4);
	EXPECT(model_deleting(&model, one, 1, &is_over), "its deletion");
	model_deleted(&model, one, 1, DONE);
	twin_follow(&twin, &model);
	twin_shows(without_1, 3);
	EXPECT(found(0, "", ""), "deleted meanwhile");
	model_fini(&twin);
	tear_down();

	set_up();
	create(2, DONE);
	list(&rows[2], 2);
	begin_copy();
	create(2, DONE);
	list(rows, 4);
	twin_follow(&twin, &model);
	twin_shows(without_3, 3);
	EXPECT(findings.n_all > 0, "task 4 cannot be there without task 3");
	model_fini(&twin);
	tear_down();
}

TEST(a_run_that_was_deleted_before_a_copy_showed_it_is_no_missing_one)
{
	bool is_over;
	struct sighting rows[] = { ended(2), ended(1) };

	set_up();
	create(1, DONE);
	list(&rows[1], 1);
	begin_copy();
	EXPECT(!model_lacks_deleted(&twin, &twin.apps[0].instances[0]), "none is");
	create(1, DONE);
	list(rows, 2);
	twin_follow(&twin, &model);
	EXPECT(!model_lacks_deleted(&twin, &twin.apps[0].instances[0]), "the newest is still there");
	EXPECT(model_deleting(&model, one, 2, &is_over), "its deletion");
	model_deleted(&model, one, 2, DONE);
	twin_follow(&twin, &model);
	EXPECT(model_lacks_deleted(&twin, &twin.apps[0].instances[0]), "the newest is gone");
	twin_shows(&rows[1], 1);
	EXPECT(!model_lacks_deleted(&twin, &twin.apps[0].instances[0]), "its number is free in the copy");
	model_fini(&twin);
	tear_down();
}

TEST(numbers_that_a_copy_came_too_early_for_are_free_in_it)
{
	set_up();
	begin_copy();
	create(1, DONE);
	struct sighting original = ended(1), anew = original;
	list(&original, 1);
	twin_follow(&twin, &model);
	twin_shows(NULL, 0);
	struct instance_fact *i = &twin.apps[0].instances[0];
	model_creating(&twin, i);
	model_created(&twin, i, DONE);
	anew.run_id = "trigger__2";
	twin_shows(&anew, 1);
	EXPECT(found(0, "", ""), "another run of that number");
	model_fini(&twin);
	tear_down();
}

TEST(an_instance_in_a_copy_is_as_it_was_or_as_it_was_asked_to_be_meanwhile)
{
	struct wish first = { .act = "succeed", .number = 1 }, second = { .act = "fail", .number = 2 };

	set_up();
	model_wishing(one, &first);
	begin_copy();
	model_wishing(one, &second);
	twin_follow(&twin, &model);
	const struct instance_fact *i = &twin.apps[0].instances[0];
	EXPECT(i->is == THERE && i->n_others == 1 && i->others[0].number == 2, "the second, and not the first");
	model_fini(&twin);

	begin_copy();
	model_wishing(one, NULL);
	twin_follow(&twin, &model);
	i = &twin.apps[0].instances[0];
	EXPECT(i->is == UNSURE && twin.apps[0].is_default_open, "it may have been deleted");
	model_fini(&twin);

	begin_copy();
	model_wishing(one, NULL);
	model_unwish(one);
	twin_follow(&twin, &model);
	EXPECT(twin.apps[0].instances[0].is == THERE, "a deletion that was refused changes nothing");
	model_fini(&twin);
	tear_down();
}

TEST(the_tasks_of_an_instance_that_may_be_another_are_unknown_until_it_was_seen)
{
	struct sighting rows[] = { ended(3), ended(2), ended(1) };

	set_up();
	create(3, DONE);
	list(rows, 3);
	begin_copy();
	model_wishing(one, NULL);
	twin_follow(&twin, &model);
	twin_shows(rows, 2);
	EXPECT(found(0, "", ""), "the old one, whose first task was deleted long ago");
	twin_shows(rows, 1);
	EXPECT(found(1, "E1", "task 2 is missing"), "from then on it is known");
	model_fini(&twin);

	begin_copy();
	model_wishing(one, NULL);
	twin_follow(&twin, &model);
	twin_shows(NULL, 0);
	twin_shows(rows, 1);
	EXPECT(found(0, "", ""), "the first new one comes after two that were deleted before the copy");
	twin_shows(NULL, 0);
	EXPECT(found(1, "E1", "task 3 is missing"), "and from then on it is known too");
	model_fini(&twin);
	tear_down();
}

/* ---- the journal ---- */

static void journal_says(const char *text, size_t n, const char *rule, const char *says)
{
	char folder[] = "/tmp/stint-torture-XXXXXX", path[4096];
	struct journal j;
	struct err err = { 0 };

	findings_init(&findings);
	EXPECT(mkdtemp(folder), "a folder");
	EXPECT(journal_open(&j, folder, &err) == RC_OK, "%s", err.msg);
	EXPECT(path_join(path, folder, JOURNAL_FILE, &err) == RC_OK, "%s", err.msg);
	for (const char *line = text; *line;) { /* line by line, so that it is read on from where it was */
		const char *end = strchr(line, '\n');
		size_t len = end ? (size_t)(end - line) + 1 : strlen(line);
		EXPECT(file_write(path, text, (size_t)(line - text) + len, 0600, &err) == RC_OK, "%s", err.msg);
		EXPECT(journal_read(&j, &findings, &err) == RC_OK, "%s", err.msg);
		line += len;
	}
	EXPECT(found(n, rule, says), "journal:\n%s", text);
	journal_close(&j);
	findings_fini(&findings);
	EXPECT(dir_remove(folder, &err) == RC_OK, "%s", err.msg);
}

TEST(the_journal_proves_who_worked_when)
{
	/* letter, instance, task, generation, attempt, process */
	journal_says("B 1 10 1 1 500\nW 1 10 1 1 500\nE 1 10 1 1 500\nB 1 11 2 1 501\nB 2 12 1 1 502\nE 2 12 1 1 502\n",
	             0, "", "");
	journal_says("B 1 10 1 1 500\nB 1 10 1 2 501\nW 1 10 1 1 500\n", 1, "E4",
	             "process 500 worked on task id 10 after");
	journal_says("B 1 10 1 1 500\nB 1 11 2 1 501\nE 1 10 1 1 500\n", 1, "E4",
	             "process 501 had begun on task id 11");
	journal_says("B 1 10 1 2 500\nB 1 10 1 2 501\n", 1, "E4", "attempt 2 of task id 10 began");
	journal_says("B 1 10 1 2 500\nB 1 10 1 1 501\n", 1, "E4", "attempt 1 of task id 10 began");
	journal_says("B 1 10 1 1 500\nX 1 10 1 500 501\n", 1, "E4", "found process 500 at work");
	journal_says("B 1 10 1 1 500\nnonsense\n", 1, "journal", "nonsense");
	journal_says("B 1 10 1 1 500\nW 1 10", 0, "", "");
}

TEST(an_end_is_known_by_task_and_attempt)
{
	char folder[] = "/tmp/stint-torture-XXXXXX", path[4096];
	struct journal j;
	struct err err = { 0 };

	findings_init(&findings);
	EXPECT(mkdtemp(folder) && journal_open(&j, folder, &err) == RC_OK, "%s", err.msg);
	EXPECT(path_join(path, folder, JOURNAL_FILE, &err) == RC_OK, "%s", err.msg);
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	struct journal_line line = { 'B', 1, 10, 1, 3, 500 };
	EXPECT(journal_write(fd, &line, &err) == RC_OK, "%s", err.msg);
	line.letter = 'E';
	EXPECT(journal_write(fd, &line, &err) == RC_OK, "%s", err.msg);
	(void)close(fd);
	EXPECT(journal_read(&j, &findings, &err) == RC_OK && findings.n_all == 0, "%s", err.msg);
	EXPECT(journal_has_ended(&j, 10, 3), "attempt 3 has");
	EXPECT(!journal_has_ended(&j, 10, 2) && !journal_has_ended(&j, 11, 3) && !journal_has_ended(&j, -1, 0),
	       "others not");
	journal_close(&j);
	findings_fini(&findings);
	EXPECT(dir_remove(folder, &err) == RC_OK, "%s", err.msg);
}

/* ---- the plan ---- */

TEST(a_seed_repeats_its_decisions)
{
	int n_same = 0, n_of[ENDINGS] = { 0 };

	for (int64_t round = 1; round <= 200; round++) {
		struct plan a, again, other;
		plan_make(42, round, &a);
		plan_make(42, round, &again);
		plan_make(43, round, &other);
		EXPECT(a.ending == again.ending && a.load_ms == again.load_ms && strcmp(a.crash, again.crash) == 0 &&
		               a.n_child_kills == again.n_child_kills,
		       "round %d", (int)round);
		EXPECT((a.ending == ENDING_POINT) == (*a.crash != '\0'), "a point has a name: %s", a.crash);
		for (int k = 0; k < a.n_child_kills; k++)
			EXPECT(a.child_kill_ms[k] >= (k ? a.child_kill_ms[k - 1] : 0) &&
			               a.child_kill_ms[k] <= a.load_ms,
			       "kill %d at %d of %d ms", k, (int)a.child_kill_ms[k], (int)a.load_ms);
		n_same += a.load_ms == other.load_ms;
		n_of[a.ending]++;
	}
	EXPECT(n_same < 10, "another seed decides otherwise");
	EXPECT(n_of[ENDING_KILL] > 50 && n_of[ENDING_POINT] > 40 && n_of[ENDING_CUT] > 5 && n_of[ENDING_STOP] > 5,
	       "%d %d %d", n_of[0], n_of[1], n_of[2]);
}

TEST(a_server_that_is_cut_off_may_have_stopped_just_before)
{
	EXPECT(ending_allows(ENDING_CUT, true, false, 0, 0), "faster than the kill");
	EXPECT(ending_allows(ENDING_CUT, true, false, -1, SIGKILL), "cut off");
	EXPECT(!ending_allows(ENDING_CUT, true, false, 1, 0) && !ending_allows(ENDING_CUT, true, false, -1, SIGABRT),
	       "it failed");
	EXPECT(!ending_allows(ENDING_CUT, false, false, 0, 0), "nobody had asked it yet");
	EXPECT(!ending_allows(ENDING_KILL, true, false, 0, 0), "nobody asked it");
	EXPECT(!ending_allows(ENDING_KILL, false, false, -1, SIGKILL), "killed by a stranger");
	EXPECT(ending_allows(ENDING_POINT, false, true, -1, SIGKILL), "at its point");
}

int main(void)
{
	RUN(what_was_acknowledged_must_be_there);
	RUN(what_was_not_answered_may_be_there_or_not);
	RUN(generations_have_no_gap);
	RUN(deleted_stays_deleted_and_a_lost_deletion_is_decided_once);
	RUN(progress_does_not_fall_and_an_end_does_not_change);
	RUN(one_unfinished_task_at_a_time);
	RUN(a_copy_has_all_that_was_acknowledged_before_it);
	RUN(a_copy_has_nothing_that_nobody_asked_for);
	RUN(what_was_asked_for_during_a_copy_comes_in_its_order);
	RUN(a_run_that_was_deleted_before_a_copy_showed_it_is_no_missing_one);
	RUN(numbers_that_a_copy_came_too_early_for_are_free_in_it);
	RUN(an_instance_in_a_copy_is_as_it_was_or_as_it_was_asked_to_be_meanwhile);
	RUN(the_tasks_of_an_instance_that_may_be_another_are_unknown_until_it_was_seen);
	RUN(the_journal_proves_who_worked_when);
	RUN(an_end_is_known_by_task_and_attempt);
	RUN(a_seed_repeats_its_decisions);
	RUN(a_server_that_is_cut_off_may_have_stopped_just_before);
	return test_failures != 0;
}
