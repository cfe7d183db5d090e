/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests: what is taken, what is refused, and that nothing is lost on the way. */
#include "migrate/request.h"

#include <string.h>

static request *parse(const char *json, GError **error)
{
    g_autoptr(GError) syntax = NULL;
    g_autoptr(JsonObject) object = json_parse(json, -1, &syntax);

    g_assert_no_error(syntax);
    return request_from_json(object, error);
}

static void assert_refused(const char *json, const char *about)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(request) r = parse(json, &error);

    g_assert_null(r);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
    if (!strstr(error->message, about))
        g_error("%s does not speak of %s", error->message, about);
}

static void a_full_request_survives_a_round_trip(void)
{
    static const char json[] =
        "{\"id\":\"5d0f1c2e-0000-4000-8000-00000000000a\",\"vm\":\"web 01\",\"target\":\"zulu\","
        "\"switches\":{\"vSwitch-VLAN500\":\"Converged:500\",\"52:54:00:00:00:05\":\"br0\","
        "\"trunk\":\"Converged:1,4094\"},"
        "\"storage\":{\"/var/lib/libvirt/images\":\"/srv/ssd\",\"vdb\":\"pool:fast\"},"
        "\"formats\":{\"vda\":\"raw\",\"*\":\"qcow2\"},\"way_back\":0,\"verify\":\"readback\"}";
    g_autoptr(GError) error = NULL;
    g_autoptr(request) r = parse(json, &error);
    g_autoptr(JsonObject) back = NULL;
    g_autofree char *text = NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(r->switch_keys[2], ==, "trunk");
    g_assert_cmpstr(r->switch_values[2], ==, "Converged:1,4094");
    g_assert_cmpstr(r->storage_values[1], ==, "pool:fast");
    back = request_to_json(r);
    text = json_text(back);
    g_assert_cmpstr(text, ==, json);
}

#define REPORT(vm, more)                                                                               \
    "{\"vm\":" vm ",\"target\":\"zulu\",\"possible\":true,\"findings\":[],"                            \
    "\"request\":{\"vm\":\"web01\",\"target\":\"zulu\"}" more "}"

static void a_report_goes_along(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(request) r =
        parse("{\"vm\":\"web01\",\"target\":\"zulu\",\"report\":" REPORT("\"web01\"", "") "}", &error);
    g_autoptr(JsonObject) back = NULL;
    g_autofree char *text = NULL;
    g_autofree char *long_text = g_strnfill(300 * 1024, 'x');
    g_autofree char *big = g_strdup_printf("{\"vm\":\"web01\",\"target\":\"zulu\",\"report\":" REPORT(
                                               "\"web01\"", ",\"more\":\"%s\"") "}", long_text);

    g_assert_no_error(error);
    g_assert_cmpstr(json_object_get_string_member(r->report, "vm"), ==, "web01");
    back = request_to_json(r);
    text = json_text(json_object_get_object_member(back, "report"));
    g_assert_cmpstr(text, ==, REPORT("\"web01\"", ""));
    assert_refused("{\"vm\":\"web01\",\"target\":\"zulu\",\"report\":" REPORT("7", "") "}",
                   "/report/vm: a string is expected");
    assert_refused("{\"vm\":\"web01\",\"target\":\"zulu\",\"report\":[]}", "/report: an object is expected");
    assert_refused(big, "more than 256 KiB");
}

/* A return knows its places itself. */
static void a_return_takes_no_maps(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(request) r = parse("{\"vm\":\"web01\",\"target\":\"alpha\","
                                 "\"return_of\":\"5D0F1C2E-0000-4000-8000-00000000000A\"}",
                                 &error);
    g_autoptr(JsonObject) back = NULL;

    g_assert_no_error(error);
    g_assert_cmpstr(r->return_of, ==, "5d0f1c2e-0000-4000-8000-00000000000a");
    back = request_to_json(r);
    g_assert_cmpstr(json_object_get_string_member(back, "return_of"), ==, r->return_of);
    assert_refused("{\"vm\":\"a\",\"target\":\"b\",\"return_of\":\"7\"}", "return_of");
    assert_refused("{\"vm\":\"a\",\"target\":\"b\",\"formats\":{\"vda\":\"raw\"},"
                   "\"return_of\":\"5d0f1c2e-0000-4000-8000-00000000000a\"}",
                   "leave out");
}

static void only_vm_and_target_are_needed(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(request) r = parse("{\"vm\":\"web01\",\"target\":\"zulu\"}", &error);
    g_autoptr(request) again = NULL;
    g_autoptr(JsonObject) back = NULL;

    g_assert_no_error(error);
    g_assert_null(r->id);
    g_assert_cmpint(r->way_back, ==, -1);
    g_assert_null(r->switch_keys[0]);
    back = request_to_json(r);
    again = request_from_json(back, &error);
    g_assert_no_error(error);
    g_assert_cmpint(again->way_back, ==, -1);
    g_assert_cmpint(again->limits.bandwidth, ==, -1);
    g_assert_cmpfloat(again->limits.latency_guard, ==, -1);
}

static void a_hold_survives_a_round_trip(void)
{
    static const char json[] = "{\"vm\":\"web01\",\"target\":\"zulu\",\"hold\":true,\"cutover_at\":1796086800}";
    g_autoptr(GError) error = NULL;
    g_autoptr(request) r = parse(json, &error);
    g_autoptr(JsonObject) back = NULL;
    g_autofree char *text = NULL;

    g_assert_no_error(error);
    g_assert_true(r->hold);
    g_assert_cmpint(r->cutover_at, ==, 1796086800);
    back = request_to_json(r);
    g_assert_true(json_object_get_boolean_member(back, "hold"));
    text = json_text(back);
    g_assert_nonnull(strstr(text, "\"hold\":true,\"cutover_at\":1796086800"));
    assert_refused("{\"vm\":\"a\",\"target\":\"b\",\"cutover_at\":1796086800}", "hold");
    assert_refused("{\"vm\":\"a\",\"target\":\"b\",\"hold\":true,\"cutover_at\":-1}", "cutover_at");
    assert_refused("{\"vm\":\"a\",\"target\":\"b\",\"hold\":\"yes\"}", "hold");
    assert_refused("{\"vm\":\"a\",\"target\":\"b\",\"hold\":true,\"mirror\":\"synchronous\"}",
                   "synchronous");
}

static void limits_survive_a_round_trip(void)
{
    static const struct {
        const char *json;
        gint64 bandwidth;
        double guard;
    } cases[] = {{"{}", -1, -1},
                 {"{\"bandwidth\":null,\"latency_guard\":null}", -1, -1},
                 {"{\"bandwidth\":0,\"latency_guard\":0}", 0, 0},
                 {"{\"bandwidth\":104857600}", 104857600, -1},
                 {"{\"latency_guard\":2}", -1, 2},
                 {"{\"bandwidth\":125000,\"latency_guard\":1.5}", 125000, 1.5}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(JsonObject) object = json_parse(cases[i].json, -1, NULL);
        g_autoptr(JsonObject) back = json_object_new();
        request_limits limits, again;
        g_assert_true(request_limits_from_json(object, &limits, NULL));
        g_assert_cmpint(limits.bandwidth, ==, cases[i].bandwidth);
        g_assert_cmpfloat(limits.latency_guard, ==, cases[i].guard);
        request_limits_to_json(&limits, back);
        g_assert_true(request_limits_from_json(back, &again, NULL));
        g_assert_cmpint(again.bandwidth, ==, limits.bandwidth);
        g_assert_cmpfloat(again.latency_guard, ==, limits.latency_guard);
    }
}

static void nonsense_is_refused_by_name(void)
{
    assert_refused("{\"target\":\"zulu\"}", "\"vm\"");
    assert_refused("{\"vm\":\"web01\"}", "\"target\"");
    assert_refused("{\"vm\":7,\"target\":\"zulu\"}", "\"vm\"");
    assert_refused("{\"vm\":\"\",\"target\":\"zulu\"}", "\"vm\"");
    assert_refused("{\"vm\":\"a/b\",\"target\":\"zulu\"}", "\"vm\"");
    assert_refused("{\"vm\":\"a\\nb\",\"target\":\"zulu\"}", "\"vm\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"../zulu\"}", "\"target\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"storrage\":{}}", "storrage");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"id\":\"5d0f\"}", "\"id\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"mirror\":\"fast\"}", "\"mirror\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"verify\":\"no\"}", "\"verify\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"bandwidth\":100}", "\"bandwidth\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"bandwidth\":-1}", "\"bandwidth\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"bandwidth\":\"100M\"}", "\"bandwidth\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"latency_guard\":1}", "\"latency_guard\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"latency_guard\":\"off\"}",
                   "\"latency_guard\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"latency_guard\":2,\"mirror\":\"synchronous\"}",
                   "\"latency_guard\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"latency_guard\":[]}", "\"latency_guard\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"way_back\":8761}", "\"way_back\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"way_back\":-1}", "\"way_back\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"way_back\":\"1\"}", "\"way_back\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"switches\":[]}", "\"switches\"");
    assert_refused("{\"vm\":\"a\",\"target\":\"zulu\",\"switches\":{\"a\":1}}", "\"switches\"");
}

static void rules_are_checked(void)
{
    static const struct {
        gboolean (*check)(const char *, const char *, GError **);
        const char *from, *to;
        gboolean good;
    } cases[] = {
        {request_check_switch, "a", "b", TRUE},
        {request_check_switch, "a", "b:1", TRUE},
        {request_check_switch, "a", "b:1,2,4094", TRUE},
        {request_check_switch, "a", "b:untagged", TRUE},
        {request_check_switch, "a", "network:b", TRUE},
        {request_check_switch, "a", "network:b:1", TRUE},
        {request_check_switch, "a", "bridge:b:untagged", TRUE},
        {request_check_switch, "a", "network:", FALSE},
        {request_check_switch, "a", "b:untagged,1", FALSE},
        {request_check_switch, "a", "b:", FALSE},
        {request_check_switch, "a", "b:0", FALSE},
        {request_check_switch, "a", "b:4095", FALSE},
        {request_check_switch, "a", "b:1,", FALSE},
        {request_check_switch, "a", "b:x", FALSE},
        {request_check_switch, "a", "b: 1", FALSE},
        {request_check_switch, "a", "", FALSE},
        {request_check_switch, "a", ":5", FALSE},
        {request_check_switch, "", "b", FALSE},
        {request_check_switch, "a", "../b", FALSE},
        {request_check_storage, "/a", "/b", TRUE},
        {request_check_storage, "vda", "/b/c", TRUE},
        {request_check_storage, "vda", "pool:fast", TRUE},
        {request_check_storage, "vda", "pool:", FALSE},
        {request_check_storage, "vda", "pool:a/b", FALSE},
        {request_check_storage, "a/b", "/b", FALSE},
        {request_check_storage, "/a", "b", FALSE},
        {request_check_storage, "/a/../b", "/c", FALSE},
        {request_check_storage, "/a", "/b/..", FALSE},
        {request_check_storage, "/a", "/b\n", FALSE},
        {request_check_format, "vda", "raw", TRUE},
        {request_check_format, "*", "qcow2", TRUE},
        {request_check_format, "vda", "vmdk", FALSE},
        {request_check_format, "/a", "raw", FALSE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        if (cases[i].check(cases[i].from, cases[i].to, &error) != cases[i].good)
            g_error("'%s' -> '%s' was %s", cases[i].from, cases[i].to,
                    cases[i].good ? "refused" : "taken");
        g_assert_true(cases[i].good == (error == NULL));
    }
}

static void too_many_rules_are_refused(void)
{
    g_autoptr(GString) json = g_string_new("{\"vm\":\"a\",\"target\":\"zulu\",\"switches\":{");

    for (guint i = 0; i < 257; i++)
        g_string_append_printf(json, "%s\"s%u\":\"b\"", i ? "," : "", i);
    g_string_append(json, "}}");
    assert_refused(json->str, "\"switches\"");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/request/round_trip", a_full_request_survives_a_round_trip);
    g_test_add_func("/request/minimum", only_vm_and_target_are_needed);
    g_test_add_func("/request/return", a_return_takes_no_maps);
    g_test_add_func("/request/hold", a_hold_survives_a_round_trip);
    g_test_add_func("/request/report", a_report_goes_along);
    g_test_add_func("/request/limits", limits_survive_a_round_trip);
    g_test_add_func("/request/nonsense", nonsense_is_refused_by_name);
    g_test_add_func("/request/rules", rules_are_checked);
    g_test_add_func("/request/too_many", too_many_rules_are_refused);
    return g_test_run();
}
