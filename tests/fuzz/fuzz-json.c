/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON: what is taken is a text again, and what is refused leaves nothing behind.
 *
 * Input: the text. */
#include "fuzz.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(JsonObject) object = json_parse((const char *)data, (gssize)size, &error);
    g_autofree char *text = object ? json_text(object) : NULL;

    g_assert_cmpint(object == NULL, ==, error != NULL);
    g_assert_true(!text || g_utf8_validate(text, -1, NULL));
    return 0;
}
