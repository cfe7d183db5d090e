/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferryd divides this host's bandwidth over the workers, and passes on what users set. The fake
 * worker shows what it was told. */
#include "daemons.h"

#include <signal.h>
#include <string.h>

typedef struct {
    char *scratch;
    test_daemon *alpha;
    test_host *zulu;
} fixture;

static const char fast[] = "[migrations]\nmax-outgoing=8\nbandwidth=90MB/s\n";

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

/* Of "limits"; -1: null or not there. */
static gint64 limit(fixture *f, const char *id, const char *member)
{
    g_autofree char *path = g_strconcat("/v1/migrations/", id, NULL);
    g_autoptr(JsonObject) move = local_call(f->alpha, "GET", path, NULL, 200);
    JsonObject *limits;
    gint64 bytes;

    return json_get_object(move, "limits", &limits, NULL) &&
                   json_opt_int(limits, member, 0, G_MAXINT64, &bytes, -1, NULL)
               ? bytes
               : -1;
}

static void set(fixture *f, const char *id, const char *body, int status)
{
    g_autofree char *path = g_strconcat("/v1/migrations/", id, NULL);

    json_object_unref(local_call(f->alpha, "PATCH", path, body, status));
}

static void moves_share_what_there_is(fixture *f, gconstpointer extra)
{
    g_autofree char *one = begin(f, "web01", ""), *two = NULL, *three = NULL;

    wait_until(limit(f, one, "share") == 90000000);
    two = begin(f, "web02", "");
    wait_until(limit(f, one, "share") == 45000000 && limit(f, two, "share") == 45000000);
    three = begin(f, "web03", ", \"bandwidth\": 10000000");
    wait_until(limit(f, one, "share") == 40000000 && limit(f, two, "share") == 40000000 &&
               limit(f, three, "share") == 10000000);
    set(f, three, "{\"bandwidth\": 0}", 202);
    wait_until(limit(f, one, "share") == 30000000 && limit(f, three, "share") == 30000000);
    move_signal(f->alpha, two, SIGUSR1);
    wait_until(limit(f, one, "share") == 45000000 && limit(f, three, "share") == 45000000);
}

/* web09's target lets it have 10 MB/s: the rest is the other's, but the target is told what it could
 * have. */
static void what_the_target_binds_is_left_to_others(fixture *f, gconstpointer extra)
{
    g_autofree char *bound = begin(f, "bound-10000000", ""), *other = begin(f, "web02", "");

    wait_until(limit(f, bound, "share") == 10000000 && limit(f, other, "share") == 80000000);
    wait_until(limit(f, bound, "claim") == 45000000);
}

static void a_reload_divides_anew(fixture *f, gconstpointer extra)
{
    g_autofree char *one = begin(f, "web01", ""), *two = begin(f, "web02", "");

    wait_until(limit(f, one, "share") == 45000000 && limit(f, two, "share") == 45000000);
    test_daemon_configure(f->alpha, "[migrations]\nmax-outgoing=8\nbandwidth=20MB/s\n");
    kill(f->alpha->pid, SIGHUP);
    wait_until(limit(f, one, "share") == 10000000 && limit(f, two, "share") == 10000000);
    test_daemon_configure(f->alpha, "[migrations]\nmax-outgoing=8\n");
    kill(f->alpha->pid, SIGHUP);
    wait_until(limit(f, one, "share") == 0 && limit(f, two, "share") == 0);
}

/* Workers keep what they have; the next ferryd goes on from there. */
static void a_restart_takes_it_up(fixture *f, gconstpointer extra)
{
    g_autofree char *one = begin(f, "web01", ""), *two = begin(f, "web02", "");

    wait_until(limit(f, one, "share") == 45000000 && limit(f, two, "share") == 45000000);
    test_daemon_stop(f->alpha, SIGKILL);
    test_daemon_start(f->alpha);
    move_signal(f->alpha, two, SIGUSR1);
    wait_until(limit(f, one, "share") == 90000000);
}

static void queued_ones_begin_with_what_was_set(fixture *f, gconstpointer extra)
{
    g_autofree char *one = begin(f, "web01", ""), *two = begin(f, "web02", "");

    g_assert_true(move_is(f->alpha, two, "phase", "queued"));
    g_assert_cmpint(limit(f, two, "bandwidth"), ==, 50000000); /* move-bandwidth */
    set(f, two, "{\"bandwidth\": 20000000, \"latency_guard\": 3}", 202);
    g_assert_cmpint(limit(f, two, "bandwidth"), ==, 20000000);
    test_daemon_stop(f->alpha, SIGKILL);
    test_daemon_start(f->alpha);
    g_assert_cmpint(limit(f, two, "bandwidth"), ==, 20000000);
    move_signal(f->alpha, one, SIGUSR1);
    wait_until(move_is(f->alpha, two, "phase", "mirroring"));
    wait_until(limit(f, two, "bandwidth") == 20000000);
}

/* What it could not begin with again must not get into the queue. */
static void a_synchronous_one_takes_no_guard(fixture *f, gconstpointer extra)
{
    g_autofree char *one = begin(f, "web01", "");
    g_autofree char *two = begin(f, "web02", ", \"mirror\": \"synchronous\"");
    g_autofree char *path = g_strconcat("/v1/migrations/", two, NULL);

    local_refused_saying(f->alpha, "PATCH", path, "{\"latency_guard\": 2}", "409 conflict",
                         "synchronous");
    set(f, two, "{\"latency_guard\": 0}", 202);
    move_signal(f->alpha, one, SIGUSR1);
    wait_until(move_is(f->alpha, two, "phase", "mirroring"));
}

static void nonsense_is_refused(fixture *f, gconstpointer extra)
{
    g_autofree char *one = begin(f, "web01", ""), *path = g_strconcat("/v1/migrations/", one, NULL);

    wait_until(move_is(f->alpha, one, "phase", "mirroring"));
    local_refused(f->alpha, "PATCH", path, "{}", "400 bad-request");
    local_refused(f->alpha, "PATCH", path, "{\"bandwidth\": 5}", "400 bad-request");
    local_refused(f->alpha, "PATCH", path, "{\"bandwidth\": \"5M\"}", "400 bad-request");
    local_refused(f->alpha, "PATCH", path, "{\"latency_guard\": 0.5}", "400 bad-request");
    local_refused(f->alpha, "PATCH", path, "{\"bandwith\": 125000}", "400 bad-request");
    local_refused(f->alpha, "PATCH", "/v1/migrations/none", "{\"bandwidth\": 0}",
                  "404 unknown-migration");
    move_signal(f->alpha, one, SIGUSR1);
    wait_until(move_is(f->alpha, one, "phase", "completed"));
    local_refused_saying(f->alpha, "PATCH", path, "{\"bandwidth\": 0}", "409 conflict", "ended");
}

int main(int argc, char **argv)
{
    static const char one[] = "[migrations]\nmax-outgoing=1\nmove-bandwidth=50MB/s\n";
#define TEST(name, extra) g_test_add("/limits/" #name, fixture, extra, set_up, name, tear_down)

    g_test_init(&argc, &argv, NULL);
    TEST(moves_share_what_there_is, fast);
    TEST(what_the_target_binds_is_left_to_others, fast);
    TEST(a_reload_divides_anew, fast);
    TEST(a_restart_takes_it_up, fast);
    TEST(queued_ones_begin_with_what_was_set, one);
    TEST(a_synchronous_one_takes_no_guard, one);
    TEST(nonsense_is_refused, NULL);
    return g_test_run();
}
