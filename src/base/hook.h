/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hooks: named places where a test can stop the program and do something to the world, or make it
 * do something wrong. Only in builds with -Dtest-hooks=true; in all others these are nothing at
 * all.
 *
 * With FERRY_HOOKS in the environment every hook connects to the UNIX stream socket of that name,
 * sends one line "PROGRAM NAME PID\n", and waits for one byte: 'g', go on, or 'd', do it. Meanwhile
 * the test may kill or stop any process, cut a link, take a host's power away. Without the
 * variable, or with nobody there, it goes on. PROGRAM is what hook_program was told: ferryd,
 * source, target. Names are KIND:STEP, "journal:given-up", "libvirt:resume", "send:commit",
 * "heard:commit", "rpc:finish.reply", "http:POST.landings.ID.commit"; before, after or wrong comes
 * in front of it. They are at the narrow waists: all journal writes, control messages, calls of
 * libvirt and of the other ferryd pass one.
 */
#pragma once
#include <glib.h>

#ifdef FERRY_TEST_HOOKS

void hook_program(const char *name);
void hook_before(const char *step);
void hook_after(const char *step);
/* Both: now, and when the block ends. `step` must live as long. */
#define hook_around(step)                                                                          \
    G_GNUC_UNUSED __attribute__((cleanup(hook_leave))) const char *hook_inside = hook_enter(step)
const char *hook_enter(const char *step);
void hook_leave(const char **step);
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
#define hook_around(step) ((void)0)
static inline gboolean hook_wrong(const char *what)
{
    return FALSE;
}

#endif
