/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a worker gives to the one migration it carries: this host's settings, identity and journal, the
 * migration's private directory, and a way to answer ferryd. Lives longer than source and target.
 *
 *   RUN_DIR/ID/            0711 root      worker.sock (to ferryd), rpc.sock (libvirt client): 0600
 *   RUN_DIR/ID/qemu/       0700 QEMU's user   memory.sock, disk.sock
 */
#pragma once
#include "base/json.h"
#include "journal/journal.h"
#include "migrate/settings.h"
#include "virt/host.h"

typedef struct {
    const settings *conf;
    pki *identity;
    journal *journal; /* only ever used through a status (its lock guards it) or before there is one */
    const char *id;
    char *dir, *qemu_dir, *rpc_socket;
    /* The HTTP answer to what started this worker, once; takes `body` over. Any thread. */
    void (*answer)(int code, JsonObject *body, void *user);
    /* The status has changed. Any thread. */
    void (*changed)(void *user);
    void *user;
} job;

/* Makes qemu/ for QEMU's user, empty. */
gboolean job_make_qemu_dir(const job *self, virt_host *host, GError **error);
/* Removes qemu/ and rpc.sock with all in it. Gone already is fine. */
void job_remove_sockets(const job *self);
