/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From options to a request. */
#include "cli/ask.h"

#include <string.h>

static void check(ask *wanted, const char *expected, const char *complaint)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) request = ask_request(wanted, "web01", "zulu", &error);

    if (complaint) {
        g_assert_null(request);
        g_assert_nonnull(strstr(error->message, complaint));
    } else {
        g_autofree char *text = json_text(request);
        g_assert_no_error(error);
        g_assert_cmpstr(text, ==, expected);
    }
}

#define RULES(...) ((char *[]){__VA_ARGS__, NULL})

static void test_request(void)
{
    ask nothing = {0};
    ask all = {.switches = RULES((char *)"vSwitch-VLAN500=Converged:500",
                                 (char *)"52:54:00:00:00:06=Converged:600,601"),
               .storage =
                   RULES((char *)"/var/lib/libvirt/images=/srv/ssd", (char *)"vdb=pool:fast"),
               .formats = RULES((char *)"*=qcow2", (char *)"vda=raw"),
               .way_back = (char *)"0",
               .verify = (char *)"readback",
               .bandwidth = (char *)"800Mbit/s",
               .latency_guard = (char *)"off"};

    ask held = {.hold = TRUE}, until = {.cutover_at = (char *)"2026-12-01T02:00:00Z"};
    ask never = {.cutover_at = (char *)"tomorrow"};

    check(&nothing, "{\"vm\":\"web01\",\"target\":\"zulu\"}", NULL);
    check(&held, "{\"vm\":\"web01\",\"target\":\"zulu\",\"hold\":true}", NULL);
    check(&until, "{\"vm\":\"web01\",\"target\":\"zulu\",\"hold\":true,\"cutover_at\":1796090400}", NULL);
    check(&never, NULL, "--cutover-at 'tomorrow'");
    held.mirror = (char *)"synchronous";
    check(&held, NULL, "--hold: with --mirror synchronous");
    check(&all,
          "{\"vm\":\"web01\",\"target\":\"zulu\","
          "\"switches\":{\"vSwitch-VLAN500\":\"Converged:500\",\"52:54:00:00:00:06\":\"Converged:"
          "600,601\"},"
          "\"storage\":{\"/var/lib/libvirt/images\":\"/srv/ssd\",\"vdb\":\"pool:fast\"},"
          "\"formats\":{\"*\":\"qcow2\",\"vda\":\"raw\"},\"way_back\":0,\"verify\":\"readback\","
          "\"bandwidth\":100000000,\"latency_guard\":0.0}",
          NULL);
}

/* An equals sign may be part of a path: the one before the next path divides. */
static void test_equals_in_paths(void)
{
    ask from = {.storage = RULES((char *)"/srv/a=b=/srv/c")};
    ask to = {.storage = RULES((char *)"/srv/a=/srv/b=c")};
    ask pool = {.storage = RULES((char *)"/srv/a=b=pool:x")};

    check(&from, "{\"vm\":\"web01\",\"target\":\"zulu\",\"storage\":{\"/srv/a=b\":\"/srv/c\"}}",
          NULL);
    check(&to, "{\"vm\":\"web01\",\"target\":\"zulu\",\"storage\":{\"/srv/a\":\"/srv/b=c\"}}",
          NULL);
    check(&pool, "{\"vm\":\"web01\",\"target\":\"zulu\",\"storage\":{\"/srv/a=b\":\"pool:x\"}}",
          NULL);
}

static void test_mistakes(void)
{
    static const struct {
        char *switches, *storage, *formats, *way_back, *complaint, *mirror;
    } cases[] = {
        {"vSwitch", NULL, NULL, NULL, "--switch 'vSwitch': OLD=NEW", NULL},
        {"=Converged", NULL, NULL, NULL, "--switch '=Converged'", NULL},
        {"vSwitch=", NULL, NULL, NULL, "--switch 'vSwitch='", NULL},
        {NULL, "/a", NULL, NULL, "--storage '/a': FROM=TO", NULL},
        {NULL, NULL, "raw", NULL, "--format 'raw': DISK=qcow2", NULL},
        {NULL, NULL, NULL, "day", "--way-back 'day': hours from 0 to 8760", NULL},
        {NULL, NULL, NULL, "-1", "--way-back '-1'", NULL},
        {NULL, NULL, NULL, "8761", "--way-back '8761'", NULL},
        {NULL, NULL, NULL, "", "--way-back ''", NULL},
        {NULL, NULL, NULL, NULL, "--mirror 'fast': background or synchronous", "fast"},
    };
    ask bare = {.bandwidth = (char *)"100"}, small = {.latency_guard = (char *)"1"};
    ask unknown = {.verify = (char *)"no"};
    ask twice = {.switches = RULES((char *)"a=b", (char *)"a=c")};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        ask wanted = {.switches = cases[i].switches ? RULES(cases[i].switches) : NULL,
                      .storage = cases[i].storage ? RULES(cases[i].storage) : NULL,
                      .formats = cases[i].formats ? RULES(cases[i].formats) : NULL,
                      .way_back = cases[i].way_back,
                      .mirror = cases[i].mirror};
        check(&wanted, NULL, cases[i].complaint);
    }
    check(&bare, NULL, "--bandwidth '100': the unit is missing");
    check(&small, NULL, "--latency-guard '1': a factor from 1.1 to 100");
    check(&unknown, NULL, "--verify 'no': transfer or readback");
    check(&twice, NULL, "--switch says twice where 'a' goes");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ask/request", test_request);
    g_test_add_func("/ask/equals-signs-in-paths", test_equals_in_paths);
    g_test_add_func("/ask/mistakes", test_mistakes);
    return g_test_run();
}
