/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HTTP requests over libsoup in a main context of their own; see client.h. */
#include "api/client.h"

#include "api/gtls.h"
#include "base/hook.h"

#include <gio/gunixsocketaddress.h>
#include <libsoup/soup.h>
#include <string.h>

#define ANSWER_MAX JSON_MAX
#define CHUNK      (64 * 1024)
#define TEXT_MAX   4096 /* characters of a peer's error text that are shown */

G_DEFINE_QUARK(ferry_client_error, client_error)

struct client {
    char *name, *base; /* "http://localhost", "https://[fd00::2]:16550" */
    char *socket;
    pki *identity;
    GTlsCertificate *shown; /* ours */
    gboolean anybody;       /* stranger mode */
    char *expected;         /* peer mode: whom pki_verify must find */
    GBytes *expected_der;   /* stranger mode: exactly this one, or NULL */

    int status;          /* of the last call */
    JsonObject *failure; /* {"code", "text", "findings"} */
    GBytes *certificate;
};

/* One call while its loop runs. */
typedef struct {
    client *self;
    GMainContext *context; /* its own */
    GMainLoop *loop;
    GCancellable *cancel; /* ours: the deadline and the caller's both trigger it */
    gboolean late, verified;
    GError *trust; /* why the other side was not accepted */
    GError *error; /* what the transport said */
    SoupMessage *message;
    SoupSession *session;
    GByteArray *answer;
} call;

static client *client_new(const char *name, const char *base)
{
    client *self = g_new0(client, 1);

    self->name = g_strdup(name);
    self->base = g_strdup(base);
    return self;
}

client *client_local(const char *socket)
{
    g_autofree char *name = g_strdup_printf("ferryd at %s", socket);
    client *self = client_new(name, "http://localhost");

    self->socket = g_strdup(socket);
    return self;
}

static client *client_tls(pki *identity, const char *host, guint16 port, GError **error)
{
    const pki_paths *paths = pki_get_paths(identity);
    gboolean own = paths->client_certificate != NULL;
    gboolean colons = strchr(host, ':') != NULL;
    g_autofree char *place = g_strdup_printf(colons ? "[%s]:%u" : "%s:%u", host, port);
    g_autofree char *base = g_strconcat("https://", place, NULL);
    g_autofree char *name = g_strconcat("ferryd at ", place, NULL);
    g_autoptr(GTlsCertificate) shown =
        gtls_certificate(own ? paths->client_certificate : paths->certificate,
                         own ? paths->client_key : paths->key, error);
    client *self;

    if (!shown)
        return NULL;
    self = client_new(name, base);
    self->identity = identity;
    self->shown = g_steal_pointer(&shown);
    return self;
}

client *client_peer(pki *identity, const char *host, guint16 port, const char *name, GError **error)
{
    client *self = client_tls(identity, host, port, error);

    if (self)
        self->expected = g_strdup(name);
    return self;
}

client *client_stranger(pki *identity, const char *host, guint16 port, GBytes *certificate,
                        GError **error)
{
    client *self = client_tls(identity, host, port, error);

    if (!self)
        return NULL;
    self->anybody = TRUE;
    self->expected_der = certificate ? g_bytes_ref(certificate) : NULL;
    return self;
}

static void forget_last(client *self)
{
    self->status = 0;
    g_clear_pointer(&self->failure, json_object_unref);
    g_clear_pointer(&self->certificate, g_bytes_unref);
}

void client_free(client *self)
{
    if (!self)
        return;
    forget_last(self);
    g_free(self->name);
    g_free(self->base);
    g_free(self->socket);
    g_free(self->expected);
    g_clear_object(&self->shown);
    g_clear_pointer(&self->expected_der, g_bytes_unref);
    g_free(self);
}

/* Is the other side whom we asked for? GIO asks on every connection, because it is given no
 * authorities of its own to be content with. */
static gboolean accept_certificate(SoupMessage *message, GTlsCertificate *leaf,
                                   GTlsCertificateFlags flags, gpointer user)
{
    call *c = user;
    client *self = c->self;
    g_autoptr(GPtrArray) chain = gtls_chain(leaf);

    g_clear_pointer(&self->certificate, g_bytes_unref);
    if (chain->len)
        self->certificate = g_bytes_ref(chain->pdata[0]);
    g_clear_error(&c->trust);
    if (self->anybody) {
        c->verified = self->certificate &&
                      (!self->expected_der || g_bytes_equal(self->expected_der, self->certificate));
        if (!c->verified)
            g_set_error(&c->trust, PKI_ERROR, PKI_ERROR_NAME,
                        "%s showed another certificate than a moment ago: somebody may be between "
                        "the two hosts",
                        self->name);
    } else {
        g_autofree char *name = pki_verify(self->identity, chain, self->expected, &c->trust);
        c->verified = name != NULL;
    }
    return c->verified;
}

/* The last gate before anything is sent: whatever GIO thinks of the connection, ours must have been
 * asked, and it must be TLS 1.3. */
static void network_event(SoupMessage *message, GSocketClientEvent event, GIOStream *connection,
                          gpointer user)
{
    call *c = user;

    if (event != G_SOCKET_CLIENT_TLS_HANDSHAKED)
        return;
    if (!c->verified && !c->trust)
        g_set_error(&c->trust, PKI_ERROR, PKI_ERROR_UNTRUSTED,
                    "%s: its certificate was not checked", c->self->name);
    if (!c->trust && G_IS_TLS_CONNECTION(connection))
        (void)gtls_version_ok(G_TLS_CONNECTION(connection), &c->trust);
    if (c->trust)
        g_cancellable_cancel(c->cancel);
}

static gboolean on_deadline(gpointer user)
{
    call *c = user;

    c->late = TRUE;
    g_cancellable_cancel(c->cancel);
    return G_SOURCE_REMOVE;
}

static gboolean cancel_here(gpointer ours)
{
    g_cancellable_cancel(ours);
    return G_SOURCE_REMOVE;
}

/* In the thread that cancels. GIO's sources must be cancelled in their own: they leak when they are
 * disposed of meanwhile (GLib 2.74, cancellable_source_dispose). */
static void pass_on_cancel(GCancellable *theirs, gpointer user)
{
    call *c = user;
    g_autoptr(GSource) source = g_idle_source_new();

    g_source_set_priority(source, G_PRIORITY_HIGH);
    g_source_set_callback(source, cancel_here, g_object_ref(c->cancel), g_object_unref);
    g_source_attach(source, c->context);
}

static void finish(call *c)
{
    g_main_loop_quit(c->loop);
}

static void on_chunk(GObject *source, GAsyncResult *result, gpointer user)
{
    call *c = user;
    GInputStream *stream = G_INPUT_STREAM(source);
    g_autoptr(GBytes) chunk = g_input_stream_read_bytes_finish(stream, result, &c->error);
    gsize size = 0;
    const void *data = chunk ? g_bytes_get_data(chunk, &size) : NULL;

    if (size == 0) {
        finish(c);
        return;
    }
    if (c->answer->len + size > ANSWER_MAX) {
        g_set_error(&c->error, CLIENT_ERROR, CLIENT_ERROR_PROTOCOL,
                    "%s sent an answer of more than %d bytes", c->self->name, ANSWER_MAX);
        finish(c);
        return;
    }
    g_byte_array_append(c->answer, data, (guint)size);
    g_input_stream_read_bytes_async(stream, CHUNK, G_PRIORITY_DEFAULT, c->cancel, on_chunk, c);
}

static void on_headers(GObject *source, GAsyncResult *result, gpointer user)
{
    call *c = user;
    g_autoptr(GInputStream) stream = soup_session_send_finish(c->session, result, &c->error);

    if (!stream) {
        finish(c);
        return;
    }
    g_input_stream_read_bytes_async(stream, CHUNK, G_PRIORITY_DEFAULT, c->cancel, on_chunk, c);
}

static SoupSession *new_session(client *self)
{
    SoupSession *session = NULL;

    if (self->socket) {
        g_autoptr(GSocketAddress) address = g_unix_socket_address_new(self->socket);
        session = soup_session_new_with_options("remote-connectable", address, NULL);
    } else {
        session = soup_session_new();
    }
    /* No proxy of the environment, no decompression of what a peer sends, and no authorities: see
     * accept_certificate. */
    soup_session_set_proxy_resolver(session, NULL);
    soup_session_remove_feature_by_type(session, SOUP_TYPE_CONTENT_DECODER);
    soup_session_set_tls_database(session, NULL);
    return session;
}

static SoupMessage *new_message(call *c, const char *method, const char *path, JsonObject *body)
{
    g_autofree char *uri = g_strconcat(c->self->base, path, NULL);
    SoupMessage *message = soup_message_new(method, uri);

    if (!message)
        return NULL;
    soup_message_set_flags(message, SOUP_MESSAGE_NO_REDIRECT);
    soup_message_headers_replace(soup_message_get_request_headers(message), "Connection", "close");
    if (body) {
        char *text = json_text(body);
        g_autoptr(GBytes) bytes = g_bytes_new_take(text, strlen(text));
        soup_message_set_request_body_from_bytes(message, "application/json", bytes);
    }
    if (c->self->shown)
        soup_message_set_tls_client_certificate(message, c->self->shown);
    g_signal_connect(message, "accept-certificate", G_CALLBACK(accept_certificate), c);
    g_signal_connect(message, "network-event", G_CALLBACK(network_event), c);
    return message;
}

/* Runs the request to its end. */
static void run(call *c, guint timeout_s, GCancellable *cancel)
{
    g_autoptr(GSource) deadline = g_timeout_source_new_seconds(timeout_s);
    gulong handler = 0;

    g_source_set_callback(deadline, on_deadline, c, NULL);
    g_source_attach(deadline, c->context);
    if (cancel)
        handler = g_cancellable_connect(cancel, G_CALLBACK(pass_on_cancel), c, NULL);
    soup_session_send_async(c->session, c->message, G_PRIORITY_DEFAULT, c->cancel, on_headers, c);
    g_main_loop_run(c->loop);
    if (handler)
        g_cancellable_disconnect(cancel, handler);
    g_source_destroy(deadline);
    soup_session_abort(c->session);
}

/* Texts of a peer end on terminals and in logs. */
static char *harmless(const char *text)
{
    char *copy = g_utf8_substring(text, 0, MIN(g_utf8_strlen(text, -1), TEXT_MAX));

    for (char *p = copy; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    return copy;
}

/* What failed below HTTP, as a sentence that says what to do. */
static void explain_transport(call *c, GCancellable *cancel, GError **error)
{
    client *self = c->self;

    if (c->trust) {
        g_propagate_error(error, g_steal_pointer(&c->trust));
    } else if (c->late) {
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_UNREACHABLE,
                    "%s does not answer in time: is it running, and does no firewall swallow the "
                    "connection?",
                    self->name);
    } else if (cancel && g_cancellable_is_cancelled(cancel)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "cancelled");
    } else if (c->error->domain == CLIENT_ERROR) {
        g_propagate_error(error, g_steal_pointer(&c->error));
    } else if (c->error->domain == G_TLS_ERROR || c->error->domain == SOUP_SESSION_ERROR) {
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_PROTOCOL,
                    "%s cannot be spoken to: %s; does ferryd listen on this port?", self->name,
                    c->error->message);
    } else if (self->socket &&
               (g_error_matches(c->error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED))) {
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_UNREACHABLE,
                    "%s: permission denied; be root, or a member of the api-group that is named in "
                    "ferryd.conf",
                    self->name);
    } else if (self->socket) {
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_UNREACHABLE,
                    "%s does not answer: %s; start it with 'systemctl start ferryd'", self->name,
                    c->error->message);
    } else {
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_UNREACHABLE,
                    "%s cannot be reached: %s; is ferryd running there, and is the port open?",
                    self->name, c->error->message);
    }
}

/* {"error": {"code", "text", "findings"}}: kept for client_code and client_findings. */
static void explain_answer(client *self, JsonObject *answer, GError **error)
{
    JsonObject *failure;
    const char *code, *text;
    g_autofree char *shown = NULL;

    if (self->status < 400 || !json_get_object(answer, "error", &failure, NULL) ||
        !json_get_string(failure, "code", &code, NULL) ||
        !json_get_string(failure, "text", &text, NULL)) {
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_PROTOCOL,
                    "%s answered with HTTP status %d and no explanation: is it another program?",
                    self->name, self->status);
        return;
    }
    self->failure = json_object_ref(failure);
    shown = harmless(text);
    g_set_error_literal(error, CLIENT_ERROR, CLIENT_ERROR_ANSWER, shown);
}

static JsonObject *read_answer(call *c, GError **error)
{
    client *self = c->self;
    g_autoptr(JsonObject) answer = NULL;

    self->status = (int)soup_message_get_status(c->message);
    if (c->answer->len == 0)
        answer = json_object_new();
    else
        answer = json_parse((const char *)c->answer->data, c->answer->len, NULL);
    if (!answer) {
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_PROTOCOL,
                    "%s answered with something that is not JSON: is it another program?",
                    self->name);
        return NULL;
    }
    if (self->status >= 200 && self->status < 300)
        return g_steal_pointer(&answer);
    explain_answer(self, answer, error);
    return NULL;
}

static JsonObject *call_once(client *self, const char *method, const char *path, JsonObject *body,
                             guint timeout_s, GCancellable *cancel, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_autoptr(GCancellable) inner = g_cancellable_new();
    g_autoptr(GByteArray) answer = g_byte_array_new();
    call c = {.self = self, .context = context, .cancel = inner, .answer = answer};
    JsonObject *result = NULL;

    forget_last(self);
    g_main_context_push_thread_default(context);
    c.loop = g_main_loop_new(context, FALSE);
    c.session = new_session(self);
    c.message = new_message(&c, method, path, body);
    if (c.message)
        run(&c, timeout_s, cancel);
    else
        g_set_error(&c.error, CLIENT_ERROR, CLIENT_ERROR_UNREACHABLE, "%s is no valid address",
                    self->name);
    if (c.trust || c.late || c.error)
        explain_transport(&c, cancel, error);
    else
        result = read_answer(&c, error);
    g_clear_object(&c.message);
    g_clear_object(&c.session);
    /* What libsoup still has to close in this context. */
    while (g_main_context_iteration(context, FALSE))
        ;
    g_main_context_pop_thread_default(context);
    g_main_loop_unref(c.loop);
    g_clear_error(&c.trust);
    g_clear_error(&c.error);
    return result;
}

/* What the hooks call it: "http:POST.landings.ID.commit". */
static char *step_name(const char *method, const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    GString *name = g_string_new("http:");

    g_string_append(name, method);
    for (guint i = 2; i < g_strv_length(parts); i++)
        g_string_append_printf(name, ".%s", g_uuid_string_is_valid(parts[i]) ? "ID" : parts[i]);
    return g_string_free(name, FALSE);
}

JsonObject *client_call(client *self, const char *method, const char *path, JsonObject *body,
                        guint timeout_s, GCancellable *cancel, GError **error)
{
    g_autofree char *step = step_name(method, path);
    g_autoptr(JsonObject) answer = NULL;

    hook_before(step);
    answer = call_once(self, method, path, body, timeout_s, cancel, error);
    hook_after(step);
    if (!answer || !hook_wrong(step))
        return g_steal_pointer(&answer);
    g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_UNREACHABLE,
                "%s: the answer was lost, as a test wished", self->name);
    return NULL;
}

int client_status(const client *self)
{
    return self->status;
}

const char *client_code(const client *self)
{
    const char *code = "";

    if (self->failure)
        (void)json_get_string(self->failure, "code", &code, NULL);
    return code;
}

JsonArray *client_findings(const client *self)
{
    JsonArray *found = NULL;

    if (self->failure && json_object_has_member(self->failure, "findings"))
        (void)json_get_array(self->failure, "findings", &found, NULL);
    return found;
}

GBytes *client_certificate(const client *self)
{
    return self->certificate;
}

const char *client_name(const client *self)
{
    return self->name;
}
