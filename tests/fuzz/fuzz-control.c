/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control messages: only what this side may say, with arguments in their bounds.
 *
 * Input: 1 (bit 0: the source says it), then the message. */
#include "fuzz.h"
#include "base/rate.h"
#include "migrate/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    session_role sender = fuzz_byte(&in) & 1 ? SESSION_SOURCE : SESSION_TARGET;
    g_autoptr(control_message) message = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_malloc(in.left + 1);

    /* As a session gives it: with a NUL behind. */
    memcpy(text, in.left ? in.at : data, in.left);
    text[in.left] = 0;
    message = control_parse(text, in.left, sender, &error);
    if (!message) {
        g_assert_nonnull(error);
        return 0;
    }
    g_assert_no_error(error);
    switch (message->op) {
    case CONTROL_COMMIT:
        g_assert_cmpint(sender, ==, SESSION_SOURCE);
        g_assert_true(control_token_ok(message->text));
        break;
    case CONTROL_REFUSED:
    case CONTROL_DIED:
        g_assert_cmpint(sender, ==, SESSION_TARGET);
        G_GNUC_FALLTHROUGH;
    case CONTROL_ABORT:
        g_assert_true(g_utf8_validate(message->text, -1, NULL));
        g_assert_cmpuint(strlen(message->text), <=, 2048);
        break;
    case CONTROL_RATE:
        g_assert_cmpuint(message->bytes, <=, RATE_MAX);
        break;
    case CONTROL_DONE:
    case CONTROL_HOLD:
        g_assert_cmpint(sender, ==, SESSION_SOURCE);
        break;
    case CONTROL_STARTED:
    case CONTROL_ALIVE:
        g_assert_cmpint(sender, ==, SESSION_TARGET);
        break;
    }
    return 0;
}
