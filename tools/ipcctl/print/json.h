/* SPDX-License-Identifier: MIT */
/*
 * JSON by json-c, with which commands build what they print: json_object_new_object(),
 * json_object_object_add(), json_object_array_add(). The values come from here.
 */
#ifndef IPCCTL_JSON_H
#define IPCCTL_JSON_H

#include <json-c/json.h>

/* Any bytes: what is not UTF-8 becomes U+FFFD, or the output would not parse. NULL: null. */
struct json_object *json_text(const char *s);
/* A number, digit by digit as S has it, if S is one by JSON's grammar; else as json_text(). */
struct json_object *json_value(const char *s);
/* Prints it to stdout and frees it. */
void json_print(struct json_object *o);

#endif
