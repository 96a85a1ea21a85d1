/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Structs of the public header as a caller laid them out that was compiled with another version of
 * it. Such a struct says its size, and only ever grows at its end; zero at the end means what an
 * older version did. So a shorter one is as if it ended in zeros, and a longer one is taken if its
 * end is zero: then it asks for nothing that this version does not know. */

#ifndef SL_STRUCT_TAKE_H
#define SL_STRUCT_TAKE_H

#include <stddef.h>

#include "base/status.h"

#define SL_STRUCT_SIZE_MAX 65536u /* more is no size, but memory that nobody set */

/* Bytes of a struct up to the end of a member: of the last one that its first release had. */
#define SL_SIZE_UP_TO(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/* Copies `size` bytes at `given`, which is not NULL, into *out of out_size bytes, in this version's
 * layout. first_size: of the first release. `init`: the macro to start from, for the text. Errors:
 * EINVAL; *out is untouched then. */
enum syncline_status sl_struct_take(void *out, size_t out_size, const void *given, size_t size,
                                    size_t first_size, const char *init, struct sl_error *err);

#endif
