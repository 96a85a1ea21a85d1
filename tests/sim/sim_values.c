/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_values.h"

#include <sqlite3.h>
#include <string.h>

static struct sl_sim_value draw_bytes(struct sl_sim_ledger *ledger, struct sl_sim_random *random,
                                      const struct sl_sim_column *column)
{
    uint64_t max = sl_sim_random_below(random, 200) == 0 ? 20000 : 64;
    struct sl_sim_value value = {.len = (uint32_t)sl_sim_random_scale(random, 1, max) - 1};
    uint8_t *data = sl_sim_ledger_alloc(ledger, (size_t)value.len + 1);
    sl_sim_random_fill(random, data, value.len);
    value.data = data;
    value.kind = column->type == SYNCLINE_TYPE_TEXT ? SL_SIM_TEXT : SL_SIM_BLOB;
    if (value.kind == SL_SIM_BLOB) {
        return value;
    }
    for (uint32_t i = 0; i < value.len; i++) {
        data[i] = (uint8_t)(' ' + data[i] % 95);
    }
    if (value.len >= 3 && sl_sim_random_percent(random, 30)) {
        memcpy(data + value.len - 3, "\xe2\x82\xac", 3); /* a euro sign */
    }
    if (value.len >= 5 && column->form == SYNCLINE_FORM_COUNTED &&
        sl_sim_random_percent(random, 5)) {
        data[1] = '\0'; /* a counted text may hold a NUL */
    }
    return value;
}

static double draw_real(struct sl_sim_random *random)
{
    static const double special[] = {0.0, -0.0, 1.0, -1.5, 0.1, 1e300, -5e-324, 9007199254740993.0};
    if (sl_sim_random_percent(random, 30)) {
        return special[sl_sim_random_below(random, sizeof(special) / sizeof(special[0]))];
    }
    if (sl_sim_random_percent(random, 3)) {
        return sl_sim_random_percent(random, 50) ? 1e308 * 10 : -1e308 * 10;
    }
    return ((double)sl_sim_random_below(random, 1u << 30) - 5e8) / 1024.0;
}

static int64_t draw_integer(struct sl_sim_random *random)
{
    static const int64_t special[] = {0, 1, -1, 127, 128, -128, -129, 65536, INT64_MAX, INT64_MIN};
    if (sl_sim_random_percent(random, 30)) {
        return special[sl_sim_random_below(random, sizeof(special) / sizeof(special[0]))];
    }
    return (int64_t)(sl_sim_random_next(random) >> sl_sim_random_below(random, 64));
}

struct sl_sim_value sl_sim_value_draw(struct sl_sim_ledger *ledger, struct sl_sim_random *random,
                                      const struct sl_sim_column *column)
{
    struct sl_sim_value value = {.kind = SL_SIM_NULL};
    if (column->nullable && sl_sim_random_percent(random, 25)) {
        return value;
    }
    switch (column->type) {
    case SYNCLINE_TYPE_TEXT:
    case SYNCLINE_TYPE_BLOB:
        return draw_bytes(ledger, random, column);
    case SYNCLINE_TYPE_DOUBLE:
        value.kind = SL_SIM_REAL;
        value.real = draw_real(random);
        return value;
    case SYNCLINE_TYPE_BOOL:
        value.kind = SL_SIM_INT;
        value.integer = (int64_t)sl_sim_random_below(random, 2);
        return value;
    default:
        value.kind = SL_SIM_INT;
        value.integer = draw_integer(random);
        return value;
    }
}

void sl_sim_value_store(uint8_t *row, const struct sl_sim_column *column,
                        const struct sl_sim_value *value, int64_t key_id,
                        const struct syncline_uuid *key_uuid)
{
    void *at = row + column->offset;
    bool is_set = value->kind != SL_SIM_NULL;
    int64_t integer = value->kind == SL_SIM_REF ? key_id : value->integer;
    if (column->form == SYNCLINE_FORM_CSTR) {
        memcpy(at, &value->data, sizeof(value->data));
    } else if (column->form == SYNCLINE_FORM_COUNTED) {
        struct syncline_bytes bytes = {.data = value->data, .len = value->len};
        memcpy(at, &bytes, sizeof(bytes));
    } else if (column->type == SYNCLINE_TYPE_DOUBLE && column->form == SYNCLINE_FORM_OPT) {
        struct syncline_opt_double opt = {.value = value->real, .is_set = is_set};
        memcpy(at, &opt, sizeof(opt));
    } else if (column->type == SYNCLINE_TYPE_DOUBLE) {
        memcpy(at, &value->real, sizeof(value->real));
    } else if (column->type == SYNCLINE_TYPE_BOOL && column->form == SYNCLINE_FORM_OPT) {
        struct syncline_opt_bool opt = {.value = integer != 0, .is_set = is_set};
        memcpy(at, &opt, sizeof(opt));
    } else if (column->type == SYNCLINE_TYPE_UUID_KEY && column->form == SYNCLINE_FORM_OPT) {
        struct syncline_opt_uuid opt = {.is_set = is_set};
        opt.value = is_set ? *key_uuid : opt.value;
        memcpy(at, &opt, sizeof(opt));
    } else if (column->form == SYNCLINE_FORM_OPT) {
        struct syncline_opt_int64 opt = {.value = integer, .is_set = is_set};
        memcpy(at, &opt, sizeof(opt));
    } else if (column->type == SYNCLINE_TYPE_BOOL) {
        *(bool *)at = integer != 0;
    } else if (column->type == SYNCLINE_TYPE_UUID_KEY) {
        memcpy(at, key_uuid, sizeof(*key_uuid));
    } else {
        memcpy(at, &integer, sizeof(integer));
    }
}

void sl_sim_value_bind(sqlite3_stmt *stmt, int at, const struct sl_sim_column *column,
                       const struct sl_sim_value *value, int64_t key_id,
                       const struct syncline_uuid *key_uuid)
{
    switch (value->kind) {
    case SL_SIM_NULL:
        sqlite3_bind_null(stmt, at);
        break;
    case SL_SIM_INT:
        sqlite3_bind_int64(stmt, at, value->integer);
        break;
    case SL_SIM_REAL:
        sqlite3_bind_double(stmt, at, value->real);
        break;
    case SL_SIM_TEXT:
        sqlite3_bind_text(stmt, at, (const char *)value->data, (int)value->len, SQLITE_STATIC);
        break;
    case SL_SIM_BLOB:
        sqlite3_bind_blob(stmt, at, value->data, (int)value->len, SQLITE_STATIC);
        break;
    case SL_SIM_REF:
        if (column->type == SYNCLINE_TYPE_UUID_KEY) {
            sqlite3_bind_blob(stmt, at, key_uuid, sizeof(*key_uuid), SQLITE_STATIC);
        } else {
            sqlite3_bind_int64(stmt, at, key_id);
        }
        break;
    }
}
