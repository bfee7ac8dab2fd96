// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/* The parser and the writer: golden messages, and what a daemon never sends. */
#include "wire.h"

#include "golden.h"

static struct wire_message message;

static int64_t number(const struct golden *golden, const char *name)
{
	return strtoll(golden_field(golden, name), NULL, 10);
}

static void check_text(const struct golden *golden, const char *name, const char *text)
{
	CHECK(strcmp(golden_field(golden, name), text) == 0);
}

static void check_texts(const struct golden *golden, const char *name, const struct wire_texts *texts)
{
	uint32_t count = 0;
	for (size_t i = 0; i < golden->field_count; i++) {
		if (golden->fields[i].is_item && strcmp(golden->fields[i].name, name) == 0) {
			CHECK(count < texts->count && strcmp(texts->text[count], golden->fields[i].value) == 0);
			count++;
		}
	}
	CHECK(count == texts->count);
}

static void check_fields(const struct golden *golden)
{
	switch (message.type) {
	case WIRE_WELCOME:
		check_text(golden, "daemon", message.welcome.daemon);
		check_text(golden, "frames_endpoint", message.welcome.frames_endpoint);
		check_texts(golden, "avatars", &message.welcome.avatars);
		check_texts(golden, "expressions", &message.welcome.expressions);
		check_texts(golden, "capabilities", &message.welcome.capabilities);
		break;
	case WIRE_AVATAR_INFO:
		check_text(golden, "avatar_id", message.avatar_info.avatar_id);
		check_text(golden, "name", message.avatar_info.name);
		CHECK(number(golden, "fps") == message.avatar_info.fps);
		break;
	case WIRE_ERROR:
		check_text(golden, "code", message.error.code);
		check_text(golden, "text", message.error.text);
		break;
	case WIRE_FRAME:
		check_text(golden, "avatar_id", message.frame.avatar_id);
		check_text(golden, "state", message.frame.state);
		check_text(golden, "format", message.frame.format_name);
		check_text(golden, "alpha", message.frame.alpha_name);
		CHECK(number(golden, "pts_samples") == message.frame.pts_samples);
		CHECK(number(golden, "epoch") == message.frame.epoch);
		CHECK(number(golden, "width") == message.frame.width);
		CHECK(number(golden, "height") == message.frame.height);
		CHECK(number(golden, "published_ns") == message.frame.published_ns);
		CHECK(strtod(golden_field(golden, "latency_ms"), NULL) == message.frame.latency_ms);
		break;
	case WIRE_ECHO:
		check_text(golden, "avatar_id", message.echo.avatar_id);
		check_text(golden, "utterance_id", message.echo.utterance_id);
		CHECK(number(golden, "pts_samples") == message.echo.pts_samples);
		CHECK(number(golden, "sample_rate_hz") == message.echo.sample_rate_hz);
		CHECK(number(golden, "published_ns") == message.echo.published_ns);
		break;
	case WIRE_AVATAR_CLOSED:
		check_text(golden, "avatar_id", message.avatar_closed.avatar_id);
		break;
	default:
		break;
	}
}

static void check_written(const struct golden *golden)
{
	static const struct {
		const char *name;
		enum wire_request_type type;
	} TYPES[] = {
		{"hello", WIRE_HELLO},
		{"ping", WIRE_PING},
		{"get_avatar_info", WIRE_GET_AVATAR_INFO},
		{"cancel", WIRE_CANCEL},
		{"set_expression", WIRE_SET_EXPRESSION},
		{"set_microphone", WIRE_SET_MICROPHONE},
	};
	uint8_t written[1024];
	for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++) {
		if (strcmp(golden->type, TYPES[i].name) != 0)
			continue;
		struct wire_request request = {.type = TYPES[i].type};
		snprintf(request.request_id, sizeof request.request_id, "%s", golden_field(golden, "request_id"));
		snprintf(request.avatar_id, sizeof request.avatar_id, "%s", golden_field(golden, "avatar_id"));
		snprintf(request.preset, sizeof request.preset, "%.64s", golden_field(golden, "preset"));
		request.client = golden_field(golden, "client");
		request.talk = golden_field(golden, "talk");
		request.mute = golden_field(golden, "mute");
		const size_t bytes = wire_write(&request, written, sizeof written);
		CHECK(bytes > 0);
		for (size_t room = 0; room < bytes; room++)
			CHECK(wire_write(&request, written + sizeof written - room, room) == 0);
		/* Some golden requests have fields that a viewer never sets. */
		if (bytes == golden->header_bytes && memcmp(written, golden->header, bytes) == 0)
			printf("written %s\n", golden->type);
	}
}

static void test_golden(const char *path)
{
	static struct golden golden;
	static char next[3 * GOLDEN_ROOM];
	FILE *file = fopen(path, "r");
	size_t known = 0, others = 0;
	CHECK(file != NULL);
	while (golden_next(file, next, &golden)) {
		CHECK(wire_read(golden.header, golden.header_bytes, &message) == WIRE_READ);
		CHECK(strcmp(message.type_name, golden.type) == 0);
		const size_t parts = golden.has_payload ? 1 : 0;
		CHECK(wire_check_payload(&message, parts, golden.payload_bytes) == WIRE_READ);
		if (message.type == WIRE_OTHER) {
			others++;
			check_written(&golden);
		} else {
			known++;
			check_text(&golden, "request_id", message.request_id);
			check_fields(&golden);
			CHECK(wire_check_payload(&message, 1 - parts, golden.payload_bytes) == WIRE_BAD_PAYLOAD);
		}
		/* Cut anywhere, it is no message; nothing behind its end is read (ASan). */
		for (size_t bytes = 0; bytes < golden.header_bytes; bytes++) {
			uint8_t *cut = malloc(bytes > 0 ? bytes : 1);
			memcpy(cut, golden.header, bytes);
			CHECK(wire_read(cut, bytes, &message) == WIRE_BAD_MESSAGE);
			free(cut);
		}
	}
	fclose(file);
	printf("%zu messages read, %zu of other types\n", known, others);
	CHECK(known >= 9 && others >= 15);
}

/* Writes msgpack by hand: "m2" and so on would hide what is tested. */
static struct {
	uint8_t data[WIRE_MAX_HEADER_BYTES + 1024];
	size_t bytes;
} made;

static void put(const char *data, size_t bytes)
{
	CHECK(made.bytes + bytes <= sizeof made.data);
	memcpy(made.data + made.bytes, data, bytes);
	made.bytes += bytes;
}

#define PUT(literal) put(literal, sizeof(literal) - 1)

static void put_text(const char *text)
{
	const char head = (char)(0xa0 | strlen(text));
	CHECK(strlen(text) < 32);
	put(&head, 1);
	put(text, strlen(text));
}

static void begin(char pairs, const char *type)
{
	const char head = (char)(0x80 | (pairs + 2));
	made.bytes = 0;
	put(&head, 1);
	PUT("\xa1v\x01\xa4type");
	put_text(type);
}

static enum wire_result read_made(void)
{
	return wire_read(made.data, made.bytes, &message);
}

static void begin_frame(char more)
{
	begin((char)(7 + more), "frame");
	PUT("\xa9"
	    "avatar_id\xa7"
	    "default\xa5state\xa4idle\xabpts_samples\x05\xa5"
	    "epoch\x00");
	PUT("\xa5width\x02\xa6height\x02\xacpublished_ns\x07");
}

static void test_limits(void)
{
	begin(0, "pong");
	CHECK(read_made() == WIRE_READ && message.type == WIRE_PONG);
	PUT("\x00");
	CHECK(read_made() == WIRE_BAD_MESSAGE); /* something follows */

	made.bytes = 0;
	CHECK(read_made() == WIRE_BAD_MESSAGE);
	PUT("\x82\xa1v\x02\xa4type\xa4pong");
	CHECK(read_made() == WIRE_BAD_VERSION);
	made.bytes = 0;
	PUT("\x81\xa1v\x01");
	CHECK(read_made() == WIRE_BAD_MESSAGE); /* no type */
	made.bytes = 0;
	PUT("\x81\x01\x01");
	CHECK(read_made() == WIRE_BAD_MESSAGE); /* a key that is no text */

	/* Counts on the wire that promise gigabytes. */
	static const char *const PROMISES[] = {"\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff",
					       "\xc6\xff\xff\xff\xff", "\xc9\xff\xff\xff\xff", "\xdc\x00\x41"};
	for (size_t i = 0; i < sizeof PROMISES / sizeof PROMISES[0]; i++) {
		begin(1, "pong");
		put_text("more");
		put(PROMISES[i], i == 5 ? 3 : 5);
		CHECK(read_made() == WIRE_BAD_MESSAGE);
	}

	/* Deep nesting ends, and is passed over. */
	begin(1, "pong");
	put_text("deep");
	for (int i = 0; i < 16000; i++)
		PUT("\x91");
	PUT("\xc0");
	CHECK(read_made() == WIRE_READ);
	for (int i = 0; i < 500; i++)
		made.data[made.bytes++] = 0xc0;
	CHECK(read_made() == WIRE_TOO_LARGE);

	/* Texts: 512 characters in 2,048 bytes fit, 513 do not; what is no UTF-8 is refused. */
	for (int characters = 512; characters < 514; characters++) {
		begin(2, "error");
		PUT("\xa4"
		    "code\xa1x\xa4text\xda");
		const char size[2] = {(char)(characters * 4 >> 8), (char)(characters * 4)};
		put(size, 2);
		for (int i = 0; i < characters; i++)
			PUT("\xf0\x9f\x98\x80");
		CHECK(read_made() == (characters == 512 ? WIRE_READ : WIRE_BAD_FIELD));
	}
	static const char *const WRONG[] = {"\xff",     "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
					    "\xe2\x82", "\x80",     "a\xc3"};
	for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
		begin(2, "error");
		PUT("\xa4"
		    "code\xa1x\xa4text");
		put_text(WRONG[i]);
		CHECK(read_made() == WIRE_BAD_FIELD);
	}
}

static void test_frames(void)
{
	begin_frame(0);
	CHECK(read_made() == WIRE_READ && message.type == WIRE_FRAME);
	CHECK(message.frame.format == WIRE_RGBA && message.frame.alpha == WIRE_STRAIGHT &&
	      message.frame.latency_ms == -1.0);
	CHECK(wire_check_payload(&message, 1, 16) == WIRE_READ);
	CHECK(wire_check_payload(&message, 1, 15) == WIRE_BAD_PAYLOAD &&
	      wire_check_payload(&message, 1, 17) == WIRE_BAD_PAYLOAD);
	CHECK(wire_check_payload(&message, 0, 0) == WIRE_BAD_PAYLOAD &&
	      wire_check_payload(&message, 2, 16) == WIRE_BAD_PAYLOAD);

	static const struct {
		const char *pair;
		enum wire_result result;
	} PAIRS[] = {
		{"\xa6"
		 "format\xa4I420",
		 WIRE_READ},
		{"\xa6"
		 "format\xa4WEBP",
		 WIRE_READ},
		{"\xa6"
		 "format\xa4HEIC",
		 WIRE_BAD_FIELD},
		{"\xa5"
		 "alpha\xa4none",
		 WIRE_READ},
		{"\xa5"
		 "alpha\xa4some",
		 WIRE_BAD_FIELD},
		{"\xa5width\x01", WIRE_READ},
		{"\xa5width\xff", WIRE_BAD_FIELD},
		{"\xa5width\xcd\x10\x01", WIRE_BAD_FIELD},
		{"\xa5width\xcf\xff\xff\xff\xff\xff\xff\xff\xff", WIRE_BAD_MESSAGE},
		{"\xa5width\xca\x40\x00", WIRE_BAD_MESSAGE},
		{"\xa5width\xa1"
		 "2",
		 WIRE_BAD_FIELD},
		{"\xa5"
		 "epoch\xc3",
		 WIRE_BAD_FIELD},
		{"\xa5later\x93\x01\x02\x03", WIRE_READ},
		{"\xaalatency_ms\x09", WIRE_READ},
		{"\xaapts_sample\x09", WIRE_READ},
	};
	for (size_t i = 0; i < sizeof PAIRS / sizeof PAIRS[0]; i++) {
		begin_frame(1);
		put(PAIRS[i].pair, i == 7 ? 9 : i == 8 ? 15 : i == 9 ? 9 : strlen(PAIRS[i].pair));
		if (read_made() != PAIRS[i].result)
			fprintf(stderr, "pair %zu: %s\n", i, wire_result_text(read_made()));
		CHECK(read_made() == PAIRS[i].result);
	}
	begin_frame(1);
	PUT("\xa6"
	    "format\xa4I420");
	CHECK(read_made() == WIRE_READ && wire_check_payload(&message, 1, 6) == WIRE_READ);
	message.frame.width = 3;
	CHECK(wire_check_payload(&message, 1, 9) == WIRE_BAD_PAYLOAD);
	/* The largest sides that may stand there do not overflow. */
	message.frame.format = WIRE_RGBA;
	message.frame.width = message.frame.height = WIRE_MAX_SIDE_PX;
	CHECK(wire_check_payload(&message, 1, 0) == WIRE_BAD_PAYLOAD);

	begin(6, "frame"); /* one field is missing */
	PUT("\xa9"
	    "avatar_id\xa7"
	    "default\xa5state\xa4idle\xabpts_samples\x05\xa5"
	    "epoch\x00");
	PUT("\xa5width\x02\xacpublished_ns\x07");
	CHECK(read_made() == WIRE_BAD_FIELD);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	test_golden(argv[1]);
	test_limits();
	test_frames();
	return 0;
}
