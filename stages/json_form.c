/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/json_form.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/utf8.h"

bool sl_json_put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new_nocheck(object, name, value) == 0;
}

json_t *sl_json_of_text(const char *text)
{
    char mended[SL_ERROR_SIZE];
    int len = snprintf(mended, sizeof(mended), "%s", text);
    if (len < 0) {
        return NULL;
    }
    sl_utf8_mend(mended, strlen(mended));
    return json_string_nocheck(mended);
}

json_t *sl_json_of_uuid(const struct syncline_uuid *uuid)
{
    char text[SYNCLINE_UUID_TEXT_SIZE];
    sl_uuid_format(uuid, text);
    return json_string(text);
}

json_t *sl_json_of_time(int64_t ms)
{
    char text[64];
    struct tm tm;
    int64_t s = ms / 1000 - (ms % 1000 < 0 ? 1 : 0);
    time_t seconds = (time_t)s;
    if (gmtime_r(&seconds, &tm) == NULL) {
        return json_integer(ms); /* a year that is no int */
    }
    (void)snprintf(text, sizeof(text), "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ",
                   (long long)tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                   tm.tm_sec, (int)(ms - s * 1000));
    return json_string(text);
}

static json_t *of_double(double value)
{
    if (value - value != 0) { /* the one thing that is neither: SQLite holds no NaN */
        return json_string(value > 0 ? "Infinity" : "-Infinity");
    }
    return json_real(value);
}

static json_t *of_bytes(const char *data, size_t size, struct sl_arena *scratch)
{
    if (sl_utf8_is_valid(data, size)) {
        return json_stringn_nocheck(size > 0 ? data : "", size);
    }
    size_t len = sl_base64_len(size);
    char *text = sl_arena_alloc_raw(scratch, len);
    json_t *object = text != NULL ? json_object() : NULL;
    if (object == NULL) {
        return NULL;
    }
    sl_base64_encode(data, size, text);
    if (!sl_json_put(object, "base64", json_stringn_nocheck(text, len))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *sl_json_of_value(const struct sl_value *value, struct sl_arena *scratch)
{
    switch (value->type) {
    case SL_NULL:
        return json_null();
    case SL_INT64:
        return json_integer(value->as.int64);
    case SL_DOUBLE:
        return of_double(value->as.real);
    case SL_BOOL:
        return json_boolean(value->as.int64 != 0);
    case SL_TEXT:
    case SL_BLOB:
        return of_bytes(value->as.data, value->size, scratch);
    }
    return NULL;
}

static json_t *of_cell(const struct sl_column *column, uint32_t i, struct sl_arena *scratch)
{
    if (!column->is_key) {
        return sl_json_of_value(&column->values[i], scratch);
    }
    uint32_t place = column->index[i];
    return place == 0 ? json_null() : sl_json_of_uuid(&column->dict[place - 1]);
}

json_t *sl_json_of_record(const struct sl_group *group, uint32_t i, const char *uuid_name,
                          struct sl_arena *scratch)
{
    if (group->change == SYNCLINE_DELETE) {
        return json_null();
    }
    json_t *record = json_object();
    bool ok = sl_json_put(record, uuid_name, sl_json_of_uuid(&group->uuids[i]));
    for (uint32_t c = 0; c < group->column_count && ok; c++) {
        const struct sl_column *column = &group->columns[c];
        char name[SL_NAME_SIZE_MAX + 6]; /* as long as a column's may be */
        size_t len = column->name_len < sizeof(name) ? column->name_len : sizeof(name) - 1;
        memcpy(name, column->name, len);
        name[len] = '\0';
        sl_utf8_mend(name, len);
        ok = sl_json_put(record, name, of_cell(column, i, scratch));
    }
    if (!ok) {
        json_decref(record);
        return NULL;
    }
    return record;
}

static int write_into(const char *text, size_t len, void *ctx)
{
    struct sl_buf *out = ctx;
    sl_buf_bytes(out, text, len);
    return out->failed ? -1 : 0;
}

bool sl_json_write(const json_t *json, struct sl_buf *out)
{
    /* As many digits as tell every double from its neighbours. */
    size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY;
    if (json_dump_callback(json, write_into, out, flags) != 0) {
        return false;
    }
    sl_buf_u8(out, 0);
    out->len -= out->failed ? 0 : 1;
    return !out->failed;
}
