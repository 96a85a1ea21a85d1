/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Why something is in the waiting room, as a line for people. The caller's connections and thread.
 */

#ifndef SL_WAITING_TEXT_H
#define SL_WAITING_TEXT_H

#include "storage/peer_log.h"
#include "storage/waiting_room.h"

/* Errors: EDB, EBUSY, EIO, ECORRUPT. */
enum syncline_status sl_waiting_text(struct sl_waiting_room *room, struct sl_peer_log *log,
                                     const struct syncline_uuid *self,
                                     const struct sl_waiting *waiting, char text[SYNCLINE_WHY_SIZE],
                                     struct sl_error *err);

#endif
