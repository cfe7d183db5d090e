/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watching a move to its end; see watch.h. */
#include "cli/watch.h"

#include "cli/follow.h"
#include "cli/question.h"
#include "cli/view.h"

#include <glib-unix.h>
#include <signal.h>
#include <string.h>

typedef struct {
    cli *owner;
    gboolean mine; /* started here */
    GMainLoop *loop;
    follow *following;
    view *shown;
    question *asked;
    gboolean interrupted; /* without a person to ask: SIGINT came once */
    gboolean cancelling;  /* ferryd was asked to, and has not refused */
    int pending;          /* a signal that came before the move was known */
    int status;
} watch;

static void finish(watch *self, int status)
{
    self->status = status;
    g_main_loop_quit(self->loop);
}

/* Leaves the move running. */
static void detach(watch *self, int number)
{
    const migration *m = view_latest(self->shown);

    if (m && self->cancelling)
        view_say(self->shown,
                 "the move is being cancelled; 'ferry status %.8s' tells how it has ended", m->id);
    else if (m)
        view_say(self->shown,
                 "the move goes on without being watched; 'ferry status %.8s --watch' "
                 "shows it again",
                 m->id);
    else
        view_say(self->shown,
                 "ferryd has not answered yet; 'ferry list' tells whether the move began");
    finish(self, CLI_SIGNAL + number);
}

static void cancel(watch *self)
{
    const migration *m = view_latest(self->shown);

    if (!migration_may_cancel(m)) {
        view_say(self->shown,
                 "the move is past the point where it could be cancelled; it will end soon");
        return;
    }
    view_say(self->shown, "cancelling the move; %s goes on where it is", m->vm);
    self->cancelling = TRUE;
    follow_cancel_move(self->following, m->id);
}

static void stop_asking(watch *self)
{
    g_clear_pointer(&self->asked, question_free);
    view_hold(self->shown, FALSE);
}

static void on_answer(char letter, void *user)
{
    watch *self = user;

    stop_asking(self);
    if (letter == 'd')
        detach(self, SIGINT);
    else if (letter == 'a')
        cancel(self);
}

static void ask(watch *self)
{
    const migration *m = view_latest(self->shown);
    g_autofree char *text = NULL;

    view_hold(self->shown, TRUE);
    out_line(self->owner->err, OUT_PLAIN, "%s", "");
    if (migration_may_cancel(m))
        text = g_strdup_printf("%s is in %s: [c]ontinue watching, [d]etach and leave it running, "
                               "[a]bort the move?",
                               m->vm, m->phase);
    else
        text = g_strdup_printf("%s is in %s and cannot be aborted any more: [c]ontinue watching, "
                               "[d]etach and leave it running?",
                               m->vm, m->phase);
    self->asked = question_new(self->owner->err, text, migration_may_cancel(m) ? "cda" : "cd",
                               on_answer, self);
}

static void interrupt(watch *self)
{
    if (!self->mine || self->interrupted || self->cancelling) {
        detach(self, SIGINT);
    } else if (self->asked) {
        stop_asking(self);
        out_line(self->owner->err, OUT_PLAIN, "%s", "");
        detach(self, SIGINT);
    } else if (question_possible()) {
        ask(self);
    } else {
        self->interrupted = TRUE;
        cancel(self);
    }
}

static void on_signal(watch *self, int number)
{
    if (!view_latest(self->shown) && !self->pending) {
        self->pending = number; /* the move may begin any moment: decide when it is known */
        return;
    }
    if (!view_latest(self->shown) || number != SIGINT)
        detach(self, number);
    else
        interrupt(self);
}

static gboolean on_interrupt(gpointer user)
{
    on_signal(user, SIGINT);
    return G_SOURCE_CONTINUE;
}

static gboolean on_terminate(gpointer user)
{
    on_signal(user, SIGTERM);
    return G_SOURCE_CONTINUE;
}

static gboolean on_hangup(gpointer user)
{
    on_signal(user, SIGHUP);
    return G_SOURCE_CONTINUE;
}

static gboolean on_resize(gpointer user)
{
    view_redraw(((watch *)user)->shown);
    return G_SOURCE_CONTINUE;
}

static void on_changed(migration *m, void *user)
{
    watch *self = user;
    const migration *latest;
    int pending = self->pending;

    view_show(self->shown, m); /* takes it */
    latest = view_latest(self->shown);
    if (migration_has_ended(latest)) {
        if (self->asked) {
            stop_asking(self);
            out_line(self->owner->err, OUT_PLAIN, "%s", "");
        }
        view_end(self->shown);
        finish(self, migration_exit_status(latest));
    } else if (pending) {
        self->pending = 0;
        on_signal(self, pending);
    }
}

static void on_away(const GError *error, void *user)
{
    view_say(((watch *)user)->shown,
             "%s; the move goes on without it, waiting for ferryd to be back", error->message);
}

static void on_back(void *user)
{
    view_say(((watch *)user)->shown, "ferryd is back");
}

static void on_failed(const client *api, const GError *error, void *user)
{
    watch *self = user;

    finish(self, cli_explain(self->owner, api, error));
}

static void on_cancel_done(const GError *error, void *user)
{
    watch *self = user;

    if (!error)
        return;
    self->cancelling = FALSE;
    view_say(self->shown, "the move is not cancelled: %s", error->message);
}

static const follow_events events = {on_changed, on_away, on_back, on_failed, on_cancel_done};

/* A signal that is ignored, as after nohup, stays so. */
static void listen(GPtrArray *sources, int number, GSourceFunc callback, watch *self)
{
    struct sigaction old;
    GSource *source;

    if (sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
        return;
    source = g_unix_signal_source_new(number);
    g_source_set_callback(source, callback, self, NULL);
    g_source_attach(source, NULL);
    g_ptr_array_add(sources, source);
}

static void source_end(gpointer source)
{
    g_source_destroy(source);
    g_source_unref(source);
}

static int run(cli *owner, const char *path, JsonObject *request, const char *id)
{
    watch self = {.owner = owner, .mine = request != NULL};
    g_autoptr(GPtrArray) sources = g_ptr_array_new_with_free_func(source_end);
    GSource *tick = g_timeout_source_new_seconds(1);

    self.loop = g_main_loop_new(NULL, FALSE);
    self.shown = view_new(owner);
    listen(sources, SIGINT, on_interrupt, &self);
    listen(sources, SIGTERM, on_terminate, &self);
    listen(sources, SIGHUP, on_hangup, &self);
    listen(sources, SIGWINCH, on_resize, &self);
    g_source_set_callback(tick, on_resize, &self, NULL);
    g_source_attach(tick, NULL);
    g_ptr_array_add(sources, tick);
    self.following =
        follow_new(owner->socket ? owner->socket : CLI_SOCKET, path, request, id, &events, &self);
    g_main_loop_run(self.loop);
    question_free(self.asked);
    follow_free(self.following);
    view_free(self.shown);
    g_main_loop_unref(self.loop);
    return self.status;
}

static int start_detached(cli *self, const char *path, JsonObject *request)
{
    int status;
    g_autoptr(JsonObject) answer = cli_call(self, "POST", path, request, &status);
    g_autoptr(GError) error = NULL;
    g_autoptr(migration) m = NULL;

    if (!answer)
        return status;
    if (cli_print_json(self, answer))
        return CLI_OK;
    m = migration_from_json(answer, &error);
    if (!m)
        return cli_fail(self, CLI_FAILED, "internal", NULL, "%s", error->message);
    out_line(self->out, OUT_PLAIN, "%s", m->id);
    return CLI_OK;
}

int watch_start(cli *self, const char *path, JsonObject *request, gboolean detach)
{
    return detach ? start_detached(self, path, request) : run(self, path, request, NULL);
}

int watch_other(cli *self, const char *id)
{
    return run(self, NULL, NULL, id);
}
