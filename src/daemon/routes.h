/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The API's routes (docs/api.md): one table in routes.c, one file for each group of handlers. Their
 * `user` is the ferryd. */
#pragma once
#include "daemon/ferryd.h"

extern const server_route routes_table[];

/* routes-host.c */
void routes_host(exchange *x, gpointer user);
/* routes-migrations.c */
void routes_migrate(exchange *x, gpointer user);
void routes_migrations(exchange *x, gpointer user);
void routes_migration(exchange *x, gpointer user);
void routes_set(exchange *x, gpointer user);
void routes_cancel(exchange *x, gpointer user);
/* routes-cutover.c */
void routes_cutover(exchange *x, gpointer user);
/* Is this time still to come? Else it has been answered. 0: none was given. */
gboolean routes_time_ok(exchange *x, gint64 at);
void routes_compare(exchange *x, gpointer user);
void routes_vms(exchange *x, gpointer user);
/* Does its peer, known or not, take VMs of this host? Else it has been answered. */
gboolean routes_may_leave(ferryd *self, exchange *x, const char *target);
/* Queues `begun` (taken over), and answers with the move it became. */
void routes_begin(ferryd *self, exchange *x, request *begun);
/* routes-wayback.c */
void routes_return(exchange *x, gpointer user);
void routes_way_back(exchange *x, gpointer user);
void routes_end_way_back(exchange *x, gpointer user);
/* routes-landings.c */
void routes_land(exchange *x, gpointer user);
void routes_landing(exchange *x, gpointer user);
void routes_end_landing(exchange *x, gpointer user);
void routes_commit_landing(exchange *x, gpointer user);
/* routes-peers.c */
void routes_peers(exchange *x, gpointer user);
void routes_unpair(exchange *x, gpointer user);
/* routes-pairing.c */
void routes_token(exchange *x, gpointer user);
void routes_pair_with(exchange *x, gpointer user);
void routes_be_paired(exchange *x, gpointer user);
