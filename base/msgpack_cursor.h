/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A bounds-checked cursor over MessagePack bytes. It allocates nothing and believes no length: what
 * a peer wrote can make a read fail, and nothing else. After the first bad read `failed` is set and
 * every later read gives zero; check once at the end. (Writing is msgpack-c's; its reader allocates
 * by the lengths it reads.) */

#ifndef SL_MSGPACK_CURSOR_H
#define SL_MSGPACK_CURSOR_H

#include "base/bytes.h"
#include "base/model.h"

struct sl_msgpack {
    struct sl_reader in; /* what is left */
    bool failed;         /* a read met another type, or the end */
};

void sl_msgpack_init(struct sl_msgpack *cursor, const void *data, size_t len);
/* Length of an array; its elements follow. At least one byte per element must be left. */
uint32_t sl_msgpack_array(struct sl_msgpack *cursor);
uint64_t sl_msgpack_uint(struct sl_msgpack *cursor); /* an integer >= 0 */
int64_t sl_msgpack_int(struct sl_msgpack *cursor);   /* an integer that fits */
/* Borrowed from the input. */
const void *sl_msgpack_bin(struct sl_msgpack *cursor, uint32_t *size);
const char *sl_msgpack_str(struct sl_msgpack *cursor, uint32_t *size);
/* true and consumed if the next is nil; else nothing is consumed. */
bool sl_msgpack_nil(struct sl_msgpack *cursor);
/* nil, boolean, integer, float, string or binary. */
struct sl_value sl_msgpack_value(struct sl_msgpack *cursor);
bool sl_msgpack_done(const struct sl_msgpack *cursor); /* all read, nothing failed */

#endif
