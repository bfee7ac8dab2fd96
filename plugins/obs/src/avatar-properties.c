// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/* The source's properties, and the line that tells how the connection is. */
#include "avatar-source.h"

void avatar_defaults(obs_data_t *settings)
{
	obs_data_set_default_string(settings, KEY_ENDPOINT, DEFAULT_ENDPOINT);
	obs_data_set_default_string(settings, KEY_AVATAR, "");
	obs_data_set_default_string(settings, KEY_LATENCY, LATENCY_LOWEST);
	obs_data_set_default_string(settings, KEY_LOST, LOST_KEEP);
	obs_data_set_default_string(settings, KEY_HIDDEN, HIDDEN_PAUSE);
	obs_data_set_default_bool(settings, KEY_AUDIO, true);
	obs_data_set_default_int(settings, KEY_SYNC, 0);
}

/* Rounded so that a steady stream is told in one unchanging line. */
static double coarse_ms(double latency_ms)
{
	return latency_ms < 5.0    ? 5.0
	       : latency_ms < 10.0 ? 10.0
	       : latency_ms < 20.0 ? 20.0
	       : latency_ms < 50.0 ? 50.0
				   : 1000.0;
}

void avatar_describe(const struct client_status *status, char *line, size_t room)
{
	static const char *const STATES[] = {
		[CLIENT_BAD_ENDPOINT] = "Status.BadEndpoint",
		[CLIENT_SEARCHING] = "Status.Searching",
		[CLIENT_SILENT] = "Status.Silent",
		[CLIENT_NO_AVATAR] = "Status.NoAvatar",
		[CLIENT_BAD_FORMAT] = "Status.BadFormat",
		[CLIENT_PAUSED] = "Status.Paused",
		[CLIENT_CONNECTED] = "Status.Connected",
	};
	static const char *const ALPHAS[] = {
		[WIRE_STRAIGHT] = "Status.Straight",
		[WIRE_PREMULTIPLIED] = "Status.Premultiplied",
		[WIRE_OPAQUE] = "Status.Opaque",
	};
	const int used = snprintf(line, room, "%s", obs_module_text(STATES[status->state]));
	size_t at = used < 0 ? 0 : (size_t)used < room ? (size_t)used : room - 1;
	if (status->state == CLIENT_CONNECTED && status->fps > 0.0) {
		at += (size_t)snprintf(line + at, room - at, "\n%.0f FPS, %d x %d px, ", status->fps,
				       (int)status->width, (int)status->height);
		if (status->latency_ms >= 0.0 && at < room)
			at += (size_t)snprintf(line + at, room - at, "%s < %.0f ms, ",
					       obs_module_text("Status.Latency"), coarse_ms(status->latency_ms));
		if (at < room)
			at += (size_t)snprintf(line + at, room - at, "%s %llu, %s", obs_module_text("Status.Drops"),
					       (unsigned long long)status->lost,
					       obs_module_text(ALPHAS[status->alpha]));
	}
	if (status->problem[0] != '\0' && at < room)
		snprintf(line + at, room - at, "\n%.300s", status->problem);
}

static obs_property_t *add_list(obs_properties_t *properties, const char *key, const char *text)
{
	return obs_properties_add_list(properties, key, obs_module_text(text), OBS_COMBO_TYPE_LIST,
				       OBS_COMBO_FORMAT_STRING);
}

static void add_choice(obs_property_t *list, const char *text, const char *value)
{
	obs_property_list_add_string(list, obs_module_text(text), value);
}

/* The daemon's avatars, and the one that was chosen even where it is not there now. */
static void add_avatars(obs_properties_t *properties, const struct client_status *status, const char *chosen)
{
	obs_property_t *list = add_list(properties, KEY_AVATAR, "AvatarChoice");
	bool there = chosen[0] == '\0';
	add_choice(list, "AvatarChoice.Default", "");
	for (uint32_t i = 0; i < status->avatars.count; i++) {
		const char *id = status->avatars.text[i];
		char text[WIRE_ID_ROOM + 128];
		snprintf(text, sizeof text, status->infos[i].name[0] != '\0' ? "%s (%.100s)" : "%s", id,
			 status->infos[i].name);
		obs_property_list_add_string(list, text, id);
		there = there || strcmp(id, chosen) == 0;
	}
	if (!there)
		obs_property_list_add_string(list, chosen, chosen);
}

static bool renew(obs_properties_t *properties, obs_property_t *button, void *data)
{
	struct avatar_source *avatar = data;
	UNUSED_PARAMETER(properties);
	UNUSED_PARAMETER(button);
	client_renew(avatar->client);
	avatar->told[0] = '\0'; /* the next look tells all anew */
	return false;
}

static void closed(void *data)
{
	struct avatar_source *avatar = data;
	os_atomic_dec_long(&avatar->open_properties);
}

obs_properties_t *avatar_properties(void *data)
{
	struct avatar_source *avatar = data;
	obs_properties_t *properties = obs_properties_create();
	struct client_status *status = bzalloc(sizeof *status);
	char line[sizeof avatar->told] = "";
	if (avatar != NULL) {
		obs_properties_set_param(properties, avatar, closed);
		os_atomic_inc_long(&avatar->open_properties);
		client_status(avatar->client, status);
		avatar_describe(status, line, sizeof line);
		obs_properties_add_text(properties, "status", line, OBS_TEXT_INFO);
	}
	obs_properties_add_text(properties, KEY_ENDPOINT, obs_module_text("Endpoint"), OBS_TEXT_DEFAULT);
	obs_data_t *settings = avatar != NULL ? obs_source_get_settings(avatar->source) : NULL;
	add_avatars(properties, status, settings != NULL ? obs_data_get_string(settings, KEY_AVATAR) : "");
	obs_data_release(settings);
	bfree(status);
	if (avatar != NULL)
		obs_properties_add_button2(properties, "renew", obs_module_text("Renew"), renew, avatar);

	obs_property_t *latency = add_list(properties, KEY_LATENCY, "Latency");
	add_choice(latency, "Latency.Lowest", LATENCY_LOWEST);
	add_choice(latency, "Latency.Smooth", LATENCY_SMOOTH);
	obs_property_set_long_description(latency, obs_module_text("Latency.Help"));
	obs_property_t *lost = add_list(properties, KEY_LOST, "Lost");
	add_choice(lost, "Lost.Keep", LOST_KEEP);
	add_choice(lost, "Lost.Clear", LOST_CLEAR);
	add_choice(lost, "Lost.Placeholder", LOST_PLACEHOLDER);
	obs_property_t *hidden = add_list(properties, KEY_HIDDEN, "Hidden");
	add_choice(hidden, "Hidden.Pause", HIDDEN_PAUSE);
	add_choice(hidden, "Hidden.Keep", HIDDEN_KEEP);
	obs_property_set_long_description(hidden, obs_module_text("Hidden.Help"));
	obs_properties_add_bool(properties, KEY_AUDIO, obs_module_text("Audio"));
	obs_property_t *sync =
		obs_properties_add_int(properties, KEY_SYNC, obs_module_text("AudioSync"), -950, 5000, 5);
	obs_property_int_set_suffix(sync, " ms");
	obs_property_set_long_description(sync, obs_module_text("AudioSync.Help"));
	return properties;
}
