/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Server and client together, over a real UNIX socket and real TLS. */
#include "support.h"

#include "api/server.h"
#include "base/fdio.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHORT_MS 1000                /* the server's patience where a test is about it, */
#define LONG_MS  (DEADLINE_S * 1000) /* and where it is not */
#define TLS13    "NORMAL:-VERS-ALL:+VERS-TLS1.3"

typedef struct {
    char *scratch, *socket;
    test_host *alpha, *zulu; /* zulu serves */
    server *served;
    exchange *held; /* of /v1/hold */
    guint calls;
} fixture;

static void on_echo(exchange *x, gpointer user)
{
    JsonObject *body = json_object_new();

    ((fixture *)user)->calls++;
    json_object_set_string_member(body, "peer", exchange_peer(x) ? exchange_peer(x) : "");
    json_object_set_string_member(body, "who", exchange_who(x));
    json_object_set_object_member(body, "body", json_object_ref(exchange_body(x)));
    if (exchange_query(x, "q"))
        json_object_set_string_member(body, "q", exchange_query(x, "q"));
    exchange_answer(x, 200, body);
}

static void on_length(exchange *x, gpointer user)
{
    JsonObject *body = json_object_new();
    const char *text = json_object_get_string_member(exchange_body(x), "text");

    json_object_set_int_member(body, "length", (gint64)strlen(text));
    exchange_answer(x, 200, body);
}

static void on_part(exchange *x, gpointer user)
{
    JsonObject *body = json_object_new();

    json_object_set_string_member(body, "part", exchange_part(x, 0));
    exchange_answer(x, 201, body);
}

static void on_hold(exchange *x, gpointer user)
{
    ((fixture *)user)->held = exchange_ref(x);
}

static void on_forget(exchange *x, gpointer user)
{
}

static void on_large(exchange *x, gpointer user)
{
    g_autofree char *text = g_strnfill(5 * 1024 * 1024, 'x');
    JsonObject *body = json_object_new();

    json_object_set_string_member(body, "text", text);
    exchange_answer(x, 200, body);
}

static void on_no(exchange *x, gpointer user)
{
    exchange_fail(x, 409, "conflict", "no\n\033[31m%s", "way");
}

static void on_none(exchange *x, gpointer user)
{
    exchange_answer(x, 204, NULL);
}

static const server_route routes[] = {{"POST", "/v1/echo", ROUTE_LOCAL | ROUTE_PEER, on_echo},
                                      {"GET", "/v1/echo", ROUTE_LOCAL | ROUTE_PEER, on_echo},
                                      {"POST", "/v1/length", ROUTE_PEER, on_length},
                                      {"POST", "/v1/parts/*", ROUTE_LOCAL, on_part},
                                      {"GET", "/v1/hold", ROUTE_LOCAL | ROUTE_PEER, on_hold},
                                      {"GET", "/v1/forget", ROUTE_LOCAL, on_forget},
                                      {"GET", "/v1/large", ROUTE_LOCAL, on_large},
                                      {"GET", "/v1/no", ROUTE_LOCAL, on_no},
                                      {"DELETE", "/v1/none", ROUTE_LOCAL, on_none},
                                      {"POST", "/v1/pair", ROUTE_STRANGER, on_echo},
                                      {0}};

static void set_up(fixture *f, gconstpointer data)
{
    static const char *const loopback[] = {"127.0.0.1", NULL};
    g_autoptr(GError) error = NULL;
    server_setup setup = {routes, "zulu", data ? SHORT_MS : LONG_MS, f};

    f->scratch = scratch_new();
    f->socket = g_build_filename(f->scratch, "api.sock", NULL);
    f->alpha = test_host_new(f->scratch, "alpha");
    f->zulu = test_host_new(f->scratch, "zulu");
    f->served = server_new(&setup);
    g_assert_true(server_listen_local(f->served, f->socket, NULL, &error));
    g_assert_true(server_listen_peers(f->served, f->zulu->identity, loopback, 0, &error));
    g_assert_no_error(error);
}

static void tear_down(fixture *f, gconstpointer data)
{
    server_free(f->served);
    if (f->held)
        exchange_unref(f->held);
    test_host_free(f->alpha);
    test_host_free(f->zulu);
    g_free(f->socket);
    scratch_remove(f->scratch);
    while (g_main_context_iteration(NULL, FALSE))
        ;
}

static client *peer(fixture *f, const char *name)
{
    g_autoptr(GError) error = NULL;
    client *made =
        client_peer(f->alpha->identity, "127.0.0.1", server_port(f->served), name, &error);

    g_assert_no_error(error);
    return made;
}

/* What an answer with an error was: "409 conflict". */
static void assert_refused(client *who, const char *method, const char *path, JsonObject *body,
                           const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) answer = ask(who, method, path, body, &error);
    g_autofree char *got = NULL;

    g_assert_null(answer);
    g_assert_error(error, CLIENT_ERROR, CLIENT_ERROR_ANSWER);
    got = g_strdup_printf("%d %s", client_status(who), client_code(who));
    g_assert_cmpstr(got, ==, expected);
}

static void local_calls_are_routed(fixture *f, gconstpointer data)
{
    g_autoptr(client) local = client_local(f->socket);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) body = object("{\"a\": [1, \"zwei\", null]}");
    g_autoptr(JsonObject) echo = ask(local, "POST", "/v1/echo?q=a%20b", body, &error);
    g_autoptr(JsonObject) part = NULL, none = NULL;
    struct stat info;
    JsonObject *inner;
    g_autofree char *text = NULL;

    g_assert_no_error(error);
    g_assert_true(json_get_object(echo, "body", &inner, NULL));
    text = json_text(inner);
    g_assert_cmpstr(text, ==, "{\"a\":[1,\"zwei\",null]}");
    g_assert_cmpstr(text_of(echo, "q"), ==, "a b");
    g_assert_cmpstr(text_of(echo, "peer"), ==, "");
    g_assert_cmpstr(text_of(echo, "who"), ==, "local");
    part = ask(local, "POST", "/v1/parts/a%20%C3%BC%25", NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text_of(part, "part"), ==, "a ü%");
    g_assert_cmpint(client_status(local), ==, 201);
    none = ask(local, "DELETE", "/v1/none", NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpint(json_object_get_size(none), ==, 0);
    g_assert_cmpint(client_status(local), ==, 204);
    g_assert_cmpint(stat(f->socket, &info), ==, 0);
    g_assert_cmpint(info.st_mode & 0777, ==, 0600);
}

/* One exchange by hand: what HTTP clients would not send. */
typedef struct {
    const char *socket, *send;
    char *received;
} raw_unix;

static void raw_unix_run(gpointer user)
{
    raw_unix *self = user;
    fdio_auto fd = fdio_unix_connect(self->socket, SOCK_STREAM, NULL);

    g_assert_cmpint(fd, >=, 0);
    (void)fdio_write_full(fd, self->send, strlen(self->send), NULL);
    self->received = raw_read_all(fd);
}

static char *raw(fixture *f, const char *send)
{
    raw_unix request = {f->socket, send, NULL};

    in_thread(raw_unix_run, &request);
    return request.received;
}

static void bad_requests_get_clear_answers(fixture *f, gconstpointer data)
{
    g_autoptr(client) local = client_local(f->socket);
    g_autoptr(GError) error = NULL;
    g_autofree char *no_json = NULL, *no_http = NULL;

    assert_refused(local, "GET", "/v1/nowhere", NULL, "404 not-found");
    assert_refused(local, "GET", "/", NULL, "404 not-found");
    assert_refused(local, "POST", "/v1/parts/", NULL, "404 not-found");
    assert_refused(local, "POST", "/v1/parts/a%2Fb", NULL, "404 not-found");
    assert_refused(local, "POST", "/v1/parts/%ff", NULL, "404 not-found");
    assert_refused(local, "POST", "/v1/parts/a/b", NULL, "404 not-found");
    assert_refused(local, "PUT", "/v1/echo", NULL, "405 not-found");
    assert_refused(local, "POST", "/v1/pair", NULL, "403 forbidden");
    assert_refused(local, "GET", "/v1/forget", NULL, "500 internal");
    assert_refused(local, "GET", "/v1/no", NULL, "409 conflict");
    g_assert_null(ask(local, "GET", "/v1/no", NULL, &error));
    g_assert_cmpstr(error->message, ==, "no  [31mway"); /* nothing a terminal would obey */
    no_json = raw(f, "POST /v1/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                     "Content-Length: 4\r\n\r\n{\"a\"");
    g_assert_nonnull(strstr(no_json, "HTTP/1.1 400 "));
    g_assert_nonnull(strstr(no_json, "\"bad-request\""));
    no_http = raw(f, "\x16\x03\x01 hello\r\n\r\n");
    g_assert_null(strstr(no_http, "200"));
    g_assert_cmpint(f->calls, ==, 0);
}

static void bodies_are_bounded(fixture *f, gconstpointer data)
{
    g_autoptr(client) local = client_local(f->socket);
    g_autofree char *fits = g_strnfill(SERVER_BODY_MAX - 64, 'x');
    g_autofree char *long_text = g_strnfill(SERVER_BODY_MAX, 'x');
    g_autofree char *chunked = g_strdup_printf("POST /v1/echo HTTP/1.1\r\nHost: x\r\nConnection: "
                                               "close\r\nTransfer-Encoding: chunked\r\n\r\n"
                                               "%x\r\n%s\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
                                               SERVER_BODY_MAX, long_text);
    g_autofree char *answer = NULL;
    g_autoptr(JsonObject) body = json_object_new(), small = NULL;
    g_autoptr(GError) error = NULL;

    json_object_set_string_member(body, "text", long_text);
    assert_refused(local, "POST", "/v1/echo", body, "413 too-large");
    answer = raw(f, chunked);
    g_assert_nonnull(strstr(answer, "HTTP/1.1 413 "));
    g_assert_cmpint(f->calls, ==, 0);
    json_object_set_string_member(body, "text", fits);
    small = ask(local, "POST", "/v1/parts/x", body, &error);
    g_assert_no_error(error);
}

static void answers_are_bounded(fixture *f, gconstpointer data)
{
    g_autoptr(client) local = client_local(f->socket);
    g_autoptr(GError) error = NULL;

    g_assert_null(ask(local, "GET", "/v1/large", NULL, &error));
    g_assert_error(error, CLIENT_ERROR, CLIENT_ERROR_PROTOCOL);
}

static void the_slow_are_cut_off(fixture *f, gconstpointer data)
{
    g_autofree char *silent = raw(f, "");
    g_autofree char *half = raw(f, "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Le");
    g_autofree char *no_body =
        raw(f, "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{");
    g_autofree char *idle = raw(f, "DELETE /v1/none HTTP/1.1\r\nHost: x\r\n\r\n");

    g_assert_cmpstr(silent, ==, "");
    g_assert_cmpstr(half, ==, "");
    g_assert_null(strstr(no_body, "200"));
    g_assert_nonnull(strstr(idle, "204")); /* answered, kept alive, and closed in the end */
    g_assert_cmpint(f->calls, ==, 0);
}

typedef struct {
    client *who;
    GCancellable *cancel;
    guint timeout_s;
    JsonObject *answer;
    GError *error;
} waiting_call;

static void run_waiting(gpointer user)
{
    waiting_call *w = user;

    w->answer = client_call(w->who, "GET", "/v1/hold", NULL, w->timeout_s, w->cancel, &w->error);
}

static void answers_may_come_later(fixture *f, gconstpointer data)
{
    g_autoptr(client) local = client_local(f->socket);
    waiting_call w = {.who = local, .timeout_s = DEADLINE_S};
    gboolean done;
    gint64 end;

    start_thread(run_waiting, &w, &done);
    wait_until(f->held);
    /* Longer than a client may keep *us* waiting: it does not. */
    end = g_get_monotonic_time() + 2 * SHORT_MS * 1000;
    wait_until(g_get_monotonic_time() > end);
    g_assert_false(g_atomic_int_get(&done));
    exchange_answer(f->held, 200, object("{\"late\": \"yes\"}"));
    exchange_answer(f->held, 500, NULL); /* the first one counts */
    wait_until(g_atomic_int_get(&done));
    g_assert_no_error(w.error);
    g_assert_cmpstr(text_of(w.answer, "late"), ==, "yes");
    json_object_unref(w.answer);
}

static void clients_give_up(fixture *f, gconstpointer data)
{
    g_autoptr(client) local = client_local(f->socket);
    g_autoptr(GCancellable) cancel = g_cancellable_new();
    waiting_call late = {.who = local, .timeout_s = 1};
    waiting_call cancelled = {.who = local, .timeout_s = DEADLINE_S, .cancel = cancel};
    gboolean done;

    in_thread(run_waiting, &late);
    g_assert_error(late.error, CLIENT_ERROR, CLIENT_ERROR_UNREACHABLE);
    g_error_free(late.error);
    wait_until(f->held);
    exchange_answer(f->held, 200, NULL); /* to nobody */
    g_clear_pointer(&f->held, exchange_unref);
    start_thread(run_waiting, &cancelled, &done);
    wait_until(f->held);
    g_cancellable_cancel(cancel);
    wait_until(g_atomic_int_get(&done));
    g_assert_error(cancelled.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_error_free(cancelled.error);
}

static void peers_are_known_by_their_certificate(fixture *f, gconstpointer data)
{
    g_autoptr(client) zulu = peer(f, "zulu");
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) echo = NULL;

    test_host_pair(f->alpha, f->zulu);
    echo = ask(zulu, "GET", "/v1/echo", NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text_of(echo, "peer"), ==, "alpha");
    g_assert_cmpstr(text_of(echo, "who"), ==, "127.0.0.1");
    g_assert_true(g_bytes_equal(client_certificate(zulu), pki_own(f->zulu->identity, FALSE)));
    assert_refused(zulu, "POST", "/v1/parts/x", NULL, "403 forbidden");
    /* Forgetting one takes effect at once. */
    g_assert_true(pki_unpin(f->zulu->identity, "alpha", &error));
    assert_refused(zulu, "GET", "/v1/echo", NULL, "403 untrusted");
}

static void strangers_may_only_pair(fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(client) stranger =
        client_stranger(f->alpha->identity, "127.0.0.1", server_port(f->served), NULL, &error);
    g_autoptr(JsonObject) answer = NULL, large = json_object_new();
    g_autofree char *text = g_strnfill(SERVER_STRANGER_MAX, 'x');

    assert_refused(stranger, "GET", "/v1/echo", NULL, "403 untrusted");
    assert_refused(stranger, "GET", "/v1/nowhere", NULL, "403 untrusted");
    g_assert_cmpint(f->calls, ==, 0);
    answer = ask(stranger, "POST", "/v1/pair", NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text_of(answer, "peer"), ==, "");
    json_object_set_string_member(large, "text", text);
    assert_refused(stranger, "POST", "/v1/pair", large, "413 too-large");
}

static void an_expired_client_is_refused(fixture *f, gconstpointer data)
{
    raw_tls request = {server_port(f->served),
                       TLS13,
                       f->alpha,
                       "GET /v1/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                       0,
                       0,
                       NULL};
    g_autoptr(GError) error = NULL;
    gsize length;
    g_autofree char *pem = NULL, *pin = g_strdup_printf("%s/alpha.crt", f->zulu->peers);

    test_host_expire(f->alpha);
    g_assert_true(g_file_get_contents(f->alpha->certificate, &pem, &length, NULL));
    g_assert_true(fdio_replace_file(pin, pem, length, 0644, &error));
    in_thread(raw_tls_run, &request);
    g_assert_nonnull(strstr(request.received, "HTTP/1.1 403"));
    g_assert_nonnull(strstr(request.received, "expired"));
    g_free(request.received);
}

/* The client's side: nothing is sent to whom we do not trust. */
static void untrusted_servers_hear_nothing(fixture *f, gconstpointer data)
{
    g_autoptr(client) zulu = peer(f, "zulu"), yankee = peer(f, "yankee");
    g_autoptr(GError) unknown = NULL, other = NULL, changed = NULL, error = NULL;
    g_autoptr(client) another =
        client_stranger(f->alpha->identity, "127.0.0.1", server_port(f->served),
                        pki_own(f->alpha->identity, FALSE), &error);

    g_assert_null(ask(zulu, "POST", "/v1/echo", NULL, &unknown));
    g_assert_error(unknown, PKI_ERROR, PKI_ERROR_UNTRUSTED);
    g_assert_nonnull(client_certificate(zulu));
    test_host_pair(f->alpha, f->zulu);
    g_assert_null(ask(yankee, "POST", "/v1/echo", NULL, &other));
    g_assert_error(other, PKI_ERROR, PKI_ERROR_NAME);
    g_assert_null(ask(another, "POST", "/v1/pair", NULL, &changed));
    g_assert_error(changed, PKI_ERROR, PKI_ERROR_NAME);
    g_assert_cmpint(f->calls, ==, 0);
}

static void an_expired_server_is_told_apart(fixture *f, gconstpointer data)
{
    static const char *const loopback[] = {"127.0.0.1", NULL};
    server_setup setup = {routes, "zulu", LONG_MS, f};
    g_autoptr(server) expired = server_new(&setup);
    g_autoptr(GError) error = NULL;
    g_autoptr(client) zulu = NULL;
    g_autofree char *good = g_strdup(f->zulu->certificate), *good_key = g_strdup(f->zulu->key);
    g_autofree char *pem = NULL, *pin = g_strdup_printf("%s/zulu.crt", f->alpha->peers);
    gsize length;

    /* An identity loaded while its certificate was good, whose files have changed since. */
    test_host_expire(f->zulu);
    g_assert_true(g_file_get_contents(f->zulu->certificate, &pem, &length, NULL));
    g_assert_true(fdio_replace_file(pin, pem, length, 0644, &error));
    g_assert_true(fdio_replace_file(good, pem, length, 0644, &error));
    g_clear_pointer(&pem, g_free);
    g_assert_true(g_file_get_contents(f->zulu->key, &pem, &length, NULL));
    g_assert_true(fdio_replace_file(good_key, pem, length, 0600, &error));
    g_assert_true(server_listen_peers(expired, f->zulu->identity, loopback, 0, &error));
    g_assert_no_error(error);
    zulu = client_peer(f->alpha->identity, "127.0.0.1", server_port(expired), "zulu", &error);
    g_assert_null(ask(zulu, "GET", "/v1/echo", NULL, &error));
    g_assert_error(error, PKI_ERROR, PKI_ERROR_EXPIRED);
    g_assert_cmpint(f->calls, ==, 0);
}

static void the_unreachable_are_told_apart(fixture *f, gconstpointer data)
{
    g_autoptr(client) nobody = client_local("/nonexistent/api.sock");
    g_autoptr(GError) absent = NULL, refused = NULL, name = NULL, error = NULL;
    g_autoptr(client) closed = client_peer(f->alpha->identity, "127.0.0.1", 1, "zulu", &error);
    g_autoptr(client) unknown =
        client_peer(f->alpha->identity, "no-such-host.invalid", 1, "zulu", &error);

    g_assert_null(ask(nobody, "GET", "/v1/echo", NULL, &absent));
    g_assert_error(absent, CLIENT_ERROR, CLIENT_ERROR_UNREACHABLE);
    g_assert_nonnull(strstr(absent->message, "systemctl start ferryd"));
    g_assert_null(ask(closed, "GET", "/v1/echo", NULL, &refused));
    g_assert_error(refused, CLIENT_ERROR, CLIENT_ERROR_UNREACHABLE);
    g_assert_null(ask(unknown, "GET", "/v1/echo", NULL, &name));
    g_assert_error(name, CLIENT_ERROR, CLIENT_ERROR_UNREACHABLE);
}

static void only_tls_13_with_a_certificate(fixture *f, gconstpointer data)
{
    static const char request[] = "POST /v1/pair HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    guint16 port = server_port(f->served);
    raw_tls old = {port, "NORMAL:-VERS-ALL:+VERS-TLS1.2", f->alpha, request, 0, 0, NULL};
    raw_tls nameless = {port, TLS13, NULL, request, 0, 0, NULL};
    raw_tls good = {port, TLS13, f->alpha, request, 0, 0, NULL};

    in_thread(raw_tls_run, &old);
    g_assert_cmpint(old.handshake, <, 0);
    /* In TLS 1.3 the client's side of the handshake is over before the server has judged it. */
    in_thread(raw_tls_run, &nameless);
    g_assert_cmpstr(nameless.received, ==, "");
    g_assert_cmpint(f->calls, ==, 0);
    in_thread(raw_tls_run, &good);
    g_assert_nonnull(strstr(good.received, "HTTP/1.1 200 "));
    g_free(old.received);
    g_free(nameless.received);
    g_free(good.received);
    wait_until(server_connections(f->served) == 0);
}

static void read_to_end(gpointer user)
{
    g_free(raw_read_all(*(int *)user));
}

static void half_open_connections_go_away(fixture *f, gconstpointer data)
{
    static const char *const loopback[] = {"127.0.0.1", NULL};
    server_setup setup = {routes, "zulu", 4000, f};
    g_autoptr(server) patient = server_new(&setup);
    int fds[60];
    gboolean done;

    g_assert_true(server_listen_peers(patient, f->zulu->identity, loopback, 0, NULL));
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++)
        fds[i] = raw_connect(server_port(patient));
    /* No more than so many from one address are let in at all. */
    wait_until(server_connections(patient) == 48);
    /* And none of them stays. */
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        start_thread(read_to_end, &fds[i], &done);
        wait_until(g_atomic_int_get(&done));
        close(fds[i]);
    }
    wait_until(server_connections(patient) == 0);
}

/* A ClientHello that says it has 16 MiB, in records as long as they may be. */
typedef struct {
    guint16 port;
    guint sent; /* records, of 1024 */
} long_hello;

static void begin_long_hello(gpointer user)
{
    long_hello *self = user;
    fdio_auto fd = raw_connect(self->port);
    guint8 record[5 + 16384] = {22, 3, 1, 64, 0, 1, 255, 255, 255};

    for (self->sent = 0; self->sent < 1024; self->sent++) {
        if (!fdio_write_full(fd, record, sizeof record, NULL))
            return;
        memset(record + 5, 0, 4);
    }
}

/* Nobody makes us collect what the TLS library would, before its handshake or behind it. */
static void tls_that_brings_nothing_is_cut_off(fixture *f, gconstpointer data)
{
    guint16 port = server_port(f->served);
    long_hello hello = {.port = port};
    raw_tls flood = {.port = port, .priority = TLS13, .shown = f->alpha, .empty = 16384};
    raw_tls some = {.port = port,
                    .priority = TLS13,
                    .shown = f->alpha,
                    .send = "POST /v1/pair HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                    .empty = 64};

    in_thread(begin_long_hello, &hello);
    g_assert_cmpuint(hello.sent, <, 1024);
    in_thread(raw_tls_run, &flood);
    g_assert_cmpint(flood.handshake, ==, 0);
    g_assert_cmpuint(flood.empty, >, 0);
    in_thread(raw_tls_run, &some);
    g_assert_nonnull(strstr(some.received, "HTTP/1.1 200 "));
    wait_until(server_connections(f->served) == 0);
    g_free(flood.received);
    g_free(some.received);
}

/* However much more they are than TLS that brings nothing may be. */
static void large_bodies_come_through_tls(fixture *f, gconstpointer data)
{
    g_autoptr(client) zulu = peer(f, "zulu");
    g_autofree char *text = g_strnfill(SERVER_BODY_MAX - 64, 'x');
    g_autoptr(JsonObject) body = json_object_new(), echo = NULL;
    g_autoptr(GError) error = NULL;

    test_host_pair(f->alpha, f->zulu);
    json_object_set_string_member(body, "text", text);
    assert_refused(zulu, "POST", "/v1/parts/x", body, "403 forbidden"); /* read to its end, to be told */
    echo = ask(zulu, "POST", "/v1/length", body, &error);
    g_assert_no_error(error);
    g_assert_cmpint(json_object_get_int_member(echo, "length"), ==, SERVER_BODY_MAX - 64);
}

static void a_new_identity_is_shown(fixture *f, gconstpointer data)
{
    g_autoptr(test_host) again = NULL;
    g_autofree char *elsewhere = g_build_filename(f->scratch, "renewed", NULL);
    g_autoptr(client) zulu = peer(f, "zulu");
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) echo = NULL;

    again = test_host_new(elsewhere, "zulu");
    test_host_pair(f->alpha, again);
    g_assert_null(ask(zulu, "GET", "/v1/echo", NULL, &error));
    g_assert_error(error, PKI_ERROR, PKI_ERROR_UNTRUSTED);
    g_clear_error(&error);
    g_assert_true(server_set_identity(f->served, again->identity, &error));
    echo = ask(zulu, "GET", "/v1/echo", NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text_of(echo, "peer"), ==, "alpha");
    g_assert_true(server_set_identity(f->served, f->zulu->identity, &error));
}

int main(int argc, char **argv)
{
#define TEST(name)       g_test_add("/api/" #name, fixture, NULL, set_up, name, tear_down)
#define TEST_SHORT(name) g_test_add("/api/" #name, fixture, "short", set_up, name, tear_down)
    g_test_init(&argc, &argv, NULL);
    TEST(local_calls_are_routed);
    TEST(bad_requests_get_clear_answers);
    TEST(bodies_are_bounded);
    TEST(answers_are_bounded);
    TEST_SHORT(the_slow_are_cut_off);
    TEST_SHORT(answers_may_come_later);
    TEST(clients_give_up);
    TEST(peers_are_known_by_their_certificate);
    TEST(strangers_may_only_pair);
    TEST(an_expired_client_is_refused);
    TEST(untrusted_servers_hear_nothing);
    TEST(an_expired_server_is_told_apart);
    TEST(the_unreachable_are_told_apart);
    TEST(only_tls_13_with_a_certificate);
    TEST(half_open_connections_go_away);
    TEST(tls_that_brings_nothing_is_cut_off);
    TEST(large_bodies_come_through_tls);
    TEST(a_new_identity_is_shown);
    return g_test_run();
}
