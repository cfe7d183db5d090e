/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text for people: nothing harmful comes through, and figures read as one expects. */
#include "cli/text.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#define assert_gives(call, expected)                                                               \
    do {                                                                                           \
        g_autofree char *got_ = (call);                                                            \
        g_assert_cmpstr(got_, ==, expected);                                                       \
    } while (0)

static void test_safe(void)
{
    assert_gives(text_safe("web01"), "web01");
    assert_gives(text_safe("Bücher 蔵書 🚢"), "Bücher 蔵書 🚢");
    assert_gives(text_safe(NULL), "-");
    assert_gives(text_safe("a\nb\tc"), "a b c");
    /* Escape sequences: of seven bits, of eight, and one that would set a title. */
    assert_gives(text_safe("\033[2Jx"), "?[2Jx");
    assert_gives(text_safe("\302\2332Jx"), "?2Jx");
    assert_gives(text_safe("\033]0;evil\a"), "?]0;evil?");
    assert_gives(text_safe("\r\b\177"), "???");
    /* Right to left override, zero width joiner, line separator, private use. */
    assert_gives(text_safe("a\u202eb\u200dc\u2028d\ue000e"), "a?b?c?d?e");
}

static void test_safe_invalid(void)
{
    g_autofree char *safe = text_safe("a\xff\xfe\x9b"
                                      "b");

    g_assert_true(g_utf8_validate(safe, -1, NULL));
    g_assert_cmpint(safe[0], ==, 'a');
    g_assert_null(strchr(safe, '\x9b'));
}

/* What is escaped is still the same string to a JSON parser. */
static void test_safe_json(void)
{
    const char *name = "a\302\233b\u202ec\U000e0001d\177é";
    g_autofree char *json = g_strdup_printf("{\"vm\":\"%s\"}", name);
    g_autofree char *safe = text_safe_json(json);
    g_autoptr(JsonParser) parser = json_parser_new();

    for (const char *p = safe; *p; p = g_utf8_next_char(p)) {
        g_assert_false(g_unichar_iscntrl(g_utf8_get_char(p)));
        g_assert_cmpint(g_unichar_type(g_utf8_get_char(p)), !=, G_UNICODE_FORMAT);
    }
    g_assert_nonnull(strstr(safe, "é"));
    g_assert_true(json_parser_load_from_data(parser, safe, -1, NULL));
    g_assert_cmpstr(
        json_object_get_string_member(json_node_get_object(json_parser_get_root(parser)), "vm"), ==,
        name);
}

static void test_width(void)
{
    g_assert_cmpuint(text_width(""), ==, 0);
    g_assert_cmpuint(text_width("abc"), ==, 3);
    g_assert_cmpuint(text_width("é"), ==, 1);
    g_assert_cmpuint(text_width("e\u0301"), ==, 1); /* combining */
    g_assert_cmpuint(text_width("蔵書"), ==, 4);
}

static void test_cut(void)
{
    assert_gives(text_cut("abcdef", 6), "abcdef");
    assert_gives(text_cut("abcdef", 5), "abcd…");
    assert_gives(text_cut("abcdef", 1), "…");
    assert_gives(text_cut("abcdef", 0), "");
    assert_gives(text_cut("蔵書蔵書", 4), "蔵…"); /* no half characters */
    assert_gives(text_pad("ab", 4, FALSE), "ab  ");
    assert_gives(text_pad("ab", 4, TRUE), "  ab");
    assert_gives(text_pad("蔵", 4, FALSE), "蔵  ");
    assert_gives(text_pad("abcd", 2, FALSE), "abcd");
}

static void assert_wrapped(const char *text, guint columns, const char *expected)
{
    g_auto(GStrv) lines = text_wrap(text, columns);
    g_autofree char *joined = g_strjoinv("|", lines);

    g_assert_cmpstr(joined, ==, expected);
}

static void test_wrap(void)
{
    assert_wrapped("", 10, "");
    assert_wrapped("one two three", 0, "one two three");
    assert_wrapped("one two three", 7, "one two|three");
    assert_wrapped("one two three", 8, "one two|three");
    assert_wrapped("one two  three", 5, "one|two|three");
    assert_wrapped("abcdefgh ij", 3, "abc|def|gh|ij");
    assert_wrapped("first\nsecond line", 6, "first|second|line");
    assert_wrapped("a\n\nb", 6, "a||b");
    assert_wrapped("蔵書", 1, "蔵|書"); /* wider than the column: goes on all the same */
}

static void test_size(void)
{
    assert_gives(text_size(-1), "?");
    assert_gives(text_size(0), "0 B");
    assert_gives(text_size(1023), "1023 B");
    assert_gives(text_size(1024), "1.0 KiB");
    assert_gives(text_size(1536), "1.5 KiB");
    assert_gives(text_size(102348), "99.9 KiB");
    assert_gives(text_size(102400), "100 KiB");
    assert_gives(text_size(1048575), "1.0 MiB"); /* not "1024 KiB" */
    assert_gives(text_size(4294967296), "4.0 GiB");
    assert_gives(text_size(G_MAXINT64), "8.0 EiB");
    assert_gives(text_rate(123731968), "118 MiB/s");
}

static void test_duration(void)
{
    assert_gives(text_duration(-1), "?");
    assert_gives(text_duration(0), "0.0 s");
    assert_gives(text_duration(0.44), "0.4 s");
    assert_gives(text_duration(9.94), "9.9 s");
    assert_gives(text_duration(9.96), "10 s");
    assert_gives(text_duration(59.6), "1 min 00 s");
    assert_gives(text_duration(125), "2 min 05 s");
    assert_gives(text_duration(3599), "59 min 59 s");
    assert_gives(text_duration(3720), "1 h 02 min");
    assert_gives(text_duration(86400 * 3 + 4 * 3600), "3 d 4 h");
    assert_gives(text_duration(1e300), "?");
    assert_gives(text_duration((double)NAN), "?");
}

static void test_time(void)
{
    g_autoptr(GDateTime) time = g_date_time_new_local(2026, 11, 21, 20, 41, 7);

    assert_gives(text_time((double)g_date_time_to_unix(time)), "2026-11-21 20:41");
    assert_gives(text_time(-1), "?");
    assert_gives(text_time(1e300), "?");
}

static void test_percent(void)
{
    g_assert_cmpuint(text_percent(0, 0), ==, 0);
    g_assert_cmpuint(text_percent(-1, 100), ==, 0);
    g_assert_cmpuint(text_percent(47, 100), ==, 47);
    g_assert_cmpuint(text_percent(G_MAXINT64 - 1, G_MAXINT64), ==, 99);
    g_assert_cmpuint(text_percent(100, 100), ==, 100);
    g_assert_cmpuint(text_percent(120, 100), ==, 100);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/text/safe/harmful-characters-are-replaced", test_safe);
    g_test_add_func("/text/safe/invalid-utf8", test_safe_invalid);
    g_test_add_func("/text/safe/json-keeps-its-meaning", test_safe_json);
    g_test_add_func("/text/width", test_width);
    g_test_add_func("/text/cut-and-pad", test_cut);
    g_test_add_func("/text/wrap", test_wrap);
    g_test_add_func("/text/size", test_size);
    g_test_add_func("/text/duration", test_duration);
    g_test_add_func("/text/time", test_time);
    g_test_add_func("/text/percent", test_percent);
    return g_test_run();
}
