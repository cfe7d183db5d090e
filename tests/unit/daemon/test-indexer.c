/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that keeps the index: there while nothing moves, and out of the way otherwise. */
#include "support.h"

#include "daemon/indexer.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

typedef struct {
    char *dir, *program, *started; /* the program notes each start there, as a line with its pid */
    gboolean busy;
    indexer *index;
} fixture;

static gboolean is_busy(gpointer user)
{
    return ((fixture *)user)->busy;
}

static void set_up(fixture *f, gconstpointer does)
{
    g_autofree char *text = NULL;

    f->dir = scratch_new();
    f->program = g_build_filename(f->dir, "program", NULL);
    f->started = g_build_filename(f->dir, "started", NULL);
    text = g_strdup_printf("#!/bin/sh\ntest \"$*\" = '--index --config /some/conf' || exit 1\n"
                           "echo $$ >> %s\n%s\n",
                           f->started, (const char *)does);
    g_assert_true(g_file_set_contents(f->program, text, -1, NULL));
    g_assert_cmpint(chmod(f->program, 0755), ==, 0);
    f->index = indexer_new(f->program, "/some/conf", is_busy, f);
}

static void tear_down(fixture *f, gconstpointer does)
{
    indexer_free(f->index);
    g_free(f->program);
    g_free(f->started);
    scratch_remove(f->dir);
}

static guint starts(fixture *f)
{
    g_autofree char *text = NULL;
    guint count = 0;

    if (g_file_get_contents(f->started, &text, NULL, NULL))
        for (const char *at = text; (at = strchr(at, '\n')); at++)
            count++;
    return count;
}

/* The letter of its state in /proc: T while it is stopped. */
static char state_of(int pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid), *text = NULL;
    const char *after;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    after = strrchr(text, ')');
    return after ? after[2] : 0;
}

static int pid_of(fixture *f)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(f->started, &text, NULL, NULL));
    return atoi(text);
}

static void it_stops_while_something_moves(fixture *f, gconstpointer does)
{
    int pid, status;

    f->busy = TRUE;
    indexer_offer(f->index);
    f->busy = FALSE;
    indexer_offer(f->index);
    wait_until(starts(f) == 1);
    pid = pid_of(f);
    indexer_offer(f->index); /* one is enough */
    f->busy = TRUE;
    wait_until(state_of(pid) == 'T');
    f->busy = FALSE;
    wait_until(state_of(pid) == 'S');
    f->busy = TRUE;
    wait_until(state_of(pid) == 'T');
    g_clear_pointer(&f->index, indexer_free); /* stopped or not, it ends with us */
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(WTERMSIG(status), ==, SIGKILL);
    g_assert_cmpuint(starts(f), ==, 1);
}

/* Is its child gone, and seen to be? */
static gboolean has_ended(fixture *f)
{
    return starts(f) > 0 && state_of(pid_of(f)) == 0;
}

static void it_rests_unless_something_has_moved(fixture *f, gconstpointer does)
{
    indexer_offer(f->index);
    wait_until(has_ended(f));
    indexer_offer(f->index);
    indexer_offer(f->index);
    f->busy = TRUE;
    indexer_offer(f->index);
    g_assert_cmpuint(starts(f), ==, 1);
    f->busy = FALSE;
    indexer_offer(f->index);
    wait_until(starts(f) == 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/indexer/stops", fixture, "exec sleep 600", set_up, it_stops_while_something_moves,
               tear_down);
    g_test_add("/indexer/rests", fixture, "exit 0", set_up, it_rests_unless_something_has_moved,
               tear_down);
    return g_test_run();
}
