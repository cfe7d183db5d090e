/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Help for tests; see support.h. */
#include "support.h"

#include "base/fdio.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

char *scratch_new(void)
{
    g_autoptr(GError) error = NULL;
    char *path = g_dir_make_tmp("ferry-test-XXXXXX", &error);

    g_assert_no_error(error);
    return path;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    return remove(path);
}

void scratch_remove(char *directory)
{
    g_assert_cmpint(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), ==, 0);
    g_free(directory);
}

static void load(test_host *self)
{
    g_autoptr(GError) error = NULL;
    pki_paths paths = {.certificate = self->certificate, .key = self->key, .peers = self->peers};

    g_clear_pointer(&self->identity, pki_free);
    self->identity = pki_load(&paths, &error);
    g_assert_no_error(error);
}

test_host *test_host_new(const char *scratch, const char *name)
{
    test_host *self = g_new0(test_host, 1);
    g_autoptr(GError) error = NULL;

    self->name = g_strdup(name);
    self->dir = g_build_filename(scratch, name, NULL);
    self->certificate = g_build_filename(self->dir, "host.crt", NULL);
    self->key = g_build_filename(self->dir, "host.key", NULL);
    self->peers = g_build_filename(self->dir, "peers", NULL);
    g_assert_cmpint(g_mkdir_with_parents(self->peers, 0700), ==, 0);
    g_assert_true(pki_create_host(self->certificate, self->key, name, &error));
    g_assert_no_error(error);
    load(self);
    return self;
}

void test_host_free(test_host *self)
{
    pki_free(self->identity);
    g_free(self->name);
    g_free(self->dir);
    g_free(self->certificate);
    g_free(self->key);
    g_free(self->peers);
    g_free(self);
}

void test_host_pair(test_host *a, test_host *b)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(pki_pin(a->identity, b->name, pki_own(b->identity, FALSE), TRUE, &error));
    g_assert_true(pki_pin(b->identity, a->name, pki_own(a->identity, FALSE), TRUE, &error));
    g_assert_no_error(error);
}

void test_host_renew(test_host *self)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(unlink(self->certificate) | unlink(self->key), ==, 0);
    g_assert_true(pki_create_host(self->certificate, self->key, self->name, &error));
    g_assert_no_error(error);
    load(self);
}

void test_host_expire(test_host *self)
{
    g_autofree char *certificate = g_build_filename(self->dir, "expired.crt", NULL);
    g_autofree char *key_file = g_build_filename(self->dir, "expired.key", NULL);
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    gnutls_datum_t pem;
    time_t now = time(NULL);

    gnutls_x509_privkey_init(&key);
    gnutls_x509_crt_init(&crt);
    g_assert_cmpint(gnutls_x509_privkey_generate(
                        key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                    ==, 0);
    gnutls_x509_crt_set_version(crt, 3);
    gnutls_x509_crt_set_serial(crt, "\1", 1);
    gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, self->name,
                                  (unsigned)strlen(self->name));
    gnutls_x509_crt_set_activation_time(crt, now - 2 * 86400);
    gnutls_x509_crt_set_expiration_time(crt, now - 86400);
    gnutls_x509_crt_set_key(crt, key);
    g_assert_cmpint(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), ==, 0);
    gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem);
    g_assert_true(fdio_replace_file(certificate, pem.data, pem.size, 0644, NULL));
    gnutls_free(pem.data);
    gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem);
    g_assert_true(fdio_replace_file(key_file, pem.data, pem.size, 0600, NULL));
    gnutls_free(pem.data);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
    g_free(self->certificate);
    g_free(self->key);
    self->certificate = g_steal_pointer(&certificate);
    self->key = g_steal_pointer(&key_file);
}

static gboolean nothing(gpointer user)
{
    return G_SOURCE_REMOVE;
}

void support_turn(void)
{
    /* Wakes up by itself, so that conditions that change in other threads are seen. */
    guint source = g_timeout_add(5, nothing, NULL);

    if (g_main_context_iteration(NULL, TRUE) && !g_main_context_find_source_by_id(NULL, source))
        return;
    g_source_remove(source);
}

typedef struct {
    void (*work)(gpointer);
    gpointer user;
    gboolean *done;
} job;

static gpointer run_job(gpointer data)
{
    g_autofree job *j = data;

    j->work(j->user);
    g_atomic_int_set(j->done, TRUE);
    return NULL;
}

void start_thread(void (*work)(gpointer), gpointer user, gboolean *done)
{
    job *j = g_new0(job, 1);

    *j = (job){work, user, done};
    *done = FALSE;
    g_thread_unref(g_thread_new("test", run_job, j));
}

void in_thread(void (*work)(gpointer), gpointer user)
{
    gboolean done;

    start_thread(work, user, &done);
    wait_until(g_atomic_int_get(&done));
}

typedef struct {
    client *who;
    const char *method, *path;
    JsonObject *body, *answer;
    GError *error;
} question;

static void run_question(gpointer data)
{
    question *q = data;

    q->answer = client_call(q->who, q->method, q->path, q->body, DEADLINE_S, NULL, &q->error);
}

JsonObject *ask(client *who, const char *method, const char *path, JsonObject *body, GError **error)
{
    question q = {who, method, path, body, NULL, NULL};

    in_thread(run_question, &q);
    if (q.error)
        g_propagate_error(error, q.error);
    return q.answer;
}

int raw_connect(guint16 port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(connect(fd, (struct sockaddr *)&at, sizeof at), ==, 0);
    return fd;
}

char *raw_read_all(int fd)
{
    g_autoptr(GString) got = g_string_new(NULL);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char buffer[4096];
    ssize_t n;

    for (;;) {
        if (poll(&p, 1, DEADLINE_S * 1000) != 1)
            g_error("a connection that should have ended goes on");
        n = read(fd, buffer, sizeof buffer);
        if (n <= 0)
            return g_string_free(g_steal_pointer(&got), FALSE);
        g_string_append_len(got, buffer, n);
    }
}

void raw_tls_run(gpointer user)
{
    raw_tls *self = user;
    fdio_auto fd = raw_connect(self->port);
    g_autoptr(GString) got = g_string_new(NULL);
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    char buffer[4096];
    ssize_t n;

    gnutls_certificate_allocate_credentials(&credentials);
    if (self->shown)
        g_assert_cmpint(gnutls_certificate_set_x509_key_file(credentials, self->shown->certificate,
                                                             self->shown->key, GNUTLS_X509_FMT_PEM),
                        ==, 0);
    gnutls_init(&session, GNUTLS_CLIENT);
    g_assert_cmpint(gnutls_priority_set_direct(session, self->priority, NULL), ==, 0);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_transport_set_int(session, fd);
    gnutls_handshake_set_timeout(session, DEADLINE_S * 1000);
    gnutls_record_set_timeout(session, DEADLINE_S * 1000);
    do
        self->handshake = gnutls_handshake(session);
    while (self->handshake < 0 && !gnutls_error_is_fatal(self->handshake));
    while (self->handshake == 0 && self->empty &&
           gnutls_record_send2(session, "", 0, 1000, 0) >= 0)
        self->empty--;
    if (self->handshake == 0 && self->send && !self->empty) {
        (void)gnutls_record_send(session, self->send, strlen(self->send));
        while ((n = gnutls_record_recv(session, buffer, sizeof buffer)) > 0 ||
               n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
            if (n > 0)
                g_string_append_len(got, buffer, n);
    }
    self->received = g_string_free(g_steal_pointer(&got), FALSE);
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
}

JsonObject *object(const char *json)
{
    g_autoptr(GError) error = NULL;
    JsonObject *parsed = json_parse(json, -1, &error);

    g_assert_no_error(error);
    return parsed;
}

const char *text_of(JsonObject *of, const char *member)
{
    const char *text = NULL;

    g_assert_true(json_get_string(of, member, &text, NULL));
    return text;
}
