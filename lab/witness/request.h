/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be asked of a witness: a table of operations. */
#pragma once

#include "common/control.h"
#include "watch.h"

/* A control_handler; WATCH is the struct watch, which has to outlive every request. */
void request_run(gpointer watch, const char *line, control_done done, gpointer to);
