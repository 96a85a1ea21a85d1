/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* libFuzzer target of the segment decoder. Each input is decoded as a segment, and once more as the
 * body of one whose header agrees with it, so that the groups are reached without guessing sizes.
 * What is accepted must add up, and every value must lie within the input. The seeds - the golden
 * segment, plain and compressed, and its body - are written into the corpus folder at start. */

#include "stages/decode.h"
#include "tests/unit/golden_segment.h"

#include <stdio.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static volatile uint8_t sink;

static void touch(const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        sink = (uint8_t)(sink ^ ((const uint8_t *)data)[i]);
    }
}

static void touch_column(const struct sl_column *column, uint32_t n)
{
    golden_check(column->name_len > 0);
    touch(column->name, column->name_len);
    for (uint32_t i = 0; i < n; i++) {
        if (column->is_key) {
            golden_check(column->index[i] <= column->dict_len && column->dict_len <= n);
        } else if (column->values[i].type == SL_TEXT || column->values[i].type == SL_BLOB) {
            touch(column->values[i].as.data,
                  column->values[i].size < 64 ? column->values[i].size : 64);
        }
    }
    touch(column->dict, column->dict_len * sizeof(*column->dict));
}

static void touch_groups(const struct sl_decoded *decoded)
{
    uint64_t changes = 0;
    uint64_t hlc = decoded->segment.first_hlc;
    for (uint32_t g = 0; g < decoded->group_count; g++) {
        const struct sl_group *group = &decoded->groups[g];
        golden_check(group->n > 0 && group->hlc_first >= hlc);
        golden_check((group->births == NULL) == (group->change == SYNCLINE_INSERT));
        hlc = group->hlc_first + group->n;
        changes += group->n;
        touch(group->model, group->model_len);
        touch(group->uuids, group->n * sizeof(*group->uuids));
        for (uint32_t i = 0; group->births != NULL && i < group->n; i++) {
            golden_check(group->births[i].seq > 0 && group->births[i].seq <= INT64_MAX);
        }
        for (uint32_t i = 0; i < group->further_len; i++) {
            const struct sl_further_birth *further = &group->further[i];
            golden_check(further->i < group->n && further->birth.seq > 0);
            golden_check(i == 0 || further->i >= group->further[i - 1].i);
        }
        for (uint32_t c = 0; c < group->column_count; c++) {
            touch_column(&group->columns[c], group->n);
        }
    }
    golden_check(changes == decoded->segment.len && hlc - 1 <= decoded->segment.last_hlc);
}

static void decode(struct sl_decoded *decoded, const uint8_t *data, size_t size)
{
    struct sl_error err = {0};
    enum syncline_status status = sl_decode(decoded, data, size, &err);
    if (status == SYNCLINE_OK) {
        touch_groups(decoded);
        return;
    }
    golden_check(status == SYNCLINE_EPROTO || status == SYNCLINE_EFORMAT ||
                 status == SYNCLINE_EUNSUPPORTED);
    golden_check(err.text[0] != '\0');
}

/* A header that was parsed is written as it came. */
static void parse(const uint8_t *data, size_t size)
{
    struct sl_segment segment;
    uint8_t header[SL_SEGMENT_HEADER_SIZE];
    if (sl_segment_parse(&segment, data, size, NULL) == SYNCLINE_OK) {
        sl_segment_encode_header(&segment, header);
        golden_check(memcmp(header, data, sizeof(header)) == 0);
        golden_check(segment.body + segment.body_size == data + size);
    }
}

/* The first two bytes are the number of changes that the header claims, the rest is the body. */
static void decode_as_body(struct sl_decoded *decoded, const uint8_t *data, size_t size)
{
    struct sl_segment segment = {.len = 1u + (uint32_t)(data[0] | data[1] << 8),
                                 .first_seq = 1,
                                 .raw_size = (uint32_t)size - 2,
                                 .last_hlc = INT64_MAX};
    uint8_t *whole = malloc(SL_SEGMENT_HEADER_SIZE + size - 2);
    golden_check(whole != NULL);
    sl_segment_encode_header(&segment, whole);
    memcpy(whole + SL_SEGMENT_HEADER_SIZE, data + 2, size - 2);
    decode(decoded, whole, SL_SEGMENT_HEADER_SIZE + size - 2);
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_decoded decoded;
    golden_check(sl_decoded_init(&decoded, &sl_allocator_libc, NULL) == SYNCLINE_OK);
    parse(data, size);
    decode(&decoded, data, size);
    if (size > 2) {
        decode_as_body(&decoded, data, size);
    }
    sl_decoded_fini(&decoded);
    return 0;
}

static void write_seed(const char *dir, const char *name, const struct sl_buf *seed)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    golden_check(file != NULL && fwrite(seed->data, 1, seed->len, file) == seed->len);
    golden_check(fclose(file) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct stat st;
    for (int i = 1; i < *argc; i++) {
        const char *dir = (*argv)[i];
        if (dir[0] == '-' || stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
            continue;
        }
        struct sl_buf seed;
        sl_buf_init(&seed, &sl_allocator_libc);
        golden_segment(&seed, false);
        write_seed(dir, "golden", &seed);
        sl_buf_clear(&seed);
        golden_segment(&seed, true);
        write_seed(dir, "golden-zstd", &seed);
        sl_buf_clear(&seed);
        sl_buf_u16(&seed, GOLDEN_LEN - 1);
        golden_body(&seed);
        write_seed(dir, "golden-body", &seed);
        sl_buf_fini(&seed);
        break;
    }
    return 0;
}
