/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* stream: what one link does with the log of one origin. Every link has one for every origin, so
 * that a member gets what it lacks of each, at its own pace, whoever made it.
 *
 *     FLOWS ---- a gap came: what is missing was asked for ----> ASKED
 *       ^                                                         | |
 *       +---------------- the missing segment came ---------------+ |
 *       |                                                           |
 *       +---> STOPPED <---------------------------------------------+
 *       |     both ends hold different logs of it: nothing is sent or taken any more
 *       |
 *       +---> BELOW, and back when the member says that it is not any more
 *             what the member lacks is below the floor of the log here: it was told where that is
 *             (FLOOR), and gets nothing of what comes after it
 *
 * What the member is known to have moves `sent_seq`: it said so, it sent it, or it was sent to it.
 * So nothing goes back to where it came from, and of two relays that bring the same segment the
 * later one often need not send it. */

#ifndef SL_STREAM_H
#define SL_STREAM_H

#include "stages/shared.h"

/* The link's stream of that origin. NULL: no memory. */
struct sl_stream *sl_stream_of(struct sl_core *core, struct sl_member_state *member,
                               const struct sl_origin_state *origin);
void sl_stream_enter(struct sl_stream *stream, enum sl_stream_state state);
/* The member has the origin's log up to there, as far as this link is concerned. */
void sl_stream_has(struct sl_stream *stream, uint64_t seq);
/* The member holds another log of the origin than this device: stops the stream, and sends a
 * segment that holds `seq` here, by which the member can see it, too. Errors: ENET, ... of the log.
 */
enum syncline_status sl_stream_stop(struct sl_core *core, struct sl_member_state *member,
                                    const struct sl_origin_state *origin, struct sl_stream *stream,
                                    uint64_t seq, struct sl_error *err);
/* ASK came: the member lacks what comes after that. */
void sl_stream_asked(struct sl_core *core, struct sl_member_state *member,
                     const struct sl_vector_entry *entry);
/* The link is new, or gone: nothing is known of what the member has. */
void sl_streams_forget(struct sl_core *core, struct sl_member_state *member);

#endif
