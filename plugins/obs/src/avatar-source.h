// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/* What the parts of the source share. */
#pragma once

#include <obs-module.h>
#include <util/threading.h>

#include "client.h"
#include "clock.h"

#define SOURCE_ID "llia_avatar_source"
#define DEFAULT_ENDPOINT "tcp://127.0.0.1:5570"

/* Settings' keys and the values of lists. */
#define KEY_ENDPOINT "endpoint"
#define KEY_AVATAR "avatar_id"
#define KEY_LATENCY "latency"
#define KEY_LOST "on_lost"
#define KEY_HIDDEN "when_hidden"
#define KEY_AUDIO "audio"
#define KEY_SYNC "audio_sync_ms"
#define KEY_EXPRESSIONS "expressions"
#define LATENCY_LOWEST "lowest"
#define LATENCY_SMOOTH "smooth"
#define LOST_KEEP "keep"
#define LOST_CLEAR "clear"
#define LOST_PLACEHOLDER "placeholder"
#define HIDDEN_PAUSE "pause"
#define HIDDEN_KEEP "keep"

enum lost_choice { ON_LOST_KEEP, ON_LOST_CLEAR, ON_LOST_PLACEHOLDER };

struct expression_key {
	struct avatar_source *avatar;
	obs_hotkey_id hotkey;
	char preset[WIRE_ID_ROOM];
};

struct avatar_source {
	obs_source_t *source;
	struct client *client;
	volatile long on_lost; /* enum lost_choice */
	volatile bool shows;   /* a frame of the daemon is in the source */

	/* Settings and visibility, under `lock`: OBS tells them from several threads. */
	pthread_mutex_t lock;
	struct client_wishes wishes;
	bool pauses;
	bool showing, active;
	int64_t sync_ms;

	/* Only the client's thread's. */
	struct av_clock clock;
	struct sound_line line;
	uint8_t *straight; /* room for premultiplied frames made straight */
	size_t straight_bytes;
	volatile long width, height; /* px, of the newest frame */

	/* The controls. */
	obs_hotkey_id talk_hotkey, mute_hotkey, cancel_hotkey;
	struct expression_key expressions[WIRE_MAX_ITEMS];
	size_t expression_count;
	volatile bool talks;

	/* Only the graphics thread's, but for `open_properties`. */
	struct client_status *status; /* as told last */
	float since_look_s;
	volatile long open_properties;
	char told[512]; /* the status line that open properties show */
};

/* avatar-controls.c */
void controls_create(struct avatar_source *avatar, obs_data_t *settings);
void controls_destroy(struct avatar_source *avatar);
void controls_offer(struct avatar_source *avatar, const struct wire_texts *expressions);
void controls_click(void *data, const struct obs_mouse_event *event, int32_t type, bool up, uint32_t count);
void controls_focus(void *data, bool focus);
void controls_key(void *data, const struct obs_key_event *event, bool up);

/* avatar-properties.c */
void avatar_defaults(obs_data_t *settings);
obs_properties_t *avatar_properties(void *data);
/* One line on the connection, in the user's language; it changes only where it says something else. */
void avatar_describe(const struct client_status *status, char *line, size_t room);
