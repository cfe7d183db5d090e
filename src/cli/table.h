/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A table of text: columns as wide as their content, the last one wrapped to what the terminal
 * leaves. */
#pragma once
#include "cli/out.h"

typedef struct table table;

/* `titles` is NULL-terminated; all "" gives a table without a heading. A title that begins with '>'
 * makes its column right-aligned (the '>' is not shown). */
table *table_new(const char *const *titles);
void table_free(table *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(table, table_free)

/* A row: as many cells as there are titles, copied; NULL is an empty cell. `style` is that of the
 * column `styled` (-1: none). A "\n" in the last cell breaks the line. */
void table_row(table *self, const char *const *cells, int styled, out_style style);
guint table_rows(const table *self);
/* Indented by `indent` columns. */
void table_print(const table *self, out *to, guint indent);
