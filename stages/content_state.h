/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* How the tables stand in one read transaction: which changes are in them, and whether something of
 * this device is on its way. Two devices whose states are equal and not pending hold the same
 * content; what differs then, nobody has captured.
 *
 * Called in the caller's read transaction on library.db, which is not begun before; `log` is read
 * after it, so what the log lacks of it is seen as pending, and never the other way round. Blocks
 * on the disk. Errors: EDB, ENOMEM, ... */

#ifndef SL_CONTENT_STATE_H
#define SL_CONTENT_STATE_H

#include "base/range_ask.h"
#include "stages/shared.h"

enum syncline_status sl_content_state_read(struct sl_library_db *ldb, struct sl_peer_log *log,
                                           const struct sl_core *core, struct sl_hasher *hasher,
                                           struct sl_content_state *state, struct sl_error *err);

#endif
