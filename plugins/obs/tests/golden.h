// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads the golden messages that golden.cmake has written. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

#define GOLDEN_ROOM 4096
#define GOLDEN_FIELDS 64

struct golden {
	char type[64];
	uint8_t header[GOLDEN_ROOM], payload[GOLDEN_ROOM];
	size_t header_bytes, payload_bytes;
	bool has_payload;
	struct {
		char name[64], value[600];
		bool is_item; /* of a list */
	} fields[GOLDEN_FIELDS];
	size_t field_count;
};

static inline size_t golden_bytes(const char *hex, uint8_t *data)
{
	size_t count = 0;
	for (unsigned byte; count < GOLDEN_ROOM && sscanf(hex + 2 * count, "%2x", &byte) == 1; count++)
		data[count] = (uint8_t)byte;
	return count;
}

/* Reads the next message; false after the last one. `next` is a line kept from call to call, empty at first. */
static inline bool golden_next(FILE *file, char next[3 * GOLDEN_ROOM], struct golden *golden)
{
	if (next[0] == '\0' && fgets(next, 3 * GOLDEN_ROOM, file) == NULL)
		return false;
	CHECK(sscanf(next, "message %63s", golden->type) == 1);
	golden->header_bytes = golden->payload_bytes = golden->field_count = 0;
	golden->has_payload = false;
	next[0] = '\0';
	while (fgets(next, 3 * GOLDEN_ROOM, file) != NULL && strncmp(next, "message ", 8) != 0) {
		next[strcspn(next, "\n")] = '\0';
		if (strncmp(next, "header ", 7) == 0) {
			golden->header_bytes = golden_bytes(next + 7, golden->header);
		} else if (strncmp(next, "payload ", 8) == 0) {
			golden->has_payload = next[8] != '-';
			golden->payload_bytes = golden->has_payload ? golden_bytes(next + 8, golden->payload) : 0;
		} else {
			char kind[8] = "";
			CHECK(golden->field_count < GOLDEN_FIELDS);
			golden->fields[golden->field_count].value[0] = '\0';
			CHECK(sscanf(next, "%7s %63s %599[^\n]", kind, golden->fields[golden->field_count].name,
				     golden->fields[golden->field_count].value) >= 2);
			golden->fields[golden->field_count].is_item = strcmp(kind, "item") == 0;
			golden->field_count++;
		}
		next[0] = '\0';
	}
	return true;
}

/* A field's text, "" where it has none. */
static inline const char *golden_field(const struct golden *golden, const char *name)
{
	for (size_t i = 0; i < golden->field_count; i++) {
		if (!golden->fields[i].is_item && strcmp(golden->fields[i].name, name) == 0)
			return golden->fields[i].value;
	}
	return "";
}
