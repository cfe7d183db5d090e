/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much TLS somebody may send that brings nothing: handshakes, keys, padding. There must be a limit
 * below the TLS library, because GnuTLS collects a handshake message of up to 16 MiB before it looks at
 * its size, and takes one after the handshake as well. Whoever reads below it takes from the ration;
 * whoever gets data out of it renews the ration. One thread at a time. */
#pragma once
#include <glib.h>

#define RATION_MAX (128 * 1024) /* bytes */

typedef struct {
    guint64 taken, limit; /* bytes so far, and until when it lasts; begin with ration_renew */
} ration;

static inline void ration_renew(ration *self)
{
    self->limit = self->taken + RATION_MAX;
}

static inline gboolean ration_is_used_up(const ration *self)
{
    return self->taken >= self->limit;
}
