/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/settings.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define KIB ((int64_t)1024)
#define MIB (KIB * KIB)
#define GIB (MIB * KIB)
#define S ((int64_t)1000)
#define MIN (60 * S)
#define HOUR (60 * MIN)
#define DAY (24 * HOUR)

static const char *const preset_words[] = {"none", "aggressive", "conservative", "mobile", NULL};
static const char *const threads_words[] = {"auto", "fused", "grouped", "per-stage", NULL};

static const char *const switch_words[] = {"off", "on", NULL};
static const char *const deletes_words[] = {"guarded", "all", NULL};
static const char *const log_words[] = {"error", "warning", "info", "debug", NULL};

#define NUMBER SYNCLINE_SETTING_NUMBER
#define SIZE SYNCLINE_SETTING_SIZE
#define DURATION SYNCLINE_SETTING_DURATION
#define CHOICE SYNCLINE_SETTING_CHOICE
#define TEXT SYNCLINE_SETTING_TEXT
#define SAME(value)                                                                                \
    {                                                                                              \
        value, value, value, value                                                                 \
    }

/* The presets. A slice of apply is one segment at least, so what holds the lock for less time also
 * wants smaller ones; and larger ones, compressed harder, are fewer bytes. */
static const struct sl_setting table[SL_SETTING_COUNT] = {
    [SL_SETTING_PRESET] = {.key = "preset",
                           .type = CHOICE,
                           .unit = "",
                           .description =
                               "values for all that nothing else sets: aggressive is in step as "
                               "soon as it can be, conservative is a guest that is hardly "
                               "noticed, mobile spares bytes, memory and disk",
                           .choices = preset_words,
                           .max = SL_PRESET_COUNT - 1,
                           .by = SAME(SL_PRESET_NONE)},
    [SL_SETTING_LISTEN] = {.key = "listen",
                           .type = TEXT,
                           .unit = "",
                           .option = "listen",
                           .description =
                               "address that this device serves; with one, opening needs "
                               "insecure_loopback in the call",
                           .takes = "an address like 127.0.0.1:4400 (port 0: any free one), or "
                                    "the word nothing"},
    [SL_SETTING_PEERS] = {.key = "peers",
                          .type = TEXT,
                          .unit = "",
                          .option = "peers",
                          .description = "addresses of other devices, dialled until they answer; "
                                         "needs insecure_loopback likewise",
                          .takes = "up to 64 addresses like 127.0.0.1:4400 with commas between "
                                   "them, or the word nothing"},
    [SL_SETTING_RECONNECT_MAX_MS] =
        {.key = "reconnect_max_ms",
         .type = DURATION,
         .unit = "ms",
         .description = "longest pause before a device that did not answer is dialled again; "
                        "pauses grow up to it from 50 ms",
         .min = SL_REDIAL_MS_MIN,
         .max = HOUR,
         .by = {SL_REDIAL_MS_MAX, S, 30 * S, MIN}},
    [SL_SETTING_BATCH_SIZE] = {.key = "batch_size",
                               .type = NUMBER,
                               .unit = "changes",
                               .option = "batch_size",
                               .description = "most changes in a segment: the unit that is logged, "
                                              "sent and acknowledged",
                               .min = 1,
                               .max = SL_BATCH_LEN_MAX,
                               .by = {SL_BATCH_LEN_DEFAULT, 1000, 500, 2000}},
    [SL_SETTING_LINGER_MS] = {.key = "linger_ms",
                              .type = DURATION,
                              .unit = "ms",
                              .description =
                                  "least time between two commits of the log: changes that come "
                                  "within it share one; one that finds the engine idle never waits",
                              .max = 10 * S,
                              .by = {SL_LINGER_MS, 2, 100, 500}},
    [SL_SETTING_ZSTD_LEVEL] = {.key = "zstd_level",
                               .type = NUMBER,
                               .unit = "",
                               .description =
                                   "how hard segments are compressed: higher is smaller and slower",
                               .min = 1,
                               .max = 19,
                               .by = {SL_ZSTD_LEVEL, 1, 3, 9}},
    [SL_SETTING_MEMORY_BUDGET] = {.key = "memory_budget",
                                  .type = SIZE,
                                  .unit = "bytes",
                                  .option = "memory_budget",
                                  .description =
                                      "memory for changes under way, half of it for sending and "
                                      "half for receiving",
                                  .min = SL_MEMORY_BUDGET_MIN,
                                  .max = 16 * GIB,
                                  .by = {SL_MEMORY_BUDGET_DEFAULT, 128 * MIB, 16 * MIB, 8 * MIB}},
    [SL_SETTING_THREADS] = {.key = "threads",
                            .type = CHOICE,
                            .unit = "",
                            .option = "threads",
                            .description =
                                "the engine's threads: fused is one, grouped is three, per-stage "
                                "is six, auto goes by the number of processors",
                            .choices = threads_words,
                            .max = SYNCLINE_THREADS_PER_STAGE,
                            .by = {SYNCLINE_THREADS_AUTO, SYNCLINE_THREADS_AUTO,
                                   SYNCLINE_THREADS_FUSED, SYNCLINE_THREADS_FUSED}},
    [SL_SETTING_BLOCK_MS] =
        {.key = "block_ms",
         .type = DURATION,
         .unit = "ms",
         .option = "block_ms",
         .description =
             "how long calls outside a transaction wait for an engine that is more than 1024 "
             "calls behind before they return AGAIN; 0ms: they go on; never: AGAIN at once",
         .never = "never",
         .min = -1,
         .max = DAY,
         .by = SAME(0)},
    [SL_SETTING_APPLY_HOLD_MS] = {.key = "apply_hold_ms",
                                  .type = DURATION,
                                  .unit = "ms",
                                  .description =
                                      "how long applying received changes holds the write lock of "
                                      "library.db at a time",
                                  .min = 1,
                                  .max = 10 * S,
                                  .by = {SL_APPLY_HOLD_MS, 100, 10, 25}},
    [SL_SETTING_APPLY_HOLD_SHARED_MS] = {.key = "apply_hold_shared_ms",
                                         .type = DURATION,
                                         .unit = "ms",
                                         .description =
                                             "the same while somebody else writes to library.db",
                                         .min = 1,
                                         .max = 10 * S,
                                         .by = {SL_APPLY_HOLD_SHARED_MS, 10, 2, 5}},
    [SL_SETTING_APPLY_PAUSE_MS] = {.key = "apply_pause_ms",
                                   .type = DURATION,
                                   .unit = "ms",
                                   .description = "how long applying leaves that lock free in "
                                                  "between while somebody else writes",
                                   .max = 10 * S,
                                   .by = {SL_APPLY_PAUSE_MS, 5, 40, 20}},
    [SL_SETTING_UUID_MAP_SIZE] = {.key = "uuid_map_size",
                                  .type = SIZE,
                                  .unit = "bytes",
                                  .description =
                                      "room for the cache of UUIDs in uuid-map/; a full one is "
                                      "emptied and filled again",
                                  .min = 64 * KIB,
                                  .max = GIB,
                                  .by = {SL_UUID_MAP_SIZE_MAX, 64 * MIB, 8 * MIB, 2 * MIB}},
    [SL_SETTING_UUID_MAP_TTL_MS] = {.key = "uuid_map_ttl_ms",
                                    .type = DURATION,
                                    .unit = "ms",
                                    .description =
                                        "how long an entry of that cache is used before its row "
                                        "is looked up again",
                                    .max = DAY,
                                    .by = {SL_UUID_MAP_TTL_MS, 10 * MIN, MIN, 10 * MIN}},
    [SL_SETTING_MAX_DRIFT_MS] = {.key = "max_drift_ms",
                                 .type = DURATION,
                                 .unit = "ms",
                                 .description =
                                     "changes from a clock further ahead of this device's than "
                                     "this are held until their time comes",
                                 .min = S,
                                 .max = 7 * DAY,
                                 .by = SAME(SL_MAX_DRIFT_MS)},
    [SL_SETTING_SCAN_INTERVAL_MS] =
        {.key = "scan_interval_ms",
         .type = DURATION,
         .unit = "ms",
         .description = "how often an idle engine compares the tables with what was captured, and "
                        "captures rows that were inserted or deleted without; the first time is "
                        "soon after open; 0ms: never",
         .max = 7 * DAY,
         .by = {SL_SCAN_INTERVAL_MS, HOUR, 6 * HOUR, DAY}},
    [SL_SETTING_SCAN_DELETES] =
        {.key = "scan_deletes",
         .type = CHOICE,
         .unit = "",
         .description =
             "what happens to records that this finds gone: guarded holds their deletes if a "
             "model of more than 1000 records has lost more than half, all sends them",
         .choices = deletes_words,
         .max = 1,
         .by = SAME(0)},
    [SL_SETTING_LOG_PRUNE] =
        {.key = "log_prune",
         .type = CHOICE,
         .unit = "",
         .description =
             "whether the log gives up what every member holds; a device that lacks some of "
             "that then needs a snapshot",
         .choices = switch_words,
         .max = 1,
         .by = SAME(0)},
    [SL_SETTING_LOG_SIZE_LIMIT] =
        {.key = "log_size_limit",
         .type = SIZE,
         .unit = "bytes",
         .description =
             "size of sync.db above which, while log_prune is on, nothing is kept for the "
             "member that lacks most",
         .min = MIB,
         .max = 1024 * GIB,
         .by = {SL_LOG_SIZE_LIMIT, SL_LOG_SIZE_LIMIT, SL_LOG_SIZE_LIMIT, 256 * MIB}},
    [SL_SETTING_MEMBER_STALE_DAYS] =
        {.key = "member_stale_days",
         .type = NUMBER,
         .unit = "days",
         .description =
             "days on which this device met others without hearing of a member, after which, "
             "while log_prune is on, nothing is kept for that one",
         .min = 1,
         .max = 3650,
         .by = SAME(SL_MEMBER_STALE_DAYS)},
    [SL_SETTING_LOG_LEVEL] = {.key = "log_level",
                              .type = CHOICE,
                              .unit = "",
                              .option = "log_level",
                              .description = "the least important lines that the application's log "
                                             "function gets, if it gave one",
                              .choices = log_words,
                              .min = SYNCLINE_LOG_ERROR,
                              .max = SYNCLINE_LOG_DEBUG,
                              .by = SAME(SYNCLINE_LOG_WARNING)},
    [SL_SETTING_CHECK_CAPTURES] =
        {.key = "check_captures",
         .type = CHOICE,
         .unit = "",
         .description =
             "for development: a capture in a transaction compares each struct with its row, by a "
             "query each, and refuses one that differs; so capture each change of a row before the "
             "next one",
         .choices = switch_words,
         .max = 1,
         .by = SAME(SL_CHECK_CAPTURES)},
};

/* What a number may be followed by, greatest first, so that printing takes the first that fits. */
struct unit {
    const char *name;
    int64_t size;
};
static const struct unit size_units[] = {
    {"GiB", GIB}, {"MiB", MIB}, {"KiB", KIB}, {"B", 1}, {NULL, 0}};
static const struct unit duration_units[] = {{"d", DAY}, {"h", HOUR}, {"min", MIN},
                                             {"s", S},   {"ms", 1},   {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(const struct sl_setting *setting)
{
    return setting->type == SIZE       ? size_units
           : setting->type == DURATION ? duration_units
                                       : no_units;
}

/* ---- The table ---- */

const struct sl_setting *sl_setting_at(size_t id)
{
    return &table[id];
}

bool sl_setting_find(const char *key, enum sl_setting_id *id)
{
    for (size_t i = 0; i < SL_SETTING_COUNT; i++) {
        if (strcmp(table[i].key, key) == 0) {
            *id = (enum sl_setting_id)i;
            return true;
        }
    }
    return false;
}

/* ---- Printing ---- */

void sl_setting_print_number(enum sl_setting_id id, int64_t number, char *out, size_t size)
{
    const struct sl_setting *setting = &table[id];
    const struct unit *unit = units_of(setting);
    if (setting->type == CHOICE) {
        (void)snprintf(out, size, "%s", setting->choices[number - setting->min]);
        return;
    }
    if (number < 0 && setting->never != NULL) {
        (void)snprintf(out, size, "%s", setting->never);
        return;
    }
    while (unit->size > 1 && (number == 0 || number % unit->size != 0)) {
        unit++;
    }
    (void)snprintf(out, size, "%lld%s", (long long)(number / unit->size), unit->name);
}

/* "a, b or c". */
static void print_choices(const char *const *choices, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; choices[i] != NULL && used < size; i++) {
        const char *before = i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ";
        int len = snprintf(out + used, size - used, "%s%s", before, choices[i]);
        used += len > 0 ? (size_t)len : 0;
    }
}

void sl_setting_print_range(enum sl_setting_id id, char *out, size_t size)
{
    const struct sl_setting *setting = &table[id];
    char min[32];
    char max[32];
    if (setting->type == TEXT) {
        (void)snprintf(out, size, "%s", setting->takes);
        return;
    }
    if (setting->type == CHOICE) {
        print_choices(setting->choices, out, size);
        return;
    }
    bool never = setting->never != NULL;
    sl_setting_print_number(id, never ? 0 : setting->min, min, sizeof(min));
    sl_setting_print_number(id, setting->max, max, sizeof(max));
    (void)snprintf(out, size, "%s%s%s to %s", never ? setting->never : "", never ? ", or " : "",
                   min, max);
}

/* The text of a setting that has one, and the room for it. */
static char *text_of(struct sl_settings *settings, enum sl_setting_id id, size_t *size)
{
    bool listen = id == SL_SETTING_LISTEN;
    *size = listen ? sizeof(settings->listen) : sizeof(settings->peers);
    return listen ? settings->listen : settings->peers;
}

void sl_settings_print(const struct sl_settings *settings, enum sl_setting_id id, char *out,
                       size_t size)
{
    if (table[id].type == TEXT) {
        (void)snprintf(out, size, "%s",
                       id == SL_SETTING_LISTEN ? settings->listen : settings->peers);
        return;
    }
    sl_setting_print_number(id, settings->values[id].number, out, size);
}

/* ---- Parsing ---- */

static enum syncline_status refuse(enum sl_setting_id id, const char *text, size_t len,
                                   struct sl_error *err)
{
    char range[160];
    sl_setting_print_range(id, range, sizeof(range));
    return sl_fail(err, SYNCLINE_EINVAL, "%s cannot be \"%.*s\": it takes %s%s", table[id].key,
                   (int)(len < 80 ? len : 80), text, table[id].type == NUMBER ? "a number, " : "",
                   range);
}

/* A number whose unit, the last `unit_len` bytes of it, does not exist. */
static enum syncline_status refuse_unit(enum sl_setting_id id, const char *text, size_t len,
                                        size_t unit_len, struct sl_error *err)
{
    char range[160];
    bool size = table[id].type == SIZE;
    sl_setting_print_range(id, range, sizeof(range));
    if (table[id].type == NUMBER) {
        return sl_fail(err, SYNCLINE_EINVAL,
                       "%s cannot be \"%.*s\": it takes a whole number without a unit, %s",
                       table[id].key, (int)(len < 80 ? len : 80), text, range);
    }
    return sl_fail(err, SYNCLINE_EINVAL,
                   "%s cannot be \"%.*s\": \"%.*s\" is no unit of a %s, there are %s; it takes %s",
                   table[id].key, (int)(len < 80 ? len : 80), text,
                   (int)(unit_len < 40 ? unit_len : 40), text + len - unit_len,
                   size ? "size" : "duration", size ? "B, KiB, MiB and GiB" : "ms, s, min, h and d",
                   range);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Digits and a unit; a bare number is in the smallest unit. *unit_len: bytes of a unit that does
 * not exist, at the end; else 0. */
static bool parse_number(const struct sl_setting *setting, const char *text, size_t len,
                         int64_t *number, size_t *unit_len)
{
    uint64_t value = 0;
    size_t digits = 0;
    *unit_len = 0;
    for (; digits < len && text[digits] >= '0' && text[digits] <= '9'; digits++) {
        if (value > (uint64_t)INT64_MAX / 10 - 1) {
            return false;
        }
        value = value * 10 + (uint64_t)(text[digits] - '0');
    }
    if (digits == 0) {
        return false;
    }
    const char *name = text + digits;
    size_t name_len = len - digits;
    while (name_len > 0 && is_blank(name[0])) {
        name++;
        name_len--;
    }
    for (const struct unit *unit = units_of(setting); unit->name != NULL; unit++) {
        bool is_it = strlen(unit->name) == name_len && strncasecmp(unit->name, name, name_len) == 0;
        if (is_it || (name_len == 0 && unit->size == 1)) {
            if (value > (uint64_t)INT64_MAX / (uint64_t)unit->size) {
                return false;
            }
            *number = (int64_t)value * unit->size;
            return true;
        }
    }
    *unit_len = is_letter(name[0]) ? name_len : 0;
    return false;
}

static bool is_word(const char *word, const char *text, size_t len)
{
    return strlen(word) == len && memcmp(word, text, len) == 0;
}

static bool parse_choice(const struct sl_setting *setting, const char *text, size_t len,
                         int64_t *number)
{
    for (int64_t i = 0; setting->choices[i] != NULL; i++) {
        if (is_word(setting->choices[i], text, len)) {
            *number = setting->min + i;
            return true;
        }
    }
    return false;
}

/* Words, one or several with commas or blanks between them, into out with one comma each. */
static bool parse_words(const char *text, size_t len, bool several, char *out, size_t size)
{
    size_t used = 0;
    size_t words = 0;
    size_t at = 0;
    while (at < len) {
        size_t begin = at;
        while (at < len && text[at] > ' ' && text[at] < 0x7f && text[at] != ',') {
            at++;
        }
        size_t word_len = at - begin;
        if (word_len > 0) {
            size_t comma = words > 0 ? 1 : 0;
            if ((words > 0 && !several) || used + comma + word_len + 1 > size) {
                return false;
            }
            if (words++ > 0) {
                out[used++] = ',';
            }
            memcpy(out + used, text + begin, word_len);
            used += word_len;
        }
        if (at < len && !is_blank(text[at]) && (text[at] != ',' || !several)) {
            return false;
        }
        at++;
    }
    out[used] = '\0';
    return words <= SL_LINK_COUNT_MAX;
}

static enum syncline_status parse_text(struct sl_settings *settings, enum sl_setting_id id,
                                       const char *text, size_t len, struct sl_error *err)
{
    char parsed[SL_PEERS_SIZE];
    size_t size = 0;
    char *out = text_of(settings, id, &size);
    if (is_word("nothing", text, len)) {
        len = 0;
    }
    if (!parse_words(text, len, id == SL_SETTING_PEERS, parsed, size)) {
        return refuse(id, text, len, err);
    }
    memcpy(out, parsed, strlen(parsed) + 1);
    return SYNCLINE_OK;
}

static bool in_range(const struct sl_setting *setting, int64_t number)
{
    return number >= setting->min && number <= setting->max;
}

enum syncline_status sl_settings_parse(struct sl_settings *settings, enum sl_setting_id id,
                                       const char *text, enum syncline_setting_source source,
                                       uint32_t line, struct sl_error *err)
{
    const struct sl_setting *setting = &table[id];
    struct sl_setting_value value = {.source = source, .line = line};
    while (is_blank(text[0])) {
        text++;
    }
    size_t len = strlen(text);
    while (len > 0 && is_blank(text[len - 1])) {
        len--;
    }
    if (setting->type == TEXT) {
        enum syncline_status status = parse_text(settings, id, text, len, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
    } else if (setting->never != NULL && is_word(setting->never, text, len)) {
        value.number = -1;
    } else {
        size_t unit_len = 0;
        bool ok = setting->type == CHOICE
                      ? parse_choice(setting, text, len, &value.number)
                      : parse_number(setting, text, len, &value.number, &unit_len);
        if (!ok && unit_len > 0) {
            return refuse_unit(id, text, len, unit_len, err);
        }
        if (!ok || !in_range(setting, value.number)) {
            return refuse(id, text, len, err);
        }
    }
    settings->values[id] = value;
    return SYNCLINE_OK;
}

enum syncline_status sl_settings_put(struct sl_settings *settings, enum sl_setting_id id,
                                     int64_t number, enum syncline_setting_source source,
                                     struct sl_error *err)
{
    if (!in_range(&table[id], number)) {
        char text[32];
        int len = snprintf(text, sizeof(text), "%lld", (long long)number);
        return refuse(id, text, (size_t)len, err);
    }
    settings->values[id] = (struct sl_setting_value){.number = number, .source = source};
    return SYNCLINE_OK;
}

/* ---- Values ---- */

void sl_settings_init(struct sl_settings *settings)
{
    memset(settings, 0, sizeof(*settings));
    for (size_t i = 0; i < SL_SETTING_COUNT; i++) {
        settings->values[i].number = table[i].by[SL_PRESET_NONE];
    }
}

void sl_settings_fill(struct sl_settings *settings)
{
    int64_t preset = settings->values[SL_SETTING_PRESET].number;
    for (size_t i = 0; i < SL_SETTING_COUNT; i++) {
        struct sl_setting_value *value = &settings->values[i];
        if (value->source == SYNCLINE_SETTING_DEFAULT && table[i].by[preset] != value->number) {
            value->number = table[i].by[preset];
            value->source = SYNCLINE_SETTING_PRESET;
        }
    }
}

int64_t sl_settings_number(const struct sl_settings *settings, enum sl_setting_id id)
{
    return settings->values[id].number;
}

uint64_t sl_settings_ns(const struct sl_settings *settings, enum sl_setting_id id)
{
    return (uint64_t)settings->values[id].number * 1000000u;
}
