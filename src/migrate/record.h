/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A migration object (docs/api.md) made from what the journal has of it: its last status, as far as it can be read. */
#pragma once
#include "base/json.h"
#include "journal/journal.h"

/* Caller unrefs. Of a phase that this version does not know the meaning is kept: over, or not. */
JsonObject *record_json(const journal_entry *entry);
