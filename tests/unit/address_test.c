/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "net/address.h"

#include "net/transport.h"

#include <string.h>

#include <criterion/criterion.h>

static enum syncline_status check(const char *text, struct sl_error *err)
{
    return sl_address_check_loopback(text, err);
}

/* Every form of a loopback address is taken. */
Test(address, loopback_is_taken)
{
    static const char *const good[] = {"127.0.0.1:7000", "127.255.255.254:1",
                                       "[::1]:7000",     "localhost:65535",
                                       "127.0.0.1:0",    "[0:0:0:0:0:0:0:1]:9"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_assert_eq(check(good[i], NULL), SYNCLINE_OK, "%s", good[i]);
}

/* Anything else that is an address is refused, with the reason and the cure. */
Test(address, other_hosts_are_refused)
{
    static const char *const others[] = {"192.168.1.2:7000",      "0.0.0.0:7000", "126.0.0.1:7000",
                                         "128.0.0.1:7000",        "[::]:7000",    "[fe80::1]:7000",
                                         "[::ffff:127.0.0.1]:80", "8.8.8.8:53"};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct sl_error err = {0};
        cr_assert_eq(check(others[i], &err), SYNCLINE_EREFUSED, "%s", others[i]);
        cr_assert_not_null(strstr(err.text, others[i]), "%s", err.text);
        cr_assert_not_null(strstr(err.text, "127.0.0.1"), "%s", err.text);
    }
}

/* What is no address is refused with an example of one. */
Test(address, rubbish_is_refused)
{
    static const char *const bad[] = {
        "",
        ":",
        ":7000",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:000080",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 1",
        "127.0.0.1:1 ",
        "127.0.0.1:0x1",
        "127.0.0:1",
        "127.0.0.1.1:1",
        "256.0.0.1:1",
        "127.1:1",
        "::1:7000",
        "[::1]7000",
        "[::1:7000",
        "[]:1",
        "[127.0.0.1]:1",
        "[localhost]:1",
        "example.org:80",
        "LOCALHOST:1",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:1]:1",
        "[::1%lo]:1",
        "127.0.0.1:70000000000000000000000000000000000000000000000000000000000000000"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct sl_error err = {0};
        cr_assert_eq(check(bad[i], &err), SYNCLINE_EINVAL, "%s", bad[i]);
        cr_assert_not_null(strstr(err.text, "localhost:7000"), "%s", err.text);
    }
}

/* What is written can be read, and is the same. */
Test(address, formatting_is_the_inverse_of_parsing)
{
    static const char *const texts[] = {"127.0.0.1:7000", "[::1]:65535", "10.1.2.3:0",
                                        "[2001:db8::ff]:80"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        union sl_address address;
        char text[SL_ADDRESS_SIZE_MAX + 1];
        cr_assert_eq(sl_address_parse(texts[i], &address, NULL), SYNCLINE_OK);
        cr_assert_eq(sl_address_format(&address, text), SYNCLINE_OK);
        cr_assert_str_eq(text, texts[i]);
    }
    union sl_address address;
    char text[SL_ADDRESS_SIZE_MAX + 1];
    cr_assert_eq(sl_address_parse("localhost:1", &address, NULL), SYNCLINE_OK);
    cr_assert_eq(sl_address_format(&address, text), SYNCLINE_OK);
    cr_assert_str_eq(text, "127.0.0.1:1");
    address.any.sa_family = AF_UNIX;
    cr_assert_eq(sl_address_format(&address, text), SYNCLINE_EINVAL);
}
