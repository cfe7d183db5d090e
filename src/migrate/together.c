/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Members of a group at its cutover; see together.h. */
#include "migrate/together.h"

#include "base/log.h"
#include "migrate/insist.h"

#define LOG_AREA "group"

#define PATIENCE   (10 * G_USEC_PER_SEC) /* a guest that stands still waits so long for the others */
#define LOOK_PAUSE (10 * 1000)           /* µs: what it costs the blackout */
#define RETRY      (G_USEC_PER_SEC / 5)

struct together {
    const job *work;
    const char *group;
    GMutex lock; /* guards the rest, and is held over what may not come between joining and cancelling; before the status's */
    journal *book; /* NULL: not opened yet */
};

together *together_new(const job *work, const char *group)
{
    together *self = g_new0(together, 1);

    g_mutex_init(&self->lock);
    self->work = work;
    self->group = group;
    return self;
}

void together_free(together *self)
{
    if (!self)
        return;
    journal_close(self->book);
    g_mutex_clear(&self->lock);
    g_free(self);
}

/* Lock held. */
static gboolean ready(together *self, GError **error)
{
    g_autofree char *path = self->book ? NULL : settings_journal(self->work->conf);

    if (!self->book)
        self->book = journal_open(path, FALSE, error);
    return self->book != NULL;
}

static gboolean withdrawn(const together *self, const char *why, GError **error)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                "the cutover of group %s was withdrawn, and none of its VMs has moved: %s", self->group, why);
    return FALSE;
}

gboolean together_look(together *self, gboolean *begun, GError **error)
{
    g_autoptr(GError) unknown = NULL;
    g_autofree char *why = NULL;
    cutover_state state = CUTOVER_NONE;

    g_mutex_lock(&self->lock);
    if (!ready(self, &unknown) || !journal_cutover_look(self->book, self->work->id, &state, &why, &unknown))
        log_warning("%s (trying again)", unknown->message);
    g_mutex_unlock(&self->lock);
    *begun = state != CUTOVER_NONE;
    return state != CUTOVER_WITHDRAWN || withdrawn(self, why, error);
}

/* Only an open one has to be written to. (One that begins after this look can be decided only if this move joins.) */
static gboolean try_withdraw(together *self, const char *because, cutover_state *state, char **why,
                             GError **error)
{
    const char *id = self->work->id;

    return ready(self, error) && journal_cutover_look(self->book, id, state, why, error) &&
           (*state != CUTOVER_OPEN ||
            journal_cutover_withdraw(self->book, id, because, state, why, error));
}

/* Until it is known what came of it: an error of the journal's says nothing about that. */
static cutover_state withdraw(together *self, const char *because, char **why)
{
    cutover_state state = CUTOVER_NONE;
    gboolean known = FALSE;

    while (!known) {
        g_autoptr(GError) error = NULL;
        known = try_withdraw(self, because, &state, why, &error);
        if (known)
            break;
        log_warning("%s (trying again)", error->message);
        g_usleep(RETRY);
    }
    return state;
}

gboolean together_withdraw(together *self, const char *because)
{
    g_autofree char *why = NULL;
    cutover_state state;

    g_mutex_lock(&self->lock);
    state = withdraw(self, because, &why);
    g_mutex_unlock(&self->lock);
    return state != CUTOVER_DECIDED;
}

gboolean together_cancel(together *self, status *shown, const char *why)
{
    g_autofree char *ignored = NULL;
    gboolean won;

    g_mutex_lock(&self->lock);
    won = withdraw(self, why, &ignored) != CUTOVER_DECIDED && status_cancel(shown, why);
    g_mutex_unlock(&self->lock);
    return won;
}

/* Who has been cancelled does not join; who has joined is not cancelled but by the journal. */
static cutover_state join(together *self, status *shown, const char *token, char **why)
{
    g_autoptr(GError) error = NULL;
    cutover_state state;

    g_mutex_lock(&self->lock);
    if (status_is_cancelled(shown))
        state = withdraw(self, "one of them was cancelled", why);
    else if (!ready(self, &error) ||
             !journal_cutover_join(self->book, self->work->id, token, phase_name(PHASE_COMMITTING), &state, why,
                                   &error)) {
        g_autofree char *because = g_strdup_printf("what is decided could not be written down: %s", error->message);
        state = withdraw(self, because, why);
    }
    g_mutex_unlock(&self->lock);
    return state;
}

/* Lock held. */
static cutover_state look(together *self, char **why)
{
    cutover_state state;

    return journal_cutover_look(self->book, self->work->id, &state, why, NULL) ? state : CUTOVER_OPEN;
}

typedef struct {
    status *shown;
    const char *token;
} decision;

/* On record already, by whoever was the last: repeated for what is known here. */
static gboolean commit(void *user, GError **error)
{
    decision *d = user;

    return status_commit(d->shown, DECISION_GIVEN_UP, d->token, error);
}

gboolean together_commit(together *self, status *shown, const char *token,
                         gboolean (*lost)(void *user), void *user, GError **error)
{
    gint64 until = g_get_monotonic_time() + PATIENCE;
    decision decided = {shown, token};
    g_autofree char *why = NULL;
    cutover_state state = join(self, shown, token, &why);

    while (state == CUTOVER_OPEN) {
        gboolean late = g_get_monotonic_time() > until, gone = lost(user);
        g_usleep(LOOK_PAUSE);
        g_mutex_lock(&self->lock);
        state = gone   ? withdraw(self, "the connection of one of them was lost", &why)
                : late ? withdraw(self, "not all were loaded in time after the first had been stopped", &why)
                       : look(self, &why);
        g_mutex_unlock(&self->lock);
    }
    if (state != CUTOVER_DECIDED)
        return withdrawn(self, why ? why : "it had not begun", error);
    insist(shown, commit, NULL, &decided);
    return TRUE;
}
