/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a call waits for is said after a while, and not before; and giving up excludes the commit. */
#include "migrate/await.h"

#include <string.h>

typedef struct {
    status *shown;
    GMutex lock;
    GCond changed;
    guint changes; /* under lock */
} fixture;

static void on_changed(void *user)
{
    fixture *f = user;

    g_mutex_lock(&f->lock);
    f->changes++;
    g_cond_signal(&f->changed);
    g_mutex_unlock(&f->lock);
}

static void set_up(fixture *f, gconstpointer data)
{
    status_setup setup = {.id = "5d0f0000-0000-4000-8000-000000000001", .role = "source", .vm = "web01",
                          .peer = "zulu", .channels_wanted = 1, .changed = on_changed, .user = f};

    f->shown = status_new(&setup);
}

static void tear_down(fixture *f, gconstpointer data)
{
    status_free(f->shown);
}

static char *waiting(fixture *f)
{
    g_autoptr(JsonObject) shown = status_to_json(f->shown);

    return g_strdup(json_object_get_string_member_with_default(shown, "waiting", NULL));
}

static void test_short(fixture *f, gconstpointer data)
{
    await_end(await_begin(f->shown, "the answer of zulu"));
    g_assert_cmpuint(f->changes, ==, 0);
}

static void test_long(fixture *f, gconstpointer data)
{
    await *self = await_begin(f->shown, "the answer of zulu");
    g_autofree char *says = NULL, *afterwards = NULL;

    g_mutex_lock(&f->lock);
    while (!f->changes)
        g_cond_wait(&f->changed, &f->lock);
    g_mutex_unlock(&f->lock);
    says = waiting(f);
    g_assert_true(g_str_has_prefix(says, "waiting for the answer of zulu since "));
    await_end(self);
    afterwards = waiting(f);
    g_assert_null(afterwards);
}

static void test_given_up(fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(status_advance(f->shown, PHASE_SWITCHING, NULL));
    g_assert_true(status_give_up(f->shown, "stalled", "nothing moved"));
    g_assert_false(status_commit(f->shown, DECISION_GIVEN_UP, "00", &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_assert_cmpstr(status_error_code(f->shown), ==, "stalled");
    g_assert_cmpint(status_phase(f->shown), ==, PHASE_SWITCHING);
    g_assert_true(status_end(f->shown, FALSE, NULL));
    g_assert_cmpint(status_phase(f->shown), ==, PHASE_FAILED);
}

static void test_too_late(fixture *f, gconstpointer data)
{
    g_assert_true(status_advance(f->shown, PHASE_COMMITTING, NULL));
    g_assert_false(status_give_up(f->shown, "stalled", "nothing moved"));
    g_assert_null(status_error_code(f->shown));
}

static void test_phase(fixture *f, gconstpointer data)
{
    g_autofree char *says = NULL;

    g_assert_false(status_set_waiting_in(f->shown, PHASE_MIRRORING, "nothing"));
    g_assert_true(status_set_waiting_in(f->shown, PHASE_QUEUED, "a slot"));
    says = waiting(f);
    g_assert_cmpstr(says, ==, "a slot");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/await/" name, fixture, NULL, set_up, function, tear_down)
    ADD("what is soon over is not said", test_short);
    ADD("what takes long is said, as long as it takes", test_long);
    ADD("what was given up is not committed", test_given_up);
    ADD("what is being committed is not given up", test_too_late);
    ADD("a phase's waiting ends with it", test_phase);
    return g_test_run();
}
