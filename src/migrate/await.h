/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Says in the status what a call that blocks is waiting for, once it has taken a while. */
#pragma once
#include "migrate/status.h"

typedef struct await await;

/* `whose`: "zulu's answer". Before the call … */
await *await_begin(status *shown, const char *whose);
/* … and behind it: nothing is said any more. */
void await_end(await *self);
