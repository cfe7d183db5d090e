/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables; see table.h. */
#include "cli/table.h"

#include "cli/text.h"

#include <string.h>

#define GAP      2  /* between columns */
#define LAST_MIN 24 /* a last column narrower than this is not worth wrapping into */

typedef struct {
    GStrv cells; /* safe; the last one may hold line breaks */
    int styled;
    out_style style;
} row;

struct table {
    GStrv titles;
    guint columns;
    gboolean headed;
    GPtrArray *rows; /* of row */
};

static void row_free(gpointer data)
{
    row *self = data;

    g_strfreev(self->cells);
    g_free(self);
}

table *table_new(const char *const *titles)
{
    table *self = g_new0(table, 1);

    self->titles = g_strdupv((GStrv)titles);
    self->columns = g_strv_length(self->titles);
    for (guint i = 0; i < self->columns; i++)
        self->headed |= *titles[i] != '\0' && strcmp(titles[i], ">") != 0;
    self->rows = g_ptr_array_new_with_free_func(row_free);
    return self;
}

void table_free(table *self)
{
    if (!self)
        return;
    g_strfreev(self->titles);
    g_ptr_array_unref(self->rows);
    g_free(self);
}

/* Each line for itself, so that the breaks survive. */
static char *safe_lines(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        char *safe = text_safe(*line);
        g_free(*line);
        *line = safe;
    }
    return g_strjoinv("\n", lines);
}

void table_row(table *self, const char *const *cells, int styled, out_style style)
{
    row *r = g_new0(row, 1);

    r->cells = g_new0(char *, self->columns + 1);
    for (guint i = 0; i < self->columns; i++) {
        const char *cell = cells[i] ? cells[i] : "";
        r->cells[i] = i + 1 == self->columns ? safe_lines(cell) : text_safe(cell);
    }
    r->styled = styled;
    r->style = style;
    g_ptr_array_add(self->rows, r);
}

guint table_rows(const table *self)
{
    return self->rows->len;
}

static gboolean right(const table *self, guint column)
{
    return *self->titles[column] == '>';
}

static const char *title(const table *self, guint column)
{
    return self->titles[column] + (right(self, column) ? 1 : 0);
}

static guint column_width(const table *self, guint column)
{
    guint width = self->headed ? text_width(title(self, column)) : 0;

    for (guint i = 0; i < self->rows->len; i++) {
        const row *r = self->rows->pdata[i];
        width = MAX(width, text_width(r->cells[column]));
    }
    return width;
}

/* Columns before the last one, gaps included. */
static guint before_last(const table *self, const guint *widths, guint indent)
{
    guint sum = indent;

    for (guint i = 0; i + 1 < self->columns; i++)
        sum += widths[i] + GAP;
    return sum;
}

static void print_cells(const table *self, out *to, guint indent, const guint *widths,
                        const char *const *cells, int styled, out_style style)
{
    guint start = before_last(self, widths, indent), width = out_width(to);
    guint room = width >= start + LAST_MIN ? width - start : 0;
    g_auto(GStrv) lines = text_wrap(cells[self->columns - 1], room);

    out_text(to, OUT_PLAIN, "%*s", (int)indent, "");
    for (guint i = 0; i + 1 < self->columns; i++) {
        g_autofree char *cell = text_pad(cells[i], widths[i], right(self, i));
        out_text(to, styled == (int)i ? style : OUT_PLAIN, "%s", cell);
        out_text(to, OUT_PLAIN, "%*s", GAP, "");
    }
    for (guint i = 0; lines[i]; i++) {
        gboolean last = styled == (int)self->columns - 1;
        if (i > 0)
            out_text(to, OUT_PLAIN, "%*s", (int)start, "");
        out_line(to, last ? style : OUT_PLAIN, "%s", lines[i]);
    }
}

void table_print(const table *self, out *to, guint indent)
{
    g_autofree guint *widths = g_new0(guint, self->columns);
    g_autofree const char **titles = g_new0(const char *, self->columns);

    for (guint i = 0; i + 1 < self->columns; i++)
        widths[i] = column_width(self, i);
    for (guint i = 0; i < self->columns; i++)
        titles[i] = title(self, i);
    if (self->headed)
        print_cells(self, to, indent, widths, titles, -1, OUT_PLAIN);
    for (guint i = 0; i < self->rows->len; i++) {
        const row *r = self->rows->pdata[i];
        print_cells(self, to, indent, widths, (const char *const *)r->cells, r->styled, r->style);
    }
}
