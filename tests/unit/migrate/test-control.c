/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control messages: only what the other side may say is understood. */
#include "migrate/control.h"

#include <string.h>

#define TOKEN "0123456789abcdef0123456789abcdef"

static const struct {
    const char *text;
    session_role sender;
    gboolean ok;
} cases[] = {
    {"{\"op\":\"commit\",\"token\":\"" TOKEN "\"}", SESSION_SOURCE, TRUE},
    {"{\"op\":\"commit\",\"token\":\"" TOKEN "\"}", SESSION_TARGET, FALSE},
    {"{\"op\":\"commit\"}", SESSION_SOURCE, FALSE},
    {"{\"op\":\"commit\",\"token\":\"" TOKEN "0\"}", SESSION_SOURCE, FALSE},
    {"{\"op\":\"commit\",\"token\":\"../../../../../../../../../../..\"}", SESSION_SOURCE, FALSE},
    {"{\"op\":\"commit\",\"token\":7}", SESSION_SOURCE, FALSE},
    {"{\"op\":\"done\"}", SESSION_SOURCE, TRUE},
    {"{\"op\":\"done\"}", SESSION_TARGET, FALSE},
    {"{\"op\":\"started\"}", SESSION_TARGET, TRUE},
    {"{\"op\":\"started\"}", SESSION_SOURCE, FALSE},
    {"{\"op\":\"refused\",\"why\":\"no\"}", SESSION_TARGET, TRUE},
    {"{\"op\":\"refused\"}", SESSION_TARGET, FALSE},
    {"{\"op\":\"alive\"}", SESSION_TARGET, TRUE},
    {"{\"op\":\"died\",\"why\":\"crashed\"}", SESSION_TARGET, TRUE},
    {"{\"op\":\"died\",\"why\":\"crashed\"}", SESSION_SOURCE, FALSE},
    {"{\"op\":\"died\"}", SESSION_TARGET, FALSE},
    {"{\"op\":\"hold\",\"on\":true}", SESSION_SOURCE, TRUE},
    {"{\"op\":\"hold\",\"on\":false}", SESSION_SOURCE, TRUE},
    {"{\"op\":\"hold\",\"on\":true}", SESSION_TARGET, FALSE},
    {"{\"op\":\"hold\",\"on\":1}", SESSION_SOURCE, FALSE},
    {"{\"op\":\"hold\"}", SESSION_SOURCE, FALSE},
    {"{\"op\":\"rate\",\"bytes\":104857600}", SESSION_SOURCE, TRUE},
    {"{\"op\":\"rate\",\"bytes\":0}", SESSION_TARGET, TRUE},
    {"{\"op\":\"rate\",\"bytes\":-1}", SESSION_TARGET, FALSE},
    {"{\"op\":\"rate\",\"bytes\":1099511627777}", SESSION_TARGET, FALSE},
    {"{\"op\":\"rate\",\"bytes\":1.5}", SESSION_TARGET, FALSE},
    {"{\"op\":\"rate\",\"bytes\":\"1\"}", SESSION_TARGET, FALSE},
    {"{\"op\":\"rate\"}", SESSION_SOURCE, FALSE},
    {"{\"op\":\"abort\",\"why\":\"x\"}", SESSION_SOURCE, TRUE},
    {"{\"op\":\"abort\",\"why\":\"x\"}", SESSION_TARGET, TRUE},
    {"{\"op\":\"\"}", SESSION_SOURCE, FALSE},
    {"{}", SESSION_SOURCE, FALSE},
    {"[]", SESSION_SOURCE, FALSE},
    {"", SESSION_SOURCE, FALSE},
    {"{\"op\":\"done\"", SESSION_SOURCE, FALSE},
};

static void test_parse(gconstpointer data)
{
    guint i = GPOINTER_TO_UINT(data);
    g_autoptr(GError) error = NULL;
    g_autoptr(control_message) message =
        control_parse(cases[i].text, strlen(cases[i].text), cases[i].sender, &error);

    g_assert_cmpint(message != NULL, ==, cases[i].ok);
    g_assert_cmpint(error != NULL, ==, !cases[i].ok);
}

static void test_long_why(void)
{
    g_autofree char *why = g_strnfill(3000, 'x');
    g_autofree char *text = g_strdup_printf("{\"op\":\"abort\",\"why\":\"%s\"}", why);
    g_autoptr(GError) error = NULL;

    g_assert_null(control_parse(text, strlen(text), SESSION_SOURCE, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
}

static void test_token(void)
{
    g_autofree char *one = control_new_token(), *other = control_new_token();

    g_assert_true(control_token_ok(one));
    g_assert_cmpstr(one, !=, other);
    g_assert_false(control_token_ok("0123"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *name = g_strdup_printf("/control/parse/%u", i);
        g_test_add_data_func(name, GUINT_TO_POINTER(i), test_parse);
    }
    g_test_add_func("/control/a long text is refused", test_long_why);
    g_test_add_func("/control/tokens are random", test_token);
    return g_test_run();
}
