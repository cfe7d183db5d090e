/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ferryd as a process: its start and end, moves away from it, its workers, restarts and crashes. */
#include "daemons.h"

#include "base/fdio.h"
#include "journal/journal.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    char *scratch;
    test_daemon *alpha;
    test_host *zulu; /* paired with alpha; does not run */
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

/* Begins a move; its id, caller frees. */
static char *begin(fixture *f, const char *vm)
{
    g_autofree char *body = g_strdup_printf("{\"vm\": \"%s\", \"target\": \"zulu\"}", vm);
    g_autoptr(JsonObject) move = local_call(f->alpha, "POST", "/v1/migrations", body, 201);

    g_assert_cmpstr(text_of(move, "vm"), ==, vm);
    g_assert_cmpstr(text_of(move, "phase"), ==, "queued");
    return g_strdup(text_of(move, "id"));
}

static void wait_for(fixture *f, const char *id, const char *phase)
{
    wait_until(move_is(f->alpha, id, "phase", phase));
}

static gboolean exists(const char *dir, const char *name)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void it_starts_and_ends(fixture *f, gconstpointer extra)
{
    g_autoptr(JsonObject) host = local_call(f->alpha, "GET", "/v1/host", NULL, 200);
    g_autoptr(JsonObject) again = NULL;
    g_autofree char *uuid = g_strdup(text_of(host, "host_uuid"));
    struct stat info;

    g_assert_cmpstr(text_of(host, "name"), ==, "alpha");
    g_assert_true(g_uuid_string_is_valid(uuid));
    g_assert_cmpint(json_object_get_int_member(host, "control_port"), ==, f->alpha->control);
    g_assert_cmpint(stat(f->alpha->socket, &info), ==, 0);
    g_assert_cmpint(info.st_mode & 0777, ==, 0600);
    g_assert_cmpint(stat(f->alpha->state_dir, &info), ==, 0);
    g_assert_cmpint(info.st_mode & 0777, ==, 0700);
    test_daemon_stop(f->alpha, SIGTERM);
    g_assert_true(WIFEXITED(f->alpha->status) && WEXITSTATUS(f->alpha->status) == 0);
    test_daemon_start(f->alpha);
    again = local_call(f->alpha, "GET", "/v1/host", NULL, 200);
    g_assert_cmpstr(text_of(again, "host_uuid"), ==, uuid);
}

static void there_is_only_one(fixture *f, gconstpointer extra)
{
    int status;
    g_autofree char *said = test_daemon_run(f->alpha, "", &status);

    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    g_assert_nonnull(strstr(said, "another ferryd"));
    json_object_unref(local_call(f->alpha, "GET", "/v1/host", NULL, 200));
}

static void bad_settings_are_told(fixture *f, gconstpointer extra)
{
    int status;
    g_autofree char *started = NULL, *checked = NULL, *usage = NULL, *good = NULL;

    test_daemon_configure(f->alpha, "channels=99\nchanels=1\n");
    started = test_daemon_run(f->alpha, "", &status);
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    g_assert_nonnull(strstr(started, "[networks] channels"));
    checked = test_daemon_run(f->alpha, "--check-config", &status);
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    g_assert_nonnull(strstr(checked, "[networks] channels"));
    g_assert_nonnull(strstr(checked, "[networks] chanels"));
    usage = test_daemon_run(f->alpha, "--nonsense", &status);
    g_assert_cmpint(WEXITSTATUS(status), ==, 2);
    g_assert_nonnull(strstr(usage, "--help"));
    test_daemon_configure(f->alpha, NULL);
    good = test_daemon_run(f->alpha, "--check-config", &status);
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

static void requests_are_checked(fixture *f, gconstpointer extra)
{
    static const char *const paths[] = {"/v1/migrations", "/v1/compare"};

    for (guint i = 0; i < G_N_ELEMENTS(paths); i++) {
        local_refused(f->alpha, "POST", paths[i], "{}", "400 bad-request");
        local_refused(f->alpha, "POST", paths[i], "{\"vm\": \"a\", \"target\": \"alpha\"}",
                      "400 bad-request");
        local_refused(f->alpha, "POST", paths[i], "{\"vm\": \"a\", \"target\": \"yankee\"}",
                      "404 unknown-host");
    }
    local_refused(f->alpha, "GET", "/v1/migrations/abcd", NULL, "404 unknown-migration");
    local_refused(f->alpha, "POST", "/v1/migrations/abcd/cancel", NULL, "404 unknown-migration");
    local_refused(f->alpha, "POST", "/v1/landings", "{}", "403 forbidden");
    local_refused(f->alpha, "DELETE", "/v1/peers/yankee", NULL, "404 unknown-host");
    local_refused(f->alpha, "DELETE", "/v1/peers/.hidden", NULL, "404 unknown-host");
    local_refused(f->alpha, "POST", "/v1/pairing", "{\"a\": 1}", "400 bad-request");
    local_refused(f->alpha, "POST", "/v1/peers", "{\"host\": \"zulu\", \"token\": \"short\"}",
                  "400 bad-request");
}

static void a_move_is_carried_by_a_worker(fixture *f, gconstpointer extra)
{
    g_autofree char *id = begin(f, "web01"), *prefix = g_strndup(id, 8), *job = NULL;
    g_autofree char *by_prefix = NULL, *by_name = NULL;
    g_autoptr(JsonObject) list = NULL;
    JsonArray *array;

    wait_for(f, id, "mirroring");
    g_assert_true(exists(f->alpha->run_dir, id));
    by_prefix = move_member(f->alpha, prefix, "id");
    by_name = move_member(f->alpha, "web01", "id");
    g_assert_cmpstr(by_prefix, ==, id);
    g_assert_cmpstr(by_name, ==, id);
    local_refused(f->alpha, "POST", "/v1/migrations", "{\"vm\": \"web01\", \"target\": \"zulu\"}",
                  "409 conflict");
    job = g_strdup_printf("{\"vm\": \"web02\", \"target\": \"zulu\", \"id\": \"%s\"}", id);
    local_refused(f->alpha, "POST", "/v1/migrations", job, "409 conflict");
    move_signal(f->alpha, id, SIGUSR1);
    wait_for(f, id, "completed");
    local_refused(f->alpha, "POST", "/v1/migrations/web01/cancel", NULL, "409 conflict");
    list = local_call(f->alpha, "GET", "/v1/migrations", NULL, 200);
    g_assert_true(json_get_array(list, "migrations", &array, NULL));
    g_assert_cmpint(json_array_get_length(array), ==, 1);
    wait_until(!exists(f->alpha->run_dir, id));
    g_free(begin(f, "web01")); /* and again */
}

static void who_waits_hears_of_changes(fixture *f, gconstpointer extra)
{
    g_autofree char *id = begin(f, "web01"), *path = NULL, *version = NULL;
    g_autoptr(JsonObject) move = NULL, over = NULL;
    g_autofree char *stale = NULL;

    wait_for(f, id, "mirroring");
    stale = g_strdup_printf("/v1/migrations/%s?after=0", id);
    json_object_unref(local_call(f->alpha, "GET", stale, NULL, 200));
    version = move_member(f->alpha, id, "version");
    path = g_strdup_printf("/v1/migrations/%s?after=%s", id, version);
    move_signal(f->alpha, id, SIGUSR1);
    /* Comes back only when something has changed: nothing else than the end can. */
    move = local_call(f->alpha, "GET", path, NULL, 200);
    g_assert_cmpstr(text_of(move, "phase"), ==, "completed");
    g_assert_cmpint(json_object_get_int_member(move, "version"), >, atoi(version));
    over = local_call(f->alpha, "GET", path, NULL, 200);
    g_assert_cmpstr(text_of(over, "phase"), ==, "completed");
    local_refused(f->alpha, "GET", "/v1/migrations/web01?after=x", NULL, "400 bad-request");
}

static void more_than_the_limit_wait(fixture *f, gconstpointer extra)
{
    g_autofree char *first = begin(f, "web01"), *second = begin(f, "web02"),
                    *third = begin(f, "web03");
    g_autofree char *waiting = NULL;

    wait_for(f, first, "mirroring");
    waiting = move_member(f->alpha, third, "waiting");
    g_assert_nonnull(strstr(waiting, "max-outgoing"));
    g_assert_true(move_is(f->alpha, second, "phase", "queued"));
    /* One that waits can be cancelled, and the next moves up. */
    json_object_unref(local_call(f->alpha, "POST", "/v1/migrations/web02/cancel", NULL, 202));
    g_assert_true(move_is(f->alpha, second, "phase", "cancelled"));
    move_signal(f->alpha, first, SIGUSR1);
    wait_for(f, third, "mirroring");
    g_assert_true(move_is(f->alpha, second, "phase", "cancelled"));
}

static void a_move_is_cancelled(fixture *f, gconstpointer extra)
{
    g_autofree char *id = begin(f, "web01");

    wait_for(f, id, "mirroring");
    json_object_unref(local_call(f->alpha, "POST", "/v1/migrations/web01/cancel", NULL, 202));
    wait_for(f, id, "cancelled");
}

static void workers_outlive_it(fixture *f, gconstpointer how)
{
    g_autofree char *first = begin(f, "web01"), *second = begin(f, "web02"), *pid = NULL,
                    *now = NULL;

    wait_for(f, first, "mirroring");
    pid = move_member(f->alpha, first, "pid");
    test_daemon_stop(f->alpha, SIGTERM);
    test_daemon_start(f->alpha);
    wait_until(move_is(f->alpha, first, "pid", pid));
    test_daemon_stop(f->alpha, SIGKILL);
    test_daemon_start(f->alpha);
    wait_until(move_is(f->alpha, first, "pid", pid));
    /* What waited is not forgotten, and still waits its turn. */
    g_assert_true(move_is(f->alpha, second, "phase", "queued"));
    move_signal(f->alpha, first, SIGUSR1);
    wait_for(f, second, "mirroring");
    now = move_member(f->alpha, first, "phase");
    g_assert_cmpstr(now, ==, "completed");
}

static void a_worker_ends_while_it_is_away(fixture *f, gconstpointer extra)
{
    g_autofree char *id = begin(f, "web01"), *pid = NULL;

    wait_for(f, id, "mirroring");
    pid = move_member(f->alpha, id, "pid");
    test_daemon_stop(f->alpha, SIGKILL);
    kill((pid_t)atoi(pid), SIGUSR1);
    wait_until(kill((pid_t)atoi(pid), 0) < 0);
    test_daemon_start(f->alpha);
    g_assert_true(move_is(f->alpha, id, "phase", "completed"));
    g_free(begin(f, "web02")); /* its slot is free */
    wait_until(move_is(f->alpha, "web02", "phase", "mirroring"));
}

/* ferryd died after it had started a worker and before it had told it what to do. */
static void an_idle_worker_is_told_again(fixture *f, gconstpointer extra)
{
    static const char id[] = "5d0f1c2e-0000-4000-8000-00000000000a";
    g_autofree char *conf = g_build_filename(f->alpha->run_dir, "ferryd.conf", NULL);
    const char *worker[] = {g_getenv("FAKE_WORKER"), "--config", conf, "--id", id, NULL};
    g_autofree char *dir = g_build_filename(f->alpha->run_dir, id, NULL);
    g_autofree char *queue = g_build_filename(f->alpha->state_dir, "queue.json", NULL);
    g_autofree char *text = g_strdup_printf("{\"queue\": [{\"request\": {\"id\": \"%s\", \"vm\": "
                                            "\"web01\", \"target\": \"zulu\"}, \"began\": 1.5}]}",
                                            id);
    g_autofree char *number = NULL;
    GPid pid;

    test_daemon_stop(f->alpha, SIGTERM);
    g_assert_cmpint(g_mkdir_with_parents(dir, 0711), ==, 0);
    g_assert_true(g_file_set_contents(queue, text, -1, NULL));
    g_assert_true(g_spawn_async(NULL, (char **)worker, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                                &pid, NULL));
    wait_until(exists(dir, "worker.sock"));
    test_daemon_start(f->alpha);
    wait_for(f, id, "mirroring");
    number = g_strdup_printf("%d", pid);
    g_assert_true(move_is(f->alpha, id, "pid", number));
    move_signal(f->alpha, id, SIGUSR1);
    wait_for(f, id, "completed");
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

static void a_dead_worker_is_replaced(fixture *f, gconstpointer extra)
{
    g_autofree char *id = begin(f, "web01"), *first = NULL, *second = NULL;

    wait_for(f, id, "mirroring");
    first = move_member(f->alpha, id, "pid");
    move_signal(f->alpha, id, SIGKILL);
    wait_for(f, id, "synchronizing"); /* what the fake one says when it recovers */
    second = move_member(f->alpha, id, "pid");
    g_assert_cmpstr(first, !=, second);
    /* And one that died with ferryd. */
    test_daemon_stop(f->alpha, SIGKILL);
    kill((pid_t)atoi(second), SIGKILL);
    wait_until(kill((pid_t)atoi(second), 0) < 0);
    test_daemon_start(f->alpha);
    wait_until(!move_is(f->alpha, id, "pid", second) &&
               move_is(f->alpha, id, "phase", "synchronizing"));
    move_signal(f->alpha, id, SIGUSR1);
    wait_for(f, id, "completed");
}

static gboolean says(fixture *f, const char *id, const char *what)
{
    g_autofree char *waiting = move_member(f->alpha, id, "waiting");

    return strstr(waiting, what) != NULL;
}

static void what_nobody_understands_is_told(fixture *f, gconstpointer extra)
{
    g_autofree char *id = begin(f, "unreadable"), *other = NULL;
    g_autofree char *path = g_build_filename(f->alpha->state_dir, "journal.db", NULL);
    g_autoptr(journal) book = NULL;
    g_autoptr(journal_entry) entry = NULL;
    g_autoptr(JsonObject) closed = NULL;

    wait_for(f, id, "mirroring");
    move_signal(f->alpha, id, SIGKILL);
    wait_until(says(f, id, "written in runes") && says(f, id, "'ferry cancel"));
    g_assert_true(says(f, id, "unreadable belongs to this host"));
    /* It holds no slot, of which there is one. */
    other = begin(f, "web01");
    wait_for(f, other, "mirroring");
    /* A phase of another version, and a decision: whose the VM is now is said. */
    test_daemon_stop(f->alpha, SIGTERM);
    book = journal_open(path, FALSE, NULL);
    g_assert_true(journal_decide(book, id, DECISION_GIVEN_UP, "t", NULL));
    g_assert_true(journal_set_phase(book, id, "dancing", "{}", NULL));
    test_daemon_start(f->alpha);
    wait_until(says(f, id, "unreadable was given to zulu"));
    g_assert_true(move_is(f->alpha, id, "phase", "committing"));
    local_refused(f->alpha, "POST", "/v1/migrations",
                  "{\"vm\": \"unreadable\", \"target\": \"zulu\"}", "409 conflict");
    /* Closed by hand it is over, for good. */
    closed = local_call(f->alpha, "POST", "/v1/migrations/unreadable/cancel", NULL, 202);
    g_assert_cmpstr(text_of(closed, "phase"), ==, "failed");
    entry = journal_find(book, id, NULL);
    g_assert_cmpint(entry->ended, >, 0);
    g_assert_cmpint(entry->decision, ==, DECISION_GIVEN_UP);
    local_refused(f->alpha, "POST", "/v1/migrations/unreadable/cancel", NULL, "409 conflict");
}

static void versions_never_go_back(fixture *f, gconstpointer extra)
{
    g_autofree char *id = begin(f, "web01"), *before = NULL, *after = NULL;

    wait_for(f, id, "mirroring");
    before = move_member(f->alpha, id, "version");
    move_signal(f->alpha, id, SIGKILL);
    wait_for(f, id, "synchronizing"); /* the new worker counts from 1 */
    after = move_member(f->alpha, id, "version");
    g_assert_cmpint(atoi(after), >, atoi(before));
}

static void a_worker_that_never_began_has_failed(fixture *f, gconstpointer extra)
{
    g_autofree char *id = begin(f, "early-death");

    wait_for(f, id, "failed");
    g_free(begin(f, "web01"));
    wait_until(move_is(f->alpha, "web01", "phase", "mirroring"));
}

static void comparisons_are_no_moves(fixture *f, gconstpointer extra)
{
    g_autoptr(JsonObject) answer = local_call(f->alpha, "POST", "/v1/compare",
                                              "{\"vm\": \"web01\", \"target\": \"zulu\"}", 200);
    g_autoptr(JsonObject) vms = local_call(f->alpha, "GET", "/v1/vms", NULL, 200);
    g_autoptr(JsonObject) list = local_call(f->alpha, "GET", "/v1/migrations?all=1", NULL, 200);
    JsonArray *array;

    g_assert_true(json_object_get_boolean_member(answer, "possible"));
    g_assert_true(json_get_array(vms, "vms", &array, NULL));
    g_assert_cmpint(json_array_get_length(array), ==, 1);
    g_assert_true(json_get_array(list, "migrations", &array, NULL));
    g_assert_cmpint(json_array_get_length(array), ==, 0);
    local_refused(f->alpha, "POST", "/v1/compare", "{\"vm\": \"early-a\", \"target\": \"zulu\"}",
                  "500 internal");
}

static gboolean outgoing_is(fixture *f, const char *member, gint64 value)
{
    g_autoptr(JsonObject) host = local_call(f->alpha, "GET", "/v1/host", NULL, 200);
    JsonObject *outgoing = json_object_get_object_member(host, "outgoing");

    return json_node_get_int(json_object_get_member(outgoing, member)) == value;
}

static gboolean outgoing_allowed(fixture *f)
{
    g_autoptr(JsonObject) host = local_call(f->alpha, "GET", "/v1/host", NULL, 200);

    return json_object_get_boolean_member(json_object_get_object_member(host, "outgoing"),
                                          "allowed");
}

static gboolean log_has(fixture *f, const char *text)
{
    g_autofree char *log = NULL;

    return g_file_get_contents(f->alpha->log, &log, NULL, NULL) && strstr(log, text);
}

static char *settings_error(fixture *f)
{
    g_autoptr(JsonObject) host = local_call(f->alpha, "GET", "/v1/host", NULL, 200);

    return g_strdup(json_object_get_string_member_with_default(host, "settings_error", NULL));
}

/* Workers begin with what ferryd has accepted, not with what is in the file meanwhile. */
static void workers_get_the_settings_in_force(fixture *f, gconstpointer extra)
{
    static const char request[] = "{\"vm\": \"web01\", \"target\": \"zulu\"}";
    g_autofree char *before = settings_error(f), *bad = NULL, *fixed = NULL, *good = NULL;

    g_assert_null(before);
    test_daemon_configure(f->alpha, "chanels=1\n");
    json_object_unref(local_call(f->alpha, "POST", "/v1/compare", request, 200));
    kill(f->alpha->pid, SIGHUP);
    wait_until(log_has(f, "the old settings stay in force"));
    json_object_unref(local_call(f->alpha, "POST", "/v1/compare", request, 200));
    bad = settings_error(f);
    g_assert_nonnull(strstr(bad, "[networks] chanels"));
    /* Good for a worker, but not for a ferryd that runs. */
    test_daemon_configure(f->alpha, "[host]\nruntime-directory=/nowhere\n");
    kill(f->alpha->pid, SIGHUP);
    wait_until(log_has(f, "restart it"));
    json_object_unref(local_call(f->alpha, "POST", "/v1/compare", request, 200));
    fixed = settings_error(f);
    g_assert_nonnull(strstr(fixed, "runtime-directory"));
    test_daemon_configure(f->alpha, "[migrations]\nmax-outgoing=3\n");
    kill(f->alpha->pid, SIGHUP);
    wait_until(outgoing_is(f, "max", 3));
    good = settings_error(f);
    g_assert_null(good);
    json_object_unref(local_call(f->alpha, "POST", "/v1/compare", request, 200));
}

static void settings_are_reloaded(fixture *f, gconstpointer extra)
{
    g_free(begin(f, "web01"));
    g_free(begin(f, "web02"));
    wait_until(move_is(f->alpha, "web01", "phase", "mirroring"));
    /* A mistake changes nothing. */
    test_daemon_configure(f->alpha, "[migrations]\noutgoing=perhaps\n");
    kill(f->alpha->pid, SIGHUP);
    wait_until(log_has(f, "the old settings stay in force"));
    g_assert_true(outgoing_is(f, "max", 1));
    test_daemon_configure(f->alpha, "[migrations]\nmax-outgoing=2\n");
    kill(f->alpha->pid, SIGHUP);
    wait_until(outgoing_is(f, "max", 2));
    wait_until(move_is(f->alpha, "web02", "phase", "mirroring"));
    test_daemon_configure(f->alpha, "[migrations]\noutgoing=no\n");
    kill(f->alpha->pid, SIGHUP);
    wait_until(!outgoing_allowed(f));
    local_refused(f->alpha, "POST", "/v1/migrations", "{\"vm\": \"a\", \"target\": \"zulu\"}",
                  "403 outgoing-off");
    test_daemon_configure(f->alpha, "[host]\nname=other\n");
    kill(f->alpha->pid, SIGHUP);
    wait_until(log_has(f, "restart it"));
}

int main(int argc, char **argv)
{
    static const char one[] = "[migrations]\nmax-outgoing=1\n";
#define TEST(name, extra) g_test_add("/ferryd/" #name, fixture, extra, set_up, name, tear_down)

    g_test_init(&argc, &argv, NULL);
    TEST(it_starts_and_ends, NULL);
    TEST(there_is_only_one, NULL);
    TEST(bad_settings_are_told, NULL);
    TEST(requests_are_checked, NULL);
    TEST(a_move_is_carried_by_a_worker, NULL);
    TEST(who_waits_hears_of_changes, NULL);
    TEST(more_than_the_limit_wait, one);
    TEST(a_move_is_cancelled, NULL);
    TEST(workers_outlive_it, one);
    TEST(a_worker_ends_while_it_is_away, one);
    TEST(an_idle_worker_is_told_again, NULL);
    TEST(a_dead_worker_is_replaced, NULL);
    TEST(what_nobody_understands_is_told, one);
    TEST(versions_never_go_back, NULL);
    TEST(a_worker_that_never_began_has_failed, one);
    TEST(comparisons_are_no_moves, NULL);
    TEST(workers_get_the_settings_in_force, NULL);
    TEST(settings_are_reloaded, one);
    return g_test_run();
}
