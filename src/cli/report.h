/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a comparison found and what a move changes, as tables for people. All take JSON of the API
 * as it is, and show what they understand of it. */
#pragma once
#include "base/json.h"
#include "cli/out.h"

#define REPORT_VERSION 1 /* of the form of docs/compare.schema.json */

/* Those that block come first. Nothing is printed if there are none. */
void report_findings(JsonArray *found, out *to);
/* The codes of those that block, each once: "FERRY-2001, FERRY-3004". NULL: none does, or `found` is NULL.
 * Caller frees. */
char *report_blocking(JsonArray *found);
/* {"nics": […], "disks": […]}; `changes` may be NULL. */
void report_changes(JsonObject *changes, out *to);
