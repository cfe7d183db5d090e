/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Strict getters, bounded parsing, and findings as JSON. */
#include "base/finding.h"
#include "base/json.h"

#include <string.h>

static JsonObject *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    JsonObject *object = json_parse(text, -1, &error);

    g_assert_no_error(error);
    return object;
}

static void parse_fails(const char *text, gssize length)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(json_parse(text, length, &error));
    g_assert_nonnull(error);
    g_assert_cmpuint(strlen(error->message), >, 0);
}

static void test_parse_refuses(void)
{
    static const char *const bad[] = {
        "",          " ",        "null",        "[]",         "[{}]",
        "1",         "\"x\"",    "{",           "{]",         "{\"a\":}",
        "{\"a\" 1}", "{\"a\":1", "{\"a\":\"x}", "{\"a\":1}x", "{\"a\":\"\xff\xfe\"}"};

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_test_message("bad[%u]", i);
        parse_fails(bad[i], -1);
    }
    parse_fails("{\"a\":1}", 6);
    parse_fails("{\"a\":1}\0{", 9);
}

static char *nested(int depth, char open, char close)
{
    g_autofree char *opens = g_strnfill((gsize)depth, open),
                    *closes = g_strnfill((gsize)depth, close);

    return open == '{' ? g_strdup_printf("%s%s", opens, closes)
                       : g_strdup_printf("{\"a\":%s%s}", opens, closes);
}

static void test_parse_is_bounded(void)
{
    g_autofree char *deep = nested(31, '[', ']'), *deeper = nested(32, '[', ']');
    g_autofree char *endless = nested(1000000, '[', ']'), *open = g_strnfill(1000000, '{');
    g_autofree char *quoted = NULL, *escaped = NULL, *large = g_strnfill(JSON_MAX + 1, ' ');
    g_autofree char *fits = g_strnfill(JSON_MAX, ' ');

    json_object_unref(parse(deep));
    parse_fails(deeper, -1);
    parse_fails(endless, -1);
    parse_fails(open, -1);
    g_free(quoted);
    quoted = g_strdup_printf("{\"a\":\"%s\"}", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
    escaped = g_strdup_printf("{\"a\":\"\\\"%s\\\\\"}", "{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{");
    json_object_unref(parse(quoted)); /* brackets in strings nest nothing */
    json_object_unref(parse(escaped));
    memcpy(large, "{}", 2);
    memcpy(fits, "{}", 2);
    parse_fails(large, JSON_MAX + 1);
    json_object_unref(json_parse(fits, JSON_MAX, NULL));
}

static char *repeated(unsigned count, const char *text)
{
    GString *all = g_string_new("{\"a\":[");

    for (unsigned i = 0; i < count; i++)
        g_string_append(all, text);
    g_string_append(all, "0]}");
    return g_string_free(all, FALSE);
}

static void test_parts_are_bounded(void)
{
    g_autofree char *most = repeated(JSON_PARTS_MAX - 2, "0,");
    g_autofree char *more = repeated(JSON_PARTS_MAX - 1, "0,");
    g_autofree char *objects = repeated(JSON_PARTS_MAX / 2, "{},");
    g_autofree char *quoted = repeated(1, "\",,,,[[[[\",");

    json_object_unref(parse(most));
    parse_fails(more, -1);
    parse_fails(objects, -1);
    json_object_unref(parse(quoted));
}

/* What other parsers take beyond JSON could hide a depth at which one runs out of stack. */
static void test_parse_takes_only_json(void)
{
    static const char *const heads[] = {"{\"a\":/*\"*/", "{\"a\":// \"\n", "{'a\"':", "{\"a\":'\"',\"b\":",
                                        "{\"a\":#\"\n"};
    g_autofree char *endless = nested(1000000, '[', ']');

    for (guint i = 0; i < G_N_ELEMENTS(heads); i++) {
        g_autofree char *text = g_strconcat(heads[i], endless + strlen("{\"a\":"), NULL);
        parse_fails(text, -1);
    }
    parse_fails("{\"a\":/**/1}", -1);
    parse_fails("{'a':1}", -1);
    parse_fails("{\"a\":'1'}", -1);
}

static void test_parse_is_strict(void)
{
    static const char *const bad[] = {
        "01", "-", "+1", "1.", ".5", "1e", "1e+", "0x10", "1e999", "nan", "tru", "truex", "nulL",
        "[1,]", "[,1]", "[1 2]", "{,}", "{\"b\"}", "\"\\x\"", "\"\\u12g4\"", "\"\\u12",
        "\"\\u0000\"", "\"\\ud800\"", "\"\\ud800x\"", "\"\\ud800\\u0041\"", "\"\\udc00\\udc00\"",
        "\"a\nb\"", "{\"b\":1,\"b\":1}"};
    g_autofree char *digits = g_strnfill(65, '1');
    g_autofree char *number = g_strdup_printf("{\"a\":0.%s}", digits);

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *text = g_strdup_printf("{\"a\":%s}", bad[i]);
        g_test_message("%s", text);
        parse_fails(text, -1);
    }
    parse_fails(number, -1);
}

static void test_parse_understands(void)
{
    g_autoptr(JsonObject) o = parse("\t{\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\",\n"
                                    "\"\":-0,\"f\":[-12.5e-1,0E+2,0],\"t\":true,\"n\":null}\r\n");
    JsonArray *numbers = json_object_get_array_member(o, "f");

    g_assert_cmpstr(json_object_get_string_member(o, "s"), ==, "\"\\/\b\f\n\r\t\u00e9\U0001f600");
    g_assert_cmpint(json_object_get_int_member(o, ""), ==, 0);
    g_assert_cmpfloat(json_array_get_double_element(numbers, 0), ==, -1.25);
    g_assert_cmpfloat(json_array_get_double_element(numbers, 1), ==, 0);
    g_assert_cmpint(json_array_get_int_element(numbers, 2), ==, 0);
    g_assert_true(json_object_get_boolean_member(o, "t"));
    g_assert_true(json_object_get_null_member(o, "n"));
}

static void test_text(void)
{
    g_autoptr(JsonObject) object = parse(" { \"a\" : [ 1, null ], \"b\" : \"\\u00e9\\n\" } ");
    g_autofree char *text = json_text(object), *pretty = json_pretty(object);

    g_assert_cmpstr(text, ==, "{\"a\":[1,null],\"b\":\"\xc3\xa9\\n\"}");
    g_assert_nonnull(strchr(pretty, '\n'));
    json_object_unref(parse(pretty));
}

/* Getters: `wrong` fails with an error that names the member. */

#define EXPECT_WRONG(call)                                                                         \
    do {                                                                                           \
        g_autoptr(GError) error = NULL;                                                            \
        g_assert_false(call);                                                                      \
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);                                \
        g_assert_nonnull(strstr(error->message, "\"m\""));                                         \
    } while (0)

static const char *const values[] = {"\"text\"", "7", "7.5", "true", "null", "{}", "[]"};
enum { STRING, INTEGER, FRACTION, BOOLEAN, NOTHING, OBJECT, ARRAY };

static void test_getters_are_strict(void)
{
    for (int i = 0; i <= (int)G_N_ELEMENTS(values); i++) { /* the last: no member */
        g_autofree char *source = i < (int)G_N_ELEMENTS(values)
                                      ? g_strdup_printf("{\"m\":%s}", values[i])
                                      : g_strdup("{\"n\":1}");
        g_autoptr(JsonObject) o = parse(source);
        gboolean absent = i == NOTHING || i == (int)G_N_ELEMENTS(values), b = 2;
        const char *s = "?";
        JsonObject *sub = NULL;
        JsonArray *array = NULL;
        gint64 n = -5;

        g_test_message("%s", source);
        if (i == STRING) {
            g_assert_true(json_get_string(o, "m", &s, NULL));
            g_assert_cmpstr(s, ==, "text");
        } else {
            EXPECT_WRONG(json_get_string(o, "m", &s, &error));
        }
        if (i == INTEGER) {
            g_assert_true(json_get_int(o, "m", 7, 7, &n, NULL));
            g_assert_cmpint(n, ==, 7);
            EXPECT_WRONG(json_get_int(o, "m", 8, 9, &n, &error));
            EXPECT_WRONG(json_get_int(o, "m", 0, 6, &n, &error));
            EXPECT_WRONG(json_opt_int(o, "m", 0, 6, &n, 3, &error));
        } else {
            EXPECT_WRONG(json_get_int(o, "m", G_MININT64, G_MAXINT64, &n, &error));
        }
        if (i == BOOLEAN) {
            g_assert_true(json_get_bool(o, "m", &b, NULL));
            g_assert_cmpint(b, ==, TRUE);
        } else {
            EXPECT_WRONG(json_get_bool(o, "m", &b, &error));
        }
        if (i == OBJECT)
            g_assert_true(json_get_object(o, "m", &sub, NULL) && sub);
        else
            EXPECT_WRONG(json_get_object(o, "m", &sub, &error));
        if (i == ARRAY)
            g_assert_true(json_get_array(o, "m", &array, NULL) && array);
        else
            EXPECT_WRONG(json_get_array(o, "m", &array, &error));
        if (absent) {
            g_assert_true(json_opt_string(o, "m", &s, "fallback", NULL));
            g_assert_cmpstr(s, ==, "fallback");
            g_assert_true(json_opt_int(o, "m", 0, 1, &n, 99, NULL)); /* the fallback is ours */
            g_assert_cmpint(n, ==, 99);
            g_assert_true(json_opt_bool(o, "m", &b, TRUE, NULL));
            g_assert_cmpint(b, ==, TRUE);
        }
        if (!absent && i != STRING)
            EXPECT_WRONG(json_opt_string(o, "m", &s, "fallback", &error));
        if (!absent && i != INTEGER)
            EXPECT_WRONG(json_opt_int(o, "m", G_MININT64, G_MAXINT64, &n, 0, &error));
        if (!absent && i != BOOLEAN)
            EXPECT_WRONG(json_opt_bool(o, "m", &b, TRUE, &error));
    }
}

static void test_extreme_numbers(void)
{
    g_autoptr(JsonObject) o = parse("{\"max\":9223372036854775807,\"min\":-9223372036854775808}");
    gint64 n = 0;

    g_assert_true(json_get_int(o, "max", 0, G_MAXINT64, &n, NULL));
    g_assert_cmpint(n, ==, G_MAXINT64);
    g_assert_true(json_get_int(o, "min", G_MININT64, 0, &n, NULL));
    g_assert_cmpint(n, ==, G_MININT64);
    /* What does not fit must not come out as some other number within an ordinary range. */
    static const char *const huge[] = {"{\"m\":9223372036854775808}",
                                       "{\"m\":18446744073709551616}",
                                       "{\"m\":-9223372036854775809}",
                                       "{\"m\":100000000000000000000000000}",
                                       "{\"m\":1e400}",
                                       "{\"m\":18446744073709551617}"};
    for (guint i = 0; i < G_N_ELEMENTS(huge); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(JsonObject) h = json_parse(huge[i], -1, &error);
        g_test_message("%s", huge[i]);
        if (h)
            g_assert_false(json_get_int(h, "m", -1000000, 1000000, &n, NULL));
    }
}

static void test_map(void)
{
    g_autoptr(JsonObject) o = parse("{\"m\":{\"b\":\"1\",\"a\":\"2\",\"\":\"\"},\"e\":{},"
                                    "\"bad\":{\"k\":1},\"list\":[]}");
    g_auto(GStrv) keys = NULL, texts = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(json_opt_map(o, "m", &keys, &texts, &error));
    g_assert_cmpuint(g_strv_length(keys), ==, 3);
    g_assert_cmpuint(g_strv_length(texts), ==, 3);
    g_assert_cmpstr(keys[0], ==, "b"); /* in order */
    g_assert_cmpstr(texts[0], ==, "1");
    g_assert_cmpstr(keys[2], ==, "");
    for (const char *const *name = (const char *const[]){"e", "none", NULL}; *name; name++) {
        g_clear_pointer(&keys, g_strfreev);
        g_clear_pointer(&texts, g_strfreev);
        g_assert_true(json_opt_map(o, *name, &keys, &texts, &error));
        g_assert_cmpuint(g_strv_length(keys) + g_strv_length(texts), ==, 0);
    }
    g_clear_pointer(&keys, g_strfreev);
    g_clear_pointer(&texts, g_strfreev);
    g_assert_false(json_opt_map(o, "bad", &keys, &texts, &error));
    g_assert_nonnull(strstr(error->message, "\"bad\""));
    g_assert_nonnull(strstr(error->message, "\"k\""));
    g_clear_error(&error);
    g_assert_false(json_opt_map(o, "list", &keys, &texts, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

/* Findings. */

static void test_findings_round_trip(void)
{
    g_autoptr(findings) list = findings_new(), more = findings_new(), back = NULL;
    g_autoptr(JsonArray) array = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *summary = NULL;
    const finding *f;

    findings_add(list, 2009, "52:54", NULL, "%s becomes %d", "VLAN", 500);
    g_assert_false(findings_block(list));
    findings_add(more, 3002, "vda", "Make room.", "The disk does not fit.");
    findings_add(more, 3001, "vdb", NULL, "It is in use.");
    findings_take(list, more);
    g_assert_cmpuint(more->len, ==, 0);
    g_assert_true(findings_block(list));
    summary = findings_summary(list);
    g_assert_cmpstr(summary, ==,
                    "The disk does not fit. Make room. It is in use.");

    array = findings_to_json(list);
    back = findings_from_json(array, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(back->len, ==, 3);
    f = back->pdata[0];
    g_assert_cmpint(f->code, ==, 2009);
    g_assert_cmpint(f->severity, ==, FINDING_CHANGED);
    g_assert_cmpstr(f->subject, ==, "52:54");
    g_assert_cmpstr(f->text, ==, "VLAN becomes 500");
    g_assert_null(f->fix);
    f = back->pdata[1];
    g_assert_cmpint(f->code, ==, 3002);
    g_assert_cmpstr(f->fix, ==, "Make room.");
}

static void test_findings_are_validated(void)
{
    static const char *const bad[] = {
        "1",
        "{}",
        "{\"code\":\"FERRY-1\",\"severity\":\"note\",\"subject\":\"\",\"text\":\"\"}",
        "{\"code\":\"FERRY-12345\",\"severity\":\"note\",\"subject\":\"\",\"text\":\"\"}",
        "{\"code\":\"FERRY-12x4\",\"severity\":\"note\",\"subject\":\"\",\"text\":\"\"}",
        "{\"code\":\"ferry-1234\",\"severity\":\"note\",\"subject\":\"\",\"text\":\"\"}",
        "{\"code\":\"FERRY-1234\",\"severity\":\"fatal\",\"subject\":\"\",\"text\":\"\"}",
        "{\"code\":\"FERRY-1234\",\"severity\":\"note\",\"subject\":1,\"text\":\"\"}",
        "{\"code\":\"FERRY-1234\",\"severity\":\"note\",\"subject\":\"\",\"text\":\"\",\"fix\":[]"
        "}"};
    static const char good[] =
        "{\"code\":\"FERRY-1234\",\"severity\":\"note\",\"subject\":\"%n\",\"text\":\"%s%n\"}";
    g_autofree char *filler = g_strnfill(4097, 'x');
    g_autofree char *long_text = g_strdup_printf("{\"a\":[{\"code\":\"FERRY-1234\",\"severity\":"
                                                 "\"note\",\"subject\":\"\",\"text\":\"%s\"}]}",
                                                 filler);
    g_autoptr(GString) many = g_string_new("{\"a\":[");
    g_autoptr(JsonObject) o = NULL, l = parse(long_text), m = NULL;
    g_autoptr(findings) list = NULL;
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *text = g_strdup_printf("{\"a\":[%s,%s]}", good, bad[i]);
        g_autoptr(JsonObject) b = parse(text);
        g_autoptr(GError) problem = NULL;
        g_assert_null(findings_from_json(json_object_get_array_member(b, "a"), &problem));
        g_assert_error(problem, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
        g_assert_true(g_str_has_prefix(problem->message, "finding 1: "));
    }
    g_assert_null(findings_from_json(json_object_get_array_member(l, "a"), NULL));
    for (int i = 0; i < 1001; i++)
        g_string_append_printf(many, "%s%s", i ? "," : "", good);
    g_string_append(many, "]}");
    m = parse(many->str);
    g_assert_null(findings_from_json(json_object_get_array_member(m, "a"), &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
    json_array_remove_element(json_object_get_array_member(m, "a"), 0);
    list = findings_from_json(json_object_get_array_member(m, "a"), NULL);
    g_assert_cmpuint(list->len, ==, 1000);
    g_assert_cmpstr(((finding *)list->pdata[0])->text, ==, "%s%n"); /* text, not a format */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json/parse-refuses", test_parse_refuses);
    g_test_add_func("/json/parse-is-bounded", test_parse_is_bounded);
    g_test_add_func("/json/parts-are-bounded", test_parts_are_bounded);
    g_test_add_func("/json/parse-takes-only-json", test_parse_takes_only_json);
    g_test_add_func("/json/parse-is-strict", test_parse_is_strict);
    g_test_add_func("/json/parse-understands", test_parse_understands);
    g_test_add_func("/json/text", test_text);
    g_test_add_func("/json/getters-are-strict", test_getters_are_strict);
    g_test_add_func("/json/extreme-numbers", test_extreme_numbers);
    g_test_add_func("/json/map", test_map);
    g_test_add_func("/finding/round-trip", test_findings_round_trip);
    g_test_add_func("/finding/validated", test_findings_are_validated);
    return g_test_run();
}
