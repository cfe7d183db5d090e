/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scout: a thread of the source that brings channels back to the networks they belong to. One
 * that had to be dialled elsewhere goes on there while its home is tried every few seconds, one
 * channel at a time; once it answers, the new connection takes the old one's place, and what was
 * under way on that is sent again. */
#pragma once
#include "relay/session-inner.h"

#define SCOUT_PAUSE_MS 3000 /* between two tries of one channel */

void *scout_main(void *its_session);
