/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Making, joining, opening and closing a library: what is taken, and what is refused with which
 * status and which line. */

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/integration/api.h"

TestSuite(api_open, .init = api_setup, .fini = api_cleanup);

/* The call, which wrote its text to api_text, fails with that status and says `part`. */
static void check_refused(enum syncline_status got, enum syncline_status wanted, const char *part)
{
    cr_expect_eq(got, wanted, "%s and not %s: %s", syncline_status_name(got),
                 syncline_status_name(wanted), api_text);
    cr_expect_not_null(strstr(api_text, part), "\"%s\" is not in: %s", part, api_text);
    cr_expect_null(strchr(api_text, '\n'), "more than one line: %s", api_text);
}

static void refuse_create(const char *dir, const char *name, const struct syncline_options *options,
                          enum syncline_status wanted, const char *part)
{
    api_text[0] = '\0';
    check_refused(syncline_create(dir, name, options), wanted, part);
}

static void refuse_open(const char *dir, const struct syncline_options *options,
                        enum syncline_status wanted, const char *part)
{
    struct syncline *lib = (struct syncline *)(void *)api_text; /* to see that it stays */
    api_text[0] = '\0';
    check_refused(syncline_open(dir, options, &lib), wanted, part);
    cr_expect_eq((void *)lib, (void *)api_text, "a failed call has written its result");
}

static size_t count_files(const char *dir)
{
    size_t count = 0;
    DIR *open_dir = opendir(dir);
    cr_assert_not_null(open_dir);
    for (struct dirent *entry = readdir(open_dir); entry != NULL; entry = readdir(open_dir)) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    (void)closedir(open_dir);
    return count;
}

/* A socket bound to a free port of 127.0.0.1, whose address is given. */
static int take_port(char address[64], bool listens)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    cr_assert_eq(listens ? listen(fd, 1) : 0, 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&in, &size), 0);
    (void)snprintf(address, 64, "127.0.0.1:%d", ntohs(in.sin_port));
    return fd;
}

/* A library is made, opened, described and closed; a directory that is there and empty, and a
 * library.db in WAL mode with the application's tables, are taken as they are. */
Test(api_open, life)
{
    struct api_device a;
    api_create(&a, "a");
    api_open(&a, NULL);
    struct syncline_info info = api_info(&a);
    cr_expect_str_eq(info.library_name, "the library");
    cr_expect_str_eq(info.device_name, "a");
    cr_expect(info.runs_engine);
    cr_expect_eq(strncmp(info.listen, "127.0.0.1:", 10), 0, "%s", info.listen);
    cr_expect_eq(info.members, 0);
    api_close(&a);

    cr_assert_eq(mkdir(api_path("b"), 0700), 0);
    api_sql_at(api_path("b/library.db"), "PRAGMA journal_mode=WAL");
    api_sql_at(api_path("b/library.db"), api_schema);
    api_create(&a, "b");
    api_open_alone(&a);
    info = api_info(&a);
    cr_expect_str_eq(info.listen, "");
    api_close(&a);
    syncline_close(NULL);
}

/* Names and texts of statuses, those of no status too. */
Test(api_open, statuses)
{
#define X(name, value, text)                                                                       \
    cr_expect_str_eq(syncline_status_name(SYNCLINE_##name), "SYNCLINE_" #name);                    \
    cr_expect_str_eq(syncline_status_text(SYNCLINE_##name), text);                                 \
    cr_expect_eq(SYNCLINE_##name, value);
    SYNCLINE_STATUS_MAP(X)
#undef X
    cr_expect_not_null(syncline_status_name((enum syncline_status)999));
    cr_expect_not_null(syncline_status_text((enum syncline_status)999));
    cr_expect_str_eq(syncline_version(), SYNCLINE_VERSION);
}

/* Directories that are no place for a library. */
Test(api_open, directories)
{
    struct syncline_options options = api_options();
    char longer[5000];
    memset(longer, 'x', sizeof(longer));
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    api_write_file(api_path("file"), "text", 4);
    cr_assert_eq(mkdir(api_path("empty"), 0700), 0);

    refuse_create(NULL, "name", &options, SYNCLINE_EINVAL, "directory");
    refuse_create("", "name", &options, SYNCLINE_EINVAL, "directory");
    refuse_create(longer, "name", &options, SYNCLINE_ETOOBIG, "longer");
    refuse_create(api_path("file"), "name", &options, SYNCLINE_EIO, api_path("file"));
    refuse_create(api_path("no/where"), "name", &options, SYNCLINE_EIO, api_path("no/where"));
    refuse_open(NULL, &options, SYNCLINE_EINVAL, "directory");
    refuse_open(longer, &options, SYNCLINE_ETOOBIG, "longer");
    refuse_open(api_path("file"), &options, SYNCLINE_EFORMAT, api_path("file"));
    refuse_open(api_path("nowhere"), &options, SYNCLINE_ENOTFOUND, api_path("nowhere"));
    refuse_open(api_path("empty"), &options, SYNCLINE_ENOTFOUND, "sync.db");
    cr_expect_eq(count_files(api_path("empty")), 0);
    cr_expect_not(api_exists(api_path("nowhere")));

    check_refused(syncline_open(api_path("empty"), &options, NULL), SYNCLINE_EINVAL, "out");
}

/* A library is made once, and never over another one's files. */
Test(api_open, existing)
{
    struct api_device a;
    struct syncline_options options = api_options();
    api_create(&a, "a");
    refuse_create(a.dir, "again", &options, SYNCLINE_EEXIST, a.dir);
    api_text[0] = '\0';
    check_refused(syncline_join(a.dir, "127.0.0.1:1", &options), SYNCLINE_EEXIST, a.dir);
    api_open_alone(&a); /* unharmed */
    api_close(&a);

    /* Its library.db alone, somewhere else. */
    cr_assert_eq(mkdir(api_path("b"), 0700), 0);
    api_copy_file(a.db_path, api_path("b/library.db"));
    refuse_create(api_path("b"), "again", &options, SYNCLINE_EEXIST, "library.db");
    cr_expect(api_exists(api_path("b/library.db")));
    cr_expect_not(api_exists(api_path("b/sync.db")));
    cr_expect_not(api_exists(api_path("b/device.key")));
}

/* Names that nobody could be told are refused before anything is made. */
Test(api_open, names)
{
    struct syncline_options options = api_options();
    char name[140];
    memset(name, 'n', sizeof(name));
    name[128] = '\0';
    refuse_create(api_path("a"), NULL, &options, SYNCLINE_EINVAL, "name");
    refuse_create(api_path("a"), "", &options, SYNCLINE_EINVAL, "name");
    refuse_create(api_path("a"), "\xff", &options, SYNCLINE_EINVAL, "name of the library");
    refuse_create(api_path("a"), "\xed\xa0\x80", &options, SYNCLINE_EINVAL, "UTF-8");
    refuse_create(api_path("a"), name, &options, SYNCLINE_ETOOBIG, "128");
    options.device_name = "caf\xe9";
    refuse_create(api_path("a"), "name", &options, SYNCLINE_EINVAL, "name of the device");
    check_refused(syncline_join(api_path("a"), "127.0.0.1:1", &options), SYNCLINE_EINVAL,
                  "name of the device");
    options.device_name = name;
    refuse_create(api_path("a"), "name", &options, SYNCLINE_ETOOBIG, "name of the device");
    check_refused(syncline_join(api_path("a"), "127.0.0.1:1", &options), SYNCLINE_ETOOBIG,
                  "name of the device");
    cr_expect_not(api_exists(api_path("a")));

    /* The longest there may be, and what is not ASCII, are taken and told. */
    struct api_device a;
    struct api_device b;
    name[127] = '\0';
    options.device_name = "caf\xc3\xa9";
    cr_assert_eq(syncline_create(api_path("a"), name, &options), SYNCLINE_OK, "%s", api_text);
    api_name(&a, "a");
    api_db(&a);
    api_open(&a, NULL);
    api_name(&b, "b");
    options.device_name = NULL; /* the host's */
    cr_assert_eq(syncline_join(b.dir, a.address, &options), SYNCLINE_OK, "%s", api_text);
    api_db(&b);
    api_open(&b, a.address);
    cr_expect_str_eq(api_info(&b).library_name, name);
    cr_expect_gt(strlen(api_info(&b).device_name), 0);
    struct syncline_member member = SYNCLINE_MEMBER_INIT;
    API_OK(b.lib, syncline_member_get(b.lib, 0, &member));
    cr_expect_str_eq(member.name, "caf\xc3\xa9");
    api_close(&b);
    api_close(&a);
}

/* Options from another version, and values that do not exist. */
Test(api_open, options)
{
    struct api_device a;
    struct syncline_options options = api_options();
    api_create(&a, "a");
    struct syncline *lib = NULL;
    options.size = 8;
    cr_expect_eq(syncline_open(a.dir, &options, &lib), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_create(api_path("b"), "name", &options), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_join(api_path("b"), "127.0.0.1:1", &options), SYNCLINE_EINVAL);
    cr_expect_not(api_exists(api_path("b")));

    options = api_options();
    options.role = (enum syncline_role)3;
    refuse_open(a.dir, &options, SYNCLINE_EINVAL, "role 3");
    options = api_options();
    options.memory_budget = 4 * 1024 * 1024 - 1;
    refuse_open(a.dir, &options, SYNCLINE_EINVAL,
                "memory_budget cannot be \"4194303\": it takes 4MiB");
    options = api_options();
    options.threads = (enum syncline_threads)4;
    refuse_open(a.dir, &options, SYNCLINE_EINVAL, "threads cannot be \"4\"");
    options = api_options();
    options.batch_size = 70000;
    refuse_open(a.dir, &options, SYNCLINE_EINVAL, "70000");
    options = api_options();
    options.models = NULL;
    refuse_open(a.dir, &options, SYNCLINE_EMODEL, "models");
    options = api_options();
    options.peers_count = 1;
    refuse_open(a.dir, &options, SYNCLINE_EINVAL, "peer 0");

    /* Without a place for the text, or with a small one; without any options. */
    options = api_options();
    options.error = NULL;
    cr_expect_eq(syncline_open(api_path("nowhere"), &options, &lib), SYNCLINE_ENOTFOUND);
    options.error = api_text;
    options.error_size = 4;
    cr_expect_eq(syncline_open(api_path("nowhere"), &options, &lib), SYNCLINE_ENOTFOUND);
    cr_expect_eq(strlen(api_text), 3);
    cr_expect_eq(syncline_open(api_path("nowhere"), NULL, &lib), SYNCLINE_ENOTFOUND);

    /* A program of an older version, whose options end after the models: they are all it has. */
    options = api_options();
    options.size = offsetof(struct syncline_options, role);
    options.role = (enum syncline_role)77;
    cr_expect_eq(syncline_open(a.dir, &options, &lib), SYNCLINE_OK);
    syncline_close(lib);
    /* And without models nothing syncs, which is allowed. */
    cr_expect_eq(syncline_open(a.dir, NULL, &lib), SYNCLINE_OK);
    syncline_close(lib);
    api_close(&a);
}

/* Files that are missing or are something else; but for sync.db, which the engine makes anew. */
Test(api_open, not_its_files)
{
    static const char text[] = "this is a text of more than a hundred bytes, so that nobody takes "
                               "it for an empty file who reads only its header: it is none";
    static const char *const files[] = {"library.db", "sync.db", "device.key"};
    struct syncline_options options = api_options();
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct api_device a;
        char path[2 * API_PATH_SIZE];
        char name[16];
        bool is_log = strcmp(files[i], "sync.db") == 0;
        (void)snprintf(name, sizeof(name), "a%zu", i);
        api_create(&a, name);
        cr_assert_eq(sqlite3_close(a.db), SQLITE_OK);
        (void)snprintf(path, sizeof(path), "%s/%s", a.dir, files[i]);
        api_write_file(path, text, sizeof(text));
        options.role = SYNCLINE_ROLE_CAPTURE;
        refuse_open(a.dir, &options, SYNCLINE_EFORMAT, files[i]);
        options.role = SYNCLINE_ROLE_AUTO;
        if (!is_log) {
            refuse_open(a.dir, &options, SYNCLINE_EFORMAT, files[i]);
        }
        cr_assert_eq(unlink(path), 0);
        options.role = is_log ? SYNCLINE_ROLE_CAPTURE : SYNCLINE_ROLE_AUTO;
        refuse_open(a.dir, &options, SYNCLINE_ENOTFOUND, is_log ? "sync.db" : files[i]);
        options.role = SYNCLINE_ROLE_AUTO;
        cr_expect_not(api_exists(path), "%s was made", path);
        api_write_file(path, "", 0);
        api_text[0] = '\0';
        struct syncline *lib = NULL;
        cr_expect_neq(syncline_open(a.dir, &options, &lib), SYNCLINE_OK);
        cr_expect_not_null(strstr(api_text, files[i]), "%s", api_text);
    }
}

static void note_epoch(void *ctx, const struct syncline_event_entry *entry)
{
    if (entry->code == SYNCLINE_CODE_NEW_EPOCH) {
        (void)snprintf(ctx, 128, "%s", entry->text);
    }
}

/* A sync.db that is missing, is no database, or is damaged, is made anew, in a new epoch; the
 * damaged one is kept. Both devices have everything then, and go on. */
Test(api_open, log_made_anew)
{
    static const char text[] = "this is a text of more than a hundred bytes, so that nobody takes "
                               "it for an empty file who reads only its header: it is none";
    struct api_device a;
    struct api_device b;
    char path[2 * API_PATH_SIZE];
    char away[2 * API_PATH_SIZE];
    api_pair(&a, &b);
    (void)snprintf(path, sizeof(path), "%s/sync.db", b.dir);
    (void)snprintf(away, sizeof(away), "%s/sync.db.damaged", b.dir);
    api_save_tags(&a, 10, 5);
    api_save_tags(&b, 10, 5);
    for (int i = 0; i < 3; i++) {
        char told[128] = "";
        api_settle(&a, &b);
        api_stop(&b);
        cr_assert_eq(unlink(path), 0);
        if (i == 1) {
            api_write_file(path, text, sizeof(text));
        } else if (i == 2) { /* a header, and then nothing that it promises */
            char page[4096] = "SQLite format 3";
            page[16] = 0x10;
            page[18] = page[19] = 1;
            page[20] = 0;
            page[21] = 64;
            page[22] = page[23] = 32;
            page[100] = 0x77;
            api_write_file(path, page, sizeof(page));
        }
        api_open(&b, a.address);
        cr_expect_eq(api_exists(away), i > 0);
        api_save_tags(&b, 1, 1);
        API_WAIT(api_int(a.db, "SELECT count(*) FROM tags") == 21 + i);
        API_WAIT(
            (syncline_events_read(b.lib, 0, note_epoch, told) == SYNCLINE_OK && told[0] != '\0'));
        cr_expect_not_null(strstr(told, i == 0 ? "there was no sync.db" : "sync.db was damaged"),
                           "%s", told);
        (void)unlink(away);
    }
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

static void copy_folder(const char *from, const char *to)
{
    char command[8 * API_PATH_SIZE];
    (void)snprintf(command, sizeof(command), "rm -rf '%s' && cp -a '%s' '%s'", to, from, to);
    cr_assert_eq(system(command), 0);
}

/* While nothing of the device is open. */
static void copy_closed(struct api_device *device, const char *from, const char *to)
{
    char path[2 * API_PATH_SIZE];
    api_close(device);
    copy_folder(from, to);
    (void)snprintf(path, sizeof(path), "%s/library.db", device->dir);
    device->db = api_db_open(path);
}

/* The library's folder is put back from a copy, with all that is in it: what was written since
 * comes back from the other device, and both go on. */
Test(api_open, put_back_from_a_copy)
{
    struct api_device a;
    struct api_device b;
    char copy[API_PATH_SIZE + 8];
    char told[128] = "";
    api_pair(&a, &b);
    (void)snprintf(copy, sizeof(copy), "%s.copy", b.dir);
    api_save_tags(&b, 10, 5);
    api_settle(&a, &b);
    copy_closed(&b, b.dir, copy);
    api_open(&b, a.address);
    api_save_tags(&b, 10, 5);
    api_settle(&a, &b);
    copy_closed(&b, copy, b.dir);
    api_open(&b, a.address);
    cr_assert_eq(syncline_events_read(b.lib, 0, note_epoch, told), SYNCLINE_OK);
    api_save_tags(&b, 1, 1);
    API_WAIT(api_int(a.db, "SELECT count(*) FROM tags") == 21);
    API_WAIT(api_int(b.db, "SELECT count(*) FROM tags") == 21);
    API_WAIT((syncline_events_read(b.lib, 0, note_epoch, told) == SYNCLINE_OK && told[0] != '\0'));
    cr_expect_not_null(strstr(told, "was put back from an older copy"), "%s", told);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* A copy beside its original is refused, by name; once that has been moved away it goes on. */
Test(api_open, copy_beside_its_original)
{
    struct api_device a;
    char copy[API_PATH_SIZE + 8];
    char away[API_PATH_SIZE + 8];
    char key[API_PATH_SIZE + 32];
    char key_away[API_PATH_SIZE + 32];
    struct syncline *lib = NULL;
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_ENGINE;
    api_create(&a, "a");
    (void)snprintf(copy, sizeof(copy), "%s.copy", a.dir);
    (void)snprintf(away, sizeof(away), "%s.away", a.dir);
    (void)snprintf(key, sizeof(key), "%s/device.key", copy);
    (void)snprintf(key_away, sizeof(key_away), "%s/device.key", away);
    api_open_alone(&a);
    api_save_tags(&a, 10, 5);
    api_close(&a);
    copy_folder(a.dir, copy);
    cr_assert_eq(syncline_open(copy, &options, &lib), SYNCLINE_ECLONED);
    cr_expect_not_null(strstr(api_text, a.dir), "%s", api_text);
    cr_assert_eq(rename(a.dir, away), 0);
    cr_assert_eq(syncline_open(copy, &options, &lib), SYNCLINE_OK, "%s", api_text);
    syncline_close(lib);
    cr_assert_eq(syncline_open(away, &options, &lib), SYNCLINE_ECLONED);
    api_write_file(key, "another", 7); /* no device's, so not this one's */
    cr_assert_eq(syncline_open(away, &options, &lib), SYNCLINE_OK, "%s", api_text);
    syncline_close(lib);
    cr_assert_eq(unlink(key), 0);
    api_copy_file(key_away, key);
    cr_assert_eq(chmod(key, 0600), 0);
    cr_assert_eq(syncline_open(copy, &options, &lib), SYNCLINE_ECLONED);
    cr_assert_eq(syncline_remove(copy, NULL), SYNCLINE_OK);
    cr_assert_eq(syncline_open(away, &options, &lib), SYNCLINE_OK, "%s", api_text);
    syncline_close(lib);
}

/* A key that is damaged, of another device, or open to others. */
Test(api_open, device_key)
{
    struct syncline_options options = api_options();
    struct api_device a;
    struct api_device b;
    char key_a[2 * API_PATH_SIZE];
    char key_b[2 * API_PATH_SIZE];
    api_create(&a, "a");
    api_create(&b, "b");
    (void)snprintf(key_a, sizeof(key_a), "%s/device.key", a.dir);
    (void)snprintf(key_b, sizeof(key_b), "%s/device.key", b.dir);
    cr_assert_eq(chmod(key_a, 0644), 0);
    refuse_open(a.dir, &options, SYNCLINE_EREFUSED, "chmod 600");
    cr_assert_eq(chmod(key_a, 0600), 0);

    FILE *file = fopen(key_a, "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, 20, SEEK_SET), 0);
    int byte = fgetc(file);
    cr_assert_eq(fseek(file, 20, SEEK_SET), 0);
    cr_assert_neq(fputc(byte ^ 1, file), EOF);
    cr_assert_eq(fclose(file), 0);
    refuse_open(a.dir, &options, SYNCLINE_EFORMAT, "device.key is damaged");

    api_copy_file(key_b, key_a);
    refuse_open(a.dir, &options, SYNCLINE_ECORRUPT, "device.key and sync.db");
    cr_assert_eq(sqlite3_close(a.db), SQLITE_OK);
    cr_assert_eq(sqlite3_close(b.db), SQLITE_OK);
}

/* library.db must be in WAL mode: at create, where one is there, and at open. */
Test(api_open, not_wal)
{
    struct syncline_options options = api_options();
    struct api_device a;
    api_create(&a, "a");
    api_sql(a.db, "PRAGMA journal_mode=DELETE");
    refuse_open(a.dir, &options, SYNCLINE_EFORMAT, "PRAGMA journal_mode=WAL");
    api_sql(a.db, "PRAGMA journal_mode=WAL");
    api_open_alone(&a);
    api_close(&a);

    cr_assert_eq(mkdir(api_path("b"), 0700), 0);
    api_sql_at(api_path("b/library.db"), "CREATE TABLE mine(id INTEGER PRIMARY KEY)");
    refuse_create(api_path("b"), "name", &options, SYNCLINE_EFORMAT, "WAL");
    cr_expect_eq(count_files(api_path("b")), 1);
    cr_assert_eq(mkdir(api_path("c"), 0700), 0);
    api_write_file(api_path("c/library.db"), api_schema, sizeof(api_schema));
    refuse_create(api_path("c"), "name", &options, SYNCLINE_EFORMAT, "library.db");
    cr_expect_eq(count_files(api_path("c")), 1);
}

/* Files of a newer version are named with both formats, and not touched. */
Test(api_open, newer_format)
{
    static const struct {
        const char *file;
        const char *sql;
    } table[] = {
        {"sync.db", "UPDATE meta SET value=99 WHERE key='format'"},
        {"library.db", "UPDATE _syncline_meta SET value=99 WHERE key='format'"},
    };
    struct syncline_options options = api_options();
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct api_device a;
        char path[2 * API_PATH_SIZE];
        api_create(&a, i == 0 ? "a" : "b");
        (void)snprintf(path, sizeof(path), "%s/%s", a.dir, table[i].file);
        api_sql_at(path, table[i].sql);
        for (int role = SYNCLINE_ROLE_AUTO; role <= SYNCLINE_ROLE_CAPTURE; role++) {
            options.role = (enum syncline_role)role;
            refuse_open(a.dir, &options, SYNCLINE_EFORMAT, table[i].file);
            refuse_open(a.dir, &options, SYNCLINE_EFORMAT, "99");
        }
        cr_assert_eq(sqlite3_close(a.db), SQLITE_OK);
    }
}

/* Models that contradict themselves, each other or the tables: model and field are named. */
Test(api_open, models)
{
    struct odd {
        int64_t id;
        struct syncline_uuid uuid;
        const char *name;
        int64_t color;
        int64_t nowhere;
        int64_t tag_id;
        struct syncline_uuid tag_uuid;
    };
    static const struct syncline_field no_column[] = {SYNCLINE_ID(struct odd, id),
                                                      SYNCLINE_UUID(struct odd, uuid),
                                                      SYNCLINE_INT64(struct odd, nowhere)};
    static const struct syncline_field no_uuid[] = {SYNCLINE_ID(struct odd, id),
                                                    SYNCLINE_TEXT(struct odd, name)};
    static const struct syncline_field twice[] = {
        SYNCLINE_ID(struct odd, id), SYNCLINE_UUID(struct odd, uuid),
        SYNCLINE_TEXT(struct odd, name), SYNCLINE_TEXT(struct odd, name)};
    static const struct syncline_field no_parent[] = {SYNCLINE_ID(struct odd, id),
                                                      SYNCLINE_UUID(struct odd, uuid),
                                                      SYNCLINE_KEY(struct odd, color, "album")};
    static const struct syncline_field wrong_type[] = {SYNCLINE_ID(struct odd, id),
                                                       SYNCLINE_UUID(struct odd, uuid),
                                                       SYNCLINE_INT64(struct odd, color)};
    static const struct syncline_field one_name[] = {
        SYNCLINE_ID(struct odd, id), SYNCLINE_UUID(struct odd, uuid),
        SYNCLINE_KEY(struct odd, tag_id, "odd"), SYNCLINE_UUID_KEY(struct odd, tag_uuid, "odd")};
    static const struct syncline_field good[] = {SYNCLINE_ID(struct odd, id),
                                                 SYNCLINE_UUID(struct odd, uuid)};
    static const struct {
        struct syncline_model model;
        const char *names[2];
    } table[] = {
        {SYNCLINE_MODEL("odd", "tags", SYNCLINE_SHARED, struct odd, no_column), {"odd", "nowhere"}},
        {SYNCLINE_MODEL("odd", "tags", SYNCLINE_SHARED, struct odd, no_uuid), {"odd", "_UUID"}},
        {SYNCLINE_MODEL("odd", "tags", SYNCLINE_SHARED, struct odd, twice), {"odd", "name"}},
        {SYNCLINE_MODEL("odd", "tags", SYNCLINE_SHARED, struct odd, no_parent), {"odd", "album"}},
        {SYNCLINE_MODEL("odd", "texts", SYNCLINE_SHARED, struct odd, wrong_type), {"odd", "color"}},
        {SYNCLINE_MODEL("odd", "missing", SYNCLINE_SHARED, struct odd, good), {"odd", "missing"}},
        {SYNCLINE_MODEL("odd", "strict", SYNCLINE_SHARED, struct odd, good), {"odd", "needed"}},
        {SYNCLINE_MODEL("odd", "twins", SYNCLINE_SHARED, struct odd, good), {"odd", "uuid"}},
        {SYNCLINE_MODEL("odd", "keyed", SYNCLINE_SHARED, struct odd, wrong_type), {"odd", "color"}},
        {SYNCLINE_MODEL("odd", "tags", SYNCLINE_SHARED, struct odd, one_name),
         {"tag_uuid", "tag_id"}},
        {SYNCLINE_MODEL("", "tags", SYNCLINE_SHARED, struct odd, good), {"model 0", "name"}},
        {SYNCLINE_MODEL("odd", "tags", 7, struct odd, good), {"odd", "ownership 7"}},
    };
    struct api_device a;
    api_create(&a, "a");
    api_sql(a.db,
            "CREATE TABLE texts(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, color TEXT);"
            "CREATE TABLE twins(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL);"
            "CREATE TABLE keyed(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
            " color INTEGER REFERENCES tags(id));"
            "CREATE TABLE strict(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
            " needed TEXT NOT NULL)");
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct syncline_model *only = &table[i].model;
        struct syncline_options options = api_options();
        options.models = &only;
        options.models_count = 1;
        refuse_open(a.dir, &options, SYNCLINE_EMODEL, table[i].names[0]);
        refuse_open(a.dir, &options, SYNCLINE_EMODEL, table[i].names[1]);
    }
    const struct syncline_model *same[] = {&tag_model, &tag_model};
    struct syncline_options options = api_options();
    options.models = same;
    options.models_count = 2;
    refuse_open(a.dir, &options, SYNCLINE_EMODEL, "tags");
    api_open_alone(&a); /* unharmed */
    api_close(&a);
}

/* One engine per library: a second one is told the pid, AUTO captures instead, and takes over once
 * the first has gone. */
Test(api_open, roles)
{
    struct api_device a;
    struct api_device second;
    char pid[32];
    (void)snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    api_create(&a, "a");
    api_open(&a, NULL);
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_ENGINE;
    refuse_open(a.dir, &options, SYNCLINE_EBUSY, pid);
    refuse_open(a.dir, &options, SYNCLINE_EBUSY,
                "with SYNCLINE_ROLE_AUTO or SYNCLINE_ROLE_CAPTURE");

    second = a;
    options.role = SYNCLINE_ROLE_AUTO;
    cr_assert_eq(syncline_open(a.dir, &options, &second.lib), SYNCLINE_OK, "%s", api_text);
    cr_expect_not(api_info(&second).runs_engine);
    syncline_close(second.lib);
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &second.lib), SYNCLINE_OK, "%s", api_text);
    cr_expect_not(api_info(&second).runs_engine);
    syncline_close(second.lib);

    api_stop(&a);
    options.role = SYNCLINE_ROLE_AUTO;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    cr_expect(api_info(&a).runs_engine);
    api_close(&a);
}

/* Nobody is authenticated yet: no network without insecure_loopback, and none beyond loopback. */
Test(api_open, network_refused)
{
    static const struct {
        const char *address;
        enum syncline_status status;
    } table[] = {
        {"0.0.0.0:4400", SYNCLINE_EREFUSED},        {"192.0.2.1:4400", SYNCLINE_EREFUSED},
        {"[::]:4400", SYNCLINE_EREFUSED},           {"[2001:db8::1]:1", SYNCLINE_EREFUSED},
        {"128.0.0.1:4400", SYNCLINE_EREFUSED},      {"nonsense", SYNCLINE_EINVAL},
        {"127.0.0.1:65536", SYNCLINE_EINVAL},       {"127.0.0.1", SYNCLINE_EINVAL},
        {"example.com:4400", SYNCLINE_EINVAL},      {"", SYNCLINE_EINVAL},
        {"[::ffff:10.0.0.1]:1", SYNCLINE_EREFUSED},
    };
    struct api_device a;
    api_create(&a, "a");
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *address = table[i].address;
        struct syncline_options options = api_options();
        options.listen = address;
        if (address[0] != '\0') { /* which is nowhere */
            refuse_open(a.dir, &options, table[i].status, address);
        }
        options.listen = "127.0.0.1:0";
        options.peers = &address;
        options.peers_count = 1;
        refuse_open(a.dir, &options, table[i].status, address);
        api_text[0] = '\0';
        check_refused(syncline_join(api_path("b"), address, &options), table[i].status, address);
    }
    const char *good = "127.0.0.1:4400";
    struct syncline_options options = api_options();
    options.insecure_loopback = false;
    options.listen = good;
    refuse_open(a.dir, &options, SYNCLINE_EREFUSED, "insecure_loopback");
    options.listen = NULL;
    options.peers = &good;
    options.peers_count = 1;
    refuse_open(a.dir, &options, SYNCLINE_EREFUSED, "insecure_loopback");
    check_refused(syncline_join(api_path("b"), good, &options), SYNCLINE_EREFUSED,
                  "insecure_loopback");
    check_refused(syncline_join(api_path("b"), NULL, &options), SYNCLINE_EINVAL, "address");
    cr_expect_not(api_exists(api_path("b")));
    api_open_alone(&a);
    api_close(&a);
}

/* A port that somebody else listens on, and one where nobody does. */
Test(api_open, ports)
{
    struct api_device a;
    char address[64];
    struct syncline_options options = api_options();
    api_create(&a, "a");
    int fd = take_port(address, true);
    options.listen = address;
    refuse_open(a.dir, &options, SYNCLINE_ENET, address);
    api_open(&a, NULL); /* the failure has let go of everything */
    api_close(&a);
    (void)close(fd);

    fd = take_port(address, false);
    api_text[0] = '\0';
    check_refused(syncline_join(api_path("b"), address, &options), SYNCLINE_ENET, address);
    cr_expect_not(api_exists(api_path("b")), "a failed join has left something behind");
    cr_assert_eq(mkdir(api_path("b"), 0700), 0);
    check_refused(syncline_join(api_path("b"), address, &options), SYNCLINE_ENET, address);
    cr_expect(api_exists(api_path("b")));
    cr_expect_eq(count_files(api_path("b")), 0);
    (void)close(fd);
}

/* A create that fails in the middle takes away what it made, and only that. */
Test(api_open, failed_create_leaves_nothing)
{
    struct syncline_options options = api_options();
    cr_assert_eq(mkdir(api_path("a"), 0700), 0);
    cr_assert_eq(mkdir(api_path("a/library.db"), 0700), 0);
    refuse_create(api_path("a"), "name", &options, SYNCLINE_EIO, "library.db");
    cr_expect_eq(count_files(api_path("a")), 1);

    /* The application's database is there, and sync.db cannot be made. */
    cr_assert_eq(mkdir(api_path("b"), 0700), 0);
    api_sql_at(api_path("b/library.db"), "PRAGMA journal_mode=WAL");
    api_sql_at(api_path("b/library.db"), api_schema);
    cr_assert_eq(mkdir(api_path("b/sync.db-wal"), 0700), 0);
    struct syncline *lib = NULL;
    cr_expect_neq(syncline_create(api_path("b"), "name", &options), SYNCLINE_OK);
    cr_expect_not_null(strstr(api_text, "sync.db"), "%s", api_text);
    cr_expect_eq(count_files(api_path("b")), 2);
    cr_assert_eq(rmdir(api_path("b/sync.db-wal")), 0);
    sqlite3 *db = api_db_open(api_path("b/library.db"));
    cr_expect_eq(
        api_int(db,
                "SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_syncline%' ESCAPE '\\'"),
        0);
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    cr_assert_eq(syncline_create(api_path("b"), "name", &options), SYNCLINE_OK, "%s", api_text);
    cr_assert_eq(syncline_open(api_path("b"), &options, &lib), SYNCLINE_OK, "%s", api_text);
    syncline_close(lib);
}

/* ---- Files of different times ---- */

static void copy_of(const struct api_device *device, const char *file, const char *suffix,
                    bool back)
{
    char path[2 * API_PATH_SIZE];
    char copy[2 * API_PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/%s", device->dir, file);
    (void)snprintf(copy, sizeof(copy), "%s/%s.%s", device->dir, file, suffix);
    api_copy_file(back ? copy : path, back ? path : copy);
}

/* Adds tags and closes everything, so that each database is one file, at rest. */
static void add_tags(struct api_device *a, int n)
{
    api_open_alone(a);
    for (int i = 0; i < n; i++) {
        struct tag tag = api_tag("tag");
        api_save_tag(a, &tag, SYNCLINE_INSERT);
    }
    API_OK(a->lib, syncline_flush(a->lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    API_WAIT(
        api_int(a->db, "SELECT applied_seq FROM _syncline_origin ORDER BY epoch DESC LIMIT 1") ==
        (int64_t)api_info(a).own_seq);
    api_close(a);
}

/* Nothing is known any more of how far a log had come, as where the home directory is another one.
 */
static void forget_marks(void)
{
    char command[API_PATH_SIZE + 64];
    (void)snprintf(command, sizeof(command), "rm -r '%s'", api_path("syncline"));
    cr_assert_eq(system(command), 0);
}

/* An older library.db put back gets from the log what it lacks; with an older sync.db a new epoch
 * begins, and the right pair put back is as it was. */
Test(api_open, restored)
{
    struct api_device a;
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_ENGINE;
    api_create(&a, "a");
    add_tags(&a, 3);
    copy_of(&a, "library.db", "old", false);
    copy_of(&a, "sync.db", "old", false);
    api_db(&a);
    add_tags(&a, 4);
    copy_of(&a, "library.db", "new", false);
    copy_of(&a, "sync.db", "new", false);

    copy_of(&a, "library.db", "old", true);
    api_db(&a);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags"), 3);
    add_tags(&a, 1);
    api_db(&a);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags"), 8);
    cr_assert_eq(sqlite3_close(a.db), SQLITE_OK);
    copy_of(&a, "library.db", "new", true);
    copy_of(&a, "sync.db", "old", true);
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    cr_expect_eq(api_info(&a).own_seq, 0, "a new epoch: tests/integration/epoch_test.c");
    syncline_close(a.lib);
    a.lib = NULL;
    copy_of(&a, "library.db", "new", true);
    copy_of(&a, "sync.db", "new", true);
    forget_marks();
    /* The same row by its number, but of another capture: it is not the one that is drained. */
    api_sql_at(a.db_path, "UPDATE _syncline_outbox SET token=token+2");
    api_db(&a);
    add_tags(&a, 1);
    api_db(&a);
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags"), 8);
    cr_assert_eq(sqlite3_close(a.db), SQLITE_OK);

    /* Both of one time are a pair: a library that nobody has seen since. */
    copy_of(&a, "library.db", "old", true);
    copy_of(&a, "sync.db", "old", true);
    forget_marks();
    api_db(&a);
    add_tags(&a, 1);
}

static bool flush_says(struct api_device *device, const char *part)
{
    cr_assert_eq(syncline_flush(device->lib, SYNCLINE_LEVEL_APPLIED, 10, NULL), SYNCLINE_TIMEOUT);
    return strstr(api_error(device->lib), part) != NULL;
}

/* Both files put back from an older time, without a mark to tell it by, while another device has
 * what was sent since: neither takes anything from the other's log, and both say why. */
Test(api_open, restored_pair)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct tag tag = api_tag("before");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    api_settle(&a, &b);
    api_close(&a);
    copy_of(&a, "library.db", "old", false);
    copy_of(&a, "sync.db", "old", false);
    api_db(&a);
    api_open(&a, NULL);
    for (int i = 0; i < 3; i++) {
        tag = api_tag("lost");
        api_save_tag(&a, &tag, SYNCLINE_INSERT);
    }
    api_settle(&a, &b);
    api_close(&a);

    copy_of(&a, "library.db", "old", true);
    copy_of(&a, "sync.db", "old", true);
    forget_marks();
    api_db(&a);
    api_open(&a, NULL);
    tag = api_tag("after");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    API_WAIT(flush_says(&a, "was restored"));
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 4);
    cr_expect_not(api_has(b.db, "tags", &tag.uuid));
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM tags"), 2);
    api_close(&a);
    api_close(&b);
}

/* The files of two libraries mixed up. */
Test(api_open, wrong_pair)
{
    struct api_device a;
    struct api_device b;
    struct syncline_options options = api_options();
    api_create(&a, "a");
    api_create(&b, "b");
    cr_assert_eq(sqlite3_close(a.db), SQLITE_OK);
    cr_assert_eq(sqlite3_close(b.db), SQLITE_OK);
    api_copy_file(b.db_path, a.db_path);
    refuse_open(a.dir, &options, SYNCLINE_ECORRUPT, "library.db and sync.db");
}

/* A handle that is NULL, and results that have no place to go. */
Test(api_open, null_arguments)
{
    struct api_device a;
    struct syncline_info info = SYNCLINE_INFO_INIT;
    struct tag tag = api_tag("tag");
    char text[16];
    uint64_t count = 0;
    uint8_t hash[32];
    cr_expect_eq(syncline_info(NULL, &info), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_flush(NULL, SYNCLINE_LEVEL_DURABLE, 0, NULL), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_sync_model(NULL, &tag_model, &tag, SYNCLINE_INSERT), SYNCLINE_EINVAL);
    syncline_error(NULL, text, sizeof(text));
    cr_expect_gt(strlen(text), 0);

    api_create(&a, "a");
    api_open_alone(&a);
    syncline_error(a.lib, text, sizeof(text));
    cr_expect_str_eq(text, "", "nothing has failed");
    syncline_error(a.lib, NULL, 0);
    API_REFUSED(a.lib, syncline_info(a.lib, NULL), SYNCLINE_EINVAL, "_INIT");
    info.size = 3;
    API_REFUSED(a.lib, syncline_info(a.lib, &info), SYNCLINE_EINVAL, "_INIT");
    API_REFUSED(a.lib, syncline_member_get(a.lib, 0, NULL), SYNCLINE_EINVAL, "_INIT");
    API_REFUSED(a.lib, syncline_set_aside_get(a.lib, 0, NULL), SYNCLINE_EINVAL, "_INIT");
    API_REFUSED(a.lib, syncline_digest(a.lib, &tag_model, NULL, hash), SYNCLINE_EINVAL, "count");
    API_REFUSED(a.lib, syncline_digest(a.lib, NULL, &count, hash), SYNCLINE_EMODEL, "model");
    API_REFUSED(a.lib, syncline_flush(a.lib, (enum syncline_level)6, 0, NULL), SYNCLINE_EINVAL,
                "6");
    API_REFUSED(a.lib, syncline_sync_model(a.lib, &tag_model, NULL, SYNCLINE_INSERT),
                SYNCLINE_EINVAL, "rows");
    API_REFUSED(a.lib, syncline_sync_model(a.lib, &tag_model, &tag, (enum syncline_change)9),
                SYNCLINE_EINVAL, "9");
    syncline_error(a.lib, text, sizeof(text));
    cr_expect_eq(strlen(text), sizeof(text) - 1, "cut to what there is room for");
    struct syncline_uuid uuid;
    cr_expect_eq(syncline_uuid_new(NULL, 1), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_uuid_new(&uuid, 0), SYNCLINE_EINVAL);
    api_close(&a);
}
