/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A migration as JSON, and the lines its progress is shown as. */
#include "cli/progress.h"

#include "cli/cli.h"
#include "cli/summary.h"
#include "cli/text.h"

#include <string.h>

#define HEAD                                                                                       \
    "\"id\": \"5d0f1234-0000-4000-8000-000000000001\", \"vm\": \"web01\", \"peer\": \"zulu\", "    \
    "\"role\": \"source\", \"version\": 3"

static migration *parse(const char *members)
{
    g_autofree char *text = g_strdup_printf("{" HEAD ", %s}", members);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = json_parse(text, -1, &error);
    migration *m;

    g_assert_no_error(error);
    m = migration_from_json(object, &error);
    g_assert_no_error(error);
    return m;
}

static const char copying[] =
    "\"phase\": \"mirroring\", \"phase_began\": 1000.0, \"waiting\": null, \"channels\": "
    "{\"alive\": 4, \"wanted\": 4, \"lost\": 0},"
    "\"progress\": {\"done\": 2147483648, \"total\": 4294967296, \"rate\": 123731968, \"eta\": 36}";

static void test_bar(void)
{
    g_autoptr(migration) m = parse(copying);
    g_autofree char *wide = progress_bar(m, 100, 1010);
    g_autofree char *narrow = progress_bar(m, 40, 1010);

    g_assert_cmpstr(wide, ==,
                    "mirroring     [#################------------------]   50 %  2.0 GiB of 4.0 "
                    "GiB  118 MiB/s  36 s left");
    g_assert_cmpstr(narrow, ==, "mirroring      50 %  2.0 GiB of 4.0 GiB");
}

/* It never sticks out, always names phase and share while there is room, and grows with its room.
 */
static void test_every_width(void)
{
    g_autoptr(migration) m = parse(copying);

    for (guint columns = 0; columns < 200; columns++) {
        g_autofree char *line = progress_bar(m, columns, 1010);
        g_assert_cmpuint(text_width(line), <=, columns);
        if (columns >= 20)
            g_assert_true(g_str_has_prefix(line, "mirroring") && strstr(line, "50 %"));
        if (columns >= 90)
            g_assert_true(strstr(line, "[###") && strstr(line, "36 s left"));
    }
}

static void test_log_line(void)
{
    g_autoptr(migration) m = parse(copying);
    g_autoptr(migration) lame =
        parse("\"phase\": \"mirroring\", \"channels\": {\"alive\": 2, \"wanted\": 4},"
              "\"progress\": {\"done\": 0, \"total\": 4096, \"rate\": 0, \"eta\": null}");
    g_autoptr(migration) queued =
        parse("\"phase\": \"queued\", \"waiting\": \"zulu has no free slot\"");
    g_autoptr(migration) bare = parse("\"phase\": \"landing\"");
    g_autoptr(migration) spared = parse("\"phase\": \"mirroring\", \"limits\": {\"spared\": 41943040},"
                                        "\"progress\": {\"done\": 0, \"total\": 4096}");
    g_autofree char *spared_line = progress_text(spared);
    g_autofree char *line = progress_text(m), *lame_line = progress_text(lame);
    g_autofree char *queued_line = progress_text(queued), *bare_line = progress_text(bare);

    g_assert_cmpstr(line, ==, "mirroring: 2.0 GiB of 4.0 GiB (50 %), 118 MiB/s, 36 s left");
    g_assert_cmpstr(lame_line, ==, "mirroring: 0 B of 4.0 KiB (0 %), 2 of 4 channels");
    g_assert_cmpstr(queued_line, ==, "queued: zulu has no free slot");
    g_assert_cmpstr(bare_line, ==, "landing");
    g_assert_cmpstr(spared_line, ==,
                    "mirroring: 0 B of 4.0 KiB (0 %), slowed down to spare the guest: 40.0 MiB/s");
}

static void test_unmeasured(void)
{
    g_autoptr(migration) queued =
        parse("\"phase\": \"queued\", \"waiting\": \"zulu\\u001b[2J is full\"");
    g_autoptr(migration) landing = parse("\"phase\": \"landing\", \"phase_began\": 1000");
    g_autofree char *waits = progress_bar(queued, 60, 1010), *age = progress_bar(landing, 60, 1012);
    g_autofree char *early = progress_bar(landing, 60, 900);

    g_assert_cmpstr(waits, ==, "queued        zulu?[2J is full");
    g_assert_cmpstr(age, ==, "landing       12 s");
    g_assert_cmpstr(early, ==, "landing       "); /* a clock that was set back */
}

static void test_done(void)
{
    g_autoptr(migration) m = parse(copying);
    g_autoptr(migration) landing = parse("\"phase\": \"landing\", \"phase_began\": 1000");
    g_autofree char *measured = progress_done(m, 1036), *at_once = progress_done(m, 1000);
    g_autofree char *plain = progress_done(landing, 1002.5);

    g_assert_cmpstr(measured, ==, "mirroring     4.0 GiB in 36 s (114 MiB/s)");
    g_assert_cmpstr(at_once, ==, "mirroring     4.0 GiB in 0.0 s");
    g_assert_cmpstr(plain, ==, "landing       2.5 s");
}

static void test_ends(void)
{
    static const struct {
        const char *members;
        gboolean ended, may_cancel;
        int status;
    } cases[] = {
        {"\"phase\": \"queued\"", FALSE, TRUE, CLI_FAILED},
        {"\"phase\": \"switching\"", FALSE, TRUE, CLI_FAILED},
        {"\"phase\": \"committing\"", FALSE, FALSE, CLI_FAILED},
        {"\"phase\": \"cleaning\"", FALSE, FALSE, CLI_FAILED},
        {"\"phase\": \"completed\"", TRUE, FALSE, CLI_OK},
        {"\"phase\": \"cancelled\", \"error\": {\"code\": \"cancelled\", \"text\": \"x\"}", TRUE,
         FALSE, CLI_CANCELLED},
        {"\"phase\": \"failed\", \"error\": {\"code\": \"peer-error\", \"text\": \"x\"}", TRUE,
         FALSE, CLI_FAILED},
        {"\"phase\": \"failed\", \"error\": {\"code\": \"blocked\", \"text\": \"x\"}", TRUE, FALSE,
         CLI_BLOCKED},
        {"\"phase\": \"teleporting\"", FALSE, TRUE, CLI_FAILED},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(migration) m = parse(cases[i].members);
        g_assert_cmpint(migration_has_ended(m), ==, cases[i].ended);
        g_assert_cmpint(migration_may_cancel(m), ==, cases[i].may_cancel);
        if (cases[i].ended)
            g_assert_cmpint(migration_exit_status(m), ==, cases[i].status);
    }
}

/* Types a ferryd of another version might send are "not known", never a crash or a zero. */
static void test_strange_types(void)
{
    g_autoptr(migration) m =
        parse("\"phase\": \"mirroring\", \"progress\": [1], \"wire_bytes\": \"many\","
              "\"began\": {}, \"error\": \"bad\", \"channels\": null, \"changes\": 1,"
              "\"way_back\": [], \"findings\": {}, \"blackout_ms\": true,"
              "\"logical_bytes\": -5");

    g_assert_cmpint(m->done, ==, -1);
    g_assert_cmpint(m->wire_bytes, ==, -1);
    g_assert_cmpint(m->logical_bytes, ==, -1);
    g_assert_cmpfloat(m->began, ==, -1);
    g_assert_cmpfloat(m->blackout_ms, ==, -1);
    g_assert_null(m->error_code);
    g_assert_null(m->changes);
    g_assert_null(m->findings);
    g_assert_null(m->way_back_disks);
}

static void test_missing(void)
{
    g_autoptr(JsonObject) object = json_parse("{\"id\": \"1\", \"vm\": \"web01\"}", -1, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_null(migration_from_json(object, &error));
    g_assert_nonnull(strstr(error->message, "\"peer\""));
}

static void test_summary(void)
{
    g_autoptr(migration) m =
        parse("\"phase\": \"completed\", \"began\": 1790000000, \"ended\": 1790000041.2, "
              "\"total_seconds\": 41.2,"
              "\"blackout_ms\": 167.6, \"wire_bytes\": 1288490188, \"logical_bytes\": 4617089843,"
              "\"found_bytes\": 2147483648,"
              "\"way_back\": {\"until\": 1790086442, \"disks\": [\"/a/x.qcow2.ferry-5d0f\", "
              "\"/a/y.raw.ferry-5d0f\"]},"
              "\"changes\": {\"nics\": [], \"disks\": []}");
    char *text;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    out *to = out_new(stream, OUT_COLOR_NEVER);

    summary_print(m, to, 1790000042);
    out_free(to);
    fclose(stream);
    g_assert_true(g_str_has_prefix(text, "web01 runs on zulu now\n"));
    g_assert_nonnull(strstr(text, "\n  total time  41 s, began "));
    g_assert_nonnull(strstr(text, "\n  blackout    168 ms\n"));
    g_assert_nonnull(
        strstr(text, "\n  moved       4.3 GiB of disks and memory, 1.2 GiB on the wire (28 %)\n"));
    g_assert_nonnull(strstr(text, "\n  found       2.0 GiB of that the target had already, and did not "
                                  "cross\n"));
    g_assert_nonnull(strstr(text, " (1 d 0 h): 'ferry return web01' on zulu brings it back, 'ferry commit "
                                  "web01' deletes the disks kept here now:\n"
                                  "              /a/x.qcow2.ferry-5d0f\n"
                                  "              /a/y.raw.ferry-5d0f\n"));
    free(text);
}

static void test_limits(void)
{
    g_autoptr(migration) m =
        parse("\"phase\": \"mirroring\", \"limits\": {\"bandwidth\": 104857600, \"share\": 209715200, "
              "\"peer_share\": null, \"rate\": 104857600, \"latency_guard\": 1.5, "
              "\"spared\": 41943040}");
    char *text;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    out *to = out_new(stream, OUT_COLOR_NEVER);

    summary_print(m, to, 1790000042);
    out_free(to);
    fclose(stream);
    g_assert_nonnull(strstr(text, "bandwidth      this move: 100 MiB/s, share here: 200 MiB/s\n"));
    g_assert_nonnull(strstr(text, "latency guard  1.5 times the guest's usual disk latency; slowed "
                                  "down to spare the guest: 40.0 MiB/s for its disks\n"));
    free(text);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/progress/bar", test_bar);
    g_test_add_func("/progress/bar-at-every-width", test_every_width);
    g_test_add_func("/progress/line-for-a-log", test_log_line);
    g_test_add_func("/progress/phases-without-bytes", test_unmeasured);
    g_test_add_func("/progress/line-that-stays", test_done);
    g_test_add_func("/migration/ends-and-exit-statuses", test_ends);
    g_test_add_func("/migration/strange-types-are-not-known", test_strange_types);
    g_test_add_func("/migration/what-must-be-there", test_missing);
    g_test_add_func("/summary/completed", test_summary);
    g_test_add_func("/summary/limits", test_limits);
    return g_test_run();
}
