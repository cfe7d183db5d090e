/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /v1/returns and /v1/way-backs: a VM goes back to where it came from, or the way back ends early.
 * The disks are at the host the VM came from, which is asked; so all this is done in threads.
 *
 * The same two calls come from a peer: at the source of a move it may look at and end the way back
 * of a VM it was given; at the target it tells that it has ended it. It names the move, and sees no
 * other. */
#include "daemon/peers.h"
#include "daemon/routes.h"
#include "daemon/ways.h"

#include "api/client.h"
#include "base/log.h"
#include "migrate/peer.h"

#include <string.h>

#define LOG_AREA "way-back"

typedef enum { LOOK, END, RETURN } wish;

typedef struct {
    ferryd *self;
    exchange *x;
    wish what;
    journal_entry *move; /* the one that began the way back */
    gboolean ours;       /* asked by a user of this host; else by a peer */
    const settings *conf;
    pki *identity;
    request *asked; /* RETURN: the move it is to become */
    /* The answer. */
    JsonObject *body;
    guint status; /* with `code`: of a refusal */
    char *code, *text;
} errand;

static void refuse(errand *e, guint status, const char *code, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
static void refuse(errand *e, guint status, const char *code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    e->status = status;
    e->code = g_strdup(code);
    e->text = g_strdup_vprintf(format, args);
    va_end(args);
}

static gboolean is_source(const journal_entry *move)
{
    return !strcmp(move->role, "source");
}

/* This host has the disks. */
static void do_here(errand *e, journal *book)
{
    g_autoptr(GError) error = NULL;

    e->body = e->what == END ? ways_end(book, e->move, &error) : ways_kept(book, e->move, &error);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_BUSY))
        refuse(e, 409, "conflict",
               "%s is just coming back to %s, which needs what is kept of it: wait for the end of "
               "that move, or cancel it",
               e->move->vm, e->conf->name);
    else if (error)
        refuse(e, 500, "internal", "%s", error->message);
    else if (!e->body)
        refuse(e, 404, "no-way-back", "%s keeps nothing of %s any more", e->conf->name,
               e->move->vm);
}

/* One call about this move. NULL with *error; what it said no with is in `to`. */
static JsonObject *ask_peer(errand *e, const char *method, client **to, GError **error)
{
    g_autofree char *host = NULL;
    g_autofree char *path = g_strdup_printf("/v1/way-backs/%s", e->move->id);
    guint16 port;

    if (!settings_peer_address(e->conf, e->move->peer, &host, &port, error))
        return NULL;
    *to = client_peer(e->identity, host, port, e->move->peer, error);
    if (!*to)
        return NULL;
    return client_call(*to, method, path, NULL, CLIENT_TIMEOUT, e->self->stop, error);
}

static void note_end(errand *e, journal *book)
{
    g_autoptr(GError) error = NULL;

    if (!ways_note_end(book, e->move, &error))
        log_warning("%.8s: %s", e->move->id, error->message);
}

/* The other host has the disks. */
static void do_there(errand *e, journal *book)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(client) to = NULL;
    const char *code;

    e->body = ask_peer(e, e->what == END ? "DELETE" : "GET", &to, &error);
    if (e->body) {
        if (e->what == END)
            note_end(e, book);
        return;
    }
    code = g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_ANSWER) ? client_code(to) : NULL;
    if (!g_strcmp0(code, "no-way-back")) {
        note_end(e, book);
        refuse(e, 404, code,
               "%s keeps nothing of %s any more: its time was over, or somebody ended it with "
               "'ferry commit'; 'ferry migrate %s %s' moves it there as any VM",
               e->move->peer, e->move->vm, e->move->vm, e->move->peer);
    } else if (code) {
        refuse(e, (guint)client_status(to), *code ? code : "peer-error", "%s: %s", e->move->peer,
               error->message);
    } else {
        code = peer_error_code(error);
        refuse(e, (guint)peer_status_of_code(code), code, "%s", error->message);
    }
}

/* Where the VM is, `ferry status` shows no way back any more. Nothing hangs on it. */
static void tell_peer(errand *e)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(client) to = NULL;
    g_autoptr(JsonObject) answer = ask_peer(e, "DELETE", &to, &error);

    if (!answer)
        log_info("%.8s: %s was not told that the way back has ended: %s", e->move->id,
                 e->move->peer, error->message);
}

static void do_errand(gpointer data)
{
    errand *e = data;
    g_autofree char *path = settings_journal(e->conf);
    g_autoptr(GError) error = NULL;
    g_autoptr(journal) book = journal_open(path, FALSE, &error);

    if (!book) {
        refuse(e, 500, "internal", "%s", error->message);
    } else if (is_source(e->move)) {
        do_here(e, book);
        if (e->what == END && e->ours && e->body)
            tell_peer(e);
    } else if (e->ours) {
        do_there(e, book);
    } else if (e->what == END) {
        note_end(e, book);
        e->body = json_object_new();
    } else {
        refuse(e, 404, "no-way-back", "%s came to %s: its disks are not kept here", e->move->vm,
               e->conf->name);
    }
}

static void errand_done(gpointer data)
{
    errand *e = data;

    if (e->code) {
        exchange_fail(e->x, e->status, e->code, "%s", e->text);
    } else if (e->what == RETURN) {
        routes_begin(e->self, e->x, g_steal_pointer(&e->asked));
    } else {
        if (e->ours) /* a peer knows where it has asked */
            json_object_set_string_member(e->body, "host",
                                          is_source(e->move) ? e->conf->name : e->move->peer);
        exchange_answer(e->x, 200, g_steal_pointer(&e->body));
    }
    exchange_unref(e->x);
    journal_entry_free(e->move);
    request_free(e->asked);
    g_clear_pointer(&e->body, json_object_unref);
    g_free(e->code);
    g_free(e->text);
    g_free(e);
}

/* Takes `move` and `asked`. */
static void run(ferryd *self, exchange *x, wish what, journal_entry *move, request *asked)
{
    errand *e = g_new0(errand, 1);

    *e = (errand){.self = self,
                  .x = exchange_ref(x),
                  .what = what,
                  .move = move,
                  .ours = !exchange_peer(x),
                  .conf = self->conf,
                  .identity = self->identity,
                  .asked = asked};
    ferryd_run(self, do_errand, errand_done, e);
}

/* For a user: the last move that changed whose the VM is, if it has ended. NULL: it has been
 * answered. */
static journal_entry *last_move(ferryd *self, exchange *x, const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(journal_entry) move = journal_last_handover(self->book, name, &error);
    const char *other = moves_leaving(self->known, name);

    if (error)
        exchange_fail(x, 500, "internal", "%s", error->message);
    else if (!move)
        exchange_fail(x, 404, "no-way-back",
                      "Ferry has not moved a VM \"%.64s\" from or to %s: there is no way back", name,
                      self->conf->name);
    else if (other)
        exchange_fail(x, 409, "conflict", "%s is moving already: 'ferry status %.8s' shows it",
                      move->vm, other);
    else if (!move->ended)
        exchange_fail(x, 409, "conflict",
                      "the move of %s %s %s has not ended yet: 'ferry status %.8s' shows it",
                      move->vm, is_source(move) ? "to" : "from", move->peer, move->id);
    return exchange_answered(x) ? NULL : g_steal_pointer(&move);
}

/* For a peer: the move it names, if that was between it and us. */
static journal_entry *their_move(ferryd *self, exchange *x, const char *id)
{
    g_autofree char *lower = g_ascii_strdown(id, -1);
    g_autoptr(journal_entry) move = journal_find(self->book, lower, NULL);

    if (!move || g_ascii_strcasecmp(move->peer, exchange_peer(x)) ||
        move->decision != (is_source(move) ? DECISION_GIVEN_UP : DECISION_ACCEPTED)) {
        exchange_fail(x, 404, "no-way-back", "there was no move %.36s between you and %s", id,
                      self->conf->name);
        return NULL;
    }
    if (is_source(move) && !move->ended) {
        exchange_fail(x, 409, "conflict", "the move of %s has not ended yet at %s", move->vm,
                      self->conf->name);
        return NULL;
    }
    return g_steal_pointer(&move);
}

static void way_back(exchange *x, ferryd *self, wish what)
{
    const char *which = exchange_part(x, 0);
    journal_entry *move =
        exchange_peer(x) ? their_move(self, x, which) : last_move(self, x, which);

    if (move)
        run(self, x, what, move, NULL);
}

void routes_way_back(exchange *x, gpointer user)
{
    way_back(x, user, LOOK);
}

void routes_end_way_back(exchange *x, gpointer user)
{
    way_back(x, user, END);
}

/* The body with what the journal knows added. */
static request *complete(exchange *x, const journal_entry *move, GError **error)
{
    g_autoptr(JsonObject) whole = json_object_new();
    g_autoptr(GList) given = json_object_get_members(exchange_body(x));

    for (GList *m = given; m; m = m->next)
        json_object_set_member(whole, m->data,
                               json_node_copy(json_object_get_member(exchange_body(x), m->data)));
    json_object_set_string_member(whole, "vm", move->vm);
    json_object_set_string_member(whole, "target", move->peer);
    json_object_set_string_member(whole, "return_of", move->id);
    return request_from_json(whole, error);
}

void routes_return(exchange *x, gpointer user)
{
    ferryd *self = user;
    g_autoptr(journal_entry) move = NULL;
    g_autoptr(request) asked = NULL;
    GError *error = NULL;
    const char *name;

    if (json_object_has_member(exchange_body(x), "target") ||
        json_object_has_member(exchange_body(x), "return_of")) {
        exchange_fail(x, 400, "bad-request",
                      "a VM returns to where it came from: leave out \"target\" and \"return_of\"");
        return;
    }
    if (!json_get_string(exchange_body(x), "vm", &name, &error)) {
        exchange_bad(x, error);
        return;
    }
    move = last_move(self, x, name);
    if (!move)
        return;
    if (is_source(move)) {
        exchange_fail(x, 409, "conflict",
                      "%s is not here any more, it has moved to %s: run 'ferry return %s' there",
                      move->vm, move->peer, move->vm);
        return;
    }
    asked = complete(x, move, &error);
    if (!asked)
        exchange_bad(x, error);
    else if (routes_time_ok(x, asked->cutover_at) && routes_may_leave(self, x, asked->target))
        run(self, x, RETURN, g_steal_pointer(&move), g_steal_pointer(&asked));
}
