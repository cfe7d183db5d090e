/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of API and daemon share: hosts with real certificates in a scratch directory,
 * calls from a thread while the main loop serves, waiting for conditions, and raw TLS clients. */
#pragma once
#include "api/client.h"
#include "migrate/settings.h"

#include <gnutls/gnutls.h>

#define DEADLINE_S 60 /* a test that waits longer has failed */

/* A new scratch directory under TMPDIR; removed with all in it by scratch_remove (also frees). */
char *scratch_new(void);
void scratch_remove(char *directory);

/* A host: DIR/NAME/{host.crt,host.key,peers/}. */
typedef struct {
    char *name, *dir, *certificate, *key, *peers;
    pki *identity;
} test_host;
test_host *test_host_new(const char *scratch, const char *name);
void test_host_free(test_host *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(test_host, test_host_free)
/* Each pins the other. */
void test_host_pair(test_host *a, test_host *b);
/* Gives it a new certificate and key in the places of the old ones, as after a new installation. */
void test_host_renew(test_host *self);
/* Gives it a self-signed certificate that ended yesterday, with a new key. */
void test_host_expire(test_host *self);

/* Iterates the main context until the condition holds; fails the test after DEADLINE_S. */
#define wait_until(condition)                                                                      \
    do {                                                                                           \
        gint64 end_ = g_get_monotonic_time() + DEADLINE_S * G_USEC_PER_SEC;                        \
        while (!(condition)) {                                                                     \
            if (g_get_monotonic_time() > end_)                                                     \
                g_error("%s:%d: in vain waited for: %s", __FILE__, __LINE__, #condition);          \
            support_turn();                                                                        \
        }                                                                                          \
    } while (0)
void support_turn(void);

/* client_call in a thread, while the main loop runs here. */
JsonObject *ask(client *who, const char *method, const char *path, JsonObject *body,
                GError **error);
/* Runs any blocking function the same way. */
void in_thread(void (*work)(gpointer), gpointer user);
/* The same, not waited for: `*done` becomes TRUE. */
void start_thread(void (*work)(gpointer), gpointer user, gboolean *done);

/* A blocking TCP connection to 127.0.0.1. */
int raw_connect(guint16 port);
/* Reads until the other side ends; what came, NUL-terminated. -1 never comes back: a stall fails
 * the test. */
char *raw_read_all(int fd);

typedef struct {
    guint16 port;
    const char *priority;
    test_host *shown; /* NULL: no certificate */
    const char *send;
    guint empty;    /* sends as many empty records of 1000 bytes of padding first; what it could not, after */
    int handshake;  /* GnuTLS' result */
    char *received; /* what came back, "" if nothing; caller frees */
} raw_tls;
/* For in_thread. */
void raw_tls_run(gpointer user);

JsonObject *object(const char *json);
const char *text_of(JsonObject *object, const char *member);
