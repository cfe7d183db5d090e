/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stream over another one, of which is read only what a ration allows (net/ration.h); then reading
 * fails with G_IO_ERROR_MESSAGE_TOO_LARGE. It goes below GIO's TLS. */
#pragma once
#include "net/ration.h"

#include <gio/gio.h>

/* `below` is held and is closed with it; its input can be polled. `budget` must live as long as `below`
 * does. Caller unrefs. */
GIOStream *rationed_new(GIOStream *below, ration *budget);
