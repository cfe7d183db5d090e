/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pairing (docs/protocol.md, net/pairing.h): POST /v1/pairing makes a token; POST /v1/peers uses
 * one that was made on another host; POST /v1/pair is how that other host is asked. */
#include "daemon/peers.h"
#include "daemon/routes.h"

#include "api/client.h"
#include "base/log.h"
#include "migrate/peer.h"
#include "net/pairing.h"

#include <string.h>

#define LOG_AREA "pairing"

/* A pin is one certificate: a host that shows different ones as client and as server has two. */
static gboolean one_certificate(ferryd *self, exchange *x)
{
    if (g_bytes_equal(pki_own(self->identity, TRUE), pki_own(self->identity, FALSE)))
        return TRUE;
    exchange_fail(
        x, 409, "conflict",
        "%s has a client-certificate of its own, and pairing needs one for both: leave it out in "
        "[tls] of ferryd.conf, or use a ca instead of pairing",
        self->conf->name);
    return FALSE;
}

void routes_token(exchange *x, gpointer user)
{
    static const char *const members[] = {NULL};
    ferryd *self = user;
    JsonObject *body;
    g_autofree char *fingerprint = pki_fingerprint(pki_own(self->identity, FALSE));

    if (!exchange_only(x, members) || !one_certificate(self, x))
        return;
    body = json_object_new();
    json_object_set_string_member(body, "token", token_make(self->pairing, g_get_monotonic_time()));
    json_object_set_int_member(body, "expires", g_get_real_time() / G_USEC_PER_SEC + TOKEN_LIFE_S);
    json_object_set_string_member(body, "name", self->conf->name);
    json_object_set_string_member(body, "fingerprint", fingerprint);
    log_notice("a token for pairing was made");
    exchange_answer(x, 201, body);
}

/* The side that made the token. The caller has proven nothing yet but that it holds its
 * certificate's key. */
static void pin_dialler(ferryd *self, exchange *x, const char *name, gint64 port, const char *proof)
{
    g_autoptr(GError) error = NULL;
    JsonObject *body;

    if (!pki_pin(self->identity, name, exchange_certificate(x), FALSE, &error)) {
        log_warning("%s (%s) could not be paired: %s", name, exchange_who(x), error->message);
        if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_EXISTS))
            exchange_fail(
                x, 409, "conflict",
                "%s still knows %s by another certificate, or this certificate by another name: run "
                "'ferry unpair %s' on %s ('ferry peers' shows the names), make a new token there with "
                "'ferry pair --accept', and pair again",
                self->conf->name, name, name, self->conf->name);
        else
            exchange_fail(x, 500, "internal",
                          "%s could not store the certificate; its log says why", self->conf->name);
        return;
    }
    if (!peers_set_address(self->conf, name, exchange_who(x), (guint16)port, &error))
        log_warning("%s", error->message);
    log_notice("%s (%s) is paired now", name, exchange_who(x));
    body = json_object_new();
    json_object_set_string_member(body, "proof", proof);
    json_object_set_string_member(body, "name", self->conf->name);
    exchange_answer(x, 200, body);
}

void routes_be_paired(exchange *x, gpointer user)
{
    static const char *const members[] = {"proof", "name", "port", NULL};
    ferryd *self = user;
    const char *proof, *name;
    g_autofree char *answer = NULL;
    gint64 port;
    GError *error = NULL;
    token_verdict verdict;

    if (!exchange_only(x, members))
        return;
    if (!json_get_string(exchange_body(x), "proof", &proof, &error) ||
        !json_get_string(exchange_body(x), "name", &name, &error) ||
        !json_get_int(exchange_body(x), "port", 1, 65535, &port, &error)) {
        exchange_bad(x, error);
        return;
    }
    if (!pki_name_ok(name) || !g_ascii_strcasecmp(name, self->conf->name)) {
        exchange_fail(
            x, 400, "bad-request",
            "\"name\": a host name is expected that is not %s's own: set 'name' in [host] of "
            "ferryd.conf on one of the two",
            self->conf->name);
        return;
    }
    verdict = token_try(self->pairing, proof, exchange_certificate(x),
                        pki_own(self->identity, FALSE), g_get_monotonic_time(), &answer);
    if (verdict == TOKEN_RIGHT) {
        pin_dialler(self, x, name, port, answer);
        return;
    }
    log_warning("pairing from %s was refused: %s", exchange_who(x),
                verdict == TOKEN_NONE ? "there is no token" : "wrong token");
    exchange_fail(
        x, 403, "bad-token",
        "the token is wrong, used or too old: make a new one with 'ferry pair --accept' on %s",
        self->conf->name);
}

/* The side that dials: two calls, because the proof is about the certificate the first one shows.
 */
typedef struct {
    ferryd *self;
    exchange *x;
    pki *identity;
    char *host, *token, *name;
    guint16 port;
    gboolean replace;
    JsonObject *hello; /* what we send; the proof is added */
    GBytes *certificate;
    guint status; /* of a refusal */
    char *code, *text;
} dial;

static void refuse(dial *d, guint status, const char *code, const char *text)
{
    d->status = status;
    d->code = g_strdup(code);
    d->text = g_strdup(text);
}

static void refuse_error(dial *d, const client *asked, const GError *error)
{
    const char *code = peer_error_code(error);

    if (g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_ANSWER) &&
        (!strcmp(client_code(asked), "bad-token") || !strcmp(client_code(asked), "conflict") ||
         !strcmp(client_code(asked), "bad-request")))
        refuse(d, (guint)client_status(asked), client_code(asked), error->message);
    else
        refuse(d, (guint)peer_status_of_code(code), code, error->message);
}

/* Whose certificate is it that answers there? Any answer will do. */
static gboolean look(dial *d)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(client) stranger = client_stranger(d->identity, d->host, d->port, NULL, &error);
    g_autoptr(JsonObject) answer = NULL;

    if (stranger)
        answer =
            client_call(stranger, "GET", "/v1/host", NULL, CLIENT_TIMEOUT, d->self->stop, &error);
    if (!stranger || (error && !g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_ANSWER))) {
        refuse_error(d, stranger, error);
        return FALSE;
    }
    if (client_certificate(stranger))
        d->certificate = g_bytes_ref(client_certificate(stranger));
    if (!d->certificate)
        refuse(d, 502, "peer-error", "no certificate was shown");
    else if (g_bytes_equal(d->certificate, pki_own(d->identity, FALSE)))
        refuse(d, 400, "bad-request", "this is this very host: name another one");
    return !d->code;
}

static void prove(dial *d)
{
    GBytes *own = pki_own(d->identity, TRUE);
    g_autofree char *proof = pairing_proof(d->token, PAIRING_DIALLER, own, d->certificate);
    g_autofree char *expected = pairing_proof(d->token, PAIRING_LISTENER, own, d->certificate);
    g_autoptr(GError) error = NULL;
    g_autoptr(client) to = client_stranger(d->identity, d->host, d->port, d->certificate, &error);
    g_autoptr(JsonObject) answer = NULL;
    const char *theirs, *name;

    json_object_set_string_member(d->hello, "proof", proof);
    if (to)
        answer =
            client_call(to, "POST", "/v1/pair", d->hello, CLIENT_TIMEOUT, d->self->stop, &error);
    if (!answer) {
        refuse_error(d, to, error);
        return;
    }
    if (!json_get_string(answer, "proof", &theirs, NULL) ||
        !json_get_string(answer, "name", &name, NULL) || !pki_name_ok(name) ||
        !pairing_proof_ok(expected, theirs)) {
        refuse(d, 502, "peer-untrusted",
               "the other side does not know the token: somebody else may be answering there");
        return;
    }
    if (!d->name)
        d->name = g_strdup(name);
}

static void do_dial(gpointer data)
{
    dial *d = data;

    if (look(d))
        prove(d);
}

static void pin_listener(dial *d)
{
    ferryd *self = d->self;
    g_autoptr(GError) error = NULL;

    if (!g_ascii_strcasecmp(d->name, self->conf->name)) {
        exchange_fail(d->x, 409, "conflict",
                      "the other host is called %s like this one: give it another name (--name)",
                      d->name);
    } else if (!pki_pin(self->identity, d->name, d->certificate, d->replace, &error)) {
        if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_EXISTS))
            exchange_fail(d->x, 409, "conflict",
                          "%s; this token is used up: 'ferry pair --accept' there makes a new one",
                          error->message);
        else
            exchange_fail(d->x, 500, "internal", "%s", error->message);
    } else if (!peers_set_address(self->conf, d->name, d->host, d->port, &error)) {
        exchange_fail(d->x, 500, "internal", "%s", error->message);
    } else {
        log_notice("%s (%s) is paired now", d->name, d->host);
        exchange_answer(d->x, 201, peers_describe(self->conf, d->name));
    }
}

static void dial_done(gpointer data)
{
    dial *d = data;

    if (d->code)
        exchange_fail(d->x, d->status, d->code, "%s", d->text);
    else
        pin_listener(d);
    exchange_unref(d->x);
    json_object_unref(d->hello);
    g_clear_pointer(&d->certificate, g_bytes_unref);
    g_free(d->host);
    g_free(d->token);
    g_free(d->name);
    g_free(d->code);
    g_free(d->text);
    g_free(d);
}

void routes_pair_with(exchange *x, gpointer user)
{
    static const char *const members[] = {"host", "token", "name", "replace", NULL};
    ferryd *self = user;
    JsonObject *body = exchange_body(x);
    const char *host, *typed, *name;
    g_autofree char *secret = NULL, *address = NULL;
    guint16 port;
    gboolean replace;
    GError *error = NULL;
    dial *d;

    if (!exchange_only(x, members) || !one_certificate(self, x))
        return;
    if (!json_get_string(body, "host", &host, &error) ||
        !json_get_string(body, "token", &typed, &error) ||
        !json_opt_string(body, "name", &name, NULL, &error) ||
        !json_opt_bool(body, "replace", &replace, FALSE, &error) ||
        !(secret = pairing_normalize(typed, &error)) ||
        !settings_split_address(host, &address, &port, &error)) {
        exchange_bad(x, error);
        return;
    }
    if (name && !pki_name_ok(name)) {
        exchange_fail(x, 400, "bad-request",
                      "\"name\": letters, digits, dots and dashes are expected");
        return;
    }
    d = g_new0(dial, 1);
    *d = (dial){.self = self,
                .x = exchange_ref(x),
                .identity = self->identity,
                .port = port,
                .replace = replace,
                .host = g_steal_pointer(&address),
                .token = g_steal_pointer(&secret),
                .name = g_strdup(name),
                .hello = json_object_new()};
    json_object_set_string_member(d->hello, "name", self->conf->name);
    json_object_set_int_member(d->hello, "port", server_port(self->served));
    ferryd_run(self, do_dial, dial_done, d);
}
