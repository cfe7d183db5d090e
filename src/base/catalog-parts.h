/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts the catalog is put together from, each ended by code 0; only inside src/base. */
#pragma once
#include "base/catalog.h"

extern const catalog_entry catalog_host[], catalog_network[], catalog_storage[], catalog_machine[],
    catalog_device[];
