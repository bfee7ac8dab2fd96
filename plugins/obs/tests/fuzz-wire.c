// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzzes the parser: with libFuzzer where there is clang, else with mutations of the golden messages.
 *
 *   fuzz-wire golden.txt SECONDS
 */
#include "wire.h"

#include <time.h>

#include "golden.h"

/* Reads and uses all that a message may hold, so that the sanitizers see it. */
static void read_one(const uint8_t *data, size_t bytes)
{
	static struct wire_message message;
	if (wire_read(data, bytes, &message) != WIRE_READ)
		return;
	CHECK(strlen(message.type_name) < sizeof message.type_name &&
	      strlen(message.request_id) < sizeof message.request_id);
	if (message.type == WIRE_WELCOME) {
		CHECK(message.welcome.avatars.count <= WIRE_MAX_ITEMS);
		for (uint32_t i = 0; i < message.welcome.avatars.count; i++)
			CHECK(strlen(message.welcome.avatars.text[i]) < WIRE_ID_ROOM);
	}
	if (message.type == WIRE_FRAME)
		CHECK(message.frame.width > 0 && message.frame.width <= WIRE_MAX_SIDE_PX && message.frame.height > 0 &&
		      message.frame.height <= WIRE_MAX_SIDE_PX);
	for (size_t parts = 0; parts < 3; parts++)
		wire_check_payload(&message, parts, bytes);
}

#ifdef WITH_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	read_one(data, bytes);
	return 0;
}
#else
static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t next_random(void) /* xorshift64 */
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static size_t below(size_t bound)
{
	return bound > 0 ? (size_t)(next_random() % bound) : 0;
}

/* Changes a message in one of the ways that hurt parsers. */
static size_t mutate(uint8_t *data, size_t bytes, size_t room)
{
	static const uint8_t TAGS[] = {0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc7, 0xca, 0xcb,
				       0xcf, 0xd3, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xff, 0x00, 0x7f};
	const size_t at = below(bytes), length = below(16) + 1;
	switch (below(6)) {
	case 0:
		data[at] ^= (uint8_t)(1u << below(8));
		return bytes;
	case 1:
		data[at] = TAGS[below(sizeof TAGS)];
		return bytes;
	case 2:
		return bytes > 1 ? 1 + below(bytes - 1) : bytes;
	case 3: /* doubles a piece */
		if (bytes + length > room || at + length > bytes)
			return bytes;
		memmove(data + at + length, data + at, bytes - at);
		return bytes + length;
	case 4: /* takes a piece out */
		if (at + length >= bytes)
			return bytes;
		memmove(data + at, data + at + length, bytes - at - length);
		return bytes - length;
	default:
		for (size_t i = at; i < bytes && i < at + length; i++)
			data[i] = (uint8_t)next_random();
		return bytes;
	}
}

int main(int argc, char **argv)
{
	static struct golden golden[128];
	static char next[3 * GOLDEN_ROOM];
	size_t count = 0;
	CHECK(argc == 3);
	FILE *file = fopen(argv[1], "r");
	CHECK(file != NULL);
	while (count < 128 && golden_next(file, next, &golden[count]))
		count++;
	fclose(file);
	CHECK(count > 20);
	const time_t end = time(NULL) + atoi(argv[2]);
	uint64_t runs = 0;
	while (time(NULL) < end) {
		for (int i = 0; i < 10000; i++, runs++) {
			const struct golden *seed = &golden[below(count)];
			const size_t room = GOLDEN_ROOM * 2;
			static uint8_t data[GOLDEN_ROOM * 2];
			size_t bytes = seed->header_bytes;
			memcpy(data, seed->header, bytes);
			for (size_t k = below(8) + 1; k > 0; k--)
				bytes = mutate(data, bytes, room);
			uint8_t *exact = malloc(bytes > 0 ? bytes : 1); /* so that ASan sees a step beyond the end */
			memcpy(exact, data, bytes);
			read_one(exact, bytes);
			free(exact);
		}
	}
	printf("%llu messages\n", (unsigned long long)runs);
	return 0;
}
#endif
