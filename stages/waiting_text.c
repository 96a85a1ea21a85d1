/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/waiting_text.h"

/* It points at a record that is not here. */
static enum syncline_status say_parent(struct sl_waiting_room *room,
                                       const struct sl_waiting *waiting,
                                       char text[SYNCLINE_WHY_SIZE], struct sl_error *err)
{
    char model[SL_NAME_SIZE_MAX + 1] = "";
    char uuid[33];
    int64_t entry = 0;
    enum syncline_status status =
        sl_library_db_model_name(room->ldb, waiting->lacks_model, model, err);
    if (status == SYNCLINE_OK) {
        status = sl_waiting_record(room, waiting->lacks_model, &waiting->lacks_uuid, &entry, err);
    }
    for (size_t i = 0; i < sizeof(waiting->lacks_uuid.bytes); i++) {
        (void)sqlite3_snprintf(3, uuid + 2 * i, "%02x", waiting->lacks_uuid.bytes[i]);
    }
    (void)sqlite3_snprintf(SYNCLINE_WHY_SIZE, text, "%s %s %s, which %s",
                           waiting->change == SYNCLINE_INSERT ? "it points at"
                                                              : "a change points it at",
                           model, uuid, entry != 0 ? "waits, too" : "is not here");
    return status;
}

/* It is about a record whose insert is not here. */
static enum syncline_status say_birth(struct sl_waiting_room *room, struct sl_peer_log *log,
                                      const struct syncline_uuid *self,
                                      const struct sl_waiting *waiting,
                                      char text[SYNCLINE_WHY_SIZE], struct sl_error *err)
{
    char device[SL_DEVICE_TEXT_SIZE] = "";
    struct sl_origin birth = {.epoch = 0};
    bool found = false;
    enum syncline_status status =
        sl_library_db_origin(room->ldb, waiting->birth_origin, &found, &birth, err);
    if (status == SYNCLINE_OK) {
        status = sl_member_text(log, &birth.device, device, err);
    }
    (void)sqlite3_snprintf(SYNCLINE_WHY_SIZE, text,
                           "its %s came before its insert, which is change %llu of %s",
                           waiting->change == SYNCLINE_DELETE ? "delete" : "update",
                           (unsigned long long)waiting->birth_seq,
                           sl_uuid_equal(&birth.device, self) ? "this device" : device);
    return status;
}

enum syncline_status sl_waiting_text(struct sl_waiting_room *room, struct sl_peer_log *log,
                                     const struct syncline_uuid *self,
                                     const struct sl_waiting *waiting, char text[SYNCLINE_WHY_SIZE],
                                     struct sl_error *err)
{
    return waiting->lacks_model != 0 ? say_parent(room, waiting, text, err)
                                     : say_birth(room, log, self, waiting, text, err);
}
