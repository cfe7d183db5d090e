/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What differs between a comparison and a later one. */
#include "migrate/expected.h"

#include <string.h>

#define NIC(mac, to, vlans)                                                                        \
    "{\"mac\":\"" mac "\",\"old_switch\":\"br0\",\"new_switch\":" to ",\"vlans\":[" vlans "]}"
#define DISK(target, to, size)                                                                     \
    "{\"target\":\"" target "\",\"old_path\":\"/a\",\"new_path\":\"" to                            \
    "\",\"old_format\":\"raw\","                                                                   \
    "\"new_format\":\"raw\",\"capacity\":" size ",\"inode\":0}"
#define FINDING(code, severity, text)                                                              \
    "{\"code\":\"" code "\",\"severity\":\"" severity "\",\"subject\":\"vda\",\"text\":\"" text    \
    "\"}"
#define WHOLE(uuid, memory, findings, nics, disks)                                                 \
    "{\"vm\":\"web01\",\"vm_uuid\":\"" uuid "\",\"source\":\"alpha\",\"target\":\"zulu\","         \
    "\"target_uuid\":\"Z\",\"machine\":{\"type\":\"q35\",\"arch\":\"x86_64\",\"memory\":" memory   \
    ",\"vcpus\":2},\"findings\":[" findings "],\"changes\":{\"mark\":\"1\",\"nics\":[" nics        \
    "],\"disks\":[" disks "]}}"
#define PLAIN(findings)                                                                            \
    WHOLE("U", "1", findings, NIC("m1", "\"sw\"", "500"), DISK("vda", "/b", "7"))

static void expect(const char *before, const char *after, ...) G_GNUC_NULL_TERMINATED;

/* Exactly these differences, in order. */
static void expect(const char *before, const char *after, ...)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) reported = json_parse(before, -1, &error);
    g_autoptr(JsonObject) now = reported ? json_parse(after, -1, &error) : NULL;
    g_auto(GStrv) found = NULL;
    const char *wanted;
    va_list args;
    guint i = 0;

    g_assert_no_error(error);
    found = expected_differences(reported, now);
    va_start(args, after);
    while ((wanted = va_arg(args, const char *)))
        g_assert_cmpstr(found[i++], ==, wanted);
    va_end(args);
    g_assert_cmpstr(found[i], ==, NULL);
}

static void test_same(void)
{
    expect(PLAIN(""), PLAIN(""), NULL);
    /* Another order, another mark, and what is no member of the report's form. */
    expect(WHOLE("U", "1", "", NIC("a", "null", "") "," NIC("b", "\"x\"", "1,2"), ""),
           WHOLE("U", "1", "", NIC("b", "\"x\"", "1,2") "," NIC("a", "null", ""), ""), NULL);
}

static void test_the_vm(void)
{
    expect(PLAIN(""), WHOLE("V", "2", "", NIC("m1", "\"sw\"", "500"), DISK("vda", "/b", "7")),
           "the move: vm_uuid was U and is V now", "the VM: memory was 1 and is 2 now", NULL);
}

static void test_places(void)
{
    expect(PLAIN(""),
           WHOLE("U", "1", "", NIC("m1", "null", "600"),
                 DISK("vda", "/c", "8") "," DISK("vdb", "/d", "1")),
           "NIC m1: new_switch was sw and is nothing now",
           "NIC m1: vlans was [500] and is [600] now", "disk vda: new_path was /b and is /c now",
           "disk vda: capacity was 7 and is 8 now", "disk vdb was not there", NULL);
    expect(PLAIN(""), WHOLE("U", "1", "", "", DISK("vda", "/b", "7")),
           "NIC m1 was there and is not any more", NULL);
    expect(PLAIN(""),
           "{\"vm_uuid\":\"U\",\"source\":\"alpha\",\"target\":\"zulu\",\"target_uuid\":\"Z\"}",
           "the VM: type was q35 and is nothing now", "the VM: arch was x86_64 and is nothing now",
           "the VM: memory was 1 and is nothing now", "the VM: vcpus was 2 and is nothing now",
           "NIC m1 was there and is not any more", "disk vda was there and is not any more", NULL);
}

static void test_findings(void)
{
    expect(PLAIN(FINDING("FERRY-3012", "changed", "It was so.")),
           PLAIN(FINDING("FERRY-3012", "changed", "It is so.")), NULL);
    expect(PLAIN(FINDING("FERRY-3003", "note", "5 GiB.")), PLAIN(""), NULL);
    expect(PLAIN(FINDING("FERRY-3012", "changed", "A chain.")),
           PLAIN(FINDING("FERRY-3020", "changed", "A drive.")),
           "not so any more: A chain. (FERRY-3012)", "new: A drive. (FERRY-3020)", NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/expected/same", test_same);
    g_test_add_func("/expected/the_vm", test_the_vm);
    g_test_add_func("/expected/places", test_places);
    g_test_add_func("/expected/findings", test_findings);
    return g_test_run();
}
