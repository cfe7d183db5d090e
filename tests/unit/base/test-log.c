/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Log lines as they reach standard error, and numbers as they reach a wire. */
#include "base/bytes.h"
#include "base/log.h"
#include "base/uuid.h"

#include <string.h>

#define LOG_AREA "relay"

/* Runs itself as a child with this environment variable and returns nothing: the caller asserts on
 * the child's standard error. */
static void run_child(const char *path, const char *variable, const char *value)
{
    if (variable)
        g_setenv(variable, value, TRUE);
    g_test_trap_subprocess(path, 0, 0);
    if (variable)
        g_unsetenv(variable);
    g_test_trap_assert_passed();
}

static void child_lines(void)
{
    log_set_object("3f2a web01");
    log_error("one %d", 1);
    log_info("from a peer: %s", "x\nERROR relay: forged\r\033[2J");
    log_debug("details");
    log_set_object(NULL);
    log_warning("two");
}

static void test_lines(void)
{
    g_unsetenv("JOURNAL_STREAM");
    g_unsetenv("FERRY_DEBUG");
    run_child("/log/subprocess/lines", NULL, NULL);
    g_test_trap_assert_stderr("*ERROR relay 3f2a web01: one 1\n*");
    g_test_trap_assert_stderr("*relay 3f2a web01: from a peer: x ERROR relay: forged  ?2J\n*");
    g_test_trap_assert_stderr("*WARNING relay: two\n*");
    g_test_trap_assert_stderr_unmatched("*details*");
}

static void test_debug_by_area(void)
{
    run_child("/log/subprocess/lines", "FERRY_DEBUG", "relay");
    g_test_trap_assert_stderr("*relay 3f2a web01: details\n*");
    run_child("/log/subprocess/lines", "FERRY_DEBUG", "net,relay");
    g_test_trap_assert_stderr("*details*");
    run_child("/log/subprocess/lines", "FERRY_DEBUG", "all");
    g_test_trap_assert_stderr("*details*");
    run_child("/log/subprocess/lines", "FERRY_DEBUG", "net");
    g_test_trap_assert_stderr_unmatched("*details*");
}

static void test_journal_prefix(void)
{
    run_child("/log/subprocess/lines", "JOURNAL_STREAM", "8:1");
    g_test_trap_assert_stderr("*<3>relay 3f2a web01: one 1\n*");
    g_test_trap_assert_stderr("*<6>relay 3f2a web01: from*");
    g_test_trap_assert_stderr("*<4>relay: two\n*");
}

static void test_big_endian(void)
{
    uint8_t wire[8];

    put_be64(wire, G_GUINT64_CONSTANT(0x0102030405060708));
    g_assert_cmpmem(wire, 8, "\1\2\3\4\5\6\7\10", 8);
    g_assert_cmpuint(get_be16(wire), ==, 0x0102);
    g_assert_cmpuint(get_be32(wire), ==, 0x01020304);
    g_assert_cmpuint(get_be64(wire), ==, G_GUINT64_CONSTANT(0x0102030405060708));
    memset(wire, 0xff, sizeof wire);
    g_assert_cmpuint(get_be16(wire), ==, G_MAXUINT16);
    g_assert_cmpuint(get_be32(wire), ==, G_MAXUINT32);
    g_assert_cmpuint(get_be64(wire), ==, G_MAXUINT64);
    put_be16(wire + 1, 0x1234);
    put_be32(wire + 3, 0x89abcdef);
    g_assert_cmpmem(wire, 8, "\xff\x12\x34\x89\xab\xcd\xef\xff", 8);
}

static void test_uuid(void)
{
    static const char text[] = "00ff1234-5678-9abc-def0-0123456789ab";
    uint8_t bytes[16];
    g_autofree char *upper = g_ascii_strup(text, -1), *back = NULL, *again = NULL;

    uuid_to_bytes(text, bytes);
    g_assert_cmpmem(bytes, 16, "\0\xff\x12\x34\x56\x78\x9a\xbc\xde\xf0\x01\x23\x45\x67\x89\xab",
                    16);
    back = uuid_from_bytes(bytes);
    g_assert_cmpstr(back, ==, text);
    uuid_to_bytes(upper, bytes);
    again = uuid_from_bytes(bytes);
    g_assert_cmpstr(again, ==, text);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/log/lines", test_lines);
    g_test_add_func("/log/debug-by-area", test_debug_by_area);
    g_test_add_func("/log/journal-prefix", test_journal_prefix);
    g_test_add_func("/log/subprocess/lines", child_lines);
    g_test_add_func("/bytes/big-endian", test_big_endian);
    g_test_add_func("/uuid", test_uuid);
    return g_test_run();
}
