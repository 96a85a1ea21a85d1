/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* decode: the bytes of a segment as groups of changes.
 *
 * Happy path: header, body decompressed into memory of its own, groups until the body ends; their
 * changes add up to the header's. Anything else is refused whole: EPROTO when the bytes contradict
 * themselves, EUNSUPPORTED when a newer version wrote them. Nothing is applied of either. */

#ifndef SL_DECODE_H
#define SL_DECODE_H

#include <zstd.h>

#include "base/group.h"
#include "base/segment.h"
#include "storage/peer_log.h"

struct sl_decoded {
    struct sl_segment segment; /* its body is not kept */
    struct sl_group *groups;   /* in the arena, like everything below them */
    uint32_t group_count;
    struct sl_arena arena;
    struct sl_buf raw; /* the body, decompressed; values point into it */
    ZSTD_DCtx *zstd;
};

/* Errors: ENOMEM. After a failure fini is still allowed. */
enum syncline_status sl_decoded_init(struct sl_decoded *decoded, const struct sl_allocator *alloc,
                                     struct sl_error *err);
void sl_decoded_fini(struct sl_decoded *decoded);

/* Replaces what was decoded before. Errors: EPROTO, EFORMAT, EUNSUPPORTED, ENOMEM. */
enum syncline_status sl_decode(struct sl_decoded *decoded, const void *data, size_t size,
                               struct sl_error *err);
/* The segment of the log that holds `seq`. Errors: as above, and ECORRUPT (it is not there). */
enum syncline_status sl_decode_from_log(struct sl_decoded *decoded, struct sl_peer_log *log,
                                        int64_t origin, uint64_t seq, struct sl_error *err);

#endif
