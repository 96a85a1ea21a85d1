/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* libFuzzer target of the JSON that the syncline_commit_ calls take, on a model with every type of
 * field, for an update and for a delete. What is refused has a text of one line. What is accepted
 * holds values of the fields' types, which lie in memory that may be read; and written as JSON
 * again and read once more, they are the same. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "stages/json_form.h"
#include "stages/json_record.h"
#include "tests/unit/golden_segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct row {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t count;
    double size;
    bool flag;
    int64_t at;
    const char *label;
    struct syncline_bytes data;
    int64_t parent_id;
    struct syncline_uuid other;
};

static const struct syncline_field fields[] = {
    SYNCLINE_ID(struct row, id),
    SYNCLINE_UUID(struct row, uuid),
    SYNCLINE_INT64(struct row, count),
    SYNCLINE_DOUBLE(struct row, size),
    SYNCLINE_BOOL(struct row, flag),
    SYNCLINE_TIME(struct row, at),
    SYNCLINE_TEXT(struct row, label),
    SYNCLINE_BLOB(struct row, data),
    SYNCLINE_KEY(struct row, parent_id, "row"),
    SYNCLINE_UUID_KEY(struct row, other, "row"),
};
static const struct syncline_model described =
    SYNCLINE_MODEL("row", "rows", SYNCLINE_SHARED, struct row, fields);
static struct sl_model_set set;

static bool is_same(const struct sl_value *a, const struct sl_value *b)
{
    if (a->type != b->type || a->size != b->size) {
        return false;
    }
    if (a->type == SL_TEXT || a->type == SL_BLOB) {
        return a->size == 0 || memcmp(a->as.data, b->as.data, a->size) == 0;
    }
    return a->type == SL_DOUBLE ? a->as.real == b->as.real : a->as.int64 == b->as.int64;
}

/* The field as it is written, read by a record of its own. */
static void check_again(const struct sl_json_record *record, const struct sl_field *field,
                        const struct sl_value *value)
{
    char column[SL_NAME_SIZE_MAX + 6];
    struct sl_arena scratch;
    struct sl_buf text;
    struct sl_json_record again;
    struct sl_value read = {.type = SL_NULL};
    bool has = false;
    json_t *json = json_object();
    bool is_key = field->type == SYNCLINE_TYPE_KEY || field->type == SYNCLINE_TYPE_UUID_KEY;
    sl_arena_init(&scratch, &sl_allocator_libc);
    sl_buf_init(&text, &sl_allocator_libc);
    sl_group_column_name(field, column);
    golden_check(sl_json_put(json, record->model->uuid.name, sl_json_of_uuid(&record->uuid)));
    golden_check(sl_json_put(json, column,
                             is_key && value->type != SL_NULL ? sl_json_of_uuid(value->as.data)
                                                              : sl_json_of_value(value, &scratch)));
    golden_check(sl_json_write(json, &text));
    sl_json_record_init(&again, &sl_allocator_libc, record->model, SYNCLINE_UPDATE);
    golden_check(sl_json_record_read(&again, (const char *)text.data, text.len, NULL) ==
                 SYNCLINE_OK);
    golden_check(sl_json_record_field(&again, field, &has, &read, NULL) == SYNCLINE_OK && has);
    golden_check(is_same(value, &read));
    sl_json_record_fini(&again);
    json_decref(json);
    sl_buf_fini(&text);
    sl_arena_fini(&scratch);
}

static void read_one(const uint8_t *data, size_t size, enum syncline_change change)
{
    struct sl_json_record record;
    struct sl_error err = {.text = ""};
    const struct sl_model *model = &set.models[0];
    sl_json_record_init(&record, &sl_allocator_libc, model, change);
    enum syncline_status status = sl_json_record_read(&record, (const char *)data, size, &err);
    if (status != SYNCLINE_OK) {
        golden_check(status == SYNCLINE_EINVAL && err.text[0] != '\0');
    }
    for (uint32_t i = 0; status == SYNCLINE_OK && i < model->field_count; i++) {
        const struct sl_field *field = &model->fields[i];
        struct sl_value value = {.type = SL_NULL};
        bool has = false;
        golden_check(sl_json_record_field(&record, field, &has, &value, &err) == SYNCLINE_OK);
        bool is_id = field->type == SYNCLINE_TYPE_KEY || field->type == SYNCLINE_TYPE_UUID_KEY;
        golden_check(sl_value_fits(field->type, &value));
        golden_check(!is_id || value.type == SL_NULL || value.size == sizeof(struct syncline_uuid));
        if (has) {
            check_again(&record, field, &value);
        }
    }
    int64_t id = 0;
    golden_check(status != SYNCLINE_OK || change == SYNCLINE_DELETE ||
                 !sl_json_record_id(&record, &id));
    sl_json_record_fini(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_one(data, size, SYNCLINE_UPDATE);
    read_one(data, size, SYNCLINE_DELETE);
    return 0;
}

static void write_seed(const char *dir)
{
    static const char seed[] =
        "{\"uuid\":\"018f3c6e-7a10-7000-8000-0123456789ab\",\"count\":-9223372036854775808,"
        "\"size\":\"-Infinity\",\"flag\":true,\"at\":null,\"label\":\"a\\u0000\\u00e9\","
        "\"data\":{\"base64\":\"gIE=\"},\"parent_uuid\":null,"
        "\"other\":\"018f3c6e-7a10-7000-8000-0123456789ac\"}";
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/record", dir);
    FILE *file = fopen(path, "wb");
    golden_check(file != NULL && fwrite(seed, 1, sizeof(seed) - 1, file) == sizeof(seed) - 1);
    golden_check(fclose(file) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const struct syncline_model *models[] = {&described};
    struct stat st;
    golden_check(sl_model_set_init(&set, &sl_allocator_libc, models, 1, NULL) == SYNCLINE_OK);
    for (int i = 1; i < *argc; i++) {
        if ((*argv)[i][0] != '-' && stat((*argv)[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            write_seed((*argv)[i]);
            break;
        }
    }
    return 0;
}
