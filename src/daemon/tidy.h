/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Has what moves have left behind looked for, when ferryd starts and then once a day, by a short-lived worker: ferryd itself
 * never talks to libvirt. Main thread only. */
#pragma once
#include "base/json.h"
#include "migrate/settings.h"

typedef struct tidy tidy;

/* `config` may be NULL. */
tidy *tidy_new(const char *program, const char *config);
/* Ends a look that is under way. */
void tidy_free(tidy *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(tidy, tidy_free)

/* Begins a look if one is due. To be called about every minute; `conf` is borrowed until the next call. */
void tidy_offer(tidy *self, const settings *conf);
/* What the last look has found: findings as in docs/api.md. Borrowed; NULL: there was none yet. */
JsonArray *tidy_found(const tidy *self);
