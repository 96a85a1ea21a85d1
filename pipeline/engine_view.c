/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/engine_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/library_view.h"

#define LINE_SIZE 1024

/* The batches that wait for a stage in memory, or NULL. */
static struct sl_ring *ring_before(struct sl_core *core, size_t stage)
{
    switch (stage) {
    case SL_STAGE_INTAKE:
        return &core->staging.ring;
    case SL_STAGE_FK_RESOLVE:
        return &core->to_resolve;
    case SL_STAGE_SERIALIZE:
        return &core->to_serialize;
    case SL_STAGE_LOG_APPEND:
        return &core->to_append;
    default:
        return NULL;
    }
}

static struct syncline_stage read_stage(struct sl_core *core, size_t index)
{
    const struct sl_stage_counts *counts = &core->counts[index];
    struct syncline_stage stage = {.size = sizeof(stage),
                                   .runs = sl_counted(&counts->runs),
                                   .batches = sl_counted(&counts->batches),
                                   .changes = sl_counted(&counts->changes),
                                   .bytes = sl_counted(&counts->bytes),
                                   .errors = sl_counted(&counts->errors),
                                   .busy_ns = sl_counted(&counts->busy_ns)};
    (void)snprintf(stage.name, sizeof(stage.name), "%s", sl_stage_name((enum sl_stage)index));
    struct sl_ring *ring = ring_before(core, index);
    if (ring != NULL) {
        stage.capacity = SL_RING_SLOTS - 1;
        stage.fill = stage.capacity - sl_ring_room(ring);
    }
    return stage;
}

void sl_engine_view_read(struct sl_library *library, struct sl_engine_view *view)
{
    struct sl_core *core = sl_library_core(library);
    struct sl_progress *progress = &core->progress;
    *view = (struct sl_engine_view){.pid = (long)getpid(),
                                    .paused = sl_core_is_paused(core),
                                    .degraded = atomic_load(&core->degraded) != 0,
                                    .clock_ahead_ms = sl_core_clock_ahead_ms(core)};
    (void)snprintf(view->listen, sizeof(view->listen), "%s", sl_library_bound(library));
    (void)pthread_mutex_lock(&progress->lock);
    view->links = progress->links;
    view->linked_count = progress->linked_count;
    memcpy(view->linked, progress->linked, progress->linked_count * sizeof(view->linked[0]));
    view->bytes_sent = progress->counts.bytes_sent;
    view->bytes_received = progress->counts.bytes_received;
    view->segments_sent = progress->segments_sent;
    (void)snprintf(view->notice, sizeof(view->notice), "%s", progress->notice.text);
    (void)pthread_mutex_unlock(&progress->lock);
    for (size_t i = 0; i < sl_library_stage_count(library); i++) {
        view->stages[view->stages_count++] = read_stage(core, i);
    }
}

/* ---- Lines ---- */

__attribute__((format(printf, 2, 3))) static void line(struct sl_buf *out, const char *format, ...)
{
    char text[LINE_SIZE];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    size_t size = len < 0 ? 0 : (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    for (size_t i = 0; i < size; i++) {
        text[i] = text[i] == '\n' || text[i] == '\0' ? ' ' : text[i];
    }
    sl_buf_bytes(out, text, size);
    sl_buf_u8(out, '\n');
}

void sl_engine_view_write(const struct sl_engine_view *view, struct sl_buf *out)
{
    line(out, "engine 1 %ld", view->pid);
    if (view->listen[0] != '\0') {
        line(out, "listen %s", view->listen);
    }
    line(out, "links %" PRIu32, view->links);
    for (size_t i = 0; i < view->linked_count; i++) {
        char hex[33];
        for (size_t k = 0; k < sizeof(view->linked[i].bytes); k++) {
            (void)snprintf(hex + 2 * k, 3, "%02x", view->linked[i].bytes[k]);
        }
        line(out, "linked %s", hex);
    }
    if (view->paused) {
        line(out, "paused");
    }
    if (view->degraded) {
        line(out, "degraded");
    }
    if (view->clock_ahead_ms > 0) {
        line(out, "clock_ahead %" PRIu64, view->clock_ahead_ms);
    }
    line(out, "sent %" PRIu64 " %" PRIu64, view->bytes_sent, view->segments_sent);
    line(out, "received %" PRIu64, view->bytes_received);
    for (size_t i = 0; i < view->stages_count; i++) {
        const struct syncline_stage *stage = &view->stages[i];
        line(out,
             "stage %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
             " %" PRIu32 " %" PRIu32,
             stage->name, stage->runs, stage->batches, stage->changes, stage->bytes, stage->errors,
             stage->busy_ns, stage->fill, stage->capacity);
    }
    if (view->notice[0] != '\0') {
        line(out, "notice %s", view->notice);
    }
}

/* 32 hexadecimal digits, which are known to be that. */
static void parse_uuid(const char *hex, struct syncline_uuid *uuid)
{
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        unsigned byte = 0;
        (void)sscanf(hex + 2 * i, "%2x", &byte);
        uuid->bytes[i] = (uint8_t)byte;
    }
}

static bool parse_stage(const char *text, struct sl_engine_view *view)
{
    if (view->stages_count == SL_STAGE_COUNT) {
        return true; /* of a later version, which has more */
    }
    struct syncline_stage *stage = &view->stages[view->stages_count++];
    *stage = (struct syncline_stage)SYNCLINE_STAGE_INIT;
    return sscanf(text,
                  "%31s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                  " %" SCNu32 " %" SCNu32,
                  stage->name, &stage->runs, &stage->batches, &stage->changes, &stage->bytes,
                  &stage->errors, &stage->busy_ns, &stage->fill, &stage->capacity) == 9;
}

/* One line without its end; false: it is known, and wrong. */
static bool parse_line(const char *text, struct sl_engine_view *view)
{
    if (strncmp(text, "listen ", 7) == 0) {
        (void)snprintf(view->listen, sizeof(view->listen), "%s", text + 7);
        return true;
    }
    if (strncmp(text, "notice ", 7) == 0) {
        (void)snprintf(view->notice, sizeof(view->notice), "%s", text + 7);
        return true;
    }
    if (strncmp(text, "linked ", 7) == 0) {
        if (view->linked_count == SL_MEMBER_COUNT_MAX || strlen(text + 7) != 32 ||
            strspn(text + 7, "0123456789abcdef") != 32) {
            return false;
        }
        parse_uuid(text + 7, &view->linked[view->linked_count++]);
        return true;
    }
    if (strcmp(text, "paused") == 0) {
        view->paused = true;
        return true;
    }
    if (strcmp(text, "degraded") == 0) {
        view->degraded = true;
        return true;
    }
    if (strncmp(text, "clock_ahead ", 12) == 0) {
        return sscanf(text + 12, "%" SCNu64, &view->clock_ahead_ms) == 1;
    }
    if (strncmp(text, "stage ", 6) == 0) {
        return parse_stage(text + 6, view);
    }
    if (strncmp(text, "links ", 6) == 0) {
        return sscanf(text + 6, "%" SCNu32, &view->links) == 1;
    }
    if (strncmp(text, "sent ", 5) == 0) {
        return sscanf(text + 5, "%" SCNu64 " %" SCNu64, &view->bytes_sent, &view->segments_sent) ==
               2;
    }
    if (strncmp(text, "received ", 9) == 0) {
        return sscanf(text + 9, "%" SCNu64, &view->bytes_received) == 1;
    }
    return true;
}

bool sl_engine_view_parse(const char *text, struct sl_engine_view *view)
{
    unsigned version = 0;
    *view = (struct sl_engine_view){0};
    if (sscanf(text, "engine %u %ld\n", &version, &view->pid) != 2 || version != 1) {
        return false;
    }
    bool good = true;
    for (const char *end = strchr(text, '\n'); end != NULL && good; end = strchr(text, '\n')) {
        char one[LINE_SIZE];
        size_t len = (size_t)(end - text);
        good = len < sizeof(one);
        if (good) {
            memcpy(one, text, len);
            one[len] = '\0';
            good = parse_line(one, view);
        }
        text = end + 1;
    }
    return good && text[0] == '\0';
}
