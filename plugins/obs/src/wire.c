// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire.h"

#include <string.h>

/* What is left of the header. */
struct reader {
	const uint8_t *at;
	size_t left;
};

enum kind { KIND_NIL, KIND_BOOL, KIND_INTEGER, KIND_FLOAT, KIND_TEXT, KIND_LIST, KIND_MAP };

struct value {
	enum kind kind;
	int64_t integer; /* also a bool */
	double number;
	const uint8_t *text;
	uint32_t count; /* bytes of a text, items of a list, pairs of a map */
};

static bool take(struct reader *reader, size_t bytes, const uint8_t **data)
{
	if (reader->left < bytes)
		return false;
	*data = reader->at;
	reader->at += bytes;
	reader->left -= bytes;
	return true;
}

static bool take_big_endian(struct reader *reader, size_t bytes, uint64_t *number)
{
	const uint8_t *data;
	if (!take(reader, bytes, &data))
		return false;
	*number = 0;
	for (size_t i = 0; i < bytes; i++)
		*number = *number << 8 | data[i];
	return true;
}

static bool take_text(struct reader *reader, uint64_t bytes, struct value *value)
{
	value->kind = KIND_TEXT;
	if (bytes > reader->left)
		return false;
	value->count = (uint32_t)bytes;
	return take(reader, (size_t)bytes, &value->text);
}

static bool take_items(enum kind kind, uint64_t count, struct value *value)
{
	value->kind = kind;
	value->count = (uint32_t)count;
	return count <= WIRE_MAX_ITEMS;
}

/* Reads one value; of a list or map its head only. False where it is damaged, binary, or breaks a limit. */
static bool take_value(struct reader *reader, struct value *value)
{
	const uint8_t *head;
	uint64_t number;
	if (!take(reader, 1, &head))
		return false;
	const uint8_t tag = *head;
	memset(value, 0, sizeof *value);
	if (tag <= 0x7f || tag >= 0xe0) {
		value->kind = KIND_INTEGER;
		value->integer = tag <= 0x7f ? tag : (int64_t)tag - 0x100;
		return true;
	}
	if (tag <= 0x8f)
		return take_items(KIND_MAP, tag & 0x0f, value);
	if (tag <= 0x9f)
		return take_items(KIND_LIST, tag & 0x0f, value);
	if (tag <= 0xbf)
		return take_text(reader, tag & 0x1f, value);
	switch (tag) {
	case 0xc0:
		value->kind = KIND_NIL;
		return true;
	case 0xc2:
	case 0xc3:
		value->kind = KIND_BOOL;
		value->integer = tag & 1;
		return true;
	case 0xca: {
		if (!take_big_endian(reader, 4, &number))
			return false;
		const uint32_t bits = (uint32_t)number;
		float single;
		memcpy(&single, &bits, sizeof single);
		value->kind = KIND_FLOAT;
		value->number = single;
		return true;
	}
	case 0xcb:
		if (!take_big_endian(reader, 8, &number))
			return false;
		value->kind = KIND_FLOAT;
		memcpy(&value->number, &number, sizeof value->number);
		return true;
	case 0xcc:
	case 0xcd:
	case 0xce:
	case 0xcf:
		value->kind = KIND_INTEGER;
		if (!take_big_endian(reader, (size_t)1 << (tag - 0xcc), &number) || number > (uint64_t)INT64_MAX)
			return false;
		value->integer = (int64_t)number;
		return true;
	case 0xd0:
	case 0xd1:
	case 0xd2:
	case 0xd3: {
		const unsigned bits = 8u << (tag - 0xd0);
		value->kind = KIND_INTEGER;
		if (!take_big_endian(reader, bits / 8, &number))
			return false;
		if (bits < 64 && number >> (bits - 1))
			number |= UINT64_MAX << bits;
		memcpy(&value->integer, &number, sizeof value->integer);
		return true;
	}
	case 0xd9:
	case 0xda:
	case 0xdb:
		return take_big_endian(reader, (size_t)1 << (tag - 0xd9), &number) && take_text(reader, number, value);
	case 0xdc:
	case 0xdd:
		return take_big_endian(reader, tag == 0xdc ? 2 : 4, &number) && take_items(KIND_LIST, number, value);
	case 0xde:
	case 0xdf:
		return take_big_endian(reader, tag == 0xde ? 2 : 4, &number) && take_items(KIND_MAP, number, value);
	default: /* binary, extensions and the tag that is never used */
		return false;
	}
}

/* Passes over what a list or map holds. No recursion, and it ends: every value takes a byte at least. */
static bool skip_items(struct reader *reader, const struct value *value)
{
	uint64_t waiting = value->kind == KIND_LIST  ? value->count
			   : value->kind == KIND_MAP ? 2 * (uint64_t)value->count
						     : 0;
	while (waiting > 0) {
		struct value item;
		if (!take_value(reader, &item))
			return false;
		waiting += item.kind == KIND_LIST ? item.count : item.kind == KIND_MAP ? 2 * (uint64_t)item.count : 0;
		waiting--;
	}
	return true;
}

/* Counts characters; -1 where it is no UTF-8 (overlong forms and surrogates are none) or holds a NUL. */
static int count_characters(const uint8_t *text, size_t bytes)
{
	int count = 0;
	for (size_t i = 0; i < bytes; count++) {
		const uint8_t lead = text[i++];
		if (lead == 0)
			return -1;
		if (lead < 0x80)
			continue;
		const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
		if (lead < 0xc2 || lead > 0xf4 || bytes - i < (size_t)more)
			return -1;
		uint32_t code = lead & (0x3fu >> more);
		for (int k = 0; k < more; k++, i++) {
			if ((text[i] & 0xc0) != 0x80)
				return -1;
			code = code << 6 | (text[i] & 0x3f);
		}
		if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) || (more == 2 && code < 0x800) ||
		    (more == 3 && code < 0x10000))
			return -1;
	}
	return count;
}

static bool copy_text(const struct value *value, char *text, size_t room)
{
	if (value->kind != KIND_TEXT || value->count >= room)
		return false;
	const int characters = count_characters(value->text, value->count);
	if (characters < 0 || (size_t)characters > (room - 1) / 4)
		return false;
	memcpy(text, value->text, value->count);
	text[value->count] = '\0';
	return true;
}

static bool is_text(const struct value *value, const char *text)
{
	return value->kind == KIND_TEXT && value->count == strlen(text) && memcmp(value->text, text, value->count) == 0;
}

enum field_kind { FIELD_INTEGER, FIELD_NUMBER, FIELD_ID, FIELD_TEXT, FIELD_TEXTS };

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset; /* in struct wire_message */
	int64_t low, high;
	bool needed;
};

#define FIELD(part, name, kind, needed) {#name, kind, offsetof(struct wire_message, part.name), 0, INT64_MAX, needed}
#define BOUNDED(part, name, low, high, needed) \
	{#name, FIELD_INTEGER, offsetof(struct wire_message, part.name), low, high, needed}

static const struct field WELCOME_FIELDS[] = {
	FIELD(welcome, daemon, FIELD_TEXT, false),        FIELD(welcome, frames_endpoint, FIELD_TEXT, true),
	FIELD(welcome, avatars, FIELD_TEXTS, false),      FIELD(welcome, expressions, FIELD_TEXTS, false),
	FIELD(welcome, capabilities, FIELD_TEXTS, false),
};
static const struct field AVATAR_INFO_FIELDS[] = {
	FIELD(avatar_info, avatar_id, FIELD_ID, true),
	FIELD(avatar_info, name, FIELD_TEXT, false),
	BOUNDED(avatar_info, fps, 1, 240, true),
};
static const struct field ERROR_FIELDS[] = {
	FIELD(error, code, FIELD_ID, true),
	FIELD(error, text, FIELD_TEXT, true),
};
static const struct field FRAME_FIELDS[] = {
	FIELD(frame, avatar_id, FIELD_ID, true),
	FIELD(frame, state, FIELD_ID, true),
	FIELD(frame, pts_samples, FIELD_INTEGER, true),
	FIELD(frame, epoch, FIELD_INTEGER, true),
	BOUNDED(frame, width, 1, WIRE_MAX_SIDE_PX, true),
	BOUNDED(frame, height, 1, WIRE_MAX_SIDE_PX, true),
	{"format", FIELD_ID, offsetof(struct wire_message, frame.format_name), 0, 0, false},
	{"alpha", FIELD_ID, offsetof(struct wire_message, frame.alpha_name), 0, 0, false},
	FIELD(frame, latency_ms, FIELD_NUMBER, false),
	FIELD(frame, published_ns, FIELD_INTEGER, true),
};
static const struct field ECHO_FIELDS[] = {
	FIELD(echo, avatar_id, FIELD_ID, true),
	FIELD(echo, utterance_id, FIELD_ID, true),
	FIELD(echo, pts_samples, FIELD_INTEGER, true),
	BOUNDED(echo, sample_rate_hz, 16000, 16000, false),
	BOUNDED(echo, channels, 1, 1, false),
	{"format", FIELD_ID, offsetof(struct wire_message, echo.format_name), 0, 0, false},
	FIELD(echo, published_ns, FIELD_INTEGER, true),
};
static const struct field AVATAR_CLOSED_FIELDS[] = {
	FIELD(avatar_closed, avatar_id, FIELD_ID, true),
};

#define TABLE(fields) fields, sizeof fields / sizeof fields[0]

static const struct {
	const char *name;
	enum wire_type type;
	bool has_payload;
	size_t bytes; /* of its struct */
	const struct field *fields;
	size_t count;
} TYPES[] = {
	{"welcome", WIRE_WELCOME, false, sizeof(struct wire_welcome), TABLE(WELCOME_FIELDS)},
	{"pong", WIRE_PONG, false, 0, NULL, 0},
	{"avatar_info", WIRE_AVATAR_INFO, false, sizeof(struct wire_avatar_info), TABLE(AVATAR_INFO_FIELDS)},
	{"ok", WIRE_OK, false, 0, NULL, 0},
	{"error", WIRE_ERROR, false, sizeof(struct wire_error), TABLE(ERROR_FIELDS)},
	{"frame", WIRE_FRAME, true, sizeof(struct wire_frame), TABLE(FRAME_FIELDS)},
	{"echo", WIRE_ECHO, true, sizeof(struct wire_echo), TABLE(ECHO_FIELDS)},
	{"avatar_closed", WIRE_AVATAR_CLOSED, false, sizeof(struct wire_avatar_closed), TABLE(AVATAR_CLOSED_FIELDS)},
};
#define TYPE_COUNT (sizeof TYPES / sizeof TYPES[0])

static bool read_texts(struct reader *reader, const struct value *list, struct wire_texts *texts)
{
	if (list->kind != KIND_LIST)
		return false;
	texts->count = 0;
	for (uint32_t i = 0; i < list->count; i++) {
		struct value item;
		if (!take_value(reader, &item) || !copy_text(&item, texts->text[i], sizeof texts->text[i]))
			return false;
		texts->count = i + 1;
	}
	return true;
}

static bool read_field(struct reader *reader, const struct value *value, const struct field *field,
		       struct wire_message *message)
{
	char *place = (char *)message + field->offset;
	switch (field->kind) {
	case FIELD_INTEGER:
		if (value->kind != KIND_INTEGER || value->integer < field->low || value->integer > field->high)
			return false;
		*(int64_t *)place = value->integer;
		return true;
	case FIELD_NUMBER:
		if (value->kind != KIND_FLOAT && value->kind != KIND_INTEGER)
			return false;
		*(double *)place = value->kind == KIND_FLOAT ? value->number : (double)value->integer;
		return true;
	case FIELD_ID:
		return copy_text(value, place, WIRE_ID_ROOM);
	case FIELD_TEXT:
		return copy_text(value, place, WIRE_TEXT_ROOM);
	case FIELD_TEXTS:
		return read_texts(reader, value, (struct wire_texts *)place);
	}
	return false;
}

/* Defaults of the fields that may be left out. */
static void set_defaults(struct wire_message *message)
{
	if (message->type == WIRE_FRAME) {
		memcpy(message->frame.format_name, "RGBA", 5);
		memcpy(message->frame.alpha_name, "straight", 9);
		message->frame.latency_ms = -1.0;
	} else if (message->type == WIRE_ECHO) {
		message->echo.sample_rate_hz = 16000;
		message->echo.channels = 1;
		memcpy(message->echo.format_name, "f32", 4);
	}
}

static bool choose(const char *name, const char *const *names, int count, int *choice)
{
	for (int i = 0; i < count; i++) {
		if (strcmp(name, names[i]) == 0) {
			*choice = i;
			return true;
		}
	}
	return false;
}

/* Texts that stand for a choice. */
static bool read_choices(struct wire_message *message)
{
	static const char *const FORMATS[] = {"RGBA", "BGRA", "I420", "JPEG", "WEBP"};
	static const char *const ALPHAS[] = {"straight", "premultiplied", "none"};
	if (message->type == WIRE_ECHO)
		return strcmp(message->echo.format_name, "f32") == 0;
	if (message->type != WIRE_FRAME)
		return true;
	int format, alpha;
	if (!choose(message->frame.format_name, FORMATS, 5, &format) ||
	    !choose(message->frame.alpha_name, ALPHAS, 3, &alpha))
		return false;
	message->frame.format = format >= WIRE_FILE ? WIRE_FILE : (enum wire_format)format;
	message->frame.alpha = (enum wire_alpha)alpha;
	return true;
}

/* First look at a header: is it one, and of which type. */
static enum wire_result find_type(struct reader reader, uint32_t pairs, struct wire_message *message)
{
	int64_t version = -1;
	bool typed = false;
	for (uint32_t i = 0; i < pairs; i++) {
		struct value key, value;
		if (!take_value(&reader, &key) || key.kind != KIND_TEXT || !take_value(&reader, &value))
			return WIRE_BAD_MESSAGE;
		if (is_text(&key, "v"))
			version = value.kind == KIND_INTEGER ? value.integer : -1;
		else if (is_text(&key, "type"))
			typed = copy_text(&value, message->type_name, sizeof message->type_name);
		if (!skip_items(&reader, &value))
			return WIRE_BAD_MESSAGE;
	}
	if (reader.left != 0 || !typed)
		return WIRE_BAD_MESSAGE;
	return version == WIRE_VERSION ? WIRE_READ : WIRE_BAD_VERSION;
}

enum wire_result wire_read(const uint8_t *data, size_t bytes, struct wire_message *message)
{
	struct reader reader = {data, bytes};
	struct value map;
	if (bytes > WIRE_MAX_HEADER_BYTES)
		return WIRE_TOO_LARGE;
	if (!take_value(&reader, &map) || map.kind != KIND_MAP)
		return WIRE_BAD_MESSAGE;
	message->type = WIRE_OTHER;
	message->request_id[0] = '\0';
	const enum wire_result found = find_type(reader, map.count, message);
	if (found != WIRE_READ)
		return found;
	size_t type = 0;
	while (type < TYPE_COUNT && strcmp(TYPES[type].name, message->type_name) != 0)
		type++;
	if (type == TYPE_COUNT)
		return WIRE_READ;
	memset((char *)message + offsetof(struct wire_message, welcome), 0, TYPES[type].bytes);
	message->type = TYPES[type].type;
	set_defaults(message);

	uint64_t seen = 0;
	for (uint32_t i = 0; i < map.count; i++) {
		struct value key, value;
		if (!take_value(&reader, &key) || !take_value(&reader, &value))
			return WIRE_BAD_MESSAGE;
		if (is_text(&key, "request_id") && !copy_text(&value, message->request_id, WIRE_TEXT_ROOM))
			return WIRE_BAD_FIELD;
		const struct field *field = NULL;
		for (size_t k = 0; k < TYPES[type].count && field == NULL; k++) {
			if (is_text(&key, TYPES[type].fields[k].name)) {
				field = &TYPES[type].fields[k];
				seen |= UINT64_C(1) << k;
			}
		}
		if (field == NULL ? !skip_items(&reader, &value) : !read_field(&reader, &value, field, message))
			return WIRE_BAD_FIELD;
	}
	for (size_t k = 0; k < TYPES[type].count; k++) {
		if (TYPES[type].fields[k].needed && !(seen >> k & 1))
			return WIRE_BAD_FIELD;
	}
	return read_choices(message) ? WIRE_READ : WIRE_BAD_FIELD;
}

enum wire_result wire_check_payload(const struct wire_message *message, size_t parts, size_t bytes)
{
	bool wanted = false;
	for (size_t i = 0; i < TYPE_COUNT; i++)
		wanted = wanted || (TYPES[i].type == message->type && TYPES[i].has_payload);
	if (message->type == WIRE_OTHER)
		return WIRE_READ;
	if (parts != (wanted ? 1u : 0u) || bytes > WIRE_MAX_PAYLOAD_BYTES)
		return WIRE_BAD_PAYLOAD;
	bool fits = true;
	if (message->type == WIRE_FRAME) {
		const struct wire_frame *frame = &message->frame;
		const uint64_t pixels = (uint64_t)frame->width * (uint64_t)frame->height;
		if (frame->format == WIRE_RGBA || frame->format == WIRE_BGRA)
			fits = bytes == pixels * 4;
		else if (frame->format == WIRE_I420)
			fits = frame->width % 2 == 0 && frame->height % 2 == 0 && bytes == pixels * 3 / 2;
		else
			fits = bytes > 0;
	} else if (message->type == WIRE_ECHO) {
		fits = bytes > 0 && bytes % sizeof(float) == 0;
	}
	return fits ? WIRE_READ : WIRE_BAD_PAYLOAD;
}

const char *wire_result_text(enum wire_result result)
{
	switch (result) {
	case WIRE_READ:
		return "read";
	case WIRE_TOO_LARGE:
		return "the header is too large";
	case WIRE_BAD_MESSAGE:
		return "the header is no msgpack map of the protocol";
	case WIRE_BAD_VERSION:
		return "another version of the protocol is spoken; plug-in and daemon have to be of one release";
	case WIRE_BAD_FIELD:
		return "a field is missing or out of its bounds";
	case WIRE_BAD_PAYLOAD:
		return "the payload does not fit its header";
	}
	return "";
}

struct writer {
	uint8_t *data;
	size_t room, bytes;
	bool full;
};

static void put(struct writer *writer, const void *data, size_t bytes)
{
	if (writer->full || bytes > writer->room - writer->bytes) {
		writer->full = true;
		return;
	}
	memcpy(writer->data + writer->bytes, data, bytes);
	writer->bytes += bytes;
}

static void put_byte(struct writer *writer, uint8_t byte)
{
	put(writer, &byte, 1);
}

static void put_text(struct writer *writer, const char *text)
{
	const size_t bytes = strlen(text);
	if (bytes < 32) {
		put_byte(writer, (uint8_t)(0xa0 | bytes));
	} else if (bytes < 256) {
		put_byte(writer, 0xd9);
		put_byte(writer, (uint8_t)bytes);
	} else {
		put_byte(writer, 0xda);
		put_byte(writer, (uint8_t)(bytes >> 8));
		put_byte(writer, (uint8_t)bytes);
	}
	put(writer, text, bytes);
}

static void put_pair(struct writer *writer, const char *key, const char *text)
{
	put_text(writer, key);
	put_text(writer, text);
}

size_t wire_write(const struct wire_request *request, uint8_t *data, size_t room)
{
	static const struct {
		const char *name;
		uint8_t pairs; /* besides v, type, request_id and avatar_id */
	} REQUESTS[] = {
		[WIRE_HELLO] = {"hello", 3},
		[WIRE_PING] = {"ping", 0},
		[WIRE_GET_AVATAR_INFO] = {"get_avatar_info", 0},
		[WIRE_CANCEL] = {"cancel", 0},
		[WIRE_SET_EXPRESSION] = {"set_expression", 2},
		[WIRE_SET_MICROPHONE] = {"set_microphone", 3},
	};
	struct writer writer = {data, room, 0, false};
	put_byte(&writer, (uint8_t)(0x80 | (4 + REQUESTS[request->type].pairs)));
	put_text(&writer, "v");
	put_byte(&writer, WIRE_VERSION);
	put_pair(&writer, "type", REQUESTS[request->type].name);
	put_pair(&writer, "request_id", request->request_id);
	put_pair(&writer, "avatar_id", request->avatar_id);
	if (request->type == WIRE_HELLO) {
		put_text(&writer, "versions");
		put_byte(&writer, 0x91); /* a list of one */
		put_byte(&writer, WIRE_VERSION);
		put_pair(&writer, "client", request->client);
		put_pair(&writer, "resume", "");
	} else if (request->type == WIRE_SET_EXPRESSION) {
		put_pair(&writer, "preset", request->preset);
		put_text(&writer, "controls");
		put_byte(&writer, 0x80); /* an empty map */
	} else if (request->type == WIRE_SET_MICROPHONE) {
		put_pair(&writer, "mode", "");
		put_pair(&writer, "talk", request->talk);
		put_pair(&writer, "mute", request->mute);
	}
	return writer.full ? 0 : writer.bytes;
}
