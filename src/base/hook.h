/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hooks: named places where a test can stop the program and do something to the world, or make it do
 * something wrong. Only in builds with -Dtest-hooks=true; in all others these are nothing at all.
 *
 * With FERRY_HOOKS in the environment every hook connects to the UNIX stream socket of that name,
 * sends one line "PROGRAM NAME PID\n", and waits for one byte: 'g', go on, or 'd', do it. Meanwhile
 * the test may kill or stop any process, cut a link, take a host's power away. Without the variable,
 * or with nobody there, it goes on. PROGRAM is what hook_program was told: ferryd, source, target.
 * Names are what a step is called in the code, "journal.decide:given-up"; hook_before and
 * hook_after add which side of it.
 */
#pragma once
#include <glib.h>

#ifdef FERRY_TEST_HOOKS

void hook_program(const char *name);
void hook_before(const char *step);
void hook_after(const char *step);
/* Shall this be done wrong, here and now? */
gboolean hook_wrong(const char *what);

#else

static inline void hook_program(const char *name)
{
}
static inline void hook_before(const char *step)
{
}
static inline void hook_after(const char *step)
{
}
static inline gboolean hook_wrong(const char *what)
{
    return FALSE;
}

#endif
