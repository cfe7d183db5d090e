/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Holds as ferryd has them: what may be told to switch over, when, and what becomes of it in the queue. The fake worker
 * shows what it was told. */
#include "daemons.h"

#include <signal.h>
#include <string.h>

#define LATER "4000000000"

typedef struct {
    char *scratch;
    test_daemon *alpha;
    test_host *zulu;
} fixture;

static void set_up(fixture *f, gconstpointer extra)
{
    f->scratch = scratch_new();
    f->alpha = test_daemon_new(f->scratch, "alpha", extra);
    f->zulu = test_host_new(f->scratch, "zulu");
    test_host_pair(f->alpha->host, f->zulu);
    test_daemon_start(f->alpha);
}

static void tear_down(fixture *f, gconstpointer extra)
{
    test_daemon_free(f->alpha);
    test_host_free(f->zulu);
    scratch_remove(f->scratch);
}

static char *begin(fixture *f, const char *vm, const char *more)
{
    g_autofree char *body =
        g_strdup_printf("{\"vm\": \"%s\", \"target\": \"zulu\"%s}", vm, more);
    g_autoptr(JsonObject) move = local_call(f->alpha, "POST", "/v1/migrations", body, 201);

    return g_strdup(text_of(move, "id"));
}

static char *path_of(const char *id)
{
    return g_strdup_printf("/v1/migrations/%s/cutover", id);
}

/* "STATE" or "STATE TIME"; "-": none. */
static gboolean hold_is(fixture *f, const char *id, const char *expected)
{
    g_autofree char *path = g_strconcat("/v1/migrations/", id, NULL), *is = NULL;
    g_autoptr(JsonObject) move = local_call(f->alpha, "GET", path, NULL, 200);
    JsonObject *hold;
    gint64 at = 0;

    if (!json_get_object(move, "hold", &hold, NULL))
        return !strcmp(expected, "-");
    g_assert_true(json_opt_int(hold, "cutover_at", 1, G_MAXINT64, &at, 0, NULL));
    is = at ? g_strdup_printf("%s %" G_GINT64_FORMAT, text_of(hold, "state"), at)
            : g_strdup(text_of(hold, "state"));
    return !strcmp(is, expected);
}

static void cut_over(fixture *f, const char *id, const char *body)
{
    g_autofree char *path = path_of(id);

    json_object_unref(local_call(f->alpha, "POST", path, body, 202));
}

static void a_held_one_is_told(fixture *f, gconstpointer extra)
{
    g_autofree char *one = begin(f, "held01", ", \"hold\": true"), *path = path_of(one);

    wait_until(hold_is(f, one, "ready"));
    cut_over(f, one, "{\"at\": " LATER "}");
    wait_until(hold_is(f, one, "ready " LATER));
    cut_over(f, one, NULL);
    wait_until(hold_is(f, one, "over"));
    local_refused_saying(f->alpha, "POST", path, NULL, "409 conflict", "not held");
    move_signal(f->alpha, one, SIGUSR1);
    wait_until(move_is(f->alpha, one, "phase", "completed"));
    local_refused_saying(f->alpha, "POST", path, NULL, "409 conflict", "ended");
}

static void times_are_to_come(fixture *f, gconstpointer extra)
{
    g_autofree char *one = begin(f, "held01", ", \"hold\": true, \"cutover_at\": " LATER), *path = path_of(one);

    wait_until(hold_is(f, one, "ready " LATER));
    local_refused_saying(f->alpha, "POST", path, "{\"at\": 1000000000}", "400 bad-request", "past");
    local_refused(f->alpha, "POST", path, "{\"at\": \"now\"}", "400 bad-request");
    local_refused(f->alpha, "POST", path, "{\"when\": " LATER "}", "400 bad-request");
    local_refused(f->alpha, "POST", "/v1/migrations/none/cutover", NULL, "404 unknown-migration");
    local_refused_saying(f->alpha, "POST", "/v1/migrations",
                         "{\"vm\": \"web02\", \"target\": \"zulu\", \"hold\": true, \"cutover_at\": 1000000000}",
                         "400 bad-request", "past");
    wait_until(hold_is(f, one, "ready " LATER));
}

static void one_that_is_not_held_is_not_told(fixture *f, gconstpointer extra)
{
    g_autofree char *one = begin(f, "web01", ""), *path = path_of(one);

    wait_until(move_is(f->alpha, one, "phase", "mirroring"));
    g_assert_true(hold_is(f, one, "-"));
    local_refused_saying(f->alpha, "POST", path, NULL, "409 conflict", "not held");
}

/* It makes no load, so it needs no slot. */
static void a_ready_one_leaves_its_slot(fixture *f, gconstpointer extra)
{
    g_autofree char *one = begin(f, "web01", ", \"hold\": true"), *two = begin(f, "web02", "");
    g_autofree char *three = NULL, *four = NULL;

    wait_until(move_is(f->alpha, one, "phase", "mirroring"));
    g_assert_true(move_is(f->alpha, two, "phase", "queued"));
    move_signal(f->alpha, one, SIGUSR1);
    wait_until(move_is(f->alpha, two, "phase", "mirroring"));
    move_signal(f->alpha, two, SIGUSR1);
    wait_until(move_is(f->alpha, two, "phase", "completed"));
    three = begin(f, "held03", ", \"hold\": true");
    wait_until(hold_is(f, three, "ready"));
    four = begin(f, "web04", "");
    wait_until(move_is(f->alpha, four, "phase", "mirroring"));
}

static void a_queued_one_begins_as_it_was_told(fixture *f, gconstpointer extra)
{
    g_autofree char *one = begin(f, "web01", ""), *two = begin(f, "held02", ", \"hold\": true");
    g_autofree char *three = begin(f, "held03", ", \"hold\": true");

    g_assert_true(hold_is(f, two, "preparing"));
    cut_over(f, two, "{\"at\": " LATER "}");
    g_assert_true(hold_is(f, two, "preparing " LATER));
    cut_over(f, three, NULL);
    g_assert_true(hold_is(f, three, "-"));
    test_daemon_stop(f->alpha, SIGKILL);
    test_daemon_start(f->alpha);
    g_assert_true(hold_is(f, two, "preparing " LATER));
    g_assert_true(hold_is(f, three, "-"));
    move_signal(f->alpha, one, SIGUSR1);
    wait_until(hold_is(f, two, "ready " LATER));
}

static char *cutover_text(fixture *f, const char *group, const char *body)
{
    g_autofree char *path = g_strdup_printf("/v1/groups/%s/cutover", group);
    g_autoptr(JsonObject) answer = local_call(f->alpha, "POST", path, body, 202);
    JsonArray *ids;

    g_assert_cmpstr(text_of(answer, "group"), ==, group);
    g_assert_true(json_get_array(answer, "migrations", &ids, NULL));
    return g_strdup_printf("%u", json_array_get_length(ids));
}

static void a_group_begins_when_all_are_ready(fixture *f, gconstpointer extra)
{
    static const char shop[] = ", \"hold\": true, \"group\": \"shop\"";
    static const char path[] = "/v1/groups/shop/cutover";
    g_autofree char *one = begin(f, "held01", shop), *two = begin(f, "held02", shop), *alone = path_of(one);
    g_autofree char *three = begin(f, "web03", shop), *other = begin(f, "held04", ", \"hold\": true");
    g_autofree char *count = NULL, *cancel = g_strdup_printf("/v1/migrations/%s/cancel", three);

    wait_until(hold_is(f, one, "ready") && hold_is(f, two, "ready") && hold_is(f, three, "preparing") &&
               hold_is(f, other, "ready"));
    local_refused_saying(f->alpha, "POST", alone, NULL, "409 conflict", "--group shop");
    local_refused(f->alpha, "POST", "/v1/groups/none/cutover", NULL, "404 unknown-group");
    local_refused(f->alpha, "POST", path, "{\"without\": \"web03\"}", "400 bad-request");
    local_refused(f->alpha, "POST", path, "{\"without\": [3]}", "400 bad-request");
    local_refused_saying(f->alpha, "POST", path, NULL, "409 conflict", "web03 is not ready (mirroring)");
    json_object_unref(local_call(f->alpha, "POST", cancel, NULL, 202));
    wait_until(move_is(f->alpha, three, "phase", "cancelled"));
    local_refused_saying(f->alpha, "POST", path, NULL, "409 conflict", "web03 does not move (its move was cancelled)");
    count = cutover_text(f, "shop", "{\"without\": [\"web03\"]}");
    g_assert_cmpstr(count, ==, "2");
    local_refused_saying(f->alpha, "POST", path, "{\"without\": [\"web03\"]}", "409 conflict", "changed");
}

int main(int argc, char **argv)
{
    static const char many[] = "[migrations]\nmax-outgoing=8\n";
    static const char alone[] = "[migrations]\nmax-outgoing=1\n";
#define TEST(name, extra) g_test_add("/cutover/" #name, fixture, extra, set_up, name, tear_down)

    g_test_init(&argc, &argv, NULL);
    TEST(a_held_one_is_told, NULL);
    TEST(times_are_to_come, NULL);
    TEST(one_that_is_not_held_is_not_told, NULL);
    TEST(a_group_begins_when_all_are_ready, many);
    TEST(a_ready_one_leaves_its_slot, alone);
    TEST(a_queued_one_begins_as_it_was_told, alone);
    return g_test_run();
}
