/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handshakes of channels: who gets in, who does not, and what each side is told. */
#include "net/channel.h"
#include "base/fdio.h"
#include "ends.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STRV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define TLS13     "NORMAL:-VERS-ALL:+VERS-TLS1.3"
#define ALPN      "ferry-channel/1"

static void check_error(const GError *error, GQuark domain, int code, const char *text)
{
    g_assert_error(error, domain, code);
    if (!strstr(error->message, text))
        g_error("'%s' does not say '%s'", error->message, text);
}

/* Success. */

static void test_both_sides_agree(ends *p, gconstpointer data)
{
    int fds[2];
    outcome o;

    ends_tcp(fds);
    o = ends_connect(p, fds);
    g_assert_cmpstr(channel_peer(o.client), ==, "zulu");
    g_assert_cmpstr(channel_peer(o.server), ==, "alpha");
    g_assert_cmpstr(channel_name(o.client), ==, channel_name(o.server)); /* one name in both logs */
    g_assert_true(g_regex_match_simple("^127\\.0\\.0\\.1:\\d+ -> 127\\.0\\.0\\.1:\\d+$",
                                       channel_name(o.client), 0, 0));
    g_assert_cmpint(channel_fd(o.client), ==, fds[0]);
    g_assert_cmpuint(channel_bytes_out(o.client), ==, channel_bytes_in(o.server));
    g_assert_cmpuint(channel_bytes_out(o.server), ==, channel_bytes_in(o.client));
    g_assert_cmpuint(channel_bytes_out(o.server), >, 500);
    ends_clear(&o);
}

static void test_any_trusted_host(ends *p, gconstpointer data)
{
    int fds[2];
    outcome o;

    ends_sockets(fds, 0);
    o = ends_shake(p->alpha, p->zulu, fds, NULL, NULL);
    g_assert_no_error(o.client_error);
    g_assert_no_error(o.server_error);
    g_assert_cmpstr(channel_peer(o.server), ==, "alpha");
    g_assert_cmpstr(channel_name(o.server), ==, "local -> local");
    ends_clear(&o);
}

static void test_ca_with_chain(ends *p, gconstpointer data)
{
    g_autofree char *leaf = NULL, *above = NULL, *both = NULL;
    g_autofree char *path = g_build_filename(p->dir, "web.crt", NULL);
    g_autofree char *sub = g_build_filename(p->dir, "sub.crt", NULL);
    g_autoptr(pki) web = NULL, zulu = NULL;
    int fds[2];
    outcome o;

    certs_make(p->dir, "ca", (certs_spec){.name = "CA", .ca = TRUE});
    certs_make(p->dir, "sub", (certs_spec){.name = "Sub", .ca = TRUE, .issuer = "ca"});
    certs_make(p->dir, "web", (certs_spec){.name = "web", .issuer = "sub"});
    g_assert_true(g_file_get_contents(path, &leaf, NULL, NULL));
    g_assert_true(g_file_get_contents(sub, &above, NULL, NULL));
    both = g_strconcat(leaf, above, NULL);
    g_assert_true(g_file_set_contents(path, both, -1, NULL));
    web = certs_load(p->dir, "web", NULL, NULL);
    zulu = certs_load(p->dir, "zulu", "ca", STRV("web"));
    certs_pin(web, p->dir, "zulu", "zulu");
    ends_sockets(fds, 0);
    o = ends_shake(web, zulu, fds, "zulu", "web");
    g_assert_no_error(o.client_error);
    g_assert_no_error(o.server_error);
    ends_clear(&o);
}

/* Refusals. `by_server`: zulu refuses "bad"; otherwise alpha, dialling, refuses it. */

typedef struct {
    certs_spec spec;
    gboolean pinned;
    const char *expected; /* whom the refusing side wants; NULL: anybody it trusts */
    int code;             /* of PKI_ERROR, at the side that refuses */
    const char *text;     /* in its message */
    const char *told;     /* in the message of the side refused */
} refusal;

static const refusal refusals[] = {
    {{.name = "bad"}, FALSE, "bad", PKI_ERROR_UNTRUSTED, "run 'ferry pair bad'", "does not trust"},
    {{.name = "bad"}, FALSE, NULL, PKI_ERROR_UNTRUSTED, "ferry pair", "does not trust"},
    {{.name = "bad"}, TRUE, "other", PKI_ERROR_NAME, "this is bad, not other", "another host"},
    {{.name = "bad", .issuer = "ca"}, FALSE, NULL, PKI_ERROR_UNTRUSTED, "ca-allow", "not trust"},
    {{.name = "web", .issuer = "ca2"}, FALSE, "web", PKI_ERROR_UNTRUSTED, "signed by", "not trust"},
    {{.name = "web", .issuer = "ca"}, FALSE, "zulu", PKI_ERROR_NAME, "is web, not", "another host"},
};

static void refuse_once(ends *p, const refusal *r, gboolean by_server)
{
    g_autoptr(pki) bad = NULL, judge = NULL;
    const char *judge_stem = by_server ? "zulu" : "alpha";
    int fds[2];
    outcome o;

    certs_make(p->dir, "bad", r->spec);
    bad = certs_load(p->dir, "bad", NULL, NULL);
    certs_pin(bad, p->dir, judge_stem, judge_stem);
    judge = certs_load(p->dir, judge_stem, "ca", STRV("web"));
    if (r->pinned)
        certs_pin(judge, p->dir, "bad", "bad");
    ends_tcp(fds);
    o = by_server ? ends_shake(bad, judge, fds, "zulu", r->expected)
                  : ends_shake(judge, bad, fds, r->expected, "alpha");
    check_error(by_server ? o.server_error : o.client_error, PKI_ERROR, r->code, r->text);
    /* The other side must not believe that there is a channel, and knows why there is none. */
    check_error(by_server ? o.client_error : o.server_error, G_IO_ERROR,
                G_IO_ERROR_PERMISSION_DENIED, r->told);
    ends_clear(&o);
    if (r->pinned)
        g_assert_true(pki_unpin(judge, "bad", NULL));
    g_assert_true(pki_unpin(bad, judge_stem, NULL));
}

static void test_refusals(ends *p, gconstpointer by_server)
{
    certs_make(p->dir, "ca", (certs_spec){.name = "CA", .ca = TRUE});
    certs_make(p->dir, "ca2", (certs_spec){.name = "CA", .ca = TRUE});
    for (guint i = 0; i < G_N_ELEMENTS(refusals); i++)
        refuse_once(p, &refusals[i], by_server != NULL);
}

/* A client with an expired certificate: pki_load would not let us show one, so it is GnuTLS itself.
 */
static void test_expired_client(ends *p, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    gnutls_session_t raw;
    ends_thread *thread;
    char byte;
    int fds[2], rc;

    certs_make(p->dir, "late", (certs_spec){.name = "late", .from_days = -9, .until_days = -2});
    certs_pin(p->zulu, p->dir, "late", "late");
    ends_tcp(fds);
    thread = ends_serve(p->zulu, fds[1], "late", ENDS_TIMEOUT_MS);
    raw = ends_raw_client(p, fds[0], "late", TLS13, ALPN);
    g_assert_cmpint(gnutls_handshake(raw), ==, 0); /* it believes to be in */
    rc = (int)gnutls_record_recv(raw, &byte, 1);
    g_assert_cmpint(rc, ==, GNUTLS_E_FATAL_ALERT_RECEIVED);
    g_assert_cmpint(gnutls_alert_get(raw), ==, GNUTLS_A_CERTIFICATE_EXPIRED);
    ends_raw_free(raw);
    g_assert_null(ends_join(thread, &error));
    check_error(error, PKI_ERROR, PKI_ERROR_EXPIRED, "the certificate of late expired on ");
}

static void test_pin_removed_while_running(ends *p, gconstpointer data)
{
    int fds[2];
    outcome o;

    ends_tcp(fds);
    o = ends_connect(p, fds);
    ends_clear(&o);
    g_assert_true(pki_unpin(p->zulu, "alpha", NULL));
    ends_tcp(fds);
    o = ends_shake(p->alpha, p->zulu, fds, "zulu", "alpha");
    check_error(o.server_error, PKI_ERROR, PKI_ERROR_UNTRUSTED, "run 'ferry pair alpha'");
    check_error(o.client_error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED, "does not trust");
    ends_clear(&o);
}

/* Clients that are not channels. */

/* The server's error for a raw client, and the alert the client was sent (0: none). */
static GError *raw_refused(ends *p, const char *stem, const char *priority, const char *alpn,
                           int *alert)
{
    GError *error = NULL;
    gnutls_session_t raw;
    ends_thread *thread;
    char byte;
    int fds[2], rc;

    ends_tcp(fds);
    thread = ends_serve(p->zulu, fds[1], NULL, ENDS_TIMEOUT_MS);
    raw = ends_raw_client(p, fds[0], stem, priority, alpn);
    rc = gnutls_handshake(raw);
    if (rc == 0)
        rc = (int)gnutls_record_recv(raw, &byte, 1);
    g_assert_cmpint(rc, <, 0);
    *alert = rc == GNUTLS_E_FATAL_ALERT_RECEIVED ? (int)gnutls_alert_get(raw) : 0;
    ends_raw_free(raw);
    g_assert_null(ends_join(thread, &error));
    return error;
}

static void test_no_certificate(ends *p, gconstpointer data)
{
    int alert;
    g_autoptr(GError) error = raw_refused(p, NULL, TLS13, ALPN, &alert);

    check_error(error, PKI_ERROR, PKI_ERROR_UNTRUSTED, "showed no certificate");
    g_assert_cmpint(alert, ==, GNUTLS_A_CERTIFICATE_REQUIRED);
}

static void test_old_tls(ends *p, gconstpointer data)
{
    int alert;
    g_autoptr(GError) error =
        raw_refused(p, "alpha", "NORMAL:-VERS-ALL:+VERS-TLS1.2", ALPN, &alert);

    check_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "does not speak TLS 1.3");
    g_assert_true(alert == GNUTLS_A_PROTOCOL_VERSION || alert == GNUTLS_A_HANDSHAKE_FAILURE);
}

static void test_weak_suites(ends *p, gconstpointer data)
{
    int alert;
    g_autoptr(GError) error =
        raw_refused(p, "alpha", TLS13 ":-CIPHER-ALL:+AES-128-CCM-8:+AES-128-CCM", ALPN, &alert);

    check_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "suites Ferry allows");
    g_assert_cmpint(alert, ==, GNUTLS_A_HANDSHAKE_FAILURE);
}

static void test_strong_suites(ends *e, gconstpointer data)
{
    static const char *const suites[] = {"AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305"};

    for (guint i = 0; i < G_N_ELEMENTS(suites); i++) {
        g_autofree char *priority = g_strdup_printf(TLS13 ":-CIPHER-ALL:+%s", suites[i]);
        g_autoptr(GError) error = NULL;
        gnutls_session_t raw;
        ends_thread *thread;
        char greeting = 'F';
        int fds[2];
        ends_sockets(fds, 0);
        thread = ends_serve(e->zulu, fds[1], "alpha", ENDS_TIMEOUT_MS);
        raw = ends_raw_client(e, fds[0], "alpha", priority, ALPN);
        g_assert_cmpint(gnutls_handshake(raw), ==, 0);
        g_assert_cmpstr(gnutls_cipher_get_name(gnutls_cipher_get(raw)), ==, suites[i]);
        g_assert_cmpint(gnutls_record_send(raw, &greeting, 1), ==, 1);
        channel *server = ends_join(thread, &error);
        g_assert_no_error(error);
        g_assert_cmpint(gnutls_record_recv(raw, &greeting, 1), ==, 1);
        g_assert_false(gnutls_session_get_flags(raw) & GNUTLS_SFLAGS_SESSION_TICKET);
        channel_free(server);
        ends_raw_free(raw);
    }
}

static void test_other_protocol(ends *p, gconstpointer data)
{
    int alert;
    g_autoptr(GError) other = raw_refused(p, "alpha", TLS13, "http/1.1", &alert);
    g_autoptr(GError) none = NULL;

    check_error(other, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "not this protocol");
    g_assert_cmpint(alert, ==, GNUTLS_A_NO_APPLICATION_PROTOCOL);
    none = raw_refused(p, "alpha", TLS13, NULL, &alert);
    check_error(none, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "but not " ALPN);
    g_assert_cmpint(alert, ==, GNUTLS_A_NO_APPLICATION_PROTOCOL);
}

static void test_greeting_is_required(ends *p, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    gnutls_session_t raw;
    ends_thread *thread;
    int fds[2];

    /* Silence. */
    ends_tcp(fds);
    thread = ends_serve(p->zulu, fds[1], "alpha", 2000);
    raw = ends_raw_client(p, fds[0], "alpha", TLS13, ALPN);
    g_assert_cmpint(gnutls_handshake(raw), ==, 0);
    g_assert_null(ends_join(thread, &error));
    check_error(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "in time");
    g_clear_error(&error);
    ends_raw_free(raw);
    /* Something else. */
    ends_tcp(fds);
    thread = ends_serve(p->zulu, fds[1], "alpha", ENDS_TIMEOUT_MS);
    raw = ends_raw_client(p, fds[0], "alpha", TLS13, ALPN);
    g_assert_cmpint(gnutls_handshake(raw), ==, 0);
    g_assert_cmpint(gnutls_record_send(raw, "GET /", 5), ==, 5);
    /* Its greeting may be there, or the alert that follows it. */
    for (char byte; gnutls_record_recv(raw, &byte, 1) > 0;)
        ;
    ends_raw_free(raw);
    g_assert_null(ends_join(thread, &error));
    check_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "not this protocol");
}

/* Bytes that are no handshake. */

static void feed(ends *p, gboolean as_server, const void *bytes, size_t length,
                 gboolean close_after, int timeout_ms, int code)
{
    g_autoptr(GError) error = NULL;
    int fds[2];

    ends_sockets(fds, 0);
    g_assert_cmpint(send(fds[0], bytes, length, 0), ==, length);
    if (close_after)
        shutdown(fds[0], SHUT_WR);
    g_assert_null(as_server ? channel_server(p->zulu, fds[1], NULL, timeout_ms, &error)
                            : channel_client(p->alpha, fds[1], "zulu", timeout_ms, &error));
    g_assert_error(error, G_IO_ERROR, code);
    close(fds[0]);
}

static void test_garbage(ends *p, gconstpointer data)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: zulu\r\n\r\n";
    static const unsigned char huge[] = {0x16, 3, 1, 0xff, 0xff, 1, 0xff, 0xff, 0xff};
    /* A handshake message said to have 16 MiB, of which no end comes. */
    g_autofree unsigned char *endless = g_malloc0(512 * 1024);

    for (size_t at = 0; at + 16389 < 512 * 1024; at += 16389)
        memcpy(endless + at, "\x16\x03\x01\x40\x00\x01\xff\xff\xff", at ? 5 : 9);
    for (int server = 0; server < 2; server++) {
        feed(p, server, http, sizeof http - 1, TRUE, ENDS_TIMEOUT_MS, G_IO_ERROR_INVALID_DATA);
        feed(p, server, http, sizeof http - 1, FALSE, ENDS_TIMEOUT_MS, G_IO_ERROR_INVALID_DATA);
        feed(p, server, huge, sizeof huge, TRUE, ENDS_TIMEOUT_MS, G_IO_ERROR_INVALID_DATA);
        feed(p, server, endless, 160 * 1024, TRUE, ENDS_TIMEOUT_MS, G_IO_ERROR_INVALID_DATA);
        feed(p, server, "", 0, TRUE, ENDS_TIMEOUT_MS, G_IO_ERROR_NOT_CONNECTED);
        feed(p, server, "", 0, FALSE, 200, G_IO_ERROR_TIMED_OUT);
        feed(p, server, "\x16", 1, FALSE, 200, G_IO_ERROR_TIMED_OUT);
    }
}

/* Everything a client really says, cut after each byte: the server must end, and never accept. */
static void test_truncated_handshakes(ends *p, gconstpointer data)
{
    g_autoptr(GByteArray) said = g_byte_array_new();
    char buffer[4096];
    int fds[2], step;
    ssize_t n;
    gnutls_session_t raw;

    ends_sockets(fds, 0);
    raw = ends_raw_client(p, fds[0], "alpha", TLS13, ALPN);
    g_assert_true(fdio_set_nonblocking(fds[0], TRUE, NULL));
    g_assert_cmpint(gnutls_handshake(raw), ==, GNUTLS_E_AGAIN); /* said, and nobody answers */
    while ((n = recv(fds[1], buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
        g_byte_array_append(said, (guint8 *)buffer, (guint)n);
    ends_raw_free(raw);
    close(fds[1]);
    g_assert_cmpuint(said->len, >, 100);
    step = g_test_slow() ? 1 : 7;
    for (guint cut = 1; cut < said->len; cut += (guint)step)
        feed(p, TRUE, said->data, cut, TRUE, ENDS_TIMEOUT_MS, G_IO_ERROR_NOT_CONNECTED);
    feed(p, TRUE, said->data, said->len, TRUE, ENDS_TIMEOUT_MS, G_IO_ERROR_NOT_CONNECTED);
    feed(p, TRUE, said->data, said->len, FALSE, 200, G_IO_ERROR_TIMED_OUT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, data, function)                                                                  \
    g_test_add(path, ends, data, ends_set_up, function, ends_tear_down)
    ADD("/handshake/both-sides-agree", NULL, test_both_sides_agree);
    ADD("/handshake/any-trusted-host", NULL, test_any_trusted_host);
    ADD("/handshake/ca-with-chain", NULL, test_ca_with_chain);
    ADD("/handshake/refused-by-server", "server", test_refusals);
    ADD("/handshake/refused-by-client", NULL, test_refusals);
    ADD("/handshake/expired-client", NULL, test_expired_client);
    ADD("/handshake/pin-removed-while-running", NULL, test_pin_removed_while_running);
    ADD("/handshake/no-certificate", NULL, test_no_certificate);
    ADD("/handshake/tls-1.2", NULL, test_old_tls);
    ADD("/handshake/weak-suites", NULL, test_weak_suites);
    ADD("/handshake/strong-suites", NULL, test_strong_suites);
    ADD("/handshake/other-protocol", NULL, test_other_protocol);
    ADD("/handshake/greeting-is-required", NULL, test_greeting_is_required);
    ADD("/handshake/garbage-and-silence", NULL, test_garbage);
    ADD("/handshake/truncated", NULL, test_truncated_handshakes);
    return g_test_run();
}
