/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that keeps the index of seeds (migrate/seeding.h): `ferry-worker --index`, at most
 * one, started now and then while nothing moves, and stopped (SIGSTOP) while anything does. It ends
 * when it is done, or when we end. Main thread only. */
#pragma once
#include <glib.h>

typedef struct indexer indexer;

/* `busy`: does anything move? Asked often. */
indexer *indexer_new(const char *program, const char *config, gboolean (*busy)(gpointer user),
                     gpointer user);
/* Ends the process, if there is one. */
void indexer_free(indexer *self);
/* There may be something to do: starts it, unless it runs, something moves, or it has just been
 * there. */
void indexer_offer(indexer *self);
