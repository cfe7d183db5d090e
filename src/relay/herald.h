/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The herald: the thread that tells the session's owner what happens, one thing after the other,
 * and that watches the link timeout. */
#pragma once
#include "relay/session-inner.h"

void *herald_main(void *its_session);
