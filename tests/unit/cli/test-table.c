/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables and output: columns line up at every width, nothing of a cell steers the terminal. */
#include "cli/table.h"

#include "cli/report.h"
#include "cli/text.h"

#include <string.h>

/* What was printed on a terminal of `columns` (0: into a pipe). */
typedef struct {
    char *text;
    size_t length;
    FILE *stream;
    out *to;
} paper;

static void paper_open(paper *self, guint columns, out_color color)
{
    self->stream = open_memstream(&self->text, &self->length);
    self->to = out_new(self->stream, color);
    if (columns)
        out_pretend_width(self->to, columns);
}

static void paper_close(paper *self)
{
    out_free(self->to);
    fclose(self->stream);
}

static table *sample(void)
{
    table *t = table_new((const char *[]){"ID", ">TOOK", "TEXT", NULL});

    table_row(t, (const char *[]){"5d0f", "36 s", "the quick brown fox jumps over the lazy dog"}, 0,
              OUT_BOLD);
    table_row(t, (const char *[]){"9", "1 h 02 min", NULL}, -1, OUT_PLAIN);
    return t;
}

static void test_pipe(void)
{
    g_autoptr(table) t = sample();
    paper p;

    paper_open(&p, 0, OUT_COLOR_AUTO);
    table_print(t, p.to, 2);
    paper_close(&p);
    g_assert_cmpstr(p.text, ==,
                    "  ID          TOOK  TEXT\n"
                    "  5d0f        36 s  the quick brown fox jumps over the lazy dog\n"
                    "  9     1 h 02 min  \n");
    free(p.text);
}

static void test_wraps(void)
{
    g_autoptr(table) t = sample();
    paper p;

    paper_open(&p, 45, OUT_COLOR_NEVER);
    table_print(t, p.to, 0);
    paper_close(&p);
    g_assert_cmpstr(p.text, ==,
                    "ID          TOOK  TEXT\n"
                    "5d0f        36 s  the quick brown fox jumps\n"
                    "                  over the lazy dog\n"
                    "9     1 h 02 min  \n");
    free(p.text);
}

/* At no width does a line of a table that can be wrapped stick out, or a word get lost. */
static void test_every_width(void)
{
    for (guint columns = 42; columns < 90; columns++) {
        g_autoptr(table) t = sample();
        g_auto(GStrv) lines = NULL;
        guint letters = 0;
        paper p;

        paper_open(&p, columns, OUT_COLOR_NEVER);
        table_print(t, p.to, 0);
        paper_close(&p);
        lines = g_strsplit(p.text, "\n", -1);
        for (char **line = lines; *line; line++)
            g_assert_cmpuint(text_width(*line), <=, columns);
        for (const char *c = strstr(p.text, "the"); *c && *c != '9'; c++)
            letters += g_ascii_isalpha(*c) != 0;
        g_assert_cmpuint(letters, ==, strlen("thequickbrownfoxjumpsoverthelazydog"));
        free(p.text);
    }
}

static void test_colour(void)
{
    g_autoptr(table) t = sample();
    paper p;

    paper_open(&p, 0, OUT_COLOR_ALWAYS);
    table_print(t, p.to, 0);
    paper_close(&p);
    g_assert_nonnull(strstr(p.text, "\033[1m5d0f\033[0m"));
    free(p.text);
}

static void test_hostile_cells(void)
{
    g_autoptr(table) t = table_new((const char *[]){"", "", NULL});
    paper p;

    table_row(t, (const char *[]){"\033[31mred\n", "line\033]0;t\a\nsecond\r"}, -1, OUT_PLAIN);
    paper_open(&p, 60, OUT_COLOR_NEVER);
    table_print(t, p.to, 0);
    out_line(p.to, OUT_BAD, "%s", "\033[2J");
    out_live(p.to, "\033[2J\n");
    out_wipe(p.to);
    paper_close(&p);
    g_assert_cmpstr(p.text, ==,
                    "?[31mred   line?]0;t?\n"
                    "           second?\n"
                    "?[2J\n"
                    "\r?[2J \033[K\r\033[K");
    free(p.text);
}

static void test_live_line(void)
{
    paper p;

    paper_open(&p, 10, OUT_COLOR_NEVER);
    out_live(p.to, "a line that is too long");
    out_line(p.to, OUT_PLAIN, "done");
    paper_close(&p);
    g_assert_cmpstr(p.text, ==, "\ra line t…\033[K\r\033[Kdone\n");
    free(p.text);

    paper_open(&p, 0, OUT_COLOR_NEVER);
    out_live(p.to, "nothing of this in a pipe");
    paper_close(&p);
    g_assert_cmpstr(p.text, ==, "");
    free(p.text);
}

static void test_findings(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = json_parse(
        "{\"findings\": ["
        "{\"code\": \"FERRY-2001\", \"severity\": \"changed\", \"subject\": \"52:54:00:00:00:05\","
        " \"text\": \"Goes to another switch.\"},"
        "7, {\"severity\": 7},"
        "{\"code\": \"FERRY-3001\", \"severity\": \"blocks\", \"subject\": \"vda\","
        " \"text\": \"The file exists.\", \"fix\": \"Move it away.\"}]}",
        -1, &error);
    JsonArray *found;
    paper p;

    g_assert_no_error(error);
    g_assert_true(json_get_array(object, "findings", &found, NULL));
    paper_open(&p, 0, OUT_COLOR_NEVER);
    report_findings(found, p.to);
    paper_close(&p);
    g_assert_true(
        g_str_has_prefix(p.text, "FERRY-3001  blocks   vda                The file exists.\n"));
    g_assert_nonnull(strstr(p.text, "  Fix: Move it away.\n"));
    g_assert_nonnull(
        strstr(p.text, "\nFERRY-2001  changed  52:54:00:00:00:05  Goes to another switch.\n"));
    free(p.text);
}

static void test_changes(void)
{
    g_autoptr(JsonObject) changes = json_parse(
        "{\"nics\": [{\"mac\": \"52:54:00:00:00:05\", \"old_switch\": \"vSwitch-VLAN500\","
        " \"new_switch\": \"Converged\", \"vlans\": [500]},"
        " {\"mac\": \"52:54:00:00:00:06\", \"old_switch\": null, \"new_switch\": \"Converged\","
        " \"vlans\": [500, 600]}, {\"mac\": \"52:54:00:00:00:07\", \"old_switch\": \"a\","
        " \"new_switch\": \"a\", \"vlans\": []}],"
        "\"disks\": [{\"target\": \"vda\", \"old_path\": \"/a/x.qcow2\", \"new_path\": "
        "\"/b/x.raw\","
        " \"old_format\": \"qcow2\", \"new_format\": \"raw\", \"capacity\": 4294967296}]}",
        -1, NULL);
    paper p;

    paper_open(&p, 0, OUT_COLOR_NEVER);
    report_changes(changes, p.to);
    report_changes(NULL, p.to);
    paper_close(&p);
    g_assert_cmpstr(p.text, ==,
                    "  NIC   52:54:00:00:00:05  vSwitch-VLAN500 -> Converged, VLAN 500\n"
                    "  NIC   52:54:00:00:00:06  no switch -> Converged, VLANs 500, 600\n"
                    "  NIC   52:54:00:00:00:07  a -> a\n"
                    "  disk  vda                /a/x.qcow2 -> /b/x.raw\n"
                    "                           qcow2 -> raw, 4.0 GiB\n");
    free(p.text);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/table/into-a-pipe", test_pipe);
    g_test_add_func("/table/wraps-its-last-column", test_wraps);
    g_test_add_func("/table/fits-every-width", test_every_width);
    g_test_add_func("/table/colour", test_colour);
    g_test_add_func("/table/hostile-cells", test_hostile_cells);
    g_test_add_func("/out/live-line", test_live_line);
    g_test_add_func("/report/findings", test_findings);
    g_test_add_func("/report/changes", test_changes);
    return g_test_run();
}
