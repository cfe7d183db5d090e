/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two real ferryds are paired, or, with somebody between them, are not. */
#include "daemons.h"

#include "api/server.h"
#include "net/pairing.h"

#include <signal.h>
#include <string.h>

typedef struct {
    char *scratch;
    test_daemon *alpha, *zulu;
    test_host *mallory;
    server *middle; /* mallory's */
    exchange *caught;
    gboolean lies; /* answers by itself instead of passing on */
    gboolean heard;
} fixture;

static void set_up(fixture *f, gconstpointer data)
{
    f->scratch = scratch_new();
    f->alpha = test_daemon_new(f->scratch, "alpha", NULL);
    f->zulu = test_daemon_new(f->scratch, "zulu", NULL);
    f->mallory = test_host_new(f->scratch, "mallory");
    test_daemon_start(f->alpha);
    test_daemon_start(f->zulu);
}

static void tear_down(fixture *f, gconstpointer data)
{
    server_free(f->middle);
    test_daemon_free(f->alpha);
    test_daemon_free(f->zulu);
    test_host_free(f->mallory);
    scratch_remove(f->scratch);
}

static char *make_token(test_daemon *on)
{
    g_autoptr(JsonObject) answer = local_call(on, "POST", "/v1/pairing", NULL, 201);
    g_autofree char *own = pki_fingerprint(pki_own(on->host->identity, FALSE));

    g_assert_cmpstr(text_of(answer, "name"), ==, on->host->name);
    g_assert_cmpstr(text_of(answer, "fingerprint"), ==, own);
    g_assert_cmpint(json_object_get_int_member(answer, "expires"), >,
                    g_get_real_time() / G_USEC_PER_SEC);
    return g_strdup(text_of(answer, "token"));
}

static char *body_for(guint16 port, const char *token, const char *more)
{
    return g_strdup_printf("{\"host\": \"127.0.0.1:%u\", \"token\": \"%s\"%s}", port, token,
                           more ? more : "");
}

static guint peers_of(test_daemon *d)
{
    g_autoptr(JsonObject) answer = local_call(d, "GET", "/v1/peers", NULL, 200);
    JsonArray *array;

    g_assert_true(json_get_array(answer, "peers", &array, NULL));
    return json_array_get_length(array);
}

static int trusts(test_daemon *who, test_daemon *whom)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(client) c =
        client_peer(who->host->identity, "127.0.0.1", whom->control, whom->host->name, &error);
    g_autoptr(JsonObject) answer = ask(c, "GET", "/v1/host", NULL, &error);

    return answer ? 200 : client_status(c);
}

static void hosts_are_paired(fixture *f, gconstpointer data)
{
    g_autofree char *token = make_token(f->zulu), *lower = g_ascii_strdown(token, -1);
    g_autofree char *body = body_for(f->zulu->control, lower, NULL);
    g_autoptr(JsonObject) peer = NULL, list = NULL;
    g_autofree char *address = g_strdup_printf("127.0.0.1:%u", f->zulu->control);
    g_autofree char *back = g_strdup_printf("127.0.0.1:%u", f->alpha->control);
    JsonArray *array;

    g_assert_cmpint(trusts(f->alpha, f->zulu), ==, 0);
    peer = local_call(f->alpha, "POST", "/v1/peers", body, 201);
    g_assert_cmpstr(text_of(peer, "name"), ==, "zulu");
    g_assert_cmpstr(text_of(peer, "address"), ==, address);
    /* Both ways, and each knows where the other is. */
    g_assert_cmpint(trusts(f->alpha, f->zulu), ==, 200);
    g_assert_cmpint(trusts(f->zulu, f->alpha), ==, 200);
    list = local_call(f->zulu, "GET", "/v1/peers", NULL, 200);
    g_assert_true(json_get_array(list, "peers", &array, NULL));
    g_assert_cmpstr(text_of(json_array_get_object_element(array, 0), "address"), ==, back);
    /* A token is good once. */
    local_refused(f->alpha, "POST", "/v1/peers", body, "403 bad-token");
    /* Forgetting one takes effect at once. */
    json_object_unref(local_call(f->zulu, "DELETE", "/v1/peers/ALPHA", NULL, 204));
    g_assert_cmpint(trusts(f->alpha, f->zulu), ==, 403);
    g_assert_cmpint(peers_of(f->zulu), ==, 0);
}

static void wrong_tokens_are_refused(fixture *f, gconstpointer data)
{
    g_autofree char *wrong = body_for(f->zulu->control, "AAAA-AAAA-AAAA-AAAA", NULL);
    g_autofree char *token = NULL, *right = NULL, *log = NULL;

    local_refused(f->alpha, "POST", "/v1/peers", wrong, "403 bad-token"); /* there is none at all */
    token = make_token(f->zulu);
    right = body_for(f->zulu->control, token, NULL);
    for (guint i = 0; i < 5; i++)
        local_refused(f->alpha, "POST", "/v1/peers", wrong, "403 bad-token");
    local_refused(f->alpha, "POST", "/v1/peers", right, "403 bad-token"); /* five ended it */
    g_assert_cmpint(peers_of(f->alpha) + peers_of(f->zulu), ==, 0);
    g_assert_true(g_file_get_contents(f->zulu->log, &log, NULL, NULL));
    g_assert_nonnull(strstr(log, "127.0.0.1 was refused: wrong token"));
    g_assert_null(strstr(log, token));
}

static void a_restart_forgets_the_token(fixture *f, gconstpointer data)
{
    g_autofree char *token = make_token(f->zulu);
    g_autofree char *body = body_for(f->zulu->control, token, NULL);

    test_daemon_stop(f->zulu, SIGTERM);
    test_daemon_start(f->zulu);
    local_refused(f->alpha, "POST", "/v1/peers", body, "403 bad-token");
}

static void names_are_not_taken_over(fixture *f, gconstpointer data)
{
    g_autofree char *token = make_token(f->zulu);
    g_autofree char *same = body_for(f->zulu->control, token, ", \"name\": \"alpha\"");
    g_autofree char *self = body_for(f->alpha->control, token, NULL);
    g_autofree char *nobody = body_for(1, token, NULL);
    g_autofree char *again = NULL, *other = NULL, *replace = NULL, *second = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) peer = NULL;

    local_refused(f->alpha, "POST", "/v1/peers", self, "400 bad-request");
    local_refused(f->alpha, "POST", "/v1/peers", nobody, "502 unreachable");
    local_refused(f->alpha, "POST", "/v1/peers", same, "409 conflict");
    /* On alpha another host is "zulu" already. */
    g_assert_true(pki_pin(f->alpha->host->identity, "zulu", pki_own(f->mallory->identity, FALSE),
                          FALSE, &error));
    again = make_token(f->zulu);
    other = body_for(f->zulu->control, again, NULL);
    local_refused(f->alpha, "POST", "/v1/peers", other, "409 conflict");
    second = make_token(f->zulu);
    replace = body_for(f->zulu->control, second, ", \"replace\": true");
    peer = local_call(f->alpha, "POST", "/v1/peers", replace, 201);
    g_assert_cmpint(trusts(f->alpha, f->zulu), ==, 200);
}

static void re_pairing_says_what_to_do(fixture *f, gconstpointer data)
{
    g_autofree char *token = make_token(f->zulu), *body = body_for(f->zulu->control, token, NULL);
    g_autofree char *second = NULL, *third = NULL, *back = NULL, *replace = NULL;
    g_autoptr(JsonObject) peer = local_call(f->alpha, "POST", "/v1/peers", body, 201), again = NULL;

    /* zulu gets a new certificate. From there it is alpha that has to forget the old one. */
    test_daemon_stop(f->zulu, SIGTERM);
    test_host_renew(f->zulu->host);
    test_daemon_start(f->zulu);
    second = make_token(f->alpha);
    back = body_for(f->alpha->control, second, NULL);
    local_refused_saying(f->zulu, "POST", "/v1/peers", back, "409 conflict",
                         "run 'ferry unpair zulu' on alpha");
    /* Until then nothing goes, and who asks is told how to mend it. */
    g_assert_cmpint(trusts(f->alpha, f->zulu), ==, 0);
    /* From alpha it is one step. */
    third = make_token(f->zulu);
    replace = body_for(f->zulu->control, third, NULL);
    local_refused_saying(f->alpha, "POST", "/v1/peers", replace, "409 conflict", "--replace it");
    g_free(third);
    g_free(replace);
    third = make_token(f->zulu);
    replace = body_for(f->zulu->control, third, ", \"replace\": true");
    again = local_call(f->alpha, "POST", "/v1/peers", replace, 201);
    g_assert_cmpint(trusts(f->alpha, f->zulu), ==, 200);
}

/* What mallory does: shows his own certificate to alpha, and passes on what alpha says to zulu. */
typedef struct {
    fixture *f;
    JsonObject *body, *answer;
    int status;
} passing;

static void run_passing(gpointer user)
{
    passing *p = user;
    g_autoptr(GError) error = NULL;
    g_autoptr(client) to =
        client_stranger(p->f->mallory->identity, "127.0.0.1", p->f->zulu->control, NULL, &error);

    p->answer = client_call(to, "POST", "/v1/pair", p->body, DEADLINE_S, NULL, &error);
    p->status = client_status(to);
}

static void on_pair(exchange *x, gpointer user)
{
    fixture *f = user;

    f->heard = TRUE;
    if (f->lies) {
        JsonObject *body = json_object_new();
        g_autofree char *proof = g_strnfill(64, 'a');
        json_object_set_string_member(body, "proof", proof);
        json_object_set_string_member(body, "name", "zulu");
        exchange_answer(x, 200, body);
        return;
    }
    f->caught = exchange_ref(x);
}

static const server_route middle_routes[] = {{"POST", "/v1/pair", ROUTE_STRANGER, on_pair}, {0}};

static guint16 put_mallory_between(fixture *f)
{
    static const char *const loopback[] = {"127.0.0.1", NULL};
    server_setup setup = {middle_routes, "zulu", DEADLINE_S * 1000, f};
    g_autoptr(GError) error = NULL;

    f->middle = server_new(&setup);
    g_assert_true(server_listen_peers(f->middle, f->mallory->identity, loopback, 0, &error));
    return server_port(f->middle);
}

typedef struct {
    client *local;
    JsonObject *body;
    GError *error;
} dialling;

static void run_dialling(gpointer user)
{
    dialling *d = user;
    g_autoptr(JsonObject) answer =
        client_call(d->local, "POST", "/v1/peers", d->body, DEADLINE_S, NULL, &d->error);

    g_assert_null(answer);
}

static void nobody_can_stand_between(fixture *f, gconstpointer data)
{
    guint16 port = put_mallory_between(f);
    g_autofree char *token = make_token(f->zulu), *text = body_for(port, token, NULL);
    g_autofree char *straight = body_for(f->zulu->control, token, NULL);
    g_autoptr(JsonObject) body = object(text);
    dialling d = {f->alpha->local, body, NULL};
    passing p = {.f = f};
    gboolean done;

    start_thread(run_dialling, &d, &done);
    wait_until(f->caught);
    p.body = exchange_body(f->caught);
    in_thread(run_passing, &p);
    /* zulu sees mallory's certificate, and alpha's proof is about another pair of them. */
    g_assert_null(p.answer);
    g_assert_cmpint(p.status, ==, 403);
    exchange_fail(f->caught, 403, "bad-token", "no");
    g_clear_pointer(&f->caught, exchange_unref);
    wait_until(g_atomic_int_get(&done));
    g_assert_error(d.error, CLIENT_ERROR, CLIENT_ERROR_ANSWER);
    g_error_free(d.error);
    g_assert_cmpint(peers_of(f->alpha) + peers_of(f->zulu), ==, 0);
    /* It cost one attempt; the real pair still comes together. */
    json_object_unref(local_call(f->alpha, "POST", "/v1/peers", straight, 201));
}

static void who_does_not_know_the_token_is_not_pinned(fixture *f, gconstpointer data)
{
    guint16 port = put_mallory_between(f);
    g_autofree char *text = body_for(port, "AAAA-AAAA-AAAA-AAAA", NULL);

    f->lies = TRUE;
    local_refused(f->alpha, "POST", "/v1/peers", text, "502 peer-untrusted");
    g_assert_true(f->heard);
    g_assert_cmpint(peers_of(f->alpha), ==, 0);
}

int main(int argc, char **argv)
{
#define TEST(name) g_test_add("/pairing/" #name, fixture, NULL, set_up, name, tear_down)
    g_test_init(&argc, &argv, NULL);
    TEST(hosts_are_paired);
    TEST(wrong_tokens_are_refused);
    TEST(a_restart_forgets_the_token);
    TEST(names_are_not_taken_over);
    TEST(re_pairing_says_what_to_do);
    TEST(nobody_can_stand_between);
    TEST(who_does_not_know_the_token_is_not_pinned);
    return g_test_run();
}
