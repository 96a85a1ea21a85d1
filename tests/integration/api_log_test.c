/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The host's log: what it is told, at which level, and what it may do meanwhile. */

#include <pthread.h>

#include "tests/integration/api.h"

TestSuite(api_log, .init = api_setup, .fini = api_cleanup);

/* ---- A host that keeps its lines ---- */

struct book {
    pthread_mutex_t lock;
    struct {
        enum syncline_log_level level;
        char text[512];
    } lines[256];
    size_t len;
    struct syncline *lib; /* looked at from inside a line, if not NULL */
    unsigned looked;      /* how often that succeeded */
};

static struct book books[2] = {{.lock = PTHREAD_MUTEX_INITIALIZER},
                               {.lock = PTHREAD_MUTEX_INITIALIZER}};

static void take(void *ctx, enum syncline_log_level level, const char *text)
{
    struct book *book = ctx;
    struct syncline_info info = SYNCLINE_INFO_INIT;
    struct syncline_member member = SYNCLINE_MEMBER_INIT;
    struct syncline_set_aside aside = SYNCLINE_SET_ASIDE_INIT;
    char error[64];
    (void)pthread_mutex_lock(&book->lock);
    struct syncline *lib = book->lib;
    (void)pthread_mutex_unlock(&book->lock);
    bool looked = lib != NULL && syncline_info(lib, &info) == SYNCLINE_OK &&
                  syncline_member_get(lib, 1000, &member) == SYNCLINE_ENOTFOUND &&
                  syncline_set_aside_get(lib, 1000, &aside) == SYNCLINE_ENOTFOUND;
    if (lib != NULL) {
        syncline_error(lib, error, sizeof(error));
    }
    (void)pthread_mutex_lock(&book->lock);
    book->looked += looked ? 1 : 0;
    if (book->len < sizeof(book->lines) / sizeof(book->lines[0])) {
        book->lines[book->len].level = level;
        (void)snprintf(book->lines[book->len].text, sizeof(book->lines[0].text), "%s", text);
        book->len++;
    }
    (void)pthread_mutex_unlock(&book->lock);
}

/* Lines of a level with this in them. */
static size_t lines(struct book *book, enum syncline_log_level level, const char *part)
{
    size_t count = 0;
    (void)pthread_mutex_lock(&book->lock);
    for (size_t i = 0; i < book->len; i++) {
        count += book->lines[i].level == level && strstr(book->lines[i].text, part) != NULL;
    }
    (void)pthread_mutex_unlock(&book->lock);
    return count;
}

static size_t lines_at(struct book *book, enum syncline_log_level level)
{
    return lines(book, level, "");
}

static void look_from_inside(struct book *book, struct syncline *lib)
{
    (void)pthread_mutex_lock(&book->lock);
    book->lib = lib;
    (void)pthread_mutex_unlock(&book->lock);
}

static unsigned looked(struct book *book)
{
    (void)pthread_mutex_lock(&book->lock);
    unsigned count = book->looked;
    (void)pthread_mutex_unlock(&book->lock);
    return count;
}

static void open_with(struct api_device *device, struct book *book, enum syncline_log_level level,
                      const char *peer)
{
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_ENGINE;
    options.listen = "127.0.0.1:0";
    options.peers = &peer;
    options.peers_count = peer != NULL ? 1 : 0;
    options.log = (struct syncline_log){.fn = take, .ctx = book};
    options.log_level = level;
    cr_assert_eq(syncline_open(device->dir, &options, &device->lib), SYNCLINE_OK, "%s", api_text);
    (void)snprintf(device->address, sizeof(device->address), "%s", api_info(device).listen);
}

/* ---- What comes ---- */

/* At INFO the log says that the engine runs, who is a member, and who comes and goes. */
Test(api_log, devices_come_and_go)
{
    struct api_device a;
    struct api_device b;
    api_create(&a, "a");
    open_with(&a, &books[0], SYNCLINE_LOG_INFO, NULL);
    cr_expect_eq(lines(&books[0], SYNCLINE_LOG_INFO, "engine runs"), 1);
    api_join(&b, "b", a.address);
    open_with(&b, &books[1], SYNCLINE_LOG_INFO, a.address);
    API_WAIT(lines(&books[0], SYNCLINE_LOG_INFO, "\"b\" is connected") == 1);
    API_WAIT(lines(&books[1], SYNCLINE_LOG_INFO, "\"a\" is connected") == 1);
    cr_expect_eq(lines(&books[0], SYNCLINE_LOG_INFO, "\"b\" is a member now"), 1);
    api_close(&b);
    API_WAIT(lines(&books[0], SYNCLINE_LOG_INFO, "\"b\" is not connected any more") == 1);
    cr_expect_eq(lines_at(&books[0], SYNCLINE_LOG_ERROR), 0);
    cr_expect_eq(lines_at(&books[0], SYNCLINE_LOG_DEBUG), 0);
    api_close(&a);
}

/* Without a level the log gets warnings, and nothing of a library at which all is well. */
Test(api_log, is_quiet_by_default)
{
    struct api_device a;
    api_create(&a, "a");
    open_with(&a, &books[0], SYNCLINE_LOG_DEFAULT, NULL);
    struct tag tag = api_tag("red");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_close(&a);
    cr_expect_eq(books[0].len, 0, "%s", books[0].lines[0].text);
}

/* A record that cannot be sent is a warning that names it, and from inside that line the library
 * can be looked at. */
Test(api_log, record_that_cannot_be_sent)
{
    struct api_device a;
    api_create(&a, "a");
    open_with(&a, &books[0], SYNCLINE_LOG_DEFAULT, NULL);
    look_from_inside(&books[0], a.lib);
    struct tag red = api_tag("red");
    api_put_tag(a.db, &red);
    api_sql(a.db, "UPDATE tags SET color='red'");
    API_OK(a.lib, syncline_sync_model_with_db(a.lib, &tag_model, &red, SYNCLINE_INSERT, a.db));
    API_WAIT(lines(&books[0], SYNCLINE_LOG_WARNING, "of model 'tag' was set aside") == 1);
    cr_expect_eq(lines(&books[0], SYNCLINE_LOG_WARNING, "'color'"), 1);
    cr_expect_eq(api_info(&a).set_aside, 1);
    cr_expect_eq(looked(&books[0]), 1);
    api_close(&a);
}

/* A received record that the tables do not take is a warning, too. */
Test(api_log, record_that_cannot_be_applied)
{
    struct api_device a;
    struct api_device b;
    api_create(&a, "a");
    open_with(&a, &books[0], SYNCLINE_LOG_DEFAULT, NULL);
    api_join(&b, "b", a.address);
    open_with(&b, &books[1], SYNCLINE_LOG_DEFAULT, a.address);
    look_from_inside(&books[1], b.lib);
    api_sql(b.db, "CREATE TRIGGER refuse BEFORE INSERT ON tags WHEN new.name='refused'"
                  " BEGIN SELECT RAISE(ABORT, 'not this one'); END");
    struct tag refused = api_tag("refused");
    api_save_tag(&a, &refused, SYNCLINE_INSERT);
    API_WAIT(lines(&books[1], SYNCLINE_LOG_WARNING, "not this one") == 1);
    cr_expect_eq(lines(&books[1], SYNCLINE_LOG_WARNING, "of model 'tag' was set aside"), 1);
    cr_expect_eq(lines(&books[0], SYNCLINE_LOG_WARNING, "set aside"), 0);
    cr_expect_eq(looked(&books[1]), 1);
    api_close(&b);
    api_close(&a);
}

/* A peer that cannot be reached is one warning, however often it is dialled. */
Test(api_log, peer_that_cannot_be_reached)
{
    struct api_device a;
    api_create(&a, "a");
    open_with(&a, &books[0], SYNCLINE_LOG_DEFAULT, "127.0.0.1:1");
    API_WAIT(lines(&books[0], SYNCLINE_LOG_WARNING, "127.0.0.1:1: cannot be reached") == 1);
    api_close(&a);
    cr_expect_eq(lines_at(&books[0], SYNCLINE_LOG_WARNING), 1);
}

/* A level that does not exist is refused, and options of before there was a log are not read. */
Test(api_log, options)
{
    struct api_device a;
    api_create(&a, "a");
    struct syncline_options options = api_options();
    options.log_level = (enum syncline_log_level)5;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(api_text, "log_level cannot be \"5\""), "%s", api_text);
    options.log = (struct syncline_log){.fn = take, .ctx = &books[0]};
    options.size = offsetof(struct syncline_options, log);
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    api_close(&a);
    cr_expect_eq(books[0].len, 0);
}
