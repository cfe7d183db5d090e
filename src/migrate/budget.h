/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dividing a host's bandwidth over its moves. Pure function. */
#pragma once
#include <glib.h>

/* Max-min fair: nobody gets more than it can use, and what it leaves goes to the others in equal
 * parts. `limit` and `wants` are bytes/s; 0 in `limit`: there is no limit, and all shares are 0 as
 * well; 0 in `wants`: as much as there is. Otherwise every share is at least 1, and their sum is at
 * most `limit` (while that is at least `count`). */
void budget_divide(guint64 limit, const guint64 *wants, guint count, guint64 *shares);
/* The smaller of two limits, where 0 is none. */
guint64 budget_least(guint64 one, guint64 other);
