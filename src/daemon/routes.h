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
void routes_compare(exchange *x, gpointer user);
/* routes-landings.c */
void routes_land(exchange *x, gpointer user);
void routes_end_landing(exchange *x, gpointer user);
void routes_commit_landing(exchange *x, gpointer user);
/* routes-peers.c */
void routes_peers(exchange *x, gpointer user);
void routes_unpair(exchange *x, gpointer user);
/* routes-pairing.c */
void routes_token(exchange *x, gpointer user);
void routes_pair_with(exchange *x, gpointer user);
void routes_be_paired(exchange *x, gpointer user);
