/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ways back as ferryd shows, uses and ends them, here and at the host that keeps the disks. */
#include "daemons.h"

#include "journal/journal.h"

#include <signal.h>
#include <string.h>

#define MOVE    "5d0f1c2e-0000-4000-8000-00000000000a"
#define LATER   "5d0f1c2e-0000-4000-8000-00000000000b"
#define WEB01   "5d0f1c2e-0000-4000-8000-0000000000f1"
#define WAY     "/v1/way-backs/" MOVE
#define COMMIT  "/v1/way-backs/web01"
#define RETURN  "/v1/returns"
#define HOUR_S  3600

/* web01 has moved from alpha to zulu. */
typedef struct {
    char *scratch, *disk; /* what alpha keeps of it */
    test_daemon *alpha, *zulu;
    test_host *xray; /* trusted by alpha as well; it has no ferryd */
    journal *at_alpha, *at_zulu;
} fixture;

static journal *open_journal(test_daemon *daemon)
{
    g_autofree char *path = g_build_filename(daemon->state_dir, "journal.db", NULL);
    g_autoptr(GError) error = NULL;
    journal *book = journal_open(path, FALSE, &error);

    g_assert_no_error(error);
    return book;
}

static void begin(journal *book, const char *id, const char *role, const char *peer)
{
    journal_entry entry = {.id = (char *)id,
                           .role = (char *)role,
                           .vm = (char *)"web01",
                           .vm_uuid = (char *)WEB01,
                           .peer = (char *)peer,
                           .phase = (char *)"queued",
                           .details = (char *)"{}",
                           .status = (char *)"{}"};
    g_autoptr(GError) error = NULL;

    g_assert_true(journal_begin(book, &entry, &error));
}

static void hand_over(journal *book, const char *id, const char *role, const char *peer)
{
    g_autofree char *status =
        g_strdup_printf("{\"version\": 1, \"way_back\": {\"until\": %" G_GINT64_FORMAT ", \"disks\": []}}",
                        g_get_real_time() / G_USEC_PER_SEC + HOUR_S);
    g_autoptr(GError) error = NULL;

    begin(book, id, role, peer);
    g_assert_true(journal_decide(book, id,
                                 strcmp(role, "source") ? DECISION_ACCEPTED : DECISION_GIVEN_UP,
                                 "t", &error));
    g_assert_true(journal_end(book, id, "completed", status, &error));
}

static void keep(fixture *f, gint64 until)
{
    journal_kept row = {.path = f->disk,
                        .original = (char *)"/x",
                        .kind = (char *)"way-back",
                        .id = (char *)MOVE,
                        .vm_uuid = (char *)WEB01,
                        .until = until};

    g_assert_true(g_file_set_contents(f->disk, "data", -1, NULL));
    g_assert_true(journal_keep(f->at_alpha, &row, NULL));
}

static gboolean is_kept(fixture *f)
{
    return g_file_test(f->disk, G_FILE_TEST_EXISTS);
}

static void find_peer(test_daemon *self, test_daemon *other)
{
    g_autofree char *file = g_strdup_printf("%s/%s.address", self->host->peers, other->host->name);
    g_autofree char *text = g_strdup_printf("127.0.0.1:%u\n", other->control);

    g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

static void set_up(fixture *f, gconstpointer extra)
{
    g_autofree char *given = scratch_new();

    f->scratch = realpath(given, NULL);
    f->disk = g_build_filename(f->scratch, "web01.qcow2.ferry-5d0f1c2e", NULL);
    f->alpha = test_daemon_new(f->scratch, "alpha", NULL);
    f->zulu = test_daemon_new(f->scratch, "zulu", NULL);
    f->xray = test_host_new(f->scratch, "xray");
    test_host_pair(f->alpha->host, f->zulu->host);
    test_host_pair(f->alpha->host, f->xray);
    find_peer(f->alpha, f->zulu);
    find_peer(f->zulu, f->alpha);
    test_daemon_start(f->alpha);
    test_daemon_start(f->zulu);
    f->at_alpha = open_journal(f->alpha);
    f->at_zulu = open_journal(f->zulu);
    hand_over(f->at_alpha, MOVE, "source", "zulu");
    hand_over(f->at_zulu, MOVE, "target", "alpha");
    keep(f, g_get_real_time() / G_USEC_PER_SEC + HOUR_S);
}

static void tear_down(fixture *f, gconstpointer extra)
{
    journal_close(f->at_alpha);
    journal_close(f->at_zulu);
    test_daemon_free(f->alpha);
    test_daemon_free(f->zulu);
    test_host_free(f->xray);
    scratch_remove(g_strdup(f->scratch));
    free(f->scratch);
    g_free(f->disk);
}

static gboolean is_open(test_daemon *daemon)
{
    g_autoptr(JsonObject) one = local_call(daemon, "GET", "/v1/migrations/" MOVE, NULL, 200);
    g_autoptr(JsonObject) all = local_call(daemon, "GET", "/v1/migrations?all=1", NULL, 200);
    JsonArray *list = json_object_get_array_member(all, "migrations");
    JsonObject *way = json_object_get_object_member(one, "way_back"), *listed = NULL;

    for (guint i = 0; i < json_array_get_length(list); i++)
        if (!strcmp(text_of(json_array_get_object_element(list, i), "id"), MOVE))
            listed = json_object_get_object_member(json_array_get_object_element(list, i), "way_back");
    g_assert_cmpint(json_object_get_boolean_member(way, "open"), ==,
                    json_object_get_boolean_member(listed, "open"));
    return json_object_get_boolean_member(way, "open");
}

static void assert_commit(test_daemon *asked, guint disks)
{
    g_autoptr(JsonObject) done = local_call(asked, "DELETE", COMMIT, NULL, 200);

    g_assert_cmpstr(text_of(done, "host"), ==, "alpha");
    g_assert_cmpuint(json_array_get_length(json_object_get_array_member(done, "disks")), ==, disks);
    g_assert_true((json_object_get_int_member(done, "freed") > 0) == (disks > 0));
}

static void both_hosts_show_it(fixture *f, gconstpointer extra)
{
    g_autoptr(JsonObject) here = local_call(f->alpha, "GET", COMMIT, NULL, 200);
    g_autoptr(JsonObject) there = local_call(f->zulu, "GET", COMMIT, NULL, 200);

    g_assert_cmpstr(text_of(here, "host"), ==, "alpha");
    g_assert_cmpstr(text_of(there, "host"), ==, "alpha");
    g_assert_cmpint(json_object_get_int_member(there, "until"), ==,
                    json_object_get_int_member(here, "until"));
    g_assert_cmpint(json_object_get_int_member(there, "bytes"), >, 0);
    g_assert_true(is_open(f->alpha) && is_open(f->zulu));
    local_refused(f->alpha, "GET", "/v1/way-backs/web02", NULL, "404 no-way-back");
    local_refused(f->alpha, "DELETE", "/v1/way-backs/web02", NULL, "404 no-way-back");
}

static void ended_from_either_side(fixture *f, gconstpointer at_zulu)
{
    test_daemon *asked = at_zulu ? f->zulu : f->alpha;

    assert_commit(asked, 1);
    g_assert_false(is_kept(f));
    g_assert_false(is_open(f->alpha));
    g_assert_false(is_open(f->zulu));
    assert_commit(asked, 0);
    local_refused(asked, "GET", COMMIT, NULL, "404 no-way-back");
    local_refused_saying(f->zulu, "POST", RETURN, "{\"vm\": \"web01\"}", "404 no-way-back",
                         "ferry migrate web01 alpha");
}

static char *asked_by(client *from, const char *method, const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) answer = ask(from, method, path, NULL, &error);

    return g_strdup_printf("%d %s", client_status(from), answer ? "" : client_code(from));
}

static void others_neither_see_nor_end_it(fixture *f, gconstpointer extra)
{
    static const char *const methods[] = {"GET", "DELETE"};
    g_autoptr(client) from_xray =
        client_peer(f->xray->identity, "127.0.0.1", f->alpha->control, "alpha", NULL);
    g_autoptr(client) from_zulu =
        client_peer(f->zulu->host->identity, "127.0.0.1", f->alpha->control, "alpha", NULL);
    g_autofree char *good = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(methods); i++) {
        g_autofree char *theirs = asked_by(from_xray, methods[i], WAY);
        /* Not by a name: there may be another VM called so. */
        g_autofree char *by_name = asked_by(from_zulu, methods[i], COMMIT);
        g_assert_cmpstr(theirs, ==, "404 no-way-back");
        g_assert_cmpstr(by_name, ==, "404 no-way-back");
    }
    g_assert_true(is_kept(f) && is_open(f->alpha));
    good = asked_by(from_zulu, "DELETE", WAY);
    g_assert_cmpstr(good, ==, "200 ");
    g_assert_false(is_kept(f));
}

static void not_while_it_comes_back(fixture *f, gconstpointer extra)
{
    begin(f->at_alpha, LATER, "target", "zulu");
    local_refused_saying(f->alpha, "DELETE", COMMIT, NULL, "409 conflict", "coming back");
    local_refused_saying(f->zulu, "DELETE", COMMIT, NULL, "409 conflict", "coming back");
    g_assert_true(is_kept(f));
    /* Nor does a restart forget it, though the time is over. */
    test_daemon_stop(f->alpha, SIGKILL);
    keep(f, 1);
    test_daemon_start(f->alpha);
    local_refused_saying(f->alpha, "DELETE", COMMIT, NULL, "409 conflict", "coming back");
    g_assert_true(is_kept(f));
    g_assert_true(journal_end(f->at_alpha, LATER, "failed", "{}", NULL));
    test_daemon_stop(f->alpha, SIGKILL);
    test_daemon_start(f->alpha);
    wait_until(!is_kept(f)); /* by its time */
}

static void it_returns(fixture *f, gconstpointer extra)
{
    g_autoptr(JsonObject) move =
        local_call(f->zulu, "POST", RETURN, "{\"vm\": \"web01\", \"bandwidth\": 200000}", 201);

    g_assert_cmpstr(text_of(move, "vm"), ==, "web01");
    g_assert_cmpstr(text_of(move, "peer"), ==, "alpha");
    g_assert_cmpstr(text_of(move, "role"), ==, "source");
    wait_until(move_is(f->zulu, text_of(move, "id"), "phase", "mirroring"));
    local_refused(f->zulu, "POST", RETURN, "{\"vm\": \"web01\"}", "409 conflict");
    local_refused(f->zulu, "DELETE", COMMIT, NULL, "409 conflict");
    g_assert_true(is_kept(f));
}

static void it_cannot(fixture *f, gconstpointer extra)
{
    local_refused(f->zulu, "POST", RETURN, "{}", "400 bad-request");
    local_refused(f->zulu, "POST", RETURN, "{\"vm\": \"web01\", \"target\": \"alpha\"}",
                  "400 bad-request");
    local_refused(f->zulu, "POST", RETURN, "{\"vm\": \"web01\", \"speed\": 1}", "400 bad-request");
    local_refused_saying(f->zulu, "POST", RETURN,
                         "{\"vm\": \"web01\", \"switches\": {\"a\": \"b\"}}", "400 bad-request",
                         "leave out");
    local_refused(f->zulu, "POST", RETURN, "{\"vm\": \"web02\"}", "404 no-way-back");
    local_refused_saying(f->alpha, "POST", RETURN, "{\"vm\": \"web01\"}", "409 conflict",
                         "moved to zulu");
    test_daemon_stop(f->alpha, SIGTERM);
    local_refused(f->zulu, "POST", RETURN, "{\"vm\": \"web01\"}", "502 unreachable");
    json_object_unref(local_call(f->zulu, "DELETE", "/v1/peers/alpha", NULL, 204));
    local_refused_saying(f->zulu, "POST", RETURN, "{\"vm\": \"web01\"}", "404 unknown-host",
                         "ferry pair alpha");
    /* It has moved on from zulu. */
    hand_over(f->at_zulu, LATER, "source", "yankee");
    local_refused_saying(f->zulu, "POST", RETURN, "{\"vm\": \"" WEB01 "\"}", "409 conflict",
                         "moved to yankee");
    g_assert_false(is_open(f->zulu));
    g_assert_true(is_kept(f));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, data, function)                                                                  \
    g_test_add("/ways/" name, fixture, data, set_up, function, tear_down)
    ADD("both hosts show it", NULL, both_hosts_show_it);
    ADD("ended where the disks are", NULL, ended_from_either_side);
    ADD("ended where the VM is", "zulu", ended_from_either_side);
    ADD("others neither see nor end it", NULL, others_neither_see_nor_end_it);
    ADD("not while the VM comes back", NULL, not_while_it_comes_back);
    ADD("a return is a move", NULL, it_returns);
    ADD("what is refused", NULL, it_cannot);
    return g_test_run();
}
