/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "indexer/entry_batch.h"

#define SEED 0x9e3779b97f4a7c15u
#define STRING_SIZE 96u    /* room for a name and a link target */
#define FOLDER_EVERY 12u   /* one entry in so many is a folder */
#define LINK_EVERY 97u     /* and one a link */
#define FOLDERS_RECENT 16u /* new folders are made in one of the last so many */

#define MS_PER_DAY ((uint64_t)86400 * 1000)
#define YEARS_BACK_DAYS 2000u /* files were modified in the last so many days */

static const char *const words[] = {"index",   "report", "holiday", "main",    "invoice", "notes",
                                    "draft",   "photo",  "backup",  "summer",  "config",  "test",
                                    "library", "track",  "letter",  "project", "scan",    "data",
                                    "archive", "list",   "meeting", "plan",    "image",   "module"};
static const char *const endings[] = {".jpg", ".c",   ".h",    ".txt", ".pdf", ".mp3",
                                      ".png", ".doc", ".html", ".py",  "",     ".json"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* splitmix64: the same rows everywhere. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += SEED);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static const char *word(uint64_t *state)
{
    return words[draw(state) % COUNT(words)];
}

/* A name at `at`; returns the room it takes. */
static size_t make_name(struct entry_row *row, char *at, uint64_t *state)
{
    unsigned number = (unsigned)(draw(state) % 10000);
    const char *ending = row->kind == INDEXER_FOLDER ? "" : endings[draw(state) % COUNT(endings)];
    const char *first = word(state);
    int len = draw(state) % 2 == 0 ? snprintf(at, STRING_SIZE, "%s_%04u%s", first, number, ending)
                                   : snprintf(at, STRING_SIZE, "%s-%s%u%s", first, word(state),
                                              number % 100, ending);
    row->name = (struct syncline_bytes){.data = at, .len = (size_t)len};
    if (row->kind != INDEXER_LINK) {
        return (size_t)len;
    }
    char *target = at + len;
    int target_len =
        snprintf(target, STRING_SIZE - (size_t)len, "../%s/%s", word(state), word(state));
    row->link_target = (struct syncline_bytes){.data = target, .len = (size_t)target_len};
    return (size_t)len + (size_t)target_len;
}

static void make_rows(struct bench_rows *rows)
{
    uint64_t state = SEED;
    uint32_t recent[FOLDERS_RECENT] = {0};
    uint32_t folders = 1;
    uint32_t current = 0;
    char *at = rows->strings;
    for (size_t i = 0; i < rows->len; i++) {
        struct entry_row *row = &rows->entries[i];
        uint64_t days_ms = draw(&state) % (YEARS_BACK_DAYS * MS_PER_DAY);
        row->kind = i % FOLDER_EVERY == 0 ? INDEXER_FOLDER
                    : i % LINK_EVERY == 1 ? INDEXER_LINK
                                          : INDEXER_FILE;
        row->modified_at = -(int64_t)days_ms; /* before now; see renew */
        row->size =
            row->kind == INDEXER_FILE ? (int64_t)(draw(&state) >> (34 + draw(&state) % 24)) : 0;
        at += make_name(row, at, &state);
        rows->parents[i] = current;
        if (row->kind == INDEXER_FOLDER) {
            uint32_t known = folders < FOLDERS_RECENT ? folders : FOLDERS_RECENT;
            rows->parents[i] = recent[draw(&state) % known];
            current = (uint32_t)i;
            recent[folders % FOLDERS_RECENT] = current;
            folders++;
        }
        row->parent_id.is_set = i > 0;
    }
}

enum syncline_status bench_rows_init(struct bench_rows *rows, size_t len, struct indexer_error *err)
{
    *rows = (struct bench_rows){.len = len};
    rows->entries = calloc(len, sizeof(*rows->entries));
    rows->parents = calloc(len, sizeof(*rows->parents));
    rows->strings = calloc(len, STRING_SIZE);
    if (rows->entries == NULL || rows->parents == NULL || rows->strings == NULL) {
        bench_rows_fini(rows);
        return indexer_fail(err, SYNCLINE_ENOMEM, "out of memory for %zu rows: use --small", len);
    }
    make_rows(rows);
    int64_t now_ms = indexer_now_ms();
    for (size_t i = 0; i < len; i++) {
        rows->entries[i].modified_at += now_ms;
    }
    enum syncline_status status = bench_rows_renew(rows, err);
    if (status != SYNCLINE_OK) {
        bench_rows_fini(rows);
    }
    return status;
}

void bench_rows_fini(struct bench_rows *rows)
{
    free(rows->entries);
    free(rows->parents);
    free(rows->strings);
    *rows = (struct bench_rows){0};
}

enum syncline_status bench_rows_renew(struct bench_rows *rows, struct indexer_error *err)
{
    struct syncline_uuid uuids[BENCH_TRANSACTION_LEN];
    int64_t now_ms = indexer_now_ms();
    for (size_t i = 0; i < rows->len; i++) {
        size_t at = i % BENCH_TRANSACTION_LEN;
        if (at == 0) {
            enum syncline_status status = syncline_uuid_new(uuids, BENCH_TRANSACTION_LEN);
            if (status != SYNCLINE_OK) {
                return indexer_fail(err, status, "no UUIDs could be made: %s",
                                    syncline_status_text(status));
            }
        }
        rows->entries[i].uuid = uuids[at];
        rows->entries[i].created_at = now_ms;
    }
    return SYNCLINE_OK;
}

char *bench_uuid_hex(const struct syncline_uuid *uuid, char text[BENCH_UUID_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        text[2 * i] = digits[uuid->bytes[i] >> 4];
        text[2 * i + 1] = digits[uuid->bytes[i] & 15];
    }
    text[BENCH_UUID_HEX_SIZE - 1] = '\0';
    return text;
}
