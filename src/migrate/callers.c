/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who comes to a landing from outside: its source's data connections, and its source asking over the
 * control port what was decided. */
#include "migrate/target-inside.h"

#include "base/log.h"

#include <string.h>
#include <unistd.h>

#define LOG_AREA "target"

#define HANDSHAKE_TIMEOUT_MS 10000
#define CONNECTING_MAX       (2 * WIRE_CHANNELS_MAX)

typedef struct {
    void (*answer)(gboolean accepted, void *user);
    void *user;
} asking;

typedef struct {
    target *self;
    unsigned index;
    int fd;
} arrival;

static gpointer connect_channel(gpointer data)
{
    g_autofree arrival *arrived = data;
    target *self = arrived->self;
    g_autoptr(GError) error = NULL;
    channel *made = channel_server(self->work->identity, arrived->fd, self->peer,
                                   HANDSHAKE_TIMEOUT_MS, &error);

    if (!made || !session_add_channel(self->session, arrived->index, made, &error))
        log_warning("a data connection was not accepted: %s", error->message);
    g_mutex_lock(&self->lock);
    self->connecting--;
    target_leave_word(self);
    return NULL;
}

void target_add_connection(target *self, unsigned index, int fd)
{
    arrival *arrived;
    gboolean welcome;

    g_mutex_lock(&self->lock);
    welcome = self->landed && self->connecting < CONNECTING_MAX && index < WIRE_CHANNELS_MAX;
    if (welcome)
        self->connecting++;
    g_mutex_unlock(&self->lock);
    if (!welcome) {
        close(fd);
        return;
    }
    arrived = g_new(arrival, 1);
    *arrived = (arrival){.self = self, .index = index, .fd = fd};
    g_thread_unref(g_thread_new("handshake", connect_channel, arrived));
}

/* No new connections, and none still on its way in. */
void target_close_door(target *self)
{
    g_mutex_lock(&self->lock);
    self->landed = FALSE;
    while (self->connecting)
        g_cond_wait(&self->changed, &self->lock);
    g_mutex_unlock(&self->lock);
}

void target_answer_asking(target *self)
{
    g_autoptr(GPtrArray) waiting = NULL;
    gboolean accepted;

    g_mutex_lock(&self->lock);
    accepted = self->accepted;
    waiting = g_steal_pointer(&self->asking);
    self->asking = g_ptr_array_new_with_free_func(g_free);
    g_mutex_unlock(&self->lock);
    for (guint i = 0; i < waiting->len; i++) {
        asking *one = waiting->pdata[i];
        one->answer(accepted, one->user);
    }
}

gboolean target_commit(target *self, const char *token, peer_back back,
                       void (*answer)(gboolean accepted, void *user), void *user)
{
    asking *one;
    gboolean settled;

    g_mutex_lock(&self->lock);
    if (self->token && strcmp(self->token, token) && !(self->settled && !self->accepted)) {
        log_warning("%s came with another token than the one known", self->peer);
        g_mutex_unlock(&self->lock);
        return FALSE;
    }
    one = g_new(asking, 1);
    *one = (asking){.answer = answer, .user = user};
    g_ptr_array_add(self->asking, one);
    if (!self->token)
        self->token = g_strdup(token);
    self->back = MAX(self->back, back);
    /* Whether one that was accepted can be given back takes a look. */
    settled = self->settled && !(self->accepted && back != BACK_NO);
    target_leave_word(self);
    if (settled)
        target_answer_asking(self);
    return TRUE;
}
