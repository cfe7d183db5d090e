/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Trying for ever: the reason is shown as long as there is one, and what may have died is made anew. */
#include "migrate/insist.h"

#include <string.h>

typedef struct {
    status *shown;
    guint tries, reopened, failures;
    gboolean needs_reopening;
} fixture;

static void set_up(fixture *f, gconstpointer data)
{
    status_setup setup = {.id = "5d0f0000-0000-4000-8000-000000000001", .role = "source", .vm = "web01",
                          .peer = "zulu", .channels_wanted = 1};

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

static gboolean step(void *user, GError **error)
{
    fixture *f = user;
    g_autofree char *says = waiting(f), *before = g_strdup_printf("failure %u", f->tries);

    if (f->tries > 0)
        g_assert_cmpstr(says, ==, before);
    f->tries++;
    if (f->tries > f->failures && f->needs_reopening == (f->reopened > 0))
        return TRUE;
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "failure %u", f->tries);
    return FALSE;
}

static void reopen(void *user)
{
    ((fixture *)user)->reopened++;
}

static void test_at_once(fixture *f, gconstpointer data)
{
    g_autofree char *says = NULL;

    status_set_waiting(f->shown, "for somebody else");
    f->tries = 0;
    insist(f->shown, step, reopen, f);
    says = waiting(f);
    g_assert_cmpuint(f->tries, ==, 1);
    g_assert_cmpuint(f->reopened, ==, 0);
    g_assert_cmpstr(says, ==, "for somebody else");
}

static void test_until_it_succeeds(fixture *f, gconstpointer data)
{
    g_autofree char *says = NULL;

    f->failures = 2;
    insist(f->shown, step, NULL, f);
    says = waiting(f);
    g_assert_cmpuint(f->tries, ==, 3);
    g_assert_null(says);
}

static void test_reopened(fixture *f, gconstpointer data)
{
    f->needs_reopening = TRUE;
    insist(f->shown, step, reopen, f);
    g_assert_cmpuint(f->tries, ==, 2);
    g_assert_cmpuint(f->reopened, ==, 1);
}

static void test_no_libvirt(fixture *f, gconstpointer data)
{
    settings conf = {.libvirt_socket = (char *)"/nonexistent/libvirt-sock"};
    job work = {.conf = &conf};
    virt_host *host = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_false(insist_open_host(&work, &host, &error));
    g_assert_nonnull(error);
    g_assert_null(host);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, function) g_test_add("/insist/" name, fixture, NULL, set_up, function, tear_down)
    ADD("what succeeds is done once", test_at_once);
    ADD("what fails is shown and tried again", test_until_it_succeeds);
    ADD("what has died is made anew", test_reopened);
    ADD("no libvirt is an error", test_no_libvirt);
    return g_test_run();
}
