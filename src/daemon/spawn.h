/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting a worker so that it outlives us: a session of its own, a clean environment, no
 * descriptor of ours but standard error. */
#pragma once
#include <glib.h>
#include <sys/types.h>

/* FERRY_WORKER in our environment, else the one installed. Caller frees. */
char *spawn_program(void);
/* Starts `program --config CONFIG --id ID [--recover]`. The caller reaps it
 * (g_child_watch_add). */
gboolean spawn_worker(const char *program, const char *config, const char *id, gboolean recover,
                      pid_t *pid, GError **error);
/* The same for `program MODE --config CONFIG`: "--index", "--tidy". */
gboolean spawn_once(const char *program, const char *config, const char *mode, pid_t *pid,
                    GError **error);
