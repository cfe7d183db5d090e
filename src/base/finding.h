/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Findings: what a comparison of a VM with a target says, one sentence each, with a stable code.
 *
 * Codes are published and never change their meaning: catalog.h has all of them.
 */
#pragma once
#include "base/json.h"

typedef enum {
    FINDING_BLOCKS,  /* the move cannot be done as asked */
    FINDING_CHANGED, /* Ferry changes this for you on the way */
    FINDING_NOTE     /* to know */
} finding_severity;

typedef struct {
    int code; /* 2003 is shown as FERRY-2003 */
    finding_severity severity;
    char *subject; /* the device or setting: "vda", "52:54:00:00:00:05", "memory" */
    char *text;    /* one sentence: what is there on both sides */
    char *fix;     /* what to do, or NULL */
} finding;

typedef GPtrArray findings; /* of finding, owned */

findings *findings_new(void);
void findings_free(findings *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(findings, findings_free)

/* A code of the catalog, which says how severe it is. `fix` may be NULL. Copies everything. */
void findings_add(findings *self, int code, const char *subject, const char *fix,
                  const char *format, ...) G_GNUC_PRINTF(5, 6);
gboolean findings_block(const findings *self);
/* Moves all of `more` behind those of `self`; `more` is empty then. */
void findings_take(findings *self, findings *more);

/* "blocks", "changed", "note" */
const char *finding_severity_name(finding_severity severity);
/* [{"code": "FERRY-2003", "severity": "blocks", "subject": …, "text": …, "fix": …}, …] */
JsonArray *findings_to_json(const findings *self);
/* From a peer: validated, at most 1000 findings, texts at most 4 KiB. */
findings *findings_from_json(JsonArray *array, GError **error);
/* All that block as one error message: "TEXT FIX TEXT FIX". */
char *findings_summary(const findings *self);
