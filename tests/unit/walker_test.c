/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/walker.h"

#include "tests/unit/indexer_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

TestSuite(walker, .init = set_up, .fini = tear_down);

/* What a walk told, one line an entry, and what a test does while it goes on. */
struct log {
    char text[16384];      /* "depth kind name\n", "enter n\n", "leave n\n" */
    char unreadable[4096]; /* "path: errno\n" */
    uint64_t entries;      /* told */
    uint64_t next_tag;     /* given to the last folder */
    uint64_t stop_after;   /* entries; 0: never */
    void (*on_name)(const char *name, size_t len); /* called with every entry; may be NULL */
    void (*on_enter)(uint64_t tag);                /* called with every folder; may be NULL */
};

static struct log seen;

static void append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t used = strlen(text);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

static enum indexer_walk_next on_entry(void *ctx, const struct indexer_walk_entry *entry,
                                       uint64_t *tag)
{
    struct log *log = ctx;
    static const char kinds[] = "fdlo";
    char name[300];
    indexer_escape(name, sizeof(name), entry->name.data, entry->name.len);
    append(log->text, sizeof(log->text), "%u %c %s%s", entry->depth, kinds[entry->kind], name,
           entry->is_skipped ? " skipped" : "");
    if (entry->folder_tag != 0)
        append(log->text, sizeof(log->text), " in %d", (int)entry->folder_tag);
    append(log->text, sizeof(log->text), "\n");
    if (entry->kind == INDEXER_FOLDER)
        *tag = ++log->next_tag;
    cr_assert_eq(entry->is_root, entry->depth == 0);
    cr_assert_eq(entry->kind == INDEXER_LINK, entry->link_target.data != NULL);
    if (log->on_name != NULL)
        log->on_name(entry->name.data, entry->name.len);
    return ++log->entries == log->stop_after ? INDEXER_WALK_STOP : INDEXER_WALK_ON;
}

static enum indexer_walk_next on_enter(void *ctx, uint64_t folder_tag)
{
    struct log *log = ctx;
    append(log->text, sizeof(log->text), "enter %d\n", (int)folder_tag);
    if (log->on_enter != NULL)
        log->on_enter(folder_tag);
    return INDEXER_WALK_ON;
}

static enum indexer_walk_next on_leave(void *ctx, uint64_t folder_tag, bool is_whole)
{
    struct log *log = ctx;
    append(log->text, sizeof(log->text), "leave %d%s\n", (int)folder_tag,
           is_whole ? "" : " in part");
    return INDEXER_WALK_ON;
}

static void on_unreadable(void *ctx, struct syncline_bytes path, int error_number)
{
    struct log *log = ctx;
    cr_assert_eq(strlen(path.data), path.len);
    append(log->unreadable, sizeof(log->unreadable), "%s: %s\n",
           (const char *)path.data + strlen(tree), strerrorname_np(error_number));
}

static struct indexer_walk_options logging(void)
{
    return (struct indexer_walk_options){.ctx = &seen,
                                         .entry = on_entry,
                                         .enter = on_enter,
                                         .leave = on_leave,
                                         .unreadable = on_unreadable};
}

static struct indexer_walk_stats walk_with(const struct indexer_walk_options *options)
{
    struct indexer_walk_stats stats;
    struct indexer_error err = {0};
    cr_assert_eq(indexer_walk(tree, options, &stats, &err), SYNCLINE_OK, "%s", err.text);
    return stats;
}

static struct indexer_walk_stats walk(void)
{
    struct indexer_walk_options options = logging();
    return walk_with(&options);
}

static void expect_log(const char *text)
{
    cr_expect_str_eq(seen.text, text, "told:\n%s", seen.text);
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    cr_assert_not_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* An empty folder is told itself, entered and left. */
Test(walker, empty_folder)
{
    struct indexer_walk_stats stats = walk();
    expect_log("0 d tree\nenter 1\nleave 1\n");
    cr_expect_eq(stats.folders, 1);
    cr_expect_not(stats.stopped);
}

/* All entries of a folder come together, in the order of their bytes, before its subfolders'. */
Test(walker, order)
{
    make_folder("b");
    make_folder("B");
    make_folder("b/x");
    make_file("b/x/deep", 1);
    make_file("a", 1);
    make_file("c", 1);
    make_file("b/file", 1);
    make_file("\xff", 1);
    make_file("bb", 1);
    walk();
    expect_log("0 d tree\nenter 1\n1 d B in 1\n1 f a in 1\n1 d b in 1\n1 f bb in 1\n1 f c in 1\n"
               "1 f \\xff in 1\nleave 1\nenter 2\nleave 2\n"
               "enter 3\n2 f file in 3\n2 d x in 3\nleave 3\nenter 4\n3 f deep in 4\nleave 4\n");
}

/* Names are any bytes that a file system holds: not UTF-8, line ends, 255 bytes. */
Test(walker, names)
{
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    make_file(name, 1);
    make_file("a\nb", 1);
    make_file("\x01\xfe\xff", 1);
    make_file(" ", 1);
    make_file("...", 1);
    make_file("-rf", 1);
    make_file("caf\xc3\xa9", 1);
    struct indexer_walk_stats stats = walk();
    cr_expect_eq(stats.files, 7);
    cr_expect_not_null(strstr(seen.text, "1 f a\\x0ab in 1\n"));
    cr_expect_not_null(strstr(seen.text, "1 f \\x01\\xfe\\xff in 1\n"));
    cr_expect_not_null(strstr(seen.text, "1 f caf\xc3\xa9 in 1\n"));
    cr_expect_not_null(strstr(seen.text, name));
}

static char link_seen[5000];
static size_t link_seen_len;
static int64_t size_seen;
static int64_t time_seen;

static enum indexer_walk_next keep_values(void *ctx, const struct indexer_walk_entry *entry,
                                          uint64_t *tag)
{
    (void)ctx;
    (void)tag;
    if (entry->depth == 0)
        return INDEXER_WALK_ON;
    link_seen_len = entry->link_target.len;
    memcpy(link_seen, entry->link_target.data != NULL ? entry->link_target.data : "",
           link_seen_len);
    size_seen = entry->size;
    time_seen = entry->modified_at;
    return INDEXER_WALK_ON;
}

/* A link's target is recorded at any length and whether it is there or not; no link is followed. */
Test(walker, links)
{
    static const size_t lens[] = {1, 255, 256, 257, 511, 512, 4000, 4095};
    struct indexer_walk_options options = {.entry = keep_values};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        char target[4096];
        memset(target, 't', lens[i]);
        target[lens[i]] = '\0';
        make_link("link", target);
        struct indexer_walk_stats stats = walk_with(&options);
        cr_expect_eq(stats.links, 1);
        cr_expect_eq(link_seen_len, lens[i]);
        cr_expect_eq(memcmp(link_seen, target, lens[i]), 0);
        cr_expect_eq(size_seen, 0);
        cr_assert_eq(unlink(in_tree("link")), 0);
    }
    make_link("loop", ".");
    struct indexer_walk_stats stats = walk();
    cr_expect_eq(stats.folders, 1);
    cr_expect_eq(stats.links, 1);
}

/* Sizes and times are the file's; a time before 1970 is rounded down as well. */
Test(walker, sizes_and_times)
{
    static const int64_t times[] = {0, 1, 999, 1700000000123, -1, -999, -1000, -1001};
    struct indexer_walk_options options = {.entry = keep_values};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        make_file("file", 5000000000);
        int64_t second = (times[i] - (times[i] < 0 ? 999 : 0)) / 1000;
        struct timespec stamp[2] = {
            {.tv_nsec = UTIME_OMIT},
            {.tv_sec = second, .tv_nsec = (times[i] - second * 1000) * 1000000 + 999999}};
        cr_assert_eq(utimensat(AT_FDCWD, in_tree("file"), stamp, 0), 0);
        walk_with(&options);
        cr_expect_eq(size_seen, 5000000000);
        cr_expect_eq(time_seen, times[i], "%lld, not %lld", (long long)time_seen,
                     (long long)times[i]);
    }
}

/* Pipes and sockets are recorded and not opened: opening a pipe would wait for ever. */
Test(walker, other_kinds)
{
    cr_assert_eq(mkfifo(in_tree("pipe"), 0600), 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/sock", tree);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    struct indexer_walk_stats stats = walk();
    cr_expect_eq(stats.others, 2);
    expect_log("0 d tree\nenter 1\n1 o pipe in 1\n1 o sock in 1\nleave 1\n");
    close(fd);
}

/* Makes `depth` folders, each in the one before, and a file in the last. */
static void make_deep(unsigned depth)
{
    int fd = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < depth; i++) {
        char name[32];
        snprintf(name, sizeof(name), "folder-%08u", i);
        cr_assert_eq(mkdirat(fd, name, 0755), 0);
        int next = openat(fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(next, 0);
        /* Entered after the deep one: so the walk must find its way back up. */
        cr_assert_eq(mkdirat(fd, "zzz", 0755), 0);
        close(fd);
        fd = next;
    }
    close(openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    close(fd);
}

/* Depth is limited neither by PATH_MAX nor by descriptors nor by the stack. */
Test(walker, depth_of_3000)
{
    static const uint32_t limits[] = {0, 1, 3, 4, 5, 64, 4000};
    make_deep(3000);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct indexer_walk_options options = logging();
        options.open_max = limits[i];
        if (limits[i] == 4000) /* more than the usual 1024 descriptors */
            options.open_max = 900;
        memset(&seen, 0, sizeof(seen));
        int before = open_descriptors();
        struct indexer_walk_stats stats = walk_with(&options);
        cr_expect_eq(stats.folders, 6001);
        cr_expect_eq(stats.files, 1);
        cr_expect_eq(stats.unreadable + stats.vanished, 0);
        cr_expect_eq(open_descriptors(), before);
    }
}

static int descriptors_seen;

static void count_descriptors(uint64_t tag)
{
    (void)tag;
    int count = open_descriptors();
    descriptors_seen = count > descriptors_seen ? count : descriptors_seen;
}

/* No more than open_max descriptors are open in a callback. */
Test(walker, keeps_few_descriptors)
{
    make_deep(40);
    struct indexer_walk_options options = logging();
    options.open_max = 10;
    seen.on_enter = count_descriptors;
    int before = open_descriptors();
    walk_with(&options);
    cr_expect_leq(descriptors_seen, before + 10);
    cr_expect_gt(descriptors_seen, before + 5);
}

static void remove_later(uint64_t tag)
{
    if (tag != 1) /* all names of the root are read by now, none is looked at */
        return;
    cr_assert_eq(unlink(in_tree("file")), 0);
    cr_assert_eq(unlink(in_tree("link")), 0);
}

static void remove_folder(const char *name, size_t len)
{
    if (len == 4 && memcmp(name, "zzzz", 4) == 0) { /* the last: the folders are told already */
        cr_assert_eq(rmdir(in_tree("gone")), 0);
        cr_assert_eq(rmdir(in_tree("now a link")), 0);
        make_link("now a link", "/");
        cr_assert_eq(rmdir(in_tree("now a file")), 0);
        make_file("now a file", 0);
    }
}

/* What vanishes or changes its kind between two looks is left out, quietly. */
Test(walker, survives_what_vanishes)
{
    make_file("file", 1);
    make_link("link", "target");
    make_folder("gone");
    make_folder("now a link");
    make_folder("now a file");
    make_folder("stays");
    make_file("stays/file", 1);
    make_file("zzzz", 1);
    seen.on_enter = remove_later;
    seen.on_name = remove_folder;
    struct indexer_walk_stats stats = walk();
    cr_expect_eq(stats.vanished, 5);
    cr_expect_eq(stats.unreadable, 0);
    expect_log("0 d tree\nenter 1\n1 d gone in 1\n1 d now a file in 1\n1 d now a link in 1\n"
               "1 d stays in 1\n1 f zzzz in 1\nleave 1\nenter 5\n2 f file in 5\nleave 5\n");
}

static void move_below(const char *name, size_t len)
{
    char outside[128];
    snprintf(outside, sizeof(outside), "%s/outside", base);
    if (len == 6 && memcmp(name, "bottom", 6) == 0)
        cr_assert_eq(rename(in_tree("a/b"), outside), 0);
}

static void move_both(const char *name, size_t len)
{
    move_below(name, len);
    if (len == 6 && memcmp(name, "bottom", 6) == 0)
        cr_assert_eq(rename(in_tree("a"), in_tree("elsewhere")), 0);
}

static void make_movable(void)
{
    make_folder("a");
    make_folder("a/b");
    make_folder("a/b/c");
    make_folder("a/b/c/d");
    make_file("a/b/c/d/bottom", 1);
    make_folder("a/b/later");
    make_file("a/b/later/file", 1);
    make_folder("a/later");
    make_file("a/later/file", 1);
    make_folder("z");
    make_file("z/last", 1);
}

/* A folder that is moved away while the walk is below it: the way back is found from the root, and
 * ".." is not trusted. */
Test(walker, finds_its_way_back)
{
    make_movable();
    struct indexer_walk_options options = logging();
    options.open_max = 3;
    seen.on_name = move_below;
    struct indexer_walk_stats stats = walk_with(&options);
    cr_expect_eq(stats.files, 4);
    cr_expect_eq(stats.unreadable, 0);
    cr_expect_not_null(strstr(seen.text, "f last"));
}

/* When it is not to be found at all, what is left of it is named as unreadable and given up. */
Test(walker, gives_up_a_lost_folder)
{
    make_movable();
    struct indexer_walk_options options = logging();
    options.open_max = 3;
    seen.on_name = move_both;
    int before = open_descriptors();
    struct indexer_walk_stats stats = walk_with(&options);
    cr_expect_eq(stats.files, 3); /* not a/later/file */
    cr_expect_eq(stats.unreadable, 1);
    cr_expect_str_eq(seen.unreadable, "/a: ENOENT\n", "%s", seen.unreadable);
    cr_expect_not_null(strstr(seen.text, "f last"));
    cr_expect_eq(open_descriptors(), before);
}

/* A folder without permission is told as an entry and named as unreadable; the walk goes on. */
Test(walker, names_what_cannot_be_read)
{
    make_folder("closed");
    make_file("closed/file", 1);
    make_folder("listed only");
    make_file("listed only/file", 1);
    make_folder("open");
    make_file("open/file", 1);
    cr_assert_eq(chmod(in_tree("closed"), 0), 0);
    cr_assert_eq(chmod(in_tree("listed only"), 0444), 0);
    bool is_root = become_nobody();
    struct indexer_walk_stats stats = walk();
    struct indexer_walk_options options = {.entry = on_entry, .ctx = &seen};
    struct indexer_walk_stats untold = walk_with(&options);
    struct indexer_error err = {0};
    enum syncline_status status = indexer_walk(in_tree("closed"), &options, &untold, &err);
    if (is_root)
        cr_assert_eq(seteuid(0), 0);
    cr_expect_eq(stats.unreadable, 2);
    cr_expect_eq(stats.folders, 4);
    cr_expect_eq(stats.files, 1);
    cr_expect_str_eq(seen.unreadable, "/closed: EACCES\n/listed only/file: EACCES\n", "%s",
                     seen.unreadable);
    cr_expect_eq(status, SYNCLINE_EIO);
    cr_expect_not_null(strstr(err.text, "Permission denied"), "%s", err.text);
}

/* Folders to skip are told and not entered; one that does not exist is no error. */
Test(walker, skips)
{
    make_folder("keep");
    make_folder("skip");
    make_file("skip/file", 1);
    char gone[128];
    char skip[128];
    snprintf(gone, sizeof(gone), "%s/no such", tree);
    snprintf(skip, sizeof(skip), "%s/./skip/", tree);
    const char *const skips[] = {gone, skip};
    struct indexer_walk_options options = logging();
    options.skip = skips;
    options.skip_count = 2;
    struct indexer_walk_stats stats = walk_with(&options);
    cr_expect_eq(stats.skipped, 1);
    expect_log("0 d tree\nenter 1\n1 d keep in 1\n1 d skip skipped in 1\nleave 1\n"
               "enter 2\nleave 2\n");
    memset(&seen, 0, sizeof(seen));
    const char *const all[] = {tree};
    options.skip = all;
    options.skip_count = 1;
    walk_with(&options);
    expect_log("0 d tree skipped\n");
}

static enum indexer_walk_next stop_at_leave(void *ctx, uint64_t folder_tag, bool is_whole)
{
    on_leave(ctx, folder_tag, is_whole);
    return INDEXER_WALK_STOP;
}

/* Another file system is told as the folder that it is mounted on, and not entered. */
Test(walker, stays_on_one_file_system)
{
    struct stat root;
    struct stat proc;
    if (stat("/", &root) != 0 || stat("/proc", &proc) != 0 || root.st_dev == proc.st_dev)
        cr_skip_test("/proc is not mounted");
    struct indexer_walk_options options = logging();
    struct indexer_walk_stats stats;
    options.leave = stop_at_leave;
    cr_assert_eq(indexer_walk("/", &options, &stats, NULL), SYNCLINE_OK);
    cr_expect_not_null(strstr(seen.text, "1 d proc skipped in 1\n"));
    cr_expect_eq(strncmp(seen.text, "0 d /\n", 6), 0);
}

/* A walk ends at once after any entry, and leaves no descriptor behind. */
Test(walker, stops_anywhere)
{
    make_small_tree();
    int before = open_descriptors();
    for (uint64_t i = 1; i <= SMALL_TREE_COUNT; i++) {
        memset(&seen, 0, sizeof(seen));
        seen.stop_after = i;
        struct indexer_walk_stats stats = walk();
        cr_expect(stats.stopped);
        cr_expect_eq(stats.files + stats.folders + stats.links, i);
        cr_expect_eq(open_descriptors(), before);
    }
}

/* The flag ends it too; set before, nothing is told. */
Test(walker, stops_by_flag)
{
    atomic_int stop = 1;
    struct indexer_walk_options options = logging();
    options.stop = &stop;
    struct indexer_walk_stats stats = walk_with(&options);
    cr_expect(stats.stopped);
    expect_log("");
}

/* The name of the walked folder is its last part, however the path is written. */
Test(walker, name_of_the_root)
{
    char path[160];
    struct indexer_walk_options options = logging();
    struct indexer_walk_stats stats;
    snprintf(path, sizeof(path), "%s///", tree);
    cr_assert_eq(indexer_walk(path, &options, &stats, NULL), SYNCLINE_OK);
    cr_assert_eq(chdir(base), 0);
    cr_assert_eq(indexer_walk("tree", &options, &stats, NULL), SYNCLINE_OK);
    expect_log("0 d tree\nenter 1\nleave 1\n0 d tree\nenter 2\nleave 2\n");
}

/* Wrong paths are named with a cure. */
Test(walker, refuses_wrong_paths)
{
    struct indexer_walk_options options = logging();
    struct indexer_walk_stats stats;
    struct indexer_error err = {0};
    char *resolved = NULL;
    make_file("file", 1);
    make_link("loop", "loop");
    cr_expect_eq(indexer_walk(in_tree("none"), &options, &stats, &err), SYNCLINE_ENOTFOUND);
    cr_expect_not_null(strstr(err.text, "check the path"), "%s", err.text);
    cr_expect_eq(indexer_walk(in_tree("file"), &options, &stats, &err), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(err.text, "is not a folder"), "%s", err.text);
    cr_expect_eq(indexer_walk(in_tree("loop"), &options, &stats, &err), SYNCLINE_EIO);
    cr_expect_eq(indexer_walk_resolve(in_tree("none"), &resolved, &err), SYNCLINE_ENOTFOUND);
    cr_expect_eq(indexer_walk_resolve(in_tree("file/x"), &resolved, &err), SYNCLINE_EINVAL);
    char path[512];
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    cr_expect_eq(indexer_walk_resolve(path, &resolved, &err), SYNCLINE_EINVAL);
    cr_expect_not_null(strstr(err.text, "too long"), "%s", err.text);
    cr_expect_null(resolved);
    cr_expect_eq(seen.entries, 0);
}
