/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a comparison found and what a move changes, as tables for people. All take JSON of the API
 * as it is, and show what they understand of it. */
#pragma once
#include "base/json.h"
#include "cli/out.h"

/* Those that block come first. Nothing is printed if there are none. */
void report_findings(JsonArray *found, out *to);
/* {"nics": […], "disks": […]}; `changes` may be NULL. */
void report_changes(JsonObject *changes, out *to);
