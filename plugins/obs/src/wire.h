// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Messages of the LLIA wire protocol, version 1 (bridge/PROTOCOL.md): what a viewer reads and what it asks.
 *
 * Nothing is allocated: a message is read into a struct of fixed size, and every count, length and number on the wire
 * is checked before it is used. No OBS, no ZeroMQ.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION 1
#define WIRE_MAX_HEADER_BYTES 16384
#define WIRE_MAX_PAYLOAD_BYTES 4194304
#define WIRE_MAX_ITEMS 64 /* of a list or map */
#define WIRE_MAX_TEXT_CHARS 512
#define WIRE_MAX_ID_CHARS 64
#define WIRE_MAX_SIDE_PX 4096

/* A UTF-8 character has at most four bytes; one more ends the string. */
#define WIRE_TEXT_ROOM (WIRE_MAX_TEXT_CHARS * 4 + 1)
#define WIRE_ID_ROOM (WIRE_MAX_ID_CHARS * 4 + 1)

enum wire_type {
	WIRE_OTHER, /* a type that a viewer has no use for */
	WIRE_WELCOME,
	WIRE_PONG,
	WIRE_AVATAR_INFO,
	WIRE_OK,
	WIRE_ERROR,
	WIRE_FRAME,
	WIRE_ECHO,
	WIRE_AVATAR_CLOSED,
};

enum wire_result {
	WIRE_READ,
	WIRE_TOO_LARGE,   /* the header has more than WIRE_MAX_HEADER_BYTES */
	WIRE_BAD_MESSAGE, /* no msgpack map with text keys, or one that breaks a limit */
	WIRE_BAD_VERSION, /* `v` is not WIRE_VERSION */
	WIRE_BAD_FIELD,   /* a field is missing, of another type or out of its bounds */
	WIRE_BAD_PAYLOAD, /* the payload is missing, or its size does not fit the header */
};

enum wire_format {
	WIRE_RGBA,
	WIRE_BGRA,
	WIRE_I420,
	WIRE_FILE, /* JPEG, WEBP: a picture file, which is not decoded here */
};

enum wire_alpha { WIRE_STRAIGHT, WIRE_PREMULTIPLIED, WIRE_OPAQUE };

struct wire_texts {
	uint32_t count;
	char text[WIRE_MAX_ITEMS][WIRE_ID_ROOM];
};

struct wire_welcome {
	char daemon[WIRE_TEXT_ROOM];
	char frames_endpoint[WIRE_TEXT_ROOM];
	struct wire_texts avatars; /* ids, the default one first */
	struct wire_texts expressions;
	struct wire_texts capabilities;
};

struct wire_avatar_info {
	char avatar_id[WIRE_ID_ROOM];
	char name[WIRE_TEXT_ROOM];
	int64_t fps;
};

struct wire_error {
	char code[WIRE_ID_ROOM];
	char text[WIRE_TEXT_ROOM];
};

struct wire_frame {
	char avatar_id[WIRE_ID_ROOM];
	char state[WIRE_ID_ROOM];
	int64_t pts_samples; /* 16 kHz */
	int64_t epoch;
	int64_t width; /* px */
	int64_t height;
	char format_name[WIRE_ID_ROOM];
	char alpha_name[WIRE_ID_ROOM];
	enum wire_format format;
	enum wire_alpha alpha;
	double latency_ms;    /* from sound to picture at the daemon, -1 in silence */
	int64_t published_ns; /* the daemon's monotonic clock */
};

struct wire_echo {
	char avatar_id[WIRE_ID_ROOM];
	char utterance_id[WIRE_ID_ROOM];
	int64_t pts_samples; /* of the first sample, 16 kHz */
	int64_t sample_rate_hz;
	int64_t channels;
	char format_name[WIRE_ID_ROOM];
	int64_t published_ns;
};

struct wire_avatar_closed {
	char avatar_id[WIRE_ID_ROOM];
};

struct wire_message {
	enum wire_type type;
	char type_name[WIRE_ID_ROOM];
	char request_id[WIRE_TEXT_ROOM];
	union {
		struct wire_welcome welcome;
		struct wire_avatar_info avatar_info;
		struct wire_error error;
		struct wire_frame frame;
		struct wire_echo echo;
		struct wire_avatar_closed avatar_closed;
	};
};

/*
 * Reads a header. A type that is not known gives WIRE_READ with WIRE_OTHER; fields that are not known are passed over.
 * Where the result is not WIRE_READ, nothing in `message` may be used.
 */
enum wire_result wire_read(const uint8_t *data, size_t bytes, struct wire_message *message);

/* Checks the parts after the header: their number and the size of the first. */
enum wire_result wire_check_payload(const struct wire_message *message, size_t parts, size_t bytes);

/* For people: what is wrong. */
const char *wire_result_text(enum wire_result result);

enum wire_request_type {
	WIRE_HELLO,
	WIRE_PING,
	WIRE_GET_AVATAR_INFO,
	WIRE_CANCEL,
	WIRE_SET_EXPRESSION,
	WIRE_SET_MICROPHONE,
};

struct wire_request {
	enum wire_request_type type;
	char request_id[WIRE_ID_ROOM]; /* "" for none */
	char avatar_id[WIRE_ID_ROOM];  /* "" for the default one */
	char preset[WIRE_ID_ROOM];     /* set_expression: "" for none */
	const char *client;            /* hello: who asks, for the daemon's log; not freed */
	const char *talk;              /* set_microphone: "on", "off", or "" for as it is; not freed */
	const char *mute;              /* set_microphone: likewise, or "toggle" */
};

/* Writes a request's header. Returns its size in bytes, 0 where it does not fit into `room`. */
size_t wire_write(const struct wire_request *request, uint8_t *data, size_t room);
