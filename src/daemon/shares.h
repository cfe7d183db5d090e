/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This host's bandwidth, divided over the moves from and to it (budget.h), and the workers told of
 * their shares. Nothing is remembered: what a worker keeps to is in its status, so one that differs
 * is told, be it new, or ferryd. Main thread only.
 */
#pragma once
#include "daemon/ferryd.h"

/* Something that counts may have changed: a status, the set of moves, a setting. */
void shares_update(ferryd *self);
