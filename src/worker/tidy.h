/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `ferry-worker --tidy`: looks for what moves have left behind, once, and writes down what it found. */
#pragma once

/* The process's exit status. */
int tidy_run(const char *config);
