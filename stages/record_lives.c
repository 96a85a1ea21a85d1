/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/record_lives.h"

#include <string.h>

struct look {
    struct sl_lives *lives;
    size_t capacity;
    struct sl_arena *arena;
    const struct sl_core *core;
    struct sl_peer_log *log;
    struct sl_rows *rows;
    const struct sl_model *model;
    const struct syncline_uuid *uuid;
};

/* A new last one, all zero; NULL: no memory. */
static struct sl_life *add(struct look *look, enum sl_life_kind kind, struct sl_error *err)
{
    struct sl_lives *lives = look->lives;
    if (lives->len == look->capacity) {
        size_t capacity = look->capacity == 0 ? 4 : 2 * look->capacity;
        struct sl_life *grown = sl_arena_alloc(look->arena, capacity * sizeof(*grown));
        if (grown == NULL) {
            (void)sl_fail(err, SYNCLINE_ENOMEM, "no memory for the births of a record");
            return NULL;
        }
        if (lives->len > 0) {
            memcpy(grown, lives->items, lives->len * sizeof(*grown));
        }
        lives->items = grown;
        look->capacity = capacity;
    }
    struct sl_life *life = &lives->items[lives->len++];
    *life = (struct sl_life){.kind = kind};
    return life;
}

/* The birth of these numbers, and the stamp of its content; hlc 0: not known. */
static enum syncline_status name(const struct look *look, struct sl_life *life, int64_t birth,
                                 uint64_t birth_seq, int64_t origin, uint64_t hlc,
                                 struct sl_error *err)
{
    struct sl_library_db *ldb = &look->rows->ldb;
    life->birth.seq = birth_seq;
    life->content.hlc = hlc;
    enum syncline_status status =
        sl_library_db_origin(ldb, birth, &life->has_birth, &life->birth.origin, err);
    if (status == SYNCLINE_OK && hlc != 0) {
        status = sl_library_db_origin(ldb, origin, &life->has_content, &life->content.origin, err);
    }
    return status;
}

static enum syncline_status read_shown(struct look *look, struct sl_error *err)
{
    struct sl_rows *rows = look->rows;
    int64_t model = look->model->id_in_db;
    struct sl_birth_run birth;
    int64_t id = 0;
    bool has_birth = false;
    enum syncline_status status = sl_record_id(&rows->tables[look->model->index], look->uuid,
                                               &look->lives->is_here, &id, err);
    if (status != SYNCLINE_OK || !look->lives->is_here) {
        return status;
    }
    struct sl_life *life = add(look, SL_LIFE_SHOWN, err);
    if (life == NULL) {
        return SYNCLINE_ENOMEM;
    }
    status = sl_birth_get(&rows->births, model, id, &has_birth, &birth, err);
    if (status != SYNCLINE_OK || !has_birth) {
        return status;
    }
    uint64_t hlc = birth.hlc;
    int64_t origin = birth.origin;
    bool is_stamped = false;
    status = sl_stamp_get(&rows->births, model, id, &is_stamped, &hlc, &origin, err);
    if (status == SYNCLINE_OK) {
        bool is_known = is_stamped || birth.class == SYNCLINE_SHARED;
        status = name(look, life, birth.origin, birth.seq, origin, is_known ? hlc : 0, err);
    }
    return status;
}

static enum syncline_status read_hidden(struct look *look, struct sl_error *err)
{
    struct sl_hidden_birth *list = NULL;
    size_t len = 0;
    enum syncline_status status =
        sl_hidden_birth_list(&look->rows->hidden, look->model->id_in_db, look->uuid, false,
                             look->arena, &list, &len, err);
    for (size_t i = 0; i < len && status == SYNCLINE_OK; i++) {
        struct sl_life *life = add(look, SL_LIFE_HIDDEN, err);
        status = life == NULL ? SYNCLINE_ENOMEM
                              : name(look, life, list[i].origin, list[i].seq, list[i].hlc_origin,
                                     list[i].hlc, err);
    }
    return status;
}

static enum syncline_status read_entry(struct look *look, struct sl_waiting_room *room, int64_t id,
                                       struct sl_error *err)
{
    struct sl_waiting waiting;
    bool found = false;
    enum syncline_status status = sl_waiting_get(room, id, look->arena, &found, &waiting, err);
    if (status != SYNCLINE_OK || !found) {
        return status;
    }
    struct sl_life *life =
        add(look, waiting.change == SYNCLINE_INSERT ? SL_LIFE_WAITING : SL_LIFE_CHANGE, err);
    if (life == NULL) {
        return SYNCLINE_ENOMEM;
    }
    life->waits = waiting.change;
    status =
        name(look, life, waiting.birth_origin, waiting.birth_seq, waiting.origin, waiting.hlc, err);
    return status == SYNCLINE_OK ? sl_waiting_text(room, look->log, &look->core->self.device,
                                                   &waiting, life->why, err)
                                 : status;
}

static enum syncline_status read_waiting(struct look *look, struct sl_error *err)
{
    struct sl_waiting_room room;
    int64_t id = 0;
    sl_waiting_room_init(&room, &look->rows->ldb);
    enum syncline_status status = SYNCLINE_OK;
    do {
        status = sl_waiting_next_of(&room, look->model->id_in_db, look->uuid, &id, err);
        if (status == SYNCLINE_OK && id != 0) {
            status = read_entry(look, &room, id, err);
        }
    } while (status == SYNCLINE_OK && id != 0);
    sl_waiting_room_fini(&room);
    return status;
}

enum syncline_status sl_lives_read(struct sl_lives *lives, struct sl_arena *arena,
                                   const struct sl_core *core, struct sl_peer_log *log,
                                   struct sl_rows *rows, const struct sl_model *model,
                                   const struct syncline_uuid *uuid, struct sl_error *err)
{
    struct look look = {.lives = lives,
                        .arena = arena,
                        .core = core,
                        .log = log,
                        .rows = rows,
                        .model = model,
                        .uuid = uuid};
    *lives = (struct sl_lives){.len = 0};
    sl_births_forget(&rows->births);
    enum syncline_status status = read_shown(&look, err);
    if (status == SYNCLINE_OK) {
        status = read_hidden(&look, err);
    }
    return status == SYNCLINE_OK ? read_waiting(&look, err) : status;
}
