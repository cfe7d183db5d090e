/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Landing requests and answers as the other host sends them: what is understood can be said again,
 * and is understood the same way.
 *
 * Input: 1 (bit 0: an answer), then JSON. */
#include "fuzz.h"
#include "migrate/landing.h"

static JsonObject *say(gboolean answer, JsonObject *from, GError **error)
{
    if (answer) {
        g_autoptr(landing_answer) got = landing_answer_from_json(from, error);
        return got ? landing_answer_to_json(got) : NULL;
    }
    g_autoptr(landing_request) got = landing_request_from_json(from, error);
    if (!got)
        return NULL;
    g_assert_true(g_uuid_string_is_valid(got->id));
    g_assert_true(vm_name_is_sane(got->machine->name));
    return landing_request_to_json(got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    gboolean answer = fuzz_byte(&in) & 1;
    size_t length = SIZE_MAX;
    g_autofree uint8_t *text = fuzz_take(&in, &length);
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = json_parse((const char *)text, (gssize)length, &error);
    g_autoptr(JsonObject) once = object ? say(answer, object, &error) : NULL;
    g_autoptr(JsonObject) twice = NULL;

    g_assert_cmpint(once == NULL, ==, error != NULL);
    if (!once)
        return 0;
    twice = say(answer, once, &error);
    g_assert_no_error(error);
    g_autofree char *first = json_text(once), *second = json_text(twice);
    g_assert_cmpstr(first, ==, second);
    return 0;
}
