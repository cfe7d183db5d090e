/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What server.c and exchange.c share. */
#pragma once
#include "api/connection.h"
#include "api/exchange.h"

#include <libsoup/soup.h>

struct exchange {
    gatomicrefcount references;
    SoupServerMessage *message; /* NULL once libsoup is done with it */
    connection *from;
    guint patience_ms;
    char *peer;
    GPtrArray *parts; /* of char * */
    GHashTable *query;
    JsonObject *body;
    gsize received; /* bytes of the body so far */
    gsize most;     /* bytes it may have */
    const void *route;
    gboolean answered, paused;
    gboolean held; /* the first reference is the message's still */
};

/* Holds message and connection. Until exchange_release the reference is the message's. */
exchange *exchange_new(SoupServerMessage *message, connection *from, guint patience_ms);
/* That of a message, while both exist; or NULL. Borrowed. */
exchange *exchange_of(SoupServerMessage *message);
/* The handler has returned: without an answer the connection waits for one … */
void exchange_pause(exchange *self);
/* … from whoever holds a reference, and that is no longer the message. */
void exchange_release(exchange *self);
/* libsoup is done with the message: the answer was sent, or the client has gone. */
void exchange_gone(exchange *self);
