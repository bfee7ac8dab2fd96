// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A viewer of one avatar: talks with the daemon on a thread of its own, hands out the newest frame, every piece of
 * sound, and tells how it is. It looks for the daemon, waits for it and finds it again by itself. No OBS.
 */
#pragma once

#include "wire.h"

#define CLIENT_ENDPOINT_ROOM 256

struct client;

enum client_log_level { CLIENT_LOG_INFO, CLIENT_LOG_WARNING };

/* All are called from the client's thread, and not after client_destroy has begun to return. */
struct client_callbacks {
	void *user;
	/* A monotonic clock, ns; on the daemon's machine the same as the daemon's. */
	int64_t (*now_ns)(void);
	/*
	 * The newest frame; `pixels` (4 bytes a pixel, or the planes of I420) are valid during the call.
	 * `live` is false for the frame that the daemon repeats to who subscribes.
	 */
	void (*frame)(void *user, const struct wire_frame *frame, const uint8_t *pixels, bool live);
	/* A piece of an echo's sound, mono, -1..1; `pts_samples` is the time of the piece's first sample. */
	void (*sound)(void *user, const struct wire_echo *echo, int64_t pts_samples, const float *samples,
		      size_t count);
	/* The daemon or the avatar is gone; `frame` follows when it is back. */
	void (*lost)(void *user);
	/* One line for people. */
	void (*log)(void *user, enum client_log_level level, const char *line);
};

/* What is wanted; may change at any time. */
struct client_wishes {
	char endpoint[CLIENT_ENDPOINT_ROOM]; /* of the daemon's control socket */
	char avatar_id[WIRE_ID_ROOM];        /* "" for the daemon's default one */
	bool video;                          /* false: the daemon does no work for this viewer */
	bool sound;
};

enum client_state {
	CLIENT_BAD_ENDPOINT, /* the endpoint is no address */
	CLIENT_SEARCHING,    /* nobody answers there */
	CLIENT_SILENT,       /* connected, but the daemon says nothing: it hangs */
	CLIENT_NO_AVATAR,    /* the daemon has no such avatar, or it was closed */
	CLIENT_BAD_FORMAT,   /* the avatar's frames are picture files (JPEG, WEBP) */
	CLIENT_PAUSED,       /* connected; no video is wanted */
	CLIENT_CONNECTED,
};

struct client_status {
	enum client_state state;
	double fps;        /* of the last seconds */
	double latency_ms; /* median, from published to handed out; -1 where unknown */
	double latency_p95_ms;
	uint64_t frames;       /* handed out */
	uint64_t lost;         /* of the daemon's frames, those that never came or that a newer one overtook */
	uint64_t refused;      /* messages that could not be understood */
	int64_t width, height; /* px, of the newest frame */
	enum wire_format format;
	enum wire_alpha alpha;
	char problem[WIRE_TEXT_ROOM]; /* what the daemon refused last, "" for nothing */
	bool has_microphone;
	char daemon[WIRE_TEXT_ROOM];
	struct wire_texts avatars;
	struct {
		char name[WIRE_TEXT_ROOM];
	} infos[WIRE_MAX_ITEMS]; /* of `avatars`, "" before they are told */
	struct wire_texts expressions;
	uint64_t revision; /* grows when state, avatars or expressions change */
};

/* Starts a thread that waits for wishes. NULL where the system has no thread, socket or memory left. */
struct client *client_create(const struct client_callbacks *callbacks);

/* Ends the thread, within a moment whatever the daemon does. NULL is allowed. */
void client_destroy(struct client *client);

/* From any thread; takes effect at once. */
void client_wish(struct client *client, const struct client_wishes *wishes);

/*
 * Sends a request for the avatar that is shown; its `request_id` and `avatar_id` are filled in. From any thread.
 * Without a daemon it is dropped, with a line in the log: what is pressed now must not happen later.
 */
void client_ask(struct client *client, const struct wire_request *request);

/* Asks the daemon again for its avatars and expressions. From any thread. */
void client_renew(struct client *client);

/* From any thread; `status` is large: do not put it on a stack. */
void client_status(struct client *client, struct client_status *status);

/* Whether a text is an address that client_wish can use: tcp://, an address in numbers or localhost, and a port. */
bool client_endpoint_is_valid(const char *endpoint);
