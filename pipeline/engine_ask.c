/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/engine_ask.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/range_ask.h"
#include "pipeline/engine_socket.h"

#define ASK "ask "
#define ANSWER "answer "
#define DROP "drop "
#define LEAVE "leave"
#define REVOKE "revoke "
#define SAID "said\n"
#define ASKED "asked\n"
#define WAIT "wait\n"
#define REFUSED "refused "
#define DEVICE_DIGITS 32u
#define ID_DIGITS 16u

_Static_assert(sizeof(ASK) + DEVICE_DIGITS + 2u + (SL_RANGE_ASK_SIZE_MAX + 2u) / 3u * 4u <
                   SL_ENGINE_QUESTION_SIZE_MAX,
               "the longest question fits");
_Static_assert(sizeof(ANSWER) + (SL_RANGE_ANSWER_SIZE_MAX + 2u) / 3u * 4u + 16u <
                   SL_ENGINE_ANSWER_SIZE_MAX,
               "the longest answer fits");

static void put_text(struct sl_buf *out, const char *text)
{
    sl_buf_bytes(out, text, strlen(text));
}

static void put_base64(struct sl_buf *out, const void *data, size_t len)
{
    size_t size = sl_base64_len(len);
    if (sl_buf_reserve(out, size)) {
        sl_base64_encode(data, len, (char *)out->data + out->len);
        out->len += size;
    }
}

/* What the text says, which must be of the form; false: it is not, or there is no memory. */
static bool get_base64(const char *text, size_t len, struct sl_buf *out)
{
    size_t size = 0;
    sl_buf_clear(out);
    if (!sl_buf_reserve(out, len / 4 * 3 + 1) || !sl_base64_decode(text, len, out->data, &size)) {
        return false;
    }
    out->len = size;
    return true;
}

/* ---- The engine's side ---- */

static void put_refused(struct sl_buf *out, enum syncline_status status, const struct sl_error *err)
{
    char line[SL_ERROR_SIZE + 64];
    int len = snprintf(line, sizeof(line), REFUSED "%d %s", (int)status, err->text);
    for (int i = 0; i < len; i++) {
        line[i] = line[i] == '\n' ? ' ' : line[i];
    }
    put_text(out, line);
    sl_buf_u8(out, '\n');
}

static bool is_hex(const char *text, size_t digits)
{
    return strspn(text, "0123456789abcdef") == digits;
}

static void get_uuid(const char *hex, struct syncline_uuid *uuid)
{
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        unsigned byte = 0;
        (void)sscanf(hex + 2 * i, "%2x", &byte);
        uuid->bytes[i] = (uint8_t)byte;
    }
}

/* DEVICE QUESTION */
static void answer_ask(struct sl_library *library, const char *words, struct sl_buf *out)
{
    struct syncline_uuid member;
    struct sl_core *core = sl_library_core(library);
    struct sl_buf bytes;
    struct sl_error err;
    sl_buf_init(&bytes, core->env->alloc);
    const char *text = words + DEVICE_DIGITS + 1;
    enum syncline_status status = SYNCLINE_EPROTO;
    if (!is_hex(words, DEVICE_DIGITS) || words[DEVICE_DIGITS] != ' ' ||
        !get_base64(text, strlen(text), &bytes)) {
        (void)sl_fail(&err, status, "the engine could not read what it was asked");
    } else {
        get_uuid(words, &member);
        status = sl_inquiry_post(sl_library_inquiry(library), core, &member, bytes.data, bytes.len,
                                 &err);
    }
    sl_buf_fini(&bytes);
    if (status != SYNCLINE_OK) {
        put_refused(out, status, &err);
        return;
    }
    sl_library_wake(library);
    put_text(out, ASKED);
}

static void answer_answer(struct sl_library *library, uint64_t id, struct sl_buf *out)
{
    struct sl_core *core = sl_library_core(library);
    struct sl_buf bytes;
    struct sl_error err;
    sl_buf_init(&bytes, core->env->alloc);
    enum syncline_status status =
        sl_inquiry_take(sl_library_inquiry(library), core, id, &bytes, &err);
    if (status == SYNCLINE_AGAIN) {
        put_text(out, WAIT);
    } else if (status != SYNCLINE_OK) {
        put_refused(out, status, &err);
    } else {
        put_text(out, ANSWER);
        put_base64(out, bytes.data, bytes.len);
        sl_buf_u8(out, '\n');
    }
    sl_buf_fini(&bytes);
}

static bool get_id(const char *text, uint64_t *id)
{
    return is_hex(text, ID_DIGITS) && text[ID_DIGITS] == '\0' &&
           sscanf(text, "%16" SCNx64, id) == 1;
}

/* A word for the membership log; `device` is that of REVOKE, or NULL. */
static void answer_word(struct sl_library *library, enum sl_membership_kind kind,
                        const struct syncline_uuid *device, struct sl_buf *out)
{
    struct sl_error err;
    enum syncline_status status = sl_members_ask(sl_library_core(library), kind, device, &err);
    if (status != SYNCLINE_OK) {
        put_refused(out, status, &err);
        return;
    }
    put_text(out, SAID);
}

bool sl_engine_ask_answer(struct sl_library *library, const char *question, struct sl_buf *out)
{
    uint64_t id = 0;
    struct syncline_uuid device;
    if (sl_library_inquiry(library) == NULL) {
        return false;
    }
    if (strcmp(question, LEAVE) == 0) {
        answer_word(library, SL_MEMBERSHIP_LEAVE, NULL, out);
        return true;
    }
    if (strncmp(question, REVOKE, strlen(REVOKE)) == 0 &&
        is_hex(question + strlen(REVOKE), DEVICE_DIGITS) &&
        strlen(question) == strlen(REVOKE) + DEVICE_DIGITS) {
        get_uuid(question + strlen(REVOKE), &device);
        answer_word(library, SL_MEMBERSHIP_REVOKE, &device, out);
        return true;
    }
    if (strncmp(question, ASK, strlen(ASK)) == 0) {
        answer_ask(library, question + strlen(ASK), out);
        return true;
    }
    if (strncmp(question, ANSWER, strlen(ANSWER)) == 0 && get_id(question + strlen(ANSWER), &id)) {
        answer_answer(library, id, out);
        return true;
    }
    if (strncmp(question, DROP, strlen(DROP)) == 0 && get_id(question + strlen(DROP), &id)) {
        sl_inquiry_drop(sl_library_inquiry(library), id);
        return true;
    }
    return false;
}

/* ---- Who asks ---- */

/* Asks the engine of another process; `line` is the answer's first. */
static enum syncline_status ask_engine(const struct sl_engine_way *way, const char *question,
                                       struct sl_buf *line, struct sl_error *err)
{
    enum syncline_status status = sl_engine_ask(way->dir, question, line, err);
    if (status == SYNCLINE_ENOTFOUND) {
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "no process runs the engine of this library, so no member is connected");
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    int code = 0;
    const char *text = (const char *)line->data;
    if (strncmp(text, REFUSED, strlen(REFUSED)) != 0) {
        return SYNCLINE_OK;
    }
    text += strlen(REFUSED);
    if (sscanf(text, "%d", &code) != 1 || code <= SYNCLINE_OK || strchr(text, ' ') == NULL) {
        return sl_fail(err, SYNCLINE_EPROTO, "what the engine's process says makes no sense");
    }
    text = strchr(text, ' ') + 1;
    return sl_fail(err, (enum syncline_status)code, "%.*s", (int)strcspn(text, "\n"), text);
}

static void put_uuid(struct sl_buf *out, const struct syncline_uuid *uuid)
{
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        char hex[3];
        (void)snprintf(hex, sizeof(hex), "%02x", uuid->bytes[i]);
        put_text(out, hex);
    }
}

static enum syncline_status say_there(const struct sl_engine_way *way, enum sl_membership_kind kind,
                                      const struct syncline_uuid *device, struct sl_error *err)
{
    struct sl_buf text;
    struct sl_buf answer;
    sl_buf_init(&text, way->alloc);
    sl_buf_init(&answer, way->alloc);
    put_text(&text, kind == SL_MEMBERSHIP_LEAVE ? LEAVE : REVOKE);
    if (kind == SL_MEMBERSHIP_REVOKE) {
        put_uuid(&text, device);
    }
    sl_buf_u8(&text, '\0');
    enum syncline_status status = text.failed
                                      ? sl_fail(err, SYNCLINE_ENOMEM, "no memory for a question")
                                      : ask_engine(way, (const char *)text.data, &answer, err);
    if (status == SYNCLINE_OK && strcmp((const char *)answer.data, SAID) != 0) {
        status = sl_fail(err, SYNCLINE_EUNSUPPORTED,
                         "the process that runs the engine is of a version that cannot do that");
    }
    sl_buf_fini(&text);
    sl_buf_fini(&answer);
    return status;
}

enum syncline_status sl_engine_way_say(const struct sl_engine_way *way,
                                       enum sl_membership_kind kind,
                                       const struct syncline_uuid *device, struct sl_error *err)
{
    return way->is_here ? sl_members_ask(sl_library_core(way->library), kind, device, err)
                        : say_there(way, kind, device, err);
}

static enum syncline_status post_there(const struct sl_engine_way *way,
                                       const struct syncline_uuid *member,
                                       const struct sl_buf *question, struct sl_error *err)
{
    struct sl_buf text;
    struct sl_buf answer;
    sl_buf_init(&text, way->alloc);
    sl_buf_init(&answer, way->alloc);
    put_text(&text, ASK);
    put_uuid(&text, member);
    sl_buf_u8(&text, ' ');
    put_base64(&text, question->data, question->len);
    sl_buf_u8(&text, '\0');
    enum syncline_status status = text.failed
                                      ? sl_fail(err, SYNCLINE_ENOMEM, "no memory for a question")
                                      : ask_engine(way, (const char *)text.data, &answer, err);
    if (status == SYNCLINE_OK && strcmp((const char *)answer.data, ASKED) != 0) {
        status = sl_fail(err, SYNCLINE_EUNSUPPORTED,
                         "the process that runs the engine is of a version that cannot compare");
    }
    sl_buf_fini(&text);
    sl_buf_fini(&answer);
    return status;
}

static enum syncline_status take_there(const struct sl_engine_way *way, uint64_t id,
                                       struct sl_buf *answer, struct sl_error *err)
{
    char question[64];
    struct sl_buf line;
    sl_buf_init(&line, way->alloc);
    (void)snprintf(question, sizeof(question), ANSWER "%016" PRIx64, id);
    enum syncline_status status = ask_engine(way, question, &line, err);
    const char *text = (const char *)line.data;
    if (status == SYNCLINE_OK && strcmp(text, WAIT) == 0) {
        status = SYNCLINE_AGAIN;
    } else if (status == SYNCLINE_OK &&
               (strncmp(text, ANSWER, strlen(ANSWER)) != 0 ||
                !get_base64(text + strlen(ANSWER), strcspn(text + strlen(ANSWER), "\n"), answer))) {
        status = sl_fail(err, SYNCLINE_EPROTO, "what the engine's process says makes no sense");
    }
    sl_buf_fini(&line);
    return status;
}

enum syncline_status sl_engine_way_post(const struct sl_engine_way *way,
                                        const struct syncline_uuid *member,
                                        const struct sl_buf *question, struct sl_error *err)
{
    if (!way->is_here) {
        return post_there(way, member, question, err);
    }
    enum syncline_status status =
        sl_inquiry_post(sl_library_inquiry(way->library), sl_library_core(way->library), member,
                        question->data, question->len, err);
    if (status == SYNCLINE_OK) {
        sl_library_wake(way->library);
    }
    return status;
}

enum syncline_status sl_engine_way_take(const struct sl_engine_way *way, uint64_t id,
                                        struct sl_buf *answer, struct sl_error *err)
{
    return way->is_here ? sl_inquiry_take(sl_library_inquiry(way->library),
                                          sl_library_core(way->library), id, answer, err)
                        : take_there(way, id, answer, err);
}

void sl_engine_way_drop(const struct sl_engine_way *way, uint64_t id)
{
    if (way->is_here) {
        sl_inquiry_drop(sl_library_inquiry(way->library), id);
        return;
    }
    char question[64];
    struct sl_error ignored;
    struct sl_buf line;
    sl_buf_init(&line, way->alloc);
    (void)snprintf(question, sizeof(question), DROP "%016" PRIx64, id);
    (void)sl_engine_ask(way->dir, question, &line, &ignored);
    sl_buf_fini(&line);
}
