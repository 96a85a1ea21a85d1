/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/struct_take.h"

#include <stdint.h>
#include <string.h>

static bool is_zero(const uint8_t *bytes, size_t size)
{
    while (size > 0 && bytes[size - 1] == 0) {
        size--;
    }
    return size == 0;
}

enum syncline_status sl_struct_take(void *out, size_t out_size, const void *given, size_t size,
                                    size_t first_size, const char *init, struct sl_error *err)
{
    if (size < first_size || size > SL_STRUCT_SIZE_MAX) {
        return sl_fail(err, SYNCLINE_EINVAL, "its size is %zu: start from %s", size, init);
    }
    if (size > out_size && !is_zero((const uint8_t *)given + out_size, size - out_size)) {
        return sl_fail(err, SYNCLINE_EINVAL,
                       "made by %s of a newer syncline.h, with something set that version %s of "
                       "the library does not know: link a newer library, or leave that zero",
                       init, SYNCLINE_VERSION);
    }
    size_t known = size < out_size ? size : out_size;
    memcpy(out, given, known);
    memset((uint8_t *)out + known, 0, out_size - known);
    return SYNCLINE_OK;
}
