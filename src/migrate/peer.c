/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls to the other host's ferryd; see peer.h. */
#include "migrate/peer.h"

#include "api/client.h"
#include "base/log.h"
#include "migrate/control.h"

#include <string.h>

#define LOG_AREA "peer"

static const struct {
    const char *code;
    int status;
} statuses[] = {
    {"bad-request", 400},  {"untrusted", 403},   {"forbidden", 403},      {"incoming-off", 403},
    {"outgoing-off", 403}, {"unknown-vm", 404},  {"unknown-host", 404},   {"not-found", 404},
    {"conflict", 409},     {"blocked", 409},     {"not-running", 409},    {"unreachable", 502},
    {"peer-error", 502},   {"peer-expired", 502}, {"peer-untrusted", 502}, {"busy", 503},         {"slow", 504},
    {"journal", 507},
};

int peer_status_of_code(const char *code)
{
    for (guint i = 0; i < G_N_ELEMENTS(statuses); i++)
        if (!g_strcmp0(code, statuses[i].code))
            return statuses[i].status;
    return 500;
}

const char *peer_error_code(const GError *error)
{
    if (g_error_matches(error, PKI_ERROR, PKI_ERROR_EXPIRED))
        return "peer-expired";
    if (error->domain == PKI_ERROR)
        return "peer-untrusted";
    if (g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_UNREACHABLE))
        return "unreachable";
    return "peer-error";
}

/* A client's answer that says no, in the form the API gives it. */
static JsonObject *refusal(const client *from, const GError *error)
{
    JsonObject *outer = json_object_new(), *inner = json_object_new();

    json_object_set_string_member(inner, "code", client_code(from));
    json_object_set_string_member(inner, "text", error->message);
    if (client_findings(from))
        json_object_set_array_member(inner, "findings", json_array_ref(client_findings(from)));
    json_object_set_object_member(outer, "error", inner);
    return outer;
}

static gboolean call(const job *work, const char *peer, const char *method, const char *path,
                     JsonObject *body, guint timeout_s, GCancellable *cancel, int *code,
                     JsonObject **answer, GError **error)
{
    g_autofree char *host = NULL;
    g_autoptr(client) to = NULL;
    g_autoptr(GError) local = NULL;
    guint16 port;

    if (!settings_peer_address(work->conf, peer, &host, &port, error))
        return FALSE;
    to = client_peer(work->identity, host, port, peer, error);
    if (!to)
        return FALSE;
    *answer = client_call(to, method, path, body, timeout_s, cancel, &local);
    *code = client_status(to);
    if (*answer)
        return TRUE;
    if (!g_error_matches(local, CLIENT_ERROR, CLIENT_ERROR_ANSWER)) {
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    *answer = refusal(to, local);
    return TRUE;
}

static const char *const backs[] = {[BACK_NO] = NULL, [BACK_WANTED] = "wanted", [BACK_TAKEN] = "taken"};

const char *peer_back_name(peer_back back)
{
    return backs[back];
}

gboolean peer_back_parse(const char *name, peer_back *back)
{
    *back = !g_strcmp0(name, backs[BACK_WANTED])  ? BACK_WANTED
            : !g_strcmp0(name, backs[BACK_TAKEN]) ? BACK_TAKEN
                                                  : BACK_NO;
    return !name || *back != BACK_NO;
}

/* The answer is not the one that was hoped for. */
static void set_refused(const char *peer, int code, JsonObject *answer, GError **error)
{
    int kind = code == 503 ? G_IO_ERROR_BUSY : G_IO_ERROR_FAILED;
    const char *text;
    JsonObject *said;

    if (answer && json_get_object(answer, "error", &said, NULL) &&
        json_get_string(said, "text", &text, NULL))
        g_set_error(error, G_IO_ERROR, kind, "%s: %s", peer, text);
    else
        g_set_error(error, G_IO_ERROR, kind, "%s answered with HTTP status %d", peer, code);
}

gboolean peer_call(const job *work, const char *peer, const char *method, const char *path,
                   JsonObject *body, int *code, JsonObject **answer, GError **error)
{
    return call(work, peer, method, path, body, CLIENT_TIMEOUT_LONG, NULL, code, answer, error);
}

gboolean peer_landing_over(const job *work, const char *peer, const char *id, GCancellable *cancel,
                           char **why)
{
    g_autofree char *path = g_strdup_printf("/v1/landings/%s", id);
    g_autoptr(JsonObject) answer = NULL;
    const char *what, *text;
    JsonObject *said;
    int code;

    if (!call(work, peer, "GET", path, NULL, CLIENT_TIMEOUT, cancel, &code, &answer, NULL) ||
        !json_get_object(answer, "error", &said, NULL) ||
        !json_get_string(said, "code", &what, NULL) ||
        !json_get_string(said, "text", &text, NULL) ||
        (strcmp(what, "ended") && strcmp(what, "unknown-migration")))
        return FALSE;
    *why = g_strdup(text);
    return TRUE;
}

gboolean peer_commit(const job *work, const char *peer, const char *id, const char *token,
                     peer_back back, gboolean *started, GError **error)
{
    g_autofree char *path = g_strdup_printf("/v1/landings/%s/commit", id);
    g_autoptr(JsonObject) body = json_object_new();
    g_autoptr(JsonObject) answer = NULL;
    const char *decision;
    int code;

    json_object_set_string_member(body, "token", token);
    if (back != BACK_NO)
        json_object_set_string_member(body, "back", backs[back]);
    if (!peer_call(work, peer, "POST", path, body, &code, &answer, error))
        return FALSE;
    if (code != 200) {
        set_refused(peer, code, answer, error);
        return FALSE;
    }
    if (!json_get_string(answer, "decision", &decision, error))
        return FALSE;
    *started = !strcmp(decision, "accepted");
    if (!*started && strcmp(decision, "refused")) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s has decided \"%s\"", peer,
                    decision);
        return FALSE;
    }
    return TRUE;
}

gboolean peer_handover(const job *work, const char *peer, const char *id, gboolean *taken_back,
                       GError **error)
{
    g_autofree char *path = g_strdup_printf("/v1/handovers/%s", id);
    g_autoptr(JsonObject) answer = NULL;
    const char *decision;
    int code;

    if (!peer_call(work, peer, "GET", path, NULL, &code, &answer, error))
        return FALSE;
    if (code != 200) {
        set_refused(peer, code, answer, error);
        return FALSE;
    }
    if (!json_get_string(answer, "decision", &decision, error))
        return FALSE;
    *taken_back = !strcmp(decision, "taken-back");
    return TRUE;
}

gboolean peer_proof(const job *work, const char *peer, const char *id, gboolean *alive, char **why,
                    GError **error)
{
    g_autofree char *path = g_strdup_printf("/v1/landings/%s", id);
    g_autoptr(JsonObject) answer = NULL;
    JsonObject *said;
    const char *text;
    int code;

    if (!peer_call(work, peer, "GET", path, NULL, &code, &answer, error))
        return FALSE;
    if (code != 200) {
        set_refused(peer, code, answer, error);
        return FALSE;
    }
    if (!json_get_bool(answer, "settled", alive, NULL)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_BUSY, "%s is still watching it", peer);
        return FALSE;
    }
    if (!*alive && json_get_object(answer, "error", &said, NULL) &&
        json_get_string(said, "text", &text, NULL))
        *why = g_strdup(text);
    return TRUE;
}

void peer_end_landing(const job *work, const char *peer, const char *id)
{
    g_autofree char *path = g_strdup_printf("/v1/landings/%s", id);
    g_autoptr(JsonObject) answer = NULL;
    g_autoptr(GError) error = NULL;
    int code;

    if (!peer_call(work, peer, "DELETE", path, NULL, &code, &answer, &error))
        log_warning("%s was not told that the move is over (it will notice): %s", peer,
                    error->message);
}
