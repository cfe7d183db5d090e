/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The probes of one watched VM: sent, answered, lost. A part of watch.c. */
#pragma once

#include "watch.h"

/* Probes ADDRESSES from now on; nothing changes when one of them is wrong. */
gboolean probe_set(struct watch *watch, struct watch_vm *vm, const char *const *addresses,
                   GError **error);
void probe_clear(struct watch_vm *vm);

void probe_send(struct watch *watch, struct watch_vm *vm); /* those due at watch->now_us */
void probe_answered(struct watch *watch, struct watch_vm *vm, guint32 id, guint64 number);
void probe_settle(struct watch *watch, struct watch_vm *vm); /* silences up to watch->now_us */
