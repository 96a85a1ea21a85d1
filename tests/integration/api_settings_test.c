/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Settings through the public calls: every key by every way, every end of every range, which way
 * wins, and what a wrong value says. What the values do is in settings_effect_test.c but for
 * threads, block_ms and the addresses, which are here. */

#include "tests/integration/api.h"

#include "base/limits.h"
#include "pipeline/handle.h"

static struct api_device a;
static char conf[API_PATH_SIZE + 16]; /* path of A's syncline.conf */

static void make_one(void)
{
    api_setup();
    api_create(&a, "a");
    (void)snprintf(conf, sizeof(conf), "%s/syncline.conf", a.dir);
}

static void unmake(void)
{
    if (a.lib != NULL) {
        api_stop(&a);
    }
    (void)sqlite3_close(a.db);
    api_cleanup();
}

TestSuite(api_settings, .init = make_one, .fini = unmake);

/* ---- The table, from outside ---- */

static bool setting_at(size_t index, struct syncline_setting *setting)
{
    *setting = (struct syncline_setting)SYNCLINE_SETTING_INIT;
    return syncline_setting_get(NULL, index, setting) == SYNCLINE_OK;
}

static bool is_number(const struct syncline_setting *setting)
{
    return setting->type == SYNCLINE_SETTING_NUMBER || setting->type == SYNCLINE_SETTING_SIZE ||
           setting->type == SYNCLINE_SETTING_DURATION;
}

/* "key=value". */
static const char *pair_of(const char *key, const char *value)
{
    static char pair[256];
    (void)snprintf(pair, sizeof(pair), "%s=%s", key, value);
    return pair;
}

static const char *digits(int64_t number)
{
    static char texts[4][32];
    static unsigned next;
    char *text = texts[next++ % 4];
    (void)snprintf(text, 32, "%" PRId64, number);
    return text;
}

/* ---- Three ways to set one ---- */

enum way { BY_FILE, BY_ENVIRONMENT, BY_CALL, WAYS };

static void set_by(enum way way, const struct syncline_setting *setting, const char *value,
                   struct syncline_options *options)
{
    static const char *list[1];
    char line[256];
    int len = snprintf(line, sizeof(line), "# a comment\n%s = %s\n", setting->key, value);
    switch (way) {
    case BY_FILE:
        api_write_file(conf, line, (size_t)len);
        break;
    case BY_ENVIRONMENT:
        cr_assert_eq(setenv(setting->variable, value, 1), 0);
        break;
    case BY_CALL:
    case WAYS:
        list[0] = pair_of(setting->key, value);
        options->settings = list;
        options->settings_count = 1;
        break;
    }
}

static void unset(const struct syncline_setting *setting)
{
    (void)unlink(conf);
    cr_assert_eq(unsetenv(setting->variable), 0);
}

static const char *where_of(enum way way, const struct syncline_setting *setting)
{
    return way == BY_FILE ? "syncline.conf:2" : way == BY_ENVIRONMENT ? setting->variable : "call";
}

/* Opens A with a setting set in one way; the handle says the value and where it is from. */
static void opens_with(enum way way, const struct syncline_setting *setting, const char *value,
                       const char *printed)
{
    struct syncline_options options = api_options();
    struct syncline_setting seen = SYNCLINE_SETTING_INIT;
    set_by(way, setting, value, &options);
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s = %s: %s", setting->key,
                 value, api_text);
    API_OK(a.lib, syncline_setting_find(a.lib, setting->key, &seen));
    cr_expect_str_eq(seen.value, printed, "%s", setting->key);
    cr_expect_str_eq(seen.where, where_of(way, setting), "%s", setting->key);
    cr_expect_eq(seen.source, way == BY_FILE          ? SYNCLINE_SETTING_FILE
                              : way == BY_ENVIRONMENT ? SYNCLINE_SETTING_ENVIRONMENT
                                                      : SYNCLINE_SETTING_CALL);
    if (is_number(setting)) { /* it is the library's, too */
        enum sl_setting_id id;
        cr_assert(sl_setting_find(setting->key, &id));
        cr_expect_eq(sl_settings_number(&sl_library_core(a.lib->library)->settings, id),
                     seen.number);
    }
    api_stop(&a);
    unset(setting);
}

/* The same refused: the text has key, value, range and place in it. */
static void refused_with(enum way way, const struct syncline_setting *setting, const char *value)
{
    struct syncline_options options = api_options();
    char place[sizeof(conf) + 8];
    char quoted[80];
    set_by(way, setting, value, &options);
    (void)snprintf(quoted, sizeof(quoted), "\"%s\"", value);
    (void)snprintf(place, sizeof(place), "%s:2: ", conf);
    const char *wanted[] = {setting->key, quoted, setting->range,
                            way == BY_FILE          ? place
                            : way == BY_ENVIRONMENT ? setting->variable
                                                    : "options.settings[0]"};
    cr_expect_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_EINVAL, "%s = %s", setting->key,
                 value);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        cr_expect_not_null(strstr(api_text, wanted[i]), "%s is not in: %s", wanted[i], api_text);
    }
    unset(setting);
}

/* Every key is set once through the file, the environment and the call. */
Test(api_settings, every_key_by_every_way)
{
    struct syncline_setting setting;
    size_t count = 0;
    for (; setting_at(count, &setting); count++) {
        const char *value = setting.type == SYNCLINE_SETTING_CHOICE ? setting.mobile
                            : strcmp(setting.key, "peers") == 0     ? "127.0.0.1:1,[::1]:2"
                                                                    : "127.0.0.1:0";
        if (strcmp(setting.key, "preset") == 0) {
            value = "conservative";
        }
        for (int way = 0; way < WAYS; way++) {
            if (is_number(&setting)) {
                int64_t other = setting.number != setting.max ? setting.max : setting.min;
                struct syncline_setting printed;
                cr_assert(setting_at(count, &printed));
                value = digits(other);
                API_OK(NULL,
                       syncline_config_set(a.dir, setting.key, value, api_text, sizeof(api_text)));
                API_OK(NULL, syncline_config_get(a.dir, setting.key, &printed, NULL, 0));
                opens_with((enum way)way, &setting, value, printed.value);
            } else {
                opens_with((enum way)way, &setting, value, value);
            }
        }
    }
    cr_expect_eq(count, SL_SETTING_COUNT);
}

/* Both ends of every range open a library, whichever way they come; what is beyond does not, and
 * the text names key, value, range and place. syncline_config_set judges the same. */
Test(api_settings, every_end_of_every_range)
{
    struct syncline_setting setting;
    for (size_t i = 0; setting_at(i, &setting); i++) {
        const int64_t ends[] = {setting.min, setting.max};
        const int64_t beyond[] = {setting.min - 1, setting.max + 1};
        for (int e = 0; e < 2 && is_number(&setting); e++) {
            struct syncline_setting seen = SYNCLINE_SETTING_INIT;
            /* The one negative number has a word. */
            const char *end = ends[e] < 0 ? "never" : digits(ends[e]);
            cr_expect_eq(syncline_config_set(a.dir, setting.key, end, api_text, sizeof(api_text)),
                         SYNCLINE_OK, "%s", api_text);
            cr_expect_eq(syncline_config_get(a.dir, setting.key, &seen, NULL, 0), SYNCLINE_OK);
            cr_expect_eq(seen.number, ends[e]);
            const char *past = digits(beyond[e]);
            cr_expect_eq(syncline_config_set(a.dir, setting.key, past, api_text, sizeof(api_text)),
                         SYNCLINE_EINVAL);
            cr_expect_not_null(strstr(api_text, setting.range), "%s", api_text);
            for (int way = 0; way < WAYS; way++) {
                opens_with((enum way)way, &setting, end, seen.value);
                refused_with((enum way)way, &setting, past);
            }
        }
        if (!is_number(&setting)) {
            for (int way = 0; way < WAYS && setting.type == SYNCLINE_SETTING_CHOICE; way++) {
                refused_with((enum way)way, &setting, "other");
            }
        }
    }
}

/* Of all the ways the last wins: default, preset, file, environment, call. */
Test(api_settings, precedence)
{
    static const char *const call[] = {"linger_ms=5ms"};
    struct syncline_options options = api_options();
    const struct {
        const char *value;
        const char *where;
        const char *file;
        const char *variable;
        size_t call_count;
    } steps[] = {
        {"10ms", "default", "", NULL, 0},
        {"500ms", "preset mobile", "preset = mobile\n", NULL, 0},
        {"7ms", "syncline.conf:2", "preset = mobile\nlinger_ms = 7\n", NULL, 0},
        {"6ms", "SYNCLINE_LINGER_MS", "preset = mobile\nlinger_ms = 7\n", "6ms", 0},
        {"5ms", "call", "preset = mobile\nlinger_ms = 7\n", "6ms", 1},
        {"5ms", "call", "preset = mobile\nlinger_ms = 7\n", NULL, 1},
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct syncline_setting seen = SYNCLINE_SETTING_INIT;
        api_write_file(conf, steps[i].file, strlen(steps[i].file));
        cr_assert_eq(steps[i].variable != NULL ? setenv("SYNCLINE_LINGER_MS", steps[i].variable, 1)
                                               : unsetenv("SYNCLINE_LINGER_MS"),
                     0);
        options.settings = call;
        options.settings_count = steps[i].call_count;
        cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
        API_OK(a.lib, syncline_setting_find(a.lib, "linger_ms", &seen));
        cr_expect_str_eq(seen.value, steps[i].value);
        cr_expect_str_eq(seen.where, steps[i].where);
        api_stop(&a);
    }
}

/* A preset gives its values, as the table says them, whichever layer names it; the last layer's
 * name counts. */
Test(api_settings, presets)
{
    static const char *const names[] = {"none", "aggressive", "conservative", "mobile"};
    struct syncline_options options = api_options();
    API_OK(NULL, syncline_config_set(a.dir, "preset", "aggressive", api_text, sizeof(api_text)));
    options.settings_count = 1;
    for (size_t p = 0; p < 4; p++) {
        const char *pair = pair_of("preset", names[p]);
        struct syncline_setting seen = SYNCLINE_SETTING_INIT;
        options.settings = &pair;
        cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
        for (size_t i = 1; syncline_setting_get(a.lib, i, &seen) == SYNCLINE_OK; i++) {
            const char *const by[] = {seen.default_value, seen.aggressive, seen.conservative,
                                      seen.mobile};
            cr_expect_str_eq(seen.value, by[p], "%s of %s", seen.key, names[p]);
            cr_expect_eq(seen.source, strcmp(by[p], by[0]) == 0 ? SYNCLINE_SETTING_DEFAULT
                                                                : SYNCLINE_SETTING_PRESET);
        }
        api_stop(&a);
    }
}

/* ---- Faults of the file and the environment ---- */

/* Opening says file, line and what is wrong; it opens nothing, in no role. */
Test(api_settings, faults_of_the_file)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *part;
    } table[] = {
        {"batch_sise = 5\n", 1, "there is no setting \"batch_sise\""},
        {"Batch_Size = 5\n", 1, "there is no setting \"Batch_Size\""},
        {"= 5\n", 1, "there is no setting \"\""},
        {"linger_ms = 5\n\nlinger_ms = 6\n", 3, "linger_ms stands in line 1 already"},
        {"linger_ms = 5\n 6\n", 2, "begins with a blank"},
        {"[sync]\nlinger_ms = 5\n", 1, "no sections"},
        {"linger_ms\n", 1, "key = value"},
        {"linger_ms = \n", 1, "linger_ms cannot be \"\": it takes 0ms to 10s"},
        {"listen = here\n", 1, "listen: \"here\" is not an address"},
        {"peers = 127.0.0.1:1, there\n", 1, "peers: \"there\" is not an address"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct syncline_options options = api_options();
        struct syncline_setting seen = SYNCLINE_SETTING_INIT;
        char place[sizeof(conf) + 16];
        (void)snprintf(place, sizeof(place), "%s:%u: ", conf, table[i].line);
        api_write_file(conf, table[i].text, strlen(table[i].text));
        for (int role = SYNCLINE_ROLE_AUTO; role <= SYNCLINE_ROLE_CAPTURE; role++) {
            options.role = (enum syncline_role)role;
            api_text[0] = '\0';
            cr_expect_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_EINVAL);
            cr_expect_eq(strncmp(api_text, place, strlen(place)), 0, "%s", api_text);
            cr_expect_not_null(strstr(api_text, table[i].part), "%s", api_text);
        }
        cr_expect_eq(syncline_config_get(a.dir, "threads", &seen, api_text, sizeof(api_text)),
                     SYNCLINE_EINVAL);
        cr_expect_eq(strncmp(api_text, place, strlen(place)), 0, "%s", api_text);
    }
}

/* A line as long as inih takes is read, a longer one is refused. */
Test(api_settings, long_lines)
{
    struct syncline_options options = api_options();
    char text[256];
    (void)snprintf(text, sizeof(text), "linger_ms = 7%*s", 200, "");
    for (size_t len = 198; len <= 199; len++) {
        text[len] = '\n';
        api_write_file(conf, text, len + 1);
        enum syncline_status status = syncline_open(a.dir, &options, &a.lib);
        cr_expect_eq(status, len == 198 ? SYNCLINE_OK : SYNCLINE_EINVAL, "%s", api_text);
        text[len] = ' ';
        if (a.lib != NULL) {
            api_stop(&a);
        }
    }
    cr_expect_not_null(strstr(api_text, ":1: the line is too long"), "%s", api_text);
}

/* A wrong variable is named; one that names no setting is nobody's business. */
Test(api_settings, faults_of_the_environment)
{
    struct syncline_options options = api_options();
    cr_assert_eq(setenv("SYNCLINE_NO_SETTING", "x", 1), 0);
    cr_assert_eq(setenv("SYNCLINE_LIBRARY", "/nowhere", 1), 0);
    cr_assert_eq(setenv("SYNCLINE_THREADS", "", 1), 0);
    cr_expect_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_EINVAL);
    cr_expect_str_eq(api_text, "SYNCLINE_THREADS in the environment: threads cannot be \"\": it "
                               "takes auto, fused, grouped or per-stage");
    cr_assert_eq(setenv("SYNCLINE_THREADS", "fused", 1), 0);
    cr_assert_eq(setenv("SYNCLINE_LISTEN", "", 1), 0); /* nowhere, over what the file says */
    API_OK(NULL, syncline_config_set(a.dir, "listen", "127.0.0.1:0", NULL, 0));
    cr_expect_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    cr_expect_str_eq(api_info(&a).listen, "");
}

/* ---- The call ---- */

/* Members of the options are the call's, too, and one that contradicts the list is refused. */
Test(api_settings, members_of_the_options)
{
    static const char *const peers[] = {"127.0.0.1:1", "[::1]:2"};
    static const struct {
        const char *key;
        const char *value;
    } wanted[] = {{"batch_size", "77"},      {"threads", "fused"},
                  {"memory_budget", "5MiB"}, {"block_ms", "never"},
                  {"listen", "127.0.0.1:0"}, {"peers", "127.0.0.1:1,[::1]:2"},
                  {"log_level", "debug"}};
    struct syncline_options options = api_options();
    options.batch_size = 77;
    options.threads = SYNCLINE_THREADS_FUSED;
    options.memory_budget = (size_t)5 << 20;
    options.block_ms = -7;
    options.log_level = SYNCLINE_LOG_DEBUG;
    options.listen = "127.0.0.1:0";
    options.peers = peers;
    options.peers_count = 2;
    size_t members = 0;
    struct syncline_setting seen = SYNCLINE_SETTING_INIT;
    for (size_t i = 0; setting_at(i, &seen); i++) {
        members += seen.option != NULL ? 1 : 0;
    }
    cr_expect_eq(members, sizeof(wanted) / sizeof(wanted[0]));
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        API_OK(a.lib, syncline_setting_find(a.lib, wanted[i].key, &seen));
        cr_expect_str_eq(seen.value, wanted[i].value);
        cr_expect_str_eq(seen.where, "call");
        cr_expect_str_eq(seen.option, wanted[i].key);
    }
    api_stop(&a);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        const char *pair = pair_of(wanted[i].key, wanted[i].value);
        options.settings = &pair;
        options.settings_count = 1;
        cr_expect_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_EINVAL);
        cr_expect_not_null(strstr(api_text, "given twice"), "%s", api_text);
    }
    static const char *const wrong[] = {"linger_ms", "linger=5", "=5", "linger_ms=x", NULL};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct syncline_options bad = api_options();
        bad.settings = &wrong[i];
        bad.settings_count = 1;
        cr_expect_eq(syncline_open(a.dir, &bad, &a.lib), SYNCLINE_EINVAL);
        cr_expect_eq(strncmp(api_text, "options.settings[0]: ", 21), 0, "%s", api_text);
    }
    options = api_options();
    options.settings_count = 1;
    cr_expect_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_EINVAL);
    /* Likewise where a library is made; and what is too many. */
    cr_expect_eq(syncline_create(api_path("b"), "b", &options), SYNCLINE_EINVAL);
    static const char *many[SL_LINK_COUNT_MAX + 1];
    for (size_t i = 0; i <= SL_LINK_COUNT_MAX; i++) {
        many[i] = "127.0.0.1:1";
    }
    options = api_options();
    options.peers = many;
    options.peers_count = SL_LINK_COUNT_MAX + 1;
    cr_expect_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(api_text, "64 are allowed"), "%s", api_text);
}

/* A program of an older version has shorter options: what they lack is as the settings say. */
Test(api_settings, older_options)
{
    static const size_t sizes[] = {
        offsetof(struct syncline_options, role), offsetof(struct syncline_options, batch_size),
        offsetof(struct syncline_options, threads), offsetof(struct syncline_options, allocator),
        offsetof(struct syncline_options, settings)};
    api_write_file(conf, "threads = fused\nlinger_ms = 7\n", 30);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct syncline_setting seen = SYNCLINE_SETTING_INIT;
        struct syncline_options options;
        memset(&options, 0x77, sizeof(options));
        struct syncline_options good = api_options();
        memcpy(&options, &good, sizes[i]);
        options.size = sizes[i];
        cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "size %zu", sizes[i]);
        API_OK(a.lib, syncline_setting_find(a.lib, "linger_ms", &seen));
        cr_expect_str_eq(seen.value, "7ms");
        API_OK(a.lib, syncline_setting_find(a.lib, "threads", &seen));
        cr_expect_str_eq(seen.value, "fused");
        api_stop(&a);
    }
}

/* ---- What is not in settings_effect_test.c ---- */

/* threads: so many there are. */
Test(api_settings, threads)
{
    static const struct {
        const char *value;
        size_t count;
    } table[] = {{"fused", 1}, {"grouped", 3}, {"per-stage", 6}};
    for (size_t i = 0; i < 3; i++) {
        struct syncline_options options = api_options();
        API_OK(NULL, syncline_config_set(a.dir, "threads", table[i].value, NULL, 0));
        cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
        cr_assert_not_null(a.lib);
        cr_expect_eq(a.lib->worker.count, table[i].count);
        api_stop(&a);
    }
}

static void count_lines(void *ctx, enum syncline_log_level level, const char *text)
{
    unsigned *counts = ctx;
    (void)text;
    counts[level]++;
}

/* log_level: lines that matter less do not come. */
Test(api_settings, log_level)
{
    static const char *const values[] = {"warning", "info"};
    for (unsigned i = 0; i < 2; i++) {
        unsigned counts[SYNCLINE_LOG_DEBUG + 1] = {0};
        struct syncline_options options = api_options();
        options.log = (struct syncline_log){.fn = count_lines, .ctx = counts};
        API_OK(NULL, syncline_config_set(a.dir, "log_level", values[i], NULL, 0));
        cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
        api_stop(&a);
        cr_expect(i == 0 ? counts[SYNCLINE_LOG_INFO] == 0 : counts[SYNCLINE_LOG_INFO] > 0);
    }
}

/* block_ms: callers are held back, or not, as the file says. */
Test(api_settings, block_ms)
{
    static const char *const values[] = {"never", "20ms", "0ms"};
    struct tag tag = api_tag("held back");
    for (size_t i = 0; i < 3; i++) {
        API_OK(NULL, syncline_config_set(a.dir, "block_ms", values[i], NULL, 0));
        api_open_alone(&a);
        if (i == 0) {
            api_save_tag(&a, &tag, SYNCLINE_INSERT);
        }
        API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
        char path[API_PATH_SIZE + 16];
        (void)snprintf(path, sizeof(path), "%s/sync.db", a.dir);
        sqlite3 *other = api_db_open(path); /* the log takes nothing any more */
        api_sql(other, "BEGIN IMMEDIATE");
        enum syncline_status status = SYNCLINE_OK;
        for (int n = 0; n < SL_BEHIND_CALLS_MAX + 20 && status == SYNCLINE_OK; n++) {
            status = syncline_sync_model(a.lib, &tag_model, &tag, SYNCLINE_UPDATE);
        }
        cr_expect_eq(status, i < 2 ? SYNCLINE_AGAIN : SYNCLINE_OK, "%s", values[i]);
        api_sql(other, "COMMIT");
        cr_expect_eq(sqlite3_close(other), SQLITE_OK);
        API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
        api_stop(&a);
    }
}

/* listen and peers: two devices that know each other from their files alone. */
Test(api_settings, addresses)
{
    struct api_device b;
    struct syncline_options options = api_options();
    API_OK(NULL, syncline_config_set(a.dir, "listen", "localhost:0", NULL, 0));
    options.role = SYNCLINE_ROLE_ENGINE;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    struct syncline_info info = api_info(&a);
    cr_assert_eq(strncmp(info.listen, "127.0.0.1:", 10), 0, "%s", info.listen);
    api_join(&b, "b", info.listen);
    API_OK(NULL, syncline_config_set(b.dir, "peers", info.listen, NULL, 0));
    cr_assert_eq(syncline_open(b.dir, &options, &b.lib), SYNCLINE_OK, "%s", api_text);
    API_WAIT(api_info(&a).links == 1 && api_info(&b).links == 1);
    /* The call goes over it: nowhere, and nobody. */
    api_stop(&a);
    api_stop(&b);
    options.listen = "";
    options.peers = &options.listen;
    options.peers_count = 0;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    cr_expect_str_eq(api_info(&a).listen, "");
    struct syncline_setting seen = SYNCLINE_SETTING_INIT;
    API_OK(a.lib, syncline_setting_find(a.lib, "peers", &seen));
    cr_expect_str_eq(seen.where, "call");
    api_close(&b);
}

/* An address from the file needs the word of the call, as one of the call's own: but for a handle
 * that only captures, which uses no network. */
Test(api_settings, addresses_without_the_word)
{
    static const struct {
        const char *key;
        const char *value;
        bool insecure;
        const char *part;
    } table[] = {
        {"listen", "127.0.0.1:0", false, "syncline.conf:2: listen = 127.0.0.1:0: the network"},
        {"peers", "127.0.0.1:1", false, "syncline.conf:2: peers = 127.0.0.1:1: the network"},
        {"listen", "192.0.2.1:4400", true, "192.0.2.1:4400 is not a loopback address"},
    };
    for (size_t i = 0; i < 3; i++) {
        API_OK(NULL, syncline_config_set(a.dir, table[i].key, table[i].value, NULL, 0));
        for (int role = SYNCLINE_ROLE_AUTO; role <= SYNCLINE_ROLE_CAPTURE; role++) {
            struct syncline_options options = api_options();
            options.role = (enum syncline_role)role;
            options.insecure_loopback = table[i].insecure;
            bool captures = role == SYNCLINE_ROLE_CAPTURE;
            cr_expect_eq(syncline_open(a.dir, &options, &a.lib),
                         captures ? SYNCLINE_OK : SYNCLINE_EREFUSED, "%s", api_text);
            cr_expect(captures || strstr(api_text, table[i].part) != NULL, "%s", api_text);
            if (a.lib != NULL) {
                api_stop(&a);
            }
        }
        API_OK(NULL, syncline_config_set(a.dir, table[i].key, NULL, NULL, 0));
    }
}

/* A handle keeps what it was opened with; the next one has what is in the file then. */
Test(api_settings, read_at_open)
{
    struct syncline_setting seen = SYNCLINE_SETTING_INIT;
    api_open_alone(&a);
    API_OK(NULL, syncline_config_set(a.dir, "linger_ms", "33ms", NULL, 0));
    API_OK(a.lib, syncline_setting_find(a.lib, "linger_ms", &seen));
    cr_expect_str_eq(seen.value, "10ms");
    API_OK(NULL, syncline_config_get(a.dir, "linger_ms", &seen, NULL, 0));
    cr_expect_str_eq(seen.value, "33ms");
    api_stop(&a);
    api_open_alone(&a);
    API_OK(a.lib, syncline_setting_find(a.lib, "linger_ms", &seen));
    cr_expect_str_eq(seen.value, "33ms");
}

/* ---- The calls themselves ---- */

/* Arguments that are wrong. */
Test(api_settings, arguments)
{
    struct syncline_setting seen = SYNCLINE_SETTING_INIT;
    struct syncline_setting before = seen;
    api_open_alone(&a);
    API_REFUSED(a.lib, syncline_setting_get(a.lib, 1000, &seen), SYNCLINE_ENOTFOUND, "settings");
    API_REFUSED(a.lib, syncline_setting_find(a.lib, "nonsense", &seen), SYNCLINE_ENOTFOUND,
                "nonsense");
    API_REFUSED(a.lib, syncline_setting_find(a.lib, NULL, &seen), SYNCLINE_EINVAL, "key");
    API_REFUSED(a.lib, syncline_setting_get(a.lib, 0, NULL), SYNCLINE_EINVAL, "_INIT");
    cr_expect_eq(syncline_setting_get(NULL, 1000, &seen), SYNCLINE_ENOTFOUND);
    cr_expect_eq(syncline_setting_find(NULL, "nonsense", &seen), SYNCLINE_ENOTFOUND);
    cr_expect_eq(syncline_setting_find(NULL, NULL, &seen), SYNCLINE_EINVAL);
    seen.size = 8;
    API_REFUSED(a.lib, syncline_setting_get(a.lib, 0, &seen), SYNCLINE_EINVAL, "_INIT");
    cr_expect_eq(syncline_config_get(a.dir, "threads", &seen, NULL, 0), SYNCLINE_EINVAL);
    seen.size = sizeof(seen);
    static const struct {
        const char *dir;
        const char *key;
        enum syncline_status status;
        const char *part;
    } table[] = {
        {NULL, "threads", SYNCLINE_EINVAL, "dir"},
        {"/nowhere", "threads", SYNCLINE_ENOTFOUND, "no library in /nowhere"},
        {"", "threads", SYNCLINE_ENOTFOUND, "no library"},
    };
    for (size_t i = 0; i < 3; i++) {
        cr_expect_eq(
            syncline_config_get(table[i].dir, table[i].key, &seen, api_text, sizeof(api_text)),
            table[i].status);
        cr_expect_not_null(strstr(api_text, table[i].part), "%s", api_text);
        cr_expect_eq(
            syncline_config_set(table[i].dir, table[i].key, "auto", api_text, sizeof(api_text)),
            table[i].status);
        cr_expect_not_null(strstr(api_text, table[i].part), "%s", api_text);
    }
    cr_expect_eq(syncline_config_set(a.dir, NULL, "1", NULL, 0), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_config_set(a.dir, "nonsense", "1", api_text, sizeof(api_text)),
                 SYNCLINE_ENOTFOUND);
    cr_expect_eq(syncline_config_set(a.dir, "listen", "here", api_text, sizeof(api_text)),
                 SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(api_text, "here"), "%s", api_text);
    cr_expect_eq(syncline_config_set(a.dir, "listen", "here", api_text, 4), SYNCLINE_EINVAL);
    cr_expect_eq(strlen(api_text), 3);
    cr_expect_eq(memcmp(&seen, &before, sizeof(seen)), 0, "a failed call has written its result");
    cr_expect_not(api_exists(conf), "a failed call has written a file");
}

/* A program of an older version has a shorter struct: nothing behind it is touched. */
Test(api_settings, older_setting)
{
    struct syncline_setting seen;
    memset(&seen, 0x77, sizeof(seen));
    seen.size = offsetof(struct syncline_setting, min);
    cr_assert_eq(syncline_setting_find(NULL, "linger_ms", &seen), SYNCLINE_OK);
    cr_expect_str_eq(seen.key, "linger_ms");
    cr_expect_str_eq(seen.range, "0ms to 10s");
    cr_expect_str_eq(seen.unit, "ms");
    cr_expect_str_eq(seen.variable, "SYNCLINE_LINGER_MS");
    cr_expect_eq(seen.size, offsetof(struct syncline_setting, min));
    cr_expect_eq(seen.min, INT64_C(0x7777777777777777));
    cr_expect_eq(seen.value[sizeof(seen.value) - 1], 0x77);
}

/* A wrong value can be mended by the call that sets, while it keeps everything else from going. */
Test(api_settings, mending)
{
    struct syncline_setting seen = SYNCLINE_SETTING_INIT;
    api_write_file(conf, "# mine\nlinger_ms = soon\n", 24);
    cr_expect_eq(syncline_config_get(a.dir, "linger_ms", &seen, NULL, 0), SYNCLINE_EINVAL);
    API_OK(NULL, syncline_config_set(a.dir, "threads", "fused", NULL, 0));
    API_OK(NULL, syncline_config_set(a.dir, "linger_ms", "0005", NULL, 0));
    API_OK(NULL, syncline_config_get(a.dir, "linger_ms", &seen, NULL, 0));
    cr_expect_str_eq(seen.value, "5ms");
    cr_expect_str_eq(seen.where, "syncline.conf:2");
    API_OK(NULL, syncline_config_set(a.dir, "linger_ms", NULL, NULL, 0));
    API_OK(NULL, syncline_config_get(a.dir, "linger_ms", &seen, NULL, 0));
    cr_expect_str_eq(seen.where, "default");
    char text[64] = "";
    FILE *file = fopen(conf, "r");
    cr_assert_not_null(file);
    cr_expect_eq(fread(text, 1, sizeof(text) - 1, file), strlen("# mine\nthreads = fused\n"));
    (void)fclose(file);
    cr_expect_str_eq(text, "# mine\nthreads = fused\n");
}

/* A handle of another process is refused. */
Test(api_settings, fork)
{
    struct syncline_setting seen = SYNCLINE_SETTING_INIT;
    api_open_alone(&a);
    a.lib->pid++; /* as a forked child sees it */
    cr_expect_eq(syncline_setting_get(a.lib, 0, &seen), SYNCLINE_EFORK);
    cr_expect_eq(syncline_setting_find(a.lib, "threads", &seen), SYNCLINE_EFORK);
    a.lib->pid--;
}
