/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options that say how a VM is to land, which compare, migrate and return share, and the request they
 * make.
 *
 * Their form is checked here, so that what is wrong is said in the words of the command line; whether a
 * switch or a directory exists is ferryd's to know.
 */
#pragma once
#include "cli/cli.h"

typedef struct {
    GStrv switches, storage, formats; /* as given, "FROM=TO"; NULL: none */
    char *way_back;                   /* as given; NULL: the host's setting */
    char *mirror;                     /* as given; NULL: background */
    char *verify;                     /* as given; NULL: transfer */
    char *bandwidth, *latency_guard;  /* as given; NULL: the host's settings */
    gboolean hold;                    /* wait for the cutover … */
    char *cutover_at;                 /* … until then, as given; NULL: until told */
} ask;

/* Fills in ASK_OPTIONS entries of `entries`, which show into `self`. */
#define ASK_OPTIONS 8
#define ASK_PLACES  3 /* the first of them, which say where things go: a return knows */
void ask_options(ask *self, GOptionEntry entries[ASK_OPTIONS]);
/* And those that say when a move is to switch over. */
#define ASK_HOLD_OPTIONS 2
void ask_hold_options(ask *self, GOptionEntry entries[ASK_HOLD_OPTIONS]);
void ask_clear(ask *self);
/* Was none of them given? */
gboolean ask_is_empty(const ask *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ask, ask_clear)

/* docs/api.md, "Request"; of a return if `target` is NULL. NULL with G_IO_ERROR_INVALID_ARGUMENT, which says what is expected. */
JsonObject *ask_request(const ask *self, const char *vm, const char *target, GError **error);
