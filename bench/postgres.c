/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/postgres.h"

#include <errno.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/device.h"
#include "bench/stop.h"

#define PROGRAMS "/usr/lib/postgresql/*/bin/postgres" /* where Debian has them */
#define SETPRIV "/usr/bin/setpriv"
#define SERVER_USER "postgres"
#define DONE "=done" /* what psql is told to say after each script */
#define START_NS_MAX 60e9
#define START_LOOK_US 50000 /* between two attempts to connect */
#define LOOK_US 200         /* between two runs of a query that is waited for */
#define ARGS_MAX 24u
#define PATH_ROOM 32u /* what is put behind a folder's path */

static enum syncline_status find_programs(struct bench_postgres *postgres,
                                          struct indexer_error *err)
{
    glob_t found = {.gl_pathc = 0};
    bool there = glob(PROGRAMS, 0, NULL, &found) == 0 && found.gl_pathc > 0;
    if (there) { /* the newest */
        (void)snprintf(postgres->bin, sizeof(postgres->bin), "%s",
                       found.gl_pathv[found.gl_pathc - 1]);
        *strrchr(postgres->bin, '/') = '\0';
    }
    globfree(&found);
    if (!there) {
        return indexer_fail(err, SYNCLINE_ENOTFOUND, "no PostgreSQL server is installed (%s)",
                            PROGRAMS);
    }
    if (access(SETPRIV, X_OK) != 0) {
        return indexer_fail(err, SYNCLINE_ENOTFOUND, "there is no %s", SETPRIV);
    }
    return SYNCLINE_OK;
}

/* The cluster's folder, as the server's user's own; others may go through the run's folder. */
static enum syncline_status make_dir(struct bench_postgres *postgres, struct bench_folder *folder,
                                     struct indexer_error *err)
{
    enum syncline_status status = bench_folder_next(folder, postgres->dir, err);
    if (status != SYNCLINE_OK || geteuid() != 0) {
        return status;
    }
    const struct passwd *user = getpwnam(SERVER_USER);
    if (user == NULL) {
        return indexer_fail(err, SYNCLINE_ENOTFOUND, "there is no user %s", SERVER_USER);
    }
    if (chmod(folder->path, 0711) != 0 || chown(postgres->dir, user->pw_uid, user->pw_gid) != 0) {
        return indexer_fail_errno(err, errno, "%s cannot be given to the user %s", postgres->dir,
                                  SERVER_USER);
    }
    return SYNCLINE_OK;
}

/* Starts bin/`program` with the arguments as the server's user, to end with this process. */
static enum syncline_status start_as_server(struct bench_postgres *postgres,
                                            struct bench_child *child, const char *program,
                                            const char *const *arguments, struct indexer_error *err)
{
    static const char *const as_root[] = {"--reuid", SERVER_USER, "--regid", SERVER_USER,
                                          "--init-groups"};
    char path[BENCH_PATH_SIZE + PATH_ROOM];
    char log[BENCH_PATH_SIZE + PATH_ROOM];
    char texts[ARGS_MAX][BENCH_PATH_SIZE + PATH_ROOM];
    char *argv[ARGS_MAX + 1];
    size_t len = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", postgres->bin, program);
    (void)snprintf(log, sizeof(log), "%s/log", postgres->dir);
    const char *const first[] = {SETPRIV, "--pdeathsig", "QUIT"};
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        (void)snprintf(texts[len++], sizeof(texts[0]), "%s", first[i]);
    }
    for (size_t i = 0; geteuid() == 0 && i < sizeof(as_root) / sizeof(as_root[0]); i++) {
        (void)snprintf(texts[len++], sizeof(texts[0]), "%s", as_root[i]);
    }
    (void)snprintf(texts[len++], sizeof(texts[0]), "%s", path);
    for (size_t i = 0; arguments[i] != NULL && len < ARGS_MAX; i++) {
        (void)snprintf(texts[len++], sizeof(texts[0]), "%s", arguments[i]);
    }
    for (size_t i = 0; i < len; i++) {
        argv[i] = texts[i];
    }
    argv[len] = NULL;
    return bench_child_start(child, program, argv, log, err);
}

static enum syncline_status make_cluster(struct bench_postgres *postgres, const char *data,
                                         struct indexer_error *err)
{
    const char *const arguments[] = {"-D", data,         "-U", "bench", "-A", "trust",
                                     "-N", "--locale=C", "-E", "UTF8",  NULL};
    struct bench_child child;
    struct indexer_error ended;
    enum syncline_status status = start_as_server(postgres, &child, "initdb", arguments, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    while (status == SYNCLINE_OK) { /* what it says until it ends */
        status = bench_child_hear(&child, &ended);
    }
    int code = bench_child_stop(&child, 0);
    if (status == SYNCLINE_ECLOSED) {
        return indexer_fail(err, status, "interrupted");
    }
    return code == 0 ? SYNCLINE_OK
                     : indexer_fail(err, SYNCLINE_ENOTFOUND,
                                    "PostgreSQL's initdb does not work in %s (exit code %d)",
                                    postgres->dir, code);
}

static enum syncline_status connect_psql(struct bench_postgres *postgres, struct indexer_error *err)
{
    char path[BENCH_PATH_SIZE + PATH_ROOM];
    char log[BENCH_PATH_SIZE + PATH_ROOM];
    (void)snprintf(path, sizeof(path), "%s/psql", postgres->bin);
    (void)snprintf(log, sizeof(log), "%s/log-psql", postgres->dir);
    char flags[] = "-XqAtw";
    char set[] = "-vON_ERROR_STOP=1";
    char host[] = "-h";
    char user[] = "-Ubench";
    char database[] = "postgres";
    char *argv[] = {path, flags, set, host, postgres->dir, user, database, NULL};
    return bench_child_start(&postgres->psql, "psql", argv, log, err);
}

static enum syncline_status wait_ready(struct bench_postgres *postgres, struct indexer_error *err)
{
    uint64_t start_ns = bench_now_ns();
    for (;;) {
        enum syncline_status status = connect_psql(postgres, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        status = bench_postgres_run(postgres, "SELECT 1;\n", 10, err);
        if (status == SYNCLINE_OK || status == SYNCLINE_ECLOSED ||
            (double)(bench_now_ns() - start_ns) > START_NS_MAX) {
            return status;
        }
        (void)bench_child_stop(&postgres->psql, 0);
        bench_nap_us(START_LOOK_US);
    }
}

enum syncline_status bench_postgres_start(struct bench_postgres *postgres,
                                          struct bench_folder *folder, struct indexer_error *err)
{
    char data[BENCH_PATH_SIZE + PATH_ROOM];
    *postgres = (struct bench_postgres){.psql = {.to = -1, .from = -1}};
    enum syncline_status status = find_programs(postgres, err);
    if (status == SYNCLINE_OK) {
        status = make_dir(postgres, folder, err);
    }
    (void)snprintf(data, sizeof(data), "%s/data", postgres->dir);
    if (status == SYNCLINE_OK) {
        status = make_cluster(postgres, data, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    const char *const arguments[] = {
        "-D", data, "-k", postgres->dir, "-c", "listen_addresses=", "-c", "wal_level=logical",
        NULL};
    status = start_as_server(postgres, &postgres->server, "postgres", arguments, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = wait_ready(postgres, err);
    if (status != SYNCLINE_OK) {
        bench_postgres_stop(postgres);
    }
    return status;
}

void bench_postgres_stop(struct bench_postgres *postgres)
{
    (void)bench_child_stop(&postgres->psql, 0);
    (void)bench_child_stop(&postgres->server, SIGINT); /* fast: it drops its connections */
}

/* The last line of what psql complained about. */
static enum syncline_status fail_psql(const struct bench_postgres *postgres,
                                      struct indexer_error *err)
{
    char path[BENCH_PATH_SIZE + PATH_ROOM];
    char line[BENCH_LINE_SIZE] = "";
    char next[BENCH_LINE_SIZE];
    (void)snprintf(path, sizeof(path), "%s/log-psql", postgres->dir);
    FILE *log = fopen(path, "re");
    while (log != NULL && fgets(next, sizeof(next), log) != NULL) {
        next[strcspn(next, "\n")] = '\0';
        memcpy(line, next, sizeof(line));
    }
    if (log != NULL) {
        (void)fclose(log);
    }
    return indexer_fail(err, SYNCLINE_EDB, "PostgreSQL refused: %s", line);
}

enum syncline_status bench_postgres_run(struct bench_postgres *postgres, const char *text,
                                        size_t len, struct indexer_error *err)
{
    struct bench_child *psql = &postgres->psql;
    static const char mark[] = "\\echo " DONE "\n";
    postgres->answer[0] = '\0';
    enum syncline_status status = bench_child_say(psql, text, len, err);
    if (status == SYNCLINE_OK) {
        status = bench_child_say(psql, mark, sizeof(mark) - 1, err);
    }
    for (;;) {
        status = status == SYNCLINE_OK ? bench_child_hear(psql, err) : status;
        if (status == SYNCLINE_ENET) {
            return fail_psql(postgres, err);
        }
        if (status != SYNCLINE_OK || strcmp(psql->line, DONE) == 0) {
            return status;
        }
        memcpy(postgres->answer, psql->line, sizeof(postgres->answer));
    }
}

enum syncline_status bench_postgres_until(struct bench_postgres *postgres, const char *query,
                                          const char *value, struct indexer_error *err)
{
    uint64_t start_ns = bench_now_ns();
    for (;;) {
        enum syncline_status status = bench_postgres_run(postgres, query, strlen(query), err);
        if (status != SYNCLINE_OK || strcmp(postgres->answer, value) == 0) {
            return status;
        }
        if (bench_stop_asked()) {
            return indexer_fail(err, SYNCLINE_ECLOSED, "interrupted");
        }
        if ((double)(bench_now_ns() - start_ns) > BENCH_DEADLINE_MS * BENCH_NS_PER_MS) {
            return indexer_fail(err, SYNCLINE_TIMEOUT, "PostgreSQL says '%s', not '%s', to %s",
                                postgres->answer, value, query);
        }
        bench_nap_us(LOOK_US);
    }
}
