/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every finding there is. This is the one place that says how severe a code is and what it means: findings_add,
 * 'ferry explain' and docs/findings.md (made by docs/make-findings) all have it from here. Any thread.
 *
 * A new one goes behind the last of its thousand; a code is never used for something else.
 */
#pragma once
#include "base/finding.h"

typedef struct {
    int code;
    finding_severity severity;
    const char *title;   /* a few words, no full stop */
    const char *meaning; /* sentences; what people would type stands in `back quotes` */
    const char *fix;     /* what to do, or NULL */
} catalog_entry;

/* What the thousands stand for: "storage" of 3001. */
const char *catalog_group(int code);
/* NULL: no such code. */
const catalog_entry *catalog_find(int code);
/* By code; NULL after the last. `last` NULL: the first. */
const catalog_entry *catalog_next(const catalog_entry *last);
