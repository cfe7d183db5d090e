/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A comparison that was looked at before, and the world now: is it still the same move? Both are
 * comparisons as docs/compare.schema.json has them. Pure; any thread. */
#pragma once
#include "base/json.h"

/* What differs, one sentence each, NULL-terminated; empty if the move is as reported. Looked at are
 * who the VM and the hosts are, the machine, where each NIC and disk goes, and what is changed on
 * the way. Not the notes: they say how much is free, what time it is. Caller frees. */
GStrv expected_differences(JsonObject *reported, JsonObject *now);
