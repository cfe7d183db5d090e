/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a witness knows, as JSON. README.md in lab/witness describes every member. */
#pragma once

#include "watch.h"

#include <json-glib/json-glib.h>

/* One object with "vms", an object for each VM; only for VM when it is not NULL (NULL: not known). */
JsonNode *tell_stats(struct watch *watch, const char *vm);

/* Adds the members of VERDICT to the object BUILDER is in. */
void tell_verdict(JsonBuilder *builder, const struct judge_verdict *verdict);
