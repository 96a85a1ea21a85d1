/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/hlc_stamp.h"

#include "base/stamp.h"

uint64_t sl_hlc_stamp(const struct sl_batch *batch, uint64_t *last)
{
    return sl_hlc_take(last, batch->wall_ms, batch->live_n);
}
