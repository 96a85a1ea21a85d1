/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Two processes on one library: one runs the engine, the other only captures, and its rows go out
 * all the same. The second process is forked before anything is open. */

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/integration/api.h"

TestSuite(api_second_process, .init = api_setup, .fini = api_cleanup);

/* The second process and the two pipes to talk to it. */
struct helper {
    pid_t pid;
    int to;   /* orders: one letter each */
    int from; /* 'k' for each that went well, else a line that says what went wrong */
};

/* In the child: what stands behind an order. NULL if all went well. */
typedef const char *(*work_fn)(char order);

static void serve(int in, int out, work_fn work)
{
    char order = 0;
    while (read(in, &order, 1) == 1) {
        const char *wrong = work(order);
        const char *answer = wrong == NULL ? "k" : wrong;
        if (write(out, answer, strlen(answer)) < 0) {
            _exit(1);
        }
    }
    _exit(0);
}

static struct helper start(work_fn work)
{
    struct helper helper;
    int to[2];
    int from[2];
    pid_t parent = getpid();
    cr_assert_eq(pipe(to), 0);
    cr_assert_eq(pipe(from), 0);
    helper.pid = fork();
    cr_assert_geq(helper.pid, 0);
    if (helper.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        (void)close(to[1]);
        (void)close(from[0]);
        serve(to[0], from[1], work);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    helper.to = to[1];
    helper.from = from[0];
    return helper;
}

static void tell(struct helper *helper, char order)
{
    char answer[600] = "";
    cr_assert_eq(write(helper->to, &order, 1), 1);
    ssize_t len = read(helper->from, answer, sizeof(answer) - 1);
    cr_assert_gt(len, 0, "the second process has ended at order %c", order);
    cr_assert_str_eq(answer, "k", "order %c: %s", order, answer);
}

static void stop(struct helper *helper)
{
    int status = 0;
    (void)close(helper->to);
    cr_assert_eq(waitpid(helper->pid, &status, 0), helper->pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    (void)close(helper->from);
}

static void kill_now(struct helper *helper)
{
    int status = 0;
    cr_assert_eq(kill(helper->pid, SIGKILL), 0);
    cr_assert_eq(waitpid(helper->pid, &status, 0), helper->pid);
    cr_assert(WIFSIGNALED(status));
    (void)close(helper->to);
    (void)close(helper->from);
}

/* ---- In the second process: no assertions, answers only ---- */

static struct syncline *lib;
static sqlite3 *db;
static int64_t tag_number = 100;      /* ids, so that a later run can use them again */
static struct syncline_ticket ticket; /* of the last insert */

static const char *sql(const char *text)
{
    return sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK ? NULL : sqlite3_errmsg(db);
}

static const char *said(enum syncline_status status)
{
    static char text[560];
    if (status == SYNCLINE_OK) {
        return NULL;
    }
    int len = snprintf(text, sizeof(text), "%s: ", syncline_status_name(status));
    syncline_error(lib, text + len, sizeof(text) - (size_t)len);
    return text;
}

static const char *open_library(enum syncline_role role)
{
    struct syncline_options options = api_options();
    struct syncline_info info = SYNCLINE_INFO_INIT;
    options.role = role;
    enum syncline_status status = syncline_open(api_path("a"), &options, &lib);
    if (status != SYNCLINE_OK) {
        return api_text;
    }
    if (sqlite3_open(api_path("a/library.db"), &db) != SQLITE_OK ||
        sqlite3_busy_timeout(db, 20000) != SQLITE_OK) {
        return "library.db cannot be opened";
    }
    const char *wrong = said(syncline_info(lib, &info));
    if (wrong == NULL && info.runs_engine) {
        return "this process runs the engine";
    }
    return wrong;
}

static const char *insert(int n)
{
    struct tag tags[20] = {{0}};
    sqlite3_stmt *stmt = NULL;
    const char *wrong = NULL;
    if (sqlite3_prepare_v2(db, "INSERT INTO tags(id,uuid,name) VALUES(?1,?2,'of the second')", -1,
                           &stmt, NULL) != SQLITE_OK) {
        return sqlite3_errmsg(db);
    }
    for (int i = 0; i < n && wrong == NULL; i++) {
        tags[i].id = tag_number++;
        tags[i].name = "of the second";
        wrong = said(syncline_uuid_new(&tags[i].uuid, 1));
        (void)sqlite3_bind_int64(stmt, 1, tags[i].id);
        (void)sqlite3_bind_blob(stmt, 2, tags[i].uuid.bytes, 16, SQLITE_STATIC);
        if (wrong == NULL && sqlite3_step(stmt) != SQLITE_DONE) {
            wrong = sqlite3_errmsg(db);
        }
        (void)sqlite3_reset(stmt);
    }
    (void)sqlite3_finalize(stmt);
    struct syncline_batch_options options = SYNCLINE_BATCH_OPTIONS_INIT;
    ticket = (struct syncline_ticket)SYNCLINE_TICKET_INIT;
    options.ticket = &ticket;
    return wrong != NULL ? wrong
                         : said(syncline_sync_models_batch(lib, &tag_model, tags, (size_t)n,
                                                           SYNCLINE_INSERT, db, &options));
}

static const char *in_transaction(int n, const char *end)
{
    const char *wrong = sql("BEGIN IMMEDIATE");
    wrong = wrong != NULL ? wrong : insert(n);
    return wrong != NULL || end == NULL ? wrong : sql(end);
}

static const char *engine_is_parent(void)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    struct syncline_member member = SYNCLINE_MEMBER_INIT;
    const char *wrong = said(syncline_info(lib, &info));
    if (wrong == NULL) {
        wrong = said(syncline_member_get(lib, 0, &member));
    }
    if (wrong != NULL) {
        return wrong;
    }
    if (info.runs_engine || info.engine_pid != (int64_t)getppid()) {
        return "the engine is not the parent's";
    }
    if (info.links != 1 || !member.linked || strncmp(info.listen, "127.0.0.1:", 10) != 0 ||
        info.wire_bytes_sent == 0 || info.wire_bytes_received == 0) {
        return "what the engine alone knows is missing";
    }
    /* What a stage did counts when its slice ends, which may be after the flush. */
    struct syncline_stage stage = SYNCLINE_STAGE_INIT;
    time_t deadline = time(NULL) + API_DEADLINE_MS / 1000;
    while (wrong == NULL && stage.changes == 0 && time(NULL) < deadline) {
        wrong = said(syncline_stage_get(lib, 0, &stage));
    }
    if (wrong != NULL || strcmp(stage.name, "intake") != 0 || stage.changes == 0) {
        return wrong != NULL ? wrong : "the first stage is not intake at work";
    }
    return NULL;
}

/* c, a: open as CAPTURE or AUTO; i: insert 10 and commit; r: insert 10 and roll back; o: insert 20
 * and leave the transaction open; f, d: flush to APPLIED or DURABLE; t: a flush that must run out
 * of time; l: the engine is this process's parent and has one link; n: there is no engine;
 * D, A: wait for the last ticket to be DURABLE or APPLIED; Q: it must be queued and no more; R: it
 * must be rolled back; x: close. */
static const char *work(char order)
{
    switch (order) {
    case 'c':
        return open_library(SYNCLINE_ROLE_CAPTURE);
    case 'a':
        return open_library(SYNCLINE_ROLE_AUTO);
    case 'i':
        return in_transaction(10, "COMMIT");
    case 'r': {
        const char *wrong = in_transaction(10, "ROLLBACK");
        tag_number -= 10;
        return wrong;
    }
    case 'o':
        return in_transaction(20, NULL);
    case 'f':
        return said(syncline_flush(lib, SYNCLINE_LEVEL_APPLIED, API_DEADLINE_MS, NULL));
    case 'd':
        return said(syncline_flush(lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    case 't':
        return syncline_flush(lib, SYNCLINE_LEVEL_DURABLE, 0, NULL) == SYNCLINE_TIMEOUT
                   ? NULL
                   : "no TIMEOUT";
    case 'l':
        return engine_is_parent();
    case 'n': {
        struct syncline_info info = SYNCLINE_INFO_INIT;
        const char *wrong = said(syncline_info(lib, &info));
        return wrong != NULL || info.engine_pid == 0 ? wrong : "there is an engine";
    }
    case 'D':
        return said(syncline_wait(lib, &ticket, SYNCLINE_LEVEL_DURABLE, NULL, API_DEADLINE_MS));
    case 'A':
        return said(syncline_wait(lib, &ticket, SYNCLINE_LEVEL_APPLIED, NULL, API_DEADLINE_MS));
    case 'Q':
        return syncline_wait(lib, &ticket, SYNCLINE_LEVEL_DURABLE, NULL, 0) == SYNCLINE_TIMEOUT
                   ? said(syncline_wait(lib, &ticket, SYNCLINE_LEVEL_QUEUED, NULL, 0))
                   : "no TIMEOUT";
    case 'R':
        return syncline_wait(lib, &ticket, SYNCLINE_LEVEL_DURABLE, NULL, API_DEADLINE_MS) ==
                       SYNCLINE_EROLLEDBACK
                   ? NULL
                   : "not rolled back";
    case 'x':
        syncline_close(lib);
        return sqlite3_close(db) == SQLITE_OK ? NULL : "library.db is in use";
    default:
        return "what order is that?";
    }
}

/* ---- The tests ---- */

/* The second process captures, the first one's engine sends, and a flush in the second one knows
 * how far that has come. */
Test(api_second_process, captures)
{
    struct helper helper = start(work);
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    tell(&helper, 'c');
    tell(&helper, 'i');
    tell(&helper, 'A');
    tell(&helper, 'r');
    tell(&helper, 'R');
    tell(&helper, 'i');
    tell(&helper, 'f');
    tell(&helper, 'A');
    tell(&helper, 'l');
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='of the second'"), 20);
    struct tag tag = api_tag("of the first");
    tag.id = 1;
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    tell(&helper, 'i');
    tell(&helper, 'x');
    tell(&helper, 'a'); /* AUTO: the engine is taken, so this one captures */
    tell(&helper, 'i');
    tell(&helper, 'd');
    stop(&helper);
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 41);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* With no engine anywhere the rows wait in the outbox; the next engine sends them. */
Test(api_second_process, no_engine_yet)
{
    struct helper helper = start(work);
    struct api_device a;
    struct api_device b;
    api_create(&a, "a");
    tell(&helper, 'c');
    tell(&helper, 'i');
    tell(&helper, 't');
    tell(&helper, 'Q');
    tell(&helper, 'n');
    api_open(&a, NULL);
    tell(&helper, 'D');
    tell(&helper, 'd');
    api_join(&b, "b", a.address);
    api_open(&b, a.address);
    API_WAIT(api_info(&a).members == 1); /* who was not a member yet is not waited for */
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 10);
    api_check_equal(&a, &b);
    tell(&helper, 'x');
    stop(&helper);
    api_close(&a);
    api_close(&b);
}

/* Killed in the middle of a transaction: nothing of it arrives, its ids are free for others, and
 * what was committed before has gone out. */
Test(api_second_process, killed)
{
    struct helper helper = start(work);
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    tell(&helper, 'c');
    tell(&helper, 'i');
    tell(&helper, 'o');
    kill_now(&helper);

    /* The ids and the outbox row that the dead one used, used again. */
    struct tag tag = api_tag("after");
    tag.id = 110;
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    api_settle(&a, &b);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags"), 11);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 11);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='after'"), 1);
    cr_expect_eq(api_info(&a).own_seq, 11);
    cr_expect_eq(api_info(&a).outbox, 0);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}
