/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `ferry-worker --index`: brings the index of seeds up to date, with idle priority. Ends with the
 * ferryd that started it. Returns the exit status. */
#pragma once

int index_run(const char *config);
