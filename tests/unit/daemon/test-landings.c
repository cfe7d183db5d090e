/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a peer may ask of ferryd: landings, their channels, their ends, and their commits by the
 * control port. */
#include "daemons.h"

#include "base/fdio.h"
#include "base/uuid.h"
#include "relay/wire.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ONE   "5d0f1c2e-0000-4000-8000-00000000000a"
#define TWO   "5d0f1c2e-0000-4000-8000-00000000000b"
#define THREE "5d0f1c2e-0000-4000-8000-00000000000c"

typedef struct {
    char *scratch;
    test_daemon *zulu;
    test_host *alpha, *xray; /* both trusted by zulu */
    client *from_alpha, *from_xray;
} fixture;

static void set_up(fixture *f, gconstpointer extra)
{
    g_autoptr(GError) error = NULL;

    f->scratch = scratch_new();
    f->zulu = test_daemon_new(f->scratch, "zulu", extra);
    f->alpha = test_host_new(f->scratch, "alpha");
    f->xray = test_host_new(f->scratch, "xray");
    test_host_pair(f->alpha, f->zulu->host);
    test_host_pair(f->xray, f->zulu->host);
    test_daemon_start(f->zulu);
    f->from_alpha = client_peer(f->alpha->identity, "127.0.0.1", f->zulu->control, "zulu", &error);
    f->from_xray = client_peer(f->xray->identity, "127.0.0.1", f->zulu->control, "zulu", &error);
    g_assert_no_error(error);
}

static void tear_down(fixture *f, gconstpointer extra)
{
    test_daemon_free(f->zulu);
    client_free(f->from_alpha);
    client_free(f->from_xray);
    test_host_free(f->alpha);
    test_host_free(f->xray);
    scratch_remove(f->scratch);
}

/* "201", or "409 conflict". Caller frees. */
static char *asked(client *from, const char *method, const char *path, const char *body)
{
    g_autoptr(JsonObject) parsed = body ? object(body) : NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) answer = ask(from, method, path, parsed, &error);

    if (error)
        g_test_message("%s", error->message);
    if (!answer)
        g_assert_error(error, CLIENT_ERROR, CLIENT_ERROR_ANSWER);
    return g_strdup_printf("%d%s%s", client_status(from), *client_code(from) ? " " : "",
                           client_code(from));
}

static void expect(client *from, const char *method, const char *path, const char *body,
                   const char *expected)
{
    g_autofree char *got = asked(from, method, path, body);

    g_assert_cmpstr(got, ==, expected);
}

static void land(client *from, const char *id, const char *vm, const char *expected)
{
    g_autofree char *body = g_strdup_printf("{\"id\": \"%s\", \"live_xml\": \"%s\"}", id, vm);

    expect(from, "POST", "/v1/landings", body, expected);
}

static gboolean exists(const char *dir, const char *name)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void landings_are_answered_by_workers(fixture *f, gconstpointer extra)
{
    land(f->from_alpha, ONE, "web01", "201");
    g_assert_true(move_is(f->zulu, ONE, "role", "target"));
    g_assert_true(move_is(f->zulu, ONE, "peer", "alpha"));
    land(f->from_alpha, ONE, "another", "409 conflict");
    land(f->from_xray, ONE, "web01", "409 conflict");
    land(f->from_alpha, TWO, "blocked", "409 blocked");
    land(f->from_alpha, THREE, "mute", "500 internal");
    expect(f->from_alpha, "POST", "/v1/landings",
           "{\"id\": \"" TWO "\", \"dry_run\": true, \"live_xml\": \"\"}", "200");
    expect(f->from_alpha, "POST", "/v1/landings", "{\"id\": \"x\"}", "400 bad-request");
    expect(f->from_alpha, "POST", "/v1/landings", "{}", "400 bad-request");
    expect(f->from_alpha, "POST", "/v1/migrations", "{}", "403 forbidden");
    expect(f->from_alpha, "GET", "/v1/host", NULL, "200");
}

typedef struct {
    fixture *f;
    JsonObject *answer;
    gboolean done;
} asker;

/* Once more, over a connection of its own. */
static void ask_for_slow(gpointer user)
{
    asker *a = user;
    g_autoptr(client) from =
        client_peer(a->f->alpha->identity, "127.0.0.1", a->f->zulu->control, "zulu", NULL);
    g_autoptr(JsonObject) body = object("{\"id\": \"" ONE "\", \"live_xml\": \"slow\"}");

    a->answer = client_call(from, "POST", "/v1/landings", body, CLIENT_TIMEOUT_LONG, NULL, NULL);
}

static void an_answer_not_heard_is_given_again(fixture *f, gconstpointer extra)
{
    asker first = {.f = f}, second = {.f = f}, third = {.f = f};

    start_thread(ask_for_slow, &first, &first.done);
    wait_until(move_is(f->zulu, ONE, "phase", "mirroring"));
    g_assert_false(first.done);
    start_thread(ask_for_slow, &second, &second.done);
    move_signal(f->zulu, ONE, SIGUSR2);
    wait_until(first.done && second.done);
    in_thread(ask_for_slow, &third);
    g_assert_cmpint(json_object_get_int_member(first.answer, "port"), ==, 1);
    g_assert_cmpint(json_object_get_int_member(second.answer, "port"), ==, 1);
    g_assert_cmpint(json_object_get_int_member(third.answer, "port"), ==, 1);
    /* It is one landing for all that, of one peer, and over when it is over. */
    land(f->from_xray, ONE, "slow", "409 conflict");
    expect(f->from_alpha, "DELETE", "/v1/landings/" ONE, NULL, "204");
    land(f->from_alpha, ONE, "slow", "409 conflict");
    json_object_unref(first.answer);
    json_object_unref(second.answer);
    json_object_unref(third.answer);
    /* A refusal is heard again too, though its worker is gone. */
    land(f->from_alpha, TWO, "blocked", "409 blocked");
    wait_until(!exists(f->zulu->run_dir, TWO));
    land(f->from_alpha, TWO, "blocked", "409 blocked");
    g_assert_false(exists(f->zulu->run_dir, TWO));
}

static void large_ones_are_refused(fixture *f, gconstpointer extra)
{
    g_autofree char *large = g_strnfill(FDIO_MESSAGE_MAX, 'x'), *fits = g_strnfill(400 * 1024, 'x');

    land(f->from_alpha, ONE, large, "413 too-large");
    land(f->from_alpha, ONE, fits, "201");
}

static void a_landing_is_its_peers(fixture *f, gconstpointer extra)
{
    land(f->from_alpha, ONE, "web01", "201");
    expect(f->from_xray, "DELETE", "/v1/landings/" ONE, NULL, "404 unknown-migration");
    expect(f->from_xray, "POST", "/v1/landings/" ONE "/commit", "{\"token\": \"t\"}",
           "404 unknown-migration");
    expect(f->from_xray, "GET", "/v1/landings/" ONE, NULL, "404 unknown-migration");
    expect(f->from_alpha, "GET", "/v1/landings/" ONE, NULL, "200");
    /* It came from alpha: nothing was given to it. */
    expect(f->from_alpha, "GET", "/v1/handovers/" ONE, NULL, "404 unknown-migration");
    expect(f->from_alpha, "DELETE", "/v1/landings/" TWO, NULL, "404 unknown-migration");
    g_assert_true(move_is(f->zulu, ONE, "phase", "mirroring"));
    expect(f->from_alpha, "DELETE", "/v1/landings/" ONE, NULL, "204");
    g_assert_true(move_is(f->zulu, ONE, "phase", "cancelled"));
    expect(f->from_alpha, "DELETE", "/v1/landings/" ONE, NULL, "204"); /* again */
    expect(f->from_xray, "DELETE", "/v1/landings/" ONE, NULL, "404 unknown-migration");
}

static void commits_come_by_the_control_port_too(fixture *f, gconstpointer extra)
{
    static const char token[] = "{\"token\": \"0123456789abcdef0123456789abcdef\"}";
    static const char other[] = "{\"token\": \"ffffffffffffffffffffffffffffffff\"}";
    static const char path[] = "/v1/landings/" ONE "/commit";
    g_autoptr(JsonObject) body = object(token), answer = NULL, again = NULL, refused = NULL;
    g_autoptr(GError) error = NULL;

    land(f->from_alpha, ONE, "web01", "201");
    expect(f->from_alpha, "POST", path, "{\"tokn\": \"x\"}", "400 bad-request");
    expect(f->from_alpha, "POST", path, "{\"token\": \"x\", \"back\": \"x\"}", "400 bad-request");
    answer = ask(f->from_alpha, "POST", path, body, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text_of(answer, "decision"), ==, "accepted");
    /* What was accepted with one token is neither accepted nor refused with another. */
    expect(f->from_alpha, "POST", path, other, "409 conflict");
    /* Past the commit point nobody cancels. */
    expect(f->from_alpha, "DELETE", "/v1/landings/" ONE, NULL, "409 conflict");
    local_refused(f->zulu, "POST", "/v1/migrations/" ONE "/cancel", NULL, "409 conflict");
    move_signal(f->zulu, ONE, SIGUSR1);
    wait_until(move_is(f->zulu, ONE, "phase", "completed"));
    wait_until(!exists(f->zulu->run_dir, ONE));
    /* The journal answers when no worker is left, and only the right token. */
    again = ask(f->from_alpha, "POST", path, body, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text_of(again, "decision"), ==, "accepted");
    expect(f->from_alpha, "POST", path, other, "409 conflict");
    expect(f->from_alpha, "DELETE", "/v1/landings/" ONE, NULL, "409 conflict");
    /* One that ended without a decision will never be accepted. */
    land(f->from_alpha, TWO, "web02", "201");
    expect(f->from_alpha, "DELETE", "/v1/landings/" TWO, NULL, "204");
    refused = ask(f->from_alpha, "POST", "/v1/landings/" TWO "/commit", body, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text_of(refused, "decision"), ==, "refused");
}

static void the_limit_is_kept_in_order(fixture *f, gconstpointer extra)
{
    land(f->from_alpha, ONE, "web01", "201");
    land(f->from_xray, TWO, "web02", "503 busy");
    land(f->from_alpha, THREE, "web03", "503 busy");
    expect(f->from_alpha, "POST", "/v1/landings",
           "{\"id\": \"" THREE "\", \"dry_run\": true, \"live_xml\": \"\"}",
           "200"); /* takes no slot */
    expect(f->from_alpha, "DELETE", "/v1/landings/" ONE, NULL, "204");
    land(f->from_alpha, THREE, "web03", "503 busy"); /* xray came first */
    land(f->from_xray, TWO, "web02", "201");
    expect(f->from_xray, "DELETE", "/v1/landings/" TWO, NULL, "204");
    land(f->from_alpha, THREE, "web03", "201");
}

/* Nor is a landing lost with the ferryd that had begun it. */
static void an_answer_outlives_ferryd(fixture *f, gconstpointer extra)
{
    asker first = {.f = f}, second = {.f = f};

    start_thread(ask_for_slow, &first, &first.done);
    wait_until(move_is(f->zulu, ONE, "phase", "mirroring"));
    test_daemon_stop(f->zulu, SIGKILL);
    wait_until(first.done);
    g_assert_null(first.answer);
    test_daemon_start(f->zulu);
    land(f->from_xray, ONE, "slow", "409 conflict");
    land(f->from_alpha, ONE, "another", "409 conflict");
    start_thread(ask_for_slow, &second, &second.done);
    wait_until(move_is(f->zulu, ONE, "phase", "mirroring"));
    move_signal(f->zulu, ONE, SIGUSR2);
    wait_until(second.done);
    g_assert_cmpint(json_object_get_int_member(second.answer, "port"), ==, 1);
    expect(f->from_alpha, "DELETE", "/v1/landings/" ONE, NULL, "204");
    json_object_unref(second.answer);
}

/* Who has lost all links asks whether there is something to come back to. */
static void whether_it_is_over_can_be_asked(fixture *f, gconstpointer extra)
{
    land(f->from_alpha, ONE, "web01", "201");
    expect(f->from_alpha, "GET", "/v1/landings/" ONE, NULL, "200");
    expect(f->from_xray, "GET", "/v1/landings/" ONE, NULL, "404 unknown-migration");
    expect(f->from_alpha, "GET", "/v1/landings/" TWO, NULL, "404 unknown-migration");
    test_daemon_stop(f->zulu, SIGKILL);
    test_daemon_start(f->zulu);
    expect(f->from_alpha, "GET", "/v1/landings/" ONE, NULL, "200");
    expect(f->from_alpha, "DELETE", "/v1/landings/" ONE, NULL, "204");
    expect(f->from_alpha, "GET", "/v1/landings/" ONE, NULL, "410 ended");
    expect(f->from_xray, "GET", "/v1/landings/" ONE, NULL, "404 unknown-migration");
}

static void blocked_landings_give_their_slot_back(fixture *f, gconstpointer extra)
{
    land(f->from_alpha, ONE, "blocked", "409 blocked");
    land(f->from_alpha, TWO, "mute", "500 internal");
    wait_until(!exists(f->zulu->run_dir, ONE) && !exists(f->zulu->run_dir, TWO));
    land(f->from_alpha, THREE, "web03", "201");
}

static void incoming_can_be_off(fixture *f, gconstpointer extra)
{
    land(f->from_alpha, ONE, "web01", "403 incoming-off");
    expect(f->from_alpha, "POST", "/v1/landings",
           "{\"id\": \"" ONE "\", \"dry_run\": true, \"live_xml\": \"\"}", "403 incoming-off");
}

static void talk(gpointer user)
{
    int fd = *(int *)user;
    char got[12] = "";

    g_assert_true(fdio_write_full(fd, "!", 1, NULL));
    g_assert_true(fdio_read_full(fd, got, 11, NULL));
    g_assert_cmpstr(got, ==, "channel 7\n!");
}

static int channel_of(fixture *f, const char *id)
{
    wire_preamble preamble = {.channel = 7};
    uint8_t data[WIRE_PREAMBLE_SIZE];
    int fd = raw_connect(f->zulu->data);

    uuid_to_bytes(id, preamble.landing);
    wire_put_preamble(data, &preamble);
    g_assert_true(fdio_write_full(fd, data, sizeof data, NULL));
    return fd;
}

static void read_to_end(gpointer user)
{
    g_free(raw_read_all(*(int *)user));
}

static void channels_reach_their_landing(fixture *f, gconstpointer extra)
{
    fdio_auto unknown = -1, good = -1, later = -1;

    land(f->from_alpha, ONE, "web01", "201");
    good = channel_of(f, ONE);
    in_thread(talk, &good);
    unknown = channel_of(f, TWO);
    in_thread(read_to_end, &unknown);
    /* After a restart of ferryd as well. */
    test_daemon_stop(f->zulu, SIGKILL);
    test_daemon_start(f->zulu);
    later = channel_of(f, ONE);
    in_thread(talk, &later);
    expect(f->from_xray, "DELETE", "/v1/landings/" ONE, NULL, "404 unknown-migration");
    expect(f->from_alpha, "DELETE", "/v1/landings/" ONE, NULL, "204");
}

int main(int argc, char **argv)
{
    static const char one[] = "[migrations]\nmax-incoming=1\n";
#define TEST(name, extra) g_test_add("/landings/" #name, fixture, extra, set_up, name, tear_down)
    g_test_init(&argc, &argv, NULL);
    TEST(landings_are_answered_by_workers, NULL);
    TEST(an_answer_not_heard_is_given_again, NULL);
    TEST(large_ones_are_refused, NULL);
    TEST(a_landing_is_its_peers, NULL);
    TEST(commits_come_by_the_control_port_too, NULL);
    TEST(an_answer_outlives_ferryd, NULL);
    TEST(whether_it_is_over_can_be_asked, NULL);
    TEST(the_limit_is_kept_in_order, one);
    TEST(blocked_landings_give_their_slot_back, one);
    TEST(incoming_can_be_off, "[migrations]\nincoming=no\n");
    TEST(channels_reach_their_landing, NULL);
    return g_test_run();
}
